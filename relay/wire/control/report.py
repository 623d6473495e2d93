"""The report: a bridge reports which events it handed to its scsynth in one second of session time.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from relay.wire.control.family import Family
from relay.wire.control.fields import Count, Digest

MAX_LISTED = 64
"""Greatest number of event numbers in each list of a report. The count beside a list includes the events that
the list leaves out."""

WAYS_MAX = 512
"""Greatest number of downlink delays in one report. Sixteen busy Sonic Pis play fewer events a second."""
TENTHS_PER_S = 10_000
WAY_TENTHS_MAX = 60 * TENTHS_PER_S
"""Longest downlink delay in a report: one minute, in tenths of a millisecond. No delay is longer, since a
bridge asks for a missing event only for some seconds."""
COUNTS_MAX = 64
"""Greatest number of names in the `counts` of one report. The relay keeps at most the same number of names
for one member."""

Tally = Annotated[int, Meta(ge=0, le=2**32)]
"""A count in one report. It is bounded because the relay adds up the counts of all reports: the sum must stay
within the range of msgpack integers."""
Numbers = Annotated[list[Count], Meta(max_length=MAX_LISTED)]
Milliseconds = Annotated[float, Meta(ge=-1e9, le=1e9)]
"""A finite number, mostly of milliseconds. Infinity and NaN lie outside the bounds."""
WayTenths = Annotated[int, Meta(ge=0, le=WAY_TENTHS_MAX)]
"""A downlink delay in tenths of a millisecond. A busy machine can't measure more exactly. The number takes 3
bytes; a float would take 9."""
CountName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}\Z")]
"""The name of a count that a bridge has chosen. Its characters are safe to print on every terminal."""


class Report(Struct, tag="report", frozen=True, kw_only=True):
    """The events due in one second of session time, as a bridge handed them to its scsynth.

    A bridge sends it half a second after the end of that second. Each list `..._numbers` has at most 64 room
    numbers; the count beside it includes the events that the list leaves out.

    second: seconds of session time (due >> 32 of its events).
    whole: whether the member was in the room from the start of the second to its end.
    digest: hash over (room number, message without timetag) of each event, in scsynth's order.
    unfounded: number of groups and mixers that other members' Sonic Pis made at their start and that this
    scsynth lacks.
    alone: number of own notes that this host played before the relay's verdict came, which says that they
    missed their time.
    unplayed: number of own notes that the bridge never sent, because it read them when their time was over.
    Nobody heard them.
    margin_ms_min, margins_ms: an event's margin is its due minus the instant of handing it over, less the
    time that scsynth needs; > 0 is early. The minimum is None if nothing was played.
    down_p50_ms, down_p99_ms: downlink delays of heartbeats, which are never sent again.
    ways_down: (room number, downlink delay) of the events that came since the last report. The delay runs
    from the event's verdict to its arrival, in tenths of a millisecond, and includes repair.
    counts: other counts of this bridge since the last report, by names that it chooses.
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
        """Return the report without its lists of margins and delays, to be kept in memory.

        With these lists Python's garbage collector would have to examine a thousand more objects for each
        member.
        """
        return replace(self, ways_down=[], margins_ms=[])


FAMILY = Family(up=(Report,))
