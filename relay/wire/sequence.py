"""The room's sequence: events as stamped by a bridge, as judged by the relay, their due and their order.

Pure. All instants are session timetags (64-bit NTP integers), all durations ticks (2**-32 s).

The rule that gives an event its due uses the instant a at which Sonic Pi sent it, its timetag tau, the room's
lead D and its shift S, with 0 <= S <= D. base = max(tau + S, a + D) for timed events, a + D for the others.
due = max(base, floor, W + 1). The floor is the greatest due so far of an untimed event of the same slot. W is
the instant up to which the sequence is closed: no event gets a due at or before it any more. So no note is
due before a group or FX that it needs, and none after a free sent later. The proof is in
docs/way-of-an-event.md.

D and S may change. D depends on the instant a, and S on the timetag tau, not on the moment of judging.
Therefore every host computes the same dues, and events with equal timetags get equal dues. Both may rise in
one step but fall no faster than time passes. So a + D(a) and tau + S(tau) never decrease, and the proof needs
no more.

This is the coherence scheme *judged*. To compare, a room may use the scheme *timestamp* instead: due = base.
"""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum

from relay.wire.errors import LocalError
from relay.wire.meaning import NOTHING, Meaning
from relay.wire.timetag import ticks

HANDED_AHEAD_MAX = ticks(1.0)
"""A bridge hands an event to scsynth at most this long (ticks) before its due. So when a slot reset is due,
events due more than this later are in no scsynth yet, and every member can drop them."""

FADE = ticks(0.100)
"""After a silenced reset the member's sound fades out over this time (ticks). Then its nodes are freed."""
FADE_REST = ticks(0.010)
"""Time (ticks) from the freeing to the slot's next sound. The slot's level is back at its full value by
then."""


class Scheme(StrEnum):
    """The rule by which all members of a room play an event at the same instant."""

    JUDGED = "judged"
    """The relay gives each event its due by the rule above. An event that reaches the relay late is due
    later, for all members alike."""
    TIMESTAMP = "timestamp"
    """The due of an event is its base, so bridges order events by that alone. An event that reaches a bridge
    late is played late there, and only there."""


class Kind(IntEnum):
    """The kind of an event. It decides how the rule gives the event its due."""

    TIMED = 0
    """A message from a bundle with a timetag, such as a note."""
    UNTIMED = 1
    """A message without a timetag that is part of the music: it makes a group, a run's mixer or an FX, or it
    fades or frees a node."""
    RESOURCE = 2
    """A message that loads a buffer. A bridge lets scsynth start loading as soon as the event arrives, so
    that the buffer is ready when a note needs it."""
    RESET = 3
    """A slot reset. It frees all nodes in the slot's root group (`frees_at`). It also drops those events that
    its sender sent before it and that are due more than HANDED_AHEAD_MAX after it."""


class Flag(IntFlag):
    """Facts about an event that the relay adds to its verdict."""

    NONE = 0
    RETIMED = 1
    """Its due is W + 1, because it reached the relay too late for its base."""
    OVERTAKEN = 2
    """The relay judged a later event of the same sender first."""
    MOVED = 4
    """It is a timed event whose due is later than its timetag plus the shift."""
    FOUNDATION = 8
    """It makes a node that its Sonic Pi never frees. The relay keeps it for members who join later."""
    SILENCED = 16
    """It is a slot reset that the relay made itself, because the slot's member fell silent. That member
    ignores it. All others let the member's sound fade out before they free it."""
    MISSED = 32
    """It is a note that reached the relay far later than usual, when its time was over. No bridge plays it;
    its due only says in which second it is counted."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """The value that a lead or shift had before its last change, and the period of that change.

    The old value (ticks) holds up to the session instant `since`. From there a straight line leads to the new
    value, which holds from the session instant `until` on. Raises ValueError unless since <= until.
    """

    value: int
    since: int
    until: int

    def __post_init__(self) -> None:
        if not 0 <= self.since <= self.until:
            raise ValueError(f"a change from {self.since} to {self.until}: it must not end before it begins")

    def at(self, instant: int, now_is: int) -> int:
        """Return the value (ticks) at a session instant. now_is: the new value, ticks."""
        if instant >= self.until:
            return now_is
        if instant <= self.since:
            return self.value
        return self.value + (now_is - self.value) * (instant - self.since) // (self.until - self.since)


@dataclass(frozen=True, slots=True)
class Timing:
    """Lead D and shift S of a room in ticks, and how each last changed.

    lead_was: the change of the lead, over the instants at which Sonic Pi sends events; None: no change.
    shift_was: the change of the shift, over timetags; None: no change. Raises LocalError unless 0 <= S <= D
    at every instant.
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
        """Return the lead (ticks) of events that Sonic Pi sent at the session instant `emitted`."""
        return self.lead if self.lead_was is None else self.lead_was.at(emitted, self.lead)

    def shift_at(self, timetag: int) -> int:
        """Return the shift (ticks) of events with that session timetag."""
        return self.shift if self.shift_was is None else self.shift_was.at(timetag, self.shift)


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event as its sender's bridge sends it to the relay, which then decides when it is due.

    seq: its sequence number among the sender's events, each 1 more than the last. emitted: session instant at
    which Sonic Pi sent it. timetag: session timetag of a TIMED event, else None. payload: one OSC message in
    the sender's ids. foundation: it makes a node that Sonic Pi never frees. meaning: that of the payload,
    computed if it isn't given; it is never sent over the network.
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
    """An event as the relay judged it, with one due for all members.

    number: its room number; the room's first event has 1, each later one 1 more. slot: that of the sender.
    seq, payload, meaning: as in `Stamped`. due: session timetag at which every scsynth executes it. judged:
    session instant of this verdict, from which bridges measure the downlink delay. flags: the relay's
    findings.
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
        """The key that places the event in the room's order: (due, number)."""
        return (self.due, self.number)


OrderKey = tuple[int, int]
"""(due, number) of an event. Sorting the events by these pairs gives the room's order. scsynth executes in
that order if it is handed the events by number: it sorts by timetag, and keeps events of equal timetag in the
order in which they came."""


def base_due(event: Stamped, timing: Timing) -> int:
    """Return the base of `event` (session timetag): the due that it gets unless floor or W make it later."""
    earliest = event.emitted + timing.lead_at(event.emitted)
    if event.kind is Kind.TIMED and event.timetag is not None:
        return max(event.timetag + timing.shift_at(event.timetag), earliest)
    return earliest


def raises_floor(kind: Kind) -> bool:
    """Return whether events of this kind raise the floor, so that later events of the same sender can't be
    due before them."""
    return kind in (Kind.UNTIMED, Kind.RESET)


def frees_at(due: int, flags: Flag) -> int:
    """Return the session instant at which a slot reset with this due and these flags frees the nodes."""
    return due + FADE if Flag.SILENCED in flags else due


def reset_over_at(due: int, flags: Flag) -> int:
    """Return the first session instant at which a slot may sound again after such a slot reset.

    The relay gives no later event of the slot an earlier due.
    """
    return due + FADE + FADE_REST if Flag.SILENCED in flags else due


def is_moved(event: Stamped, timing: Timing, due: int) -> bool:
    """Return whether an event with this due has the flag MOVED.

    It has if it is timed and due later than its timetag plus the room's shift.
    """
    if event.kind is not Kind.TIMED or event.timetag is None:
        return False
    return due > event.timetag + timing.shift_at(event.timetag)
