"""The report: one second of session time as a bridge handed it to its scsynth.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from relay.wire.control.family import Family
from relay.wire.control.fields import Count, Digest

MAX_LISTED = 64
"""Event numbers that a report lists. The counts beside them are always complete."""

WAYS_MAX = 512
"""Downlink delays in one report: more events a second than a room of sixteen busy Sonic Pis plays."""
TENTHS_PER_S = 10_000
WAY_TENTHS_MAX = 60 * TENTHS_PER_S
"""A minute. An event is asked for no longer than some seconds."""
COUNTS_MAX = 64
"""Names in the `counts` of one report, and of one member."""

Tally = Annotated[int, Meta(ge=0, le=2**32)]
"""A count of one report. The relay adds them up, and a sum must never exceed the range of msgpack
integers."""
Numbers = Annotated[list[Count], Meta(max_length=MAX_LISTED)]
Milliseconds = Annotated[float, Meta(ge=-1e9, le=1e9)]
"""Neither infinite nor NaN: both fail the bounds."""
WayTenths = Annotated[int, Meta(ge=0, le=WAY_TENTHS_MAX)]
"""Tenths of a millisecond: as exact as a busy machine allows, and 3 bytes where a float takes 9."""
CountName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}\Z")]
"""The name of a bridge's further counter, restricted to characters that are safe on every terminal."""


class Report(Struct, tag="report", frozen=True, kw_only=True):
    """One second of session time as a bridge handed it to its scsynth; sent half a second after its end.

    second: due >> 32. whole: the member was in from start to end. digest: over (number, message without
    timetag) in scsynth's order. The lists name room numbers, at most 64 each; the counts are whole.
    unfounded: groups and mixers that other members' Sonic Pis built at their start, and this scsynth lacks.
    alone: own notes that this host had played before their verdict said that they had missed their time.
    unplayed: own notes that the bridge never sent, since it came to them when their time was over; nobody
    heard them. margin_ms: due minus hand-over, less the time that scsynth needs; > 0 is early; None if
    nothing was played. ways_down: (number, tenths of a millisecond from the event's judging to its arrival,
    repair included) of the events that came since the report before. down_p50_ms, down_p99_ms: of heartbeats,
    which nothing repairs. counts: other things that this bridge counted since the report before, by names of
    its own choice.
    """

    second: int
    whole: bool
    events: Tally
    digest: Digest
    late: Tally = 0
    late_numbers: Numbers = []
    missing: Tally = 0
    missing_numbers: Numbers = []
    out_of_order: Tally = 0
    out_of_order_numbers: Numbers = []
    unconfirmed: Tally = 0
    unconfirmed_numbers: Numbers = []
    silent_here: Tally = 0
    silent_here_numbers: Numbers = []
    refused: Tally = 0
    local_only: Tally = 0
    unfounded: Tally = 0
    alone: Tally = 0
    unplayed: Tally = 0
    margin_ms_min: Milliseconds | None = None
    margins_ms: Annotated[list[Milliseconds], Meta(max_length=256)] = []
    rtt_ms: Milliseconds = 0.0
    jitter_ms: Milliseconds = 0.0
    down_p50_ms: Milliseconds = 0.0
    down_p99_ms: Milliseconds = 0.0
    ways_down: Annotated[list[tuple[Count, WayTenths]], Meta(max_length=WAYS_MAX)] = []
    frames_expected: Tally = 0
    frames_lost: Tally = 0
    clock_offset_ms: Milliseconds = 0.0
    clock_bound_ms: Milliseconds = 0.0
    clock_rate_ppm: Milliseconds = 0.0
    clock_steps: Tally = 0
    counts: Annotated[dict[CountName, Tally], Meta(max_length=COUNTS_MAX)] = {}

    def without_samples(self) -> "Report":
        """Return the report without its lists of margins and delays, for objects that keep reports.

        With the lists a thousand objects a member would lie in memory for Python's garbage collector to
        examine.
        """
        return replace(self, ways_down=[], margins_ms=[])


FAMILY = Family(up=(Report,))
