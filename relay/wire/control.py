"""Control messages: what relay and bridge say over TLS.

Pure. Each is one msgpack map with a `type`; unknown fields are ignored, so that a newer peer of the same
protocol version may say more. Lengths are bounded here, rates in the hub. Source of the idea of one
typed union per direction: msgspec's tagged unions.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from relay.wire.errors import MalformedControl
from relay.wire.names import MAX_NAME
from relay.wire.sequence import Scheme, Was
from relay.wire.stats import Stats

MAX_NOTICE = 400
"""Characters: three lines of a terminal."""

MAX_LISTED = 64
"""Numbers that a report lists by name; the counts beside them are always whole."""

WAYS_MAX = 512
"""Ways down in one report: more events a second than a room of sixteen busy Sonic Pis plays."""
TENTHS_PER_S = 10_000
WAY_TENTHS_MAX = 60 * TENTHS_PER_S
"""A minute: an event is asked for no longer than some seconds."""

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Token = Annotated[bytes, Meta(min_length=16, max_length=16)]
Slot = Annotated[int, Meta(ge=1, le=31)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Tally = Annotated[int, Meta(ge=0, le=2**32)]
"""A count of one report. The relay adds them up, and a sum must never outgrow what msgpack can say."""
Ticks = Annotated[int, Meta(ge=0, le=2**40)]
Channels = Annotated[int, Meta(ge=0, le=64)]
Numbers = Annotated[list[Count], Meta(max_length=MAX_LISTED)]
Milliseconds = Annotated[float, Meta(ge=-1e9, le=1e9)]
"""Neither infinite nor NaN: both fail the bounds."""
Digest = Annotated[bytes, Meta(max_length=32)]
WayTenths = Annotated[int, Meta(ge=0, le=WAY_TENTHS_MAX)]
"""Tenths of a millisecond: as exact as a busy machine is, and 3 bytes where a float takes 9."""
PROBE_RATE_MAX = 100.0
"""Datagrams a second, each way: five times a busy Sonic Pi, which is what a path has to carry."""
PROBE_SECONDS_MAX = 600.0
"""Ten minutes: long enough to see a path's habits, short enough that nobody is measured for ever."""
PROBE_ARRIVALS_MAX = 1024
"""In one report: what a second can bring, bursts included."""
FirstSeq = Annotated[int, Meta(ge=1, le=2**31)]
"""Half of what an event's u32 can hold: a member can't use up the numbers of its slot at one blow."""
CountName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}\Z")]
"""Of what a bridge counts beside the music: safe on every terminal, and no longer than it must be."""
COUNTS_MAX = 64
"""Such names in one report, and of one member."""
Payloads = Annotated[list[bytes], Meta(max_length=4096)]


class Hello(Struct, tag="hello", frozen=True, kw_only=True):
    """First word of a bridge. `ticket` claims a slot it held before; `slot_wanted` asks a relay that
    has forgotten it (a new epoch) for the same slot again; `next_seq` is the lowest number of its own
    that it may still send. `ask_only`: nobody is let in; the answer is Admission, or Refused as ever."""

    protocol: int
    software: Annotated[str, Meta(max_length=64)]
    room: Name
    name: Name
    outs: Channels = 16
    ins: Channels = 16
    ticket: Token | None = None
    slot_wanted: Slot | None = None
    epoch: Token | None = None
    next_seq: FirstSeq = 1
    release_advance: Ticks = 0
    ask_only: bool = False


class Member(Struct, frozen=True, kw_only=True):
    """One line of the roster. outs, ins: the hardware channels of the member's own Sonic Pi set-up."""

    slot: Slot
    name: Name
    outs: Channels
    ins: Channels
    present: bool


class Welcome(Struct, tag="welcome", frozen=True, kw_only=True):
    """The relay's answer to Hello. Keys are fresh and for this connection only.

    number: the room's last number so far. next_seq: the sender's number expected next in this slot.
    resumed: the slot was held by this ticket in this epoch. lead to scheme: as in Settings.
    """

    slot: Slot
    name: Name
    ticket: Token
    epoch: Token
    channel: Annotated[int, Meta(ge=0, lt=2**32)]
    key_up: Key
    key_down: Key
    number: Count
    next_seq: Count
    resumed: bool
    lead: Ticks
    shift: Ticks
    lead_was: Was | None = None
    shift_was: Was | None = None
    horizon: Ticks
    repair: bool = True
    scheme: Scheme = Scheme.JUDGED
    members: list[Member]


class Admission(Struct, tag="admission", frozen=True, kw_only=True):
    """The relay's answer to a Hello that only asks: it would be let in now. members: who has a slot there."""

    room: Name
    members: list[Member]


class Refused(Struct, tag="refused", frozen=True, kw_only=True):
    """The relay does not do what was asked; `reason` is a word for programs, `text` for people.
    `final`: asking again as before is no use."""

    reason: str
    text: str
    final: bool = False


class Roster(Struct, tag="roster", frozen=True, kw_only=True):
    """Who holds a slot now; sent whenever that changes."""

    members: list[Member]


