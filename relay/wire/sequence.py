"""The room's sequence: events as stamped by a bridge, as judged by the relay, their due and their order.

Pure. All instants are session timetags (64-bit NTP integers), all durations ticks (2**-32 s).

The rule uses the instant of emission a, the timetag tau, the room's lead D and shift S, with 0 <= S <= D.
base = max(tau + S, a + D) for timed events, a + D for the others. due = max(base, floor, W + 1). The floor is
the greatest due of an untimed event of the same slot; W is the instant up to which the sequence is closed. So
no note is due before a group or FX that it needs, and none after a free sent later. The argument is in
docs/way-of-an-event.md.

D and S may change. D is a function of the instant of emission, and S of the timetag, not of the moment of
judging. Therefore every host computes the same dues, and equal timetags stay equal. Both may rise in one step
but fall no faster than time passes. So a + D(a) and tau + S(tau) never decrease, and the argument needs no
more.

This is the coherence scheme *judged*. A room may use *timestamp* instead, to compare: due = base.
"""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum

from relay.wire.errors import LocalError
from relay.wire.meaning import NOTHING, Meaning
from relay.wire.timetag import ticks

HANDED_AHEAD_MAX = ticks(1.0)
"""scsynth is handed an event at most this long before its due. A slot reset can therefore drop all events due
more than this after it, at every member alike."""


class Scheme(StrEnum):
    """How a room's members stay coherent."""

    JUDGED = "judged"
    """The rule above: a late event is moved for everyone alike."""
    TIMESTAMP = "timestamp"
    """Bridges merge by base due alone: a late event is late only at the members that get it late."""


class Kind(IntEnum):
    """The kind of an event, as the rule sees it."""

    TIMED = 0
    """From a bundle with a timetag."""
    UNTIMED = 1
    """A bare message that is part of the music: groups, run mixers, some FX, fades, frees."""
    RESOURCE = 2
    """Loads a buffer. It starts on arrival, so that the buffer is ready when a note needs it."""
    RESET = 3
    """Slot reset. It empties the slot's root group, and drops earlier events of its sender that are due more
    than HANDED_AHEAD_MAX after it."""


class Flag(IntFlag):
    """Findings of the relay while judging."""

    NONE = 0
    RETIMED = 1
    """Moved by W, because it reached the relay too late for its base."""
    OVERTAKEN = 2
    """A later event of the same sender was judged first."""
    MOVED = 4
    """A timed event that is due later than its own timetag plus the shift."""
    FOUNDATION = 8
    """Makes something that its Sonic Pi never frees. The relay keeps it for members who join later."""
    SILENCED = 16
    """A slot reset by the relay for a silent member, who ignores it."""
    MISSED = 32
    """A note that reached the relay far later than usual, when its time was over. Nobody plays it. Its due
    only says under which instant it is counted."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """The earlier course of a lead or shift.

    The value (ticks) holds up to the instant `since`. From there a straight line leads to the new value,
    which holds from `until` on. Raises ValueError unless since <= until.
    """

    value: int
    since: int
    until: int

    def __post_init__(self) -> None:
        if not 0 <= self.since <= self.until:
            raise ValueError(f"a change from {self.since} to {self.until}: it must not end before it begins")

    def at(self, instant: int, now_is: int) -> int:
        """Return the value (ticks) at `instant` on the way to the final value `now_is`."""
        if instant >= self.until:
            return now_is
        if instant <= self.since:
            return self.value
        return self.value + (now_is - self.value) * (instant - self.since) // (self.until - self.since)


@dataclass(frozen=True, slots=True)
class Timing:
    """Lead D and shift S of a room in ticks, and their earlier courses.

    lead_was is a function of instants of emission, shift_was of timetags. Raises LocalError unless
    0 <= S <= D at every instant.
    """

    lead: int
    shift: int
    lead_was: Ramp | None = None
    shift_was: Ramp | None = None

    def __post_init__(self) -> None:
        corners = {0}
        for was in (self.lead_was, self.shift_was):
            if was is not None:
                corners |= {was.since - 1, was.since, was.until}
        for instant in corners:
            shift, lead = self.shift_at(instant), self.lead_at(instant)
            if not 0 <= shift <= lead:
                raise LocalError(
                    f"shift {shift / 2**32 * 1e3:.0f} ms, lead {lead / 2**32 * 1e3:.0f} ms: the shift "
                    "must lie between 0 and the lead, or notes would be lost to frees sent after them"
                )

    def lead_at(self, emitted: int) -> int:
        """Return the lead (ticks) for events emitted at that instant."""
        return self.lead if self.lead_was is None else self.lead_was.at(emitted, self.lead)

    def shift_at(self, timetag: int) -> int:
        """Return the shift (ticks) for events with that timetag."""
        return self.shift if self.shift_was is None else self.shift_was.at(timetag, self.shift)


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event as its sender's bridge describes it. It doesn't decide when the event plays.

    seq: the sender's own dense number. emitted: session instant at which Sonic Pi sent it. timetag: session
    timetag of a TIMED event, else None. payload: one OSC message in the sender's ids. meaning: that of the
    payload, which is computed if it isn't given. It doesn't travel.
    """

    seq: int
    emitted: int
    timetag: int | None
    kind: Kind
    payload: bytes
    foundation: bool = False
    meaning: Meaning = field(default=NOTHING, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.meaning is NOTHING and self.payload:
            object.__setattr__(self, "meaning", Meaning(self.payload))


@dataclass(frozen=True, slots=True)
class Judged:
    """An event as the relay judged it: one due and one verdict for everyone.

    number: dense in the room, from 1. due: session timetag at which every scsynth executes it.
    judged: session instant of this verdict, from which the downlink delay is measured. meaning: as in
    `Stamped`.
    """

    number: int
    slot: int
    seq: int
    due: int
    judged: int
    kind: Kind
    flags: Flag
    payload: bytes
    meaning: Meaning = field(default=NOTHING, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.meaning is NOTHING and self.payload:
            object.__setattr__(self, "meaning", Meaning(self.payload))

    @property
    def key(self) -> "OrderKey":
        """The event's place in the room's order."""
        return (self.due, self.number)


OrderKey = tuple[int, int]
"""(due, number). The room's order is the natural order of these pairs, a pure function of the judged events.
scsynth sorts by timetag and keeps equal ones as they come, so handed events by number it runs this order."""


def base_due(event: Stamped, timing: Timing) -> int:
    """Return the earliest due of `event`, before floor and W are applied."""
    earliest = event.emitted + timing.lead_at(event.emitted)
    if event.kind is Kind.TIMED and event.timetag is not None:
        return max(event.timetag + timing.shift_at(event.timetag), earliest)
    return earliest


def raises_floor(kind: Kind) -> bool:
    """Return whether this kind of event raises the floor: later events of its sender can't be due before
    it."""
    return kind in (Kind.UNTIMED, Kind.RESET)


def is_moved(event: Stamped, timing: Timing, due: int) -> bool:
    """Return whether a timed event is due later than its own timetag plus the room's shift."""
    if event.kind is not Kind.TIMED or event.timetag is None:
        return False
    return due > event.timetag + timing.shift_at(event.timetag)
