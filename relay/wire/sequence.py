"""The room's sequence: events as stamped by a bridge, as judged by the relay, their due and their order.

Pure. All instants are session timetags (64-bit NTP integers), all durations ticks (2**-32 s).

The rule, with a = instant of emission, tau = timetag, lead D and shift S of the room, 0 <= S <= D:
base = max(tau + S, a + D) for timed events, a + D for the others; due = max(base, floor, W + 1), where the
floor is the greatest due of an untimed event of the same slot and W the instant up to which the
sequence is closed. Then no note is due before a group or FX that it needs, and none after a free that
was sent later: docs/way-of-an-event.md has the argument.

D and S may change. D is a function of the instant of emission and S one of the timetag, not of the moment of
judging, so every host reckons alike and equal timetags stay equal. Both may rise in one step but never fall
faster than time goes on: so a + D(a) and tau + S(tau) never decrease, which is all that the argument needs.

That is the scheme of coherence *judged*. A room may follow *timestamp* instead, to compare: due = base.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum

from relay.wire.errors import LocalError
from relay.wire.timetag import ticks

HANDED_AHEAD_MAX = ticks(1.0)
"""No scsynth is handed an event earlier than this before its due. So what is due more than that after a
slot reset can be dropped by it, at every member alike."""


class Scheme(StrEnum):
    """What keeps a room's members together."""

    JUDGED = "judged"
    """The rule above: what comes late is moved for everyone alike."""
    TIMESTAMP = "timestamp"
    """Bridges merge by base due alone: what comes late is late where it comes late."""


class Kind(IntEnum):
    """What an event is to the rule."""

    TIMED = 0
    """Came in a bundle with a timetag."""
    UNTIMED = 1
    """Came bare but is part of the music: groups, run mixers, some FX, fades, frees."""
    RESOURCE = 2
    """Loads a buffer: starts on arrival, so that it is ready when a note needs it."""
    RESET = 3
    """Slot reset: empties the slot's root group, and drops what its sender sent before and is due more than
    HANDED_AHEAD_MAX after it."""


class Flag(IntFlag):
    """What the relay found while judging."""

    NONE = 0
    RETIMED = 1
    """Moved by W: it reached the relay too late for its base."""
    OVERTAKEN = 2
    """A later event of its sender was judged first."""
    MOVED = 4
    """A timed event whose due is later than its own timetag plus the shift."""
    FOUNDATION = 8
    """Builds what its Sonic Pi never frees; kept by the relay for those who join later."""
    SILENCED = 16
    """A slot reset by the relay for a member that went silent; the member itself ignores it."""
    MISSED = 32
    """A note that came to the relay far later than usual, when its time was over: nobody plays it. Its due is
    only the instant under which it is counted."""


@dataclass(frozen=True, slots=True)
class Was:
    """What a lead or shift was before: `value` ticks up to the instant `since`, then in a straight line to
    the new one, which holds from `until` on. Raises ValueError unless since <= until."""

    value: int
    since: int
    until: int

    def __post_init__(self) -> None:
        if not 0 <= self.since <= self.until:
            raise ValueError(f"a change from {self.since} to {self.until}: it must not end before it begins")

    def at(self, instant: int, now_is: int) -> int:
        """Return what holds at `instant`, when it becomes `now_is` in the end."""
        if instant >= self.until:
            return now_is
        if instant <= self.since:
            return self.value
        return self.value + (now_is - self.value) * (instant - self.since) // (self.until - self.since)


@dataclass(frozen=True, slots=True)
class Timing:
    """Lead D and shift S of a room, in ticks, and what they were before. Raises LocalError unless
    0 <= S <= D at every instant.

    lead_was is of instants of emission, shift_was of timetags.
    """

    lead: int
    shift: int
    lead_was: Was | None = None
    shift_was: Was | None = None

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
        """Return the lead of what is emitted at that instant."""
        return self.lead if self.lead_was is None else self.lead_was.at(emitted, self.lead)

    def shift_at(self, timetag: int) -> int:
        """Return the shift of what has that timetag."""
        return self.shift if self.shift_was is None else self.shift_was.at(timetag, self.shift)


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event as its sender's bridge describes it; it decides nothing about when the event plays.

    seq: the sender's own dense number. emitted: session instant at which Sonic Pi sent it.
    timetag: session timetag of a TIMED event, else None. payload: one OSC message in the sender's ids.
    """

    seq: int
    emitted: int
    timetag: int | None
    kind: Kind
    payload: bytes
    foundation: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """An event as the relay judged it: one due, one verdict, for everyone.

    number: dense in the room, from 1. due: session timetag at which every scsynth executes it.
    judged: session instant of this verdict, from which the way down is measured.
    """

    number: int
    slot: int
    seq: int
    due: int
    judged: int
    kind: Kind
    flags: Flag
    payload: bytes

    @property
    def key(self) -> "OrderKey":
        """The event's place in the room's order."""
        return (self.due, self.number)


OrderKey = tuple[int, int]
"""(due, number): the room's order is its natural order, a pure function of the judged events. scsynth sorts
by timetag and takes equal ones as they come, so it runs this order if it is handed events by number."""


def base_due(event: Stamped, timing: Timing) -> int:
    """Return the earliest due of `event` before floor and W are applied."""
    earliest = event.emitted + timing.lead_at(event.emitted)
    if event.kind is Kind.TIMED and event.timetag is not None:
        return max(event.timetag + timing.shift_at(event.timetag), earliest)
    return earliest


def raises_floor(kind: Kind) -> bool:
    """Tell whether nothing that its sender sends later may be due before an event of this kind."""
    return kind in (Kind.UNTIMED, Kind.RESET)


def is_moved(event: Stamped, timing: Timing, due: int) -> bool:
    """Tell whether a timed event is due later than its own timetag plus the room's shift."""
    if event.kind is not Kind.TIMED or event.timetag is None:
        return False
    return due > event.timetag + timing.shift_at(event.timetag)