class Settings(Struct, tag="settings", frozen=True, kw_only=True):
    """Lead, shift and horizon H of the room, in ticks; sent whenever they change.

    lead_was, shift_was: what they were before, and when that changes into what they are.
    repair: whether what is missing is asked for. scheme: what keeps the members together.
    """

    lead: Ticks
    shift: Ticks
    lead_was: Was | None = None
    shift_was: Was | None = None
    horizon: Ticks
    repair: bool = True
    scheme: Scheme = Scheme.JUDGED


class Notice(Struct, tag="notice", frozen=True, kw_only=True):
    """Something that the person at this bridge should read."""

    text: Annotated[str, Meta(max_length=MAX_NOTICE)]


class Foundation(Struct, tag="foundation", frozen=True, kw_only=True):
    """What a member's Sonic Pi built at its start and never frees, the buffers it has loaded, and what was
    set on its nodes since: OSC messages in that member's ids. Down to those who join later; up by the
    member itself when a new epoch has forgotten it.

    number: all events of the room up to it are in it. values: (due, /n_set), 0 for a due that is over.
    """

    slot: Slot
    number: Count = 0
    messages: Payloads
    values: Annotated[list[tuple[int, bytes]], Meta(max_length=4096)] = []


class Report(Struct, tag="report", frozen=True, kw_only=True):
    """One second of session time as a bridge handed it to its scsynth, half a second after it ended.

    second: due >> 32. whole: the member was in from start to end. digest: over (number, message without
    timetag) in scsynth's order. The lists name room numbers, at most 64 each; the counts are whole.
    unfounded: groups and mixers that other members' Sonic Pis built at their start, and this scsynth lacks.
    alone: own notes that it had played when their verdict said that they had missed their time. unplayed: own
    notes that it never sent, since it came to them when their time was over; nobody heard them.
    margin_ms: due minus hand-over, less what scsynth needs; > 0 is early; None when nothing was played.
    ways_down: (number, tenths of a millisecond from its judging to its arrival, repair included) of the
    events that came since the report before. down_p50_ms, down_p99_ms: of heartbeats, which nothing repairs.
    counts: what else happened at this bridge since the report before, by names of its own choice.
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


class DigestRequest(Struct, tag="digest_request", frozen=True, kw_only=True):
    """The relay asks for the per-event digests of a second on which members disagree."""

    second: int


class DigestDetail(Struct, tag="digest_detail", frozen=True, kw_only=True):
    """(number, digest) of each event of that second, in scsynth's order. late: those of them that were handed
    over too late, what came after the second was reported included."""

    second: int
    events: Annotated[list[tuple[Count, Digest]], Meta(max_length=4096)]
    late: Annotated[list[Count], Meta(max_length=4096)] = []


class Leave(Struct, tag="leave", frozen=True):
    """The member goes for good: its slot is reset and free again."""


class StatsRequest(Struct, tag="stats_request", frozen=True, kw_only=True):
    """Ask for the statistics of one room, or of all of them."""

    room: Name | None = None


class ProbeHello(Struct, tag="probe_hello", frozen=True, kw_only=True):
    """First word of a prober: it wants to measure the path, and joins no room.

    rate: datagrams a second, seconds: for how long.
    """

    protocol: int
    software: Annotated[str, Meta(max_length=64)]
    rate: Annotated[float, Meta(gt=0, le=PROBE_RATE_MAX)]
    seconds: Annotated[float, Meta(gt=0, le=PROBE_SECONDS_MAX)]


class ProbeWelcome(Struct, tag="probe_welcome", frozen=True, kw_only=True):
    """The relay's answer to ProbeHello: a sealed path of its own, with keys for this connection only."""

    channel: Annotated[int, Meta(ge=0, lt=2**32)]
    key_up: Key
    key_down: Key


class ProbeReport(Struct, tag="probe_report", frozen=True, kw_only=True):
    """What reached the relay since the report before, once a second: (number, session instant of arrival)
    in the order of arrival, each number once. What no report names was lost on the way up."""

    arrivals: Annotated[list[tuple[Count, int]], Meta(max_length=PROBE_ARRIVALS_MAX)]


Up = Hello | Foundation | Report | DigestDetail | Leave | StatsRequest | ProbeHello
Down = (
    Welcome
    | Admission
    | Refused
    | Roster
    | Settings
    | Notice
    | Foundation
    | DigestRequest
    | Stats
    | ProbeWelcome
    | ProbeReport
)

_encoder = msgspec.msgpack.Encoder()
_up_decoder: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)
_down_decoder: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)


def encode(message: Up | Down) -> bytes:
    """Return the bytes of one control message (the stream adds its length)."""
    return _encoder.encode(message)


def decode_up(data: bytes) -> Up:
    """Return what a bridge said. Raises MalformedControl."""
    try:
        return _up_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedControl(f"{len(data)} bytes from a bridge: {error}") from None


class _Greeting(Struct, frozen=True):
    """As much of a first word as every version of the protocol has."""

    type: str
    protocol: int


_greeting_decoder = msgspec.msgpack.Decoder(_Greeting)


def protocol_of(data: bytes) -> int | None:
    """Return the protocol version of a first word that may be of another version, None if it has none."""
    try:
        return _greeting_decoder.decode(data).protocol
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def decode_down(data: bytes) -> Down:
    """Return what a relay said. Raises MalformedControl."""
    try:
        return _down_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedControl(f"{len(data)} bytes from the relay: {error}") from None
