"""The room's sequence: events as stamped by a bridge, events as judged by the relay, their dues and their
order.

Pure. All instants are session timetags (64-bit NTP integers), all durations ticks (2**-32 s).

Each event gets its due by this rule. a: the instant at which Sonic Pi sent the event. tau: its timetag. D, S:
the room's lead and shift, 0 <= S <= D. floor: the greatest due so far of an untimed event of the same slot.
W: the instant up to which the sequence is closed.

    base = max(tau + S, a + D)        for timed events
    base = a + D                      for other events
    due  = max(base, floor, W + 1)

So no note is due before a group or FX that it needs. No note is due after a free that was sent later. The
proof is in docs/way-of-an-event.md.

D and S may change. D depends on the instant a, and S on the timetag tau; the moment of judging doesn't
matter. Therefore every host computes the same dues, and events with equal timetags get equal dues. D and S
may rise in one step but fall no faster than time passes. So a + D(a) and tau + S(tau) never decrease, and the
proof needs no more.

This is the coherence scheme *judged*. For comparison a room may use the scheme *timestamp*: due = base.
"""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum

from relay.wire.errors import LocalError
from relay.wire.meaning import NOTHING, Meaning
from relay.wire.timetag import ticks

HANDED_AHEAD_MAX = ticks(1.0)
"""A bridge hands an event to scsynth at most this long before its due, ticks. So when a slot reset is due,
no scsynth has any event yet that is due more than this after the reset. Every member can still drop such
events."""

FADE = ticks(0.100)
"""How long the member's sound fades out after a reset with the flag SILENCED, ticks. Then its nodes are
freed."""
FADE_REST = ticks(0.010)
"""Time from the freeing of the nodes to the slot's next sound, ticks. In this time the slot's level returns
to its full value."""


class Scheme(StrEnum):
    """The rule by which a room gives events their dues."""

    JUDGED = "judged"
    """The relay gives each event its due. An event that reaches the relay late is due later, for all members
    alike."""
    TIMESTAMP = "timestamp"
    """The due of an event is its base. An event that reaches a bridge late is played late there, and only
    there."""


class Kind(IntEnum):
    """The kind of an event. The rule for dues depends on it."""

    TIMED = 0
    """A message from a bundle with a timetag, such as a note."""
    UNTIMED = 1
    """A message without a timetag that is part of the music. It makes a group, a run's mixer or an FX, or it
    fades or frees a node."""
    RESOURCE = 2
    """A message that loads a buffer. A bridge makes scsynth load the buffer as soon as the event arrives, so
    that it is ready when a note needs it."""
    RESET = 3
    """A slot reset. It frees all nodes in the slot's root group (`frees_at`). It also drops the sender's
    earlier events that are due more than HANDED_AHEAD_MAX after it."""


class Flag(IntFlag):
    """Facts about an event that the relay states with its verdict."""

    NONE = 0
    RETIMED = 1
    """Its due is W + 1, because it reached the relay too late for its base."""
    OVERTAKEN = 2
    """The relay judged a later event of the same sender first."""
    MOVED = 4
    """It is a timed event, due later than its timetag plus the shift."""
    SILENCED = 8
    """It is a slot reset that the relay made, because the member's bridge stopped sending. That member
    ignores it. All others fade the member's sound out before they free its nodes."""
    MISSED = 16
    """It is a note that reached the relay far later than usual, after its time. No bridge plays it; its due
    only determines the second in which it is counted."""
    LEFT = 32
    """It is a silenced reset, and the slot's member is gone for good. All others free whatever they have of
    that member, its buffers too. Its room number is the last one of that member."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """A change of a lead or shift: the old value, and the period in which it becomes the new one.

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

    lead_was: the last change of the lead, by the instant at which Sonic Pi sends an event. shift_was: the
    last change of the shift, by the timetag of an event. None: the value never changed. Raises LocalError
    unless 0 <= S <= D at every instant.
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
    """An event as its sender's bridge sends it to the relay.

    seq: its sequence number among the sender's events, each 1 more than the one before. emitted: session
    instant at which Sonic Pi sent it. timetag: session timetag of a TIMED event, else None. payload: one OSC
    message in the sender's ids. meaning: that of the payload, computed if it isn't given; it is never sent
    over the network.
    """

    seq: int
    emitted: int
    timetag: int | None
    kind: Kind
    payload: bytes
    meaning: Meaning = field(default=NOTHING, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.meaning is NOTHING and self.payload:
            object.__setattr__(self, "meaning", Meaning(self.payload))


@dataclass(frozen=True, slots=True)
class Judged:
    """An event as the relay judged it, with one due for all members.

    number: its room number; the room's first event has 1, each later event 1 more. slot: the sender's. seq,
    payload, meaning: as in `Stamped`. due: session timetag at which every scsynth executes it. judged:
    session instant of the verdict; from it bridges measure the downlink delay. flags: facts that the relay
    states about it.
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
"""(due, number) of an event. Sorted by these pairs, events are in the room's order. scsynth executes in that
order if events are handed to it by number: it sorts by timetag, and keeps events with equal timetags in their
order of arrival."""


def base_due(event: Stamped, timing: Timing) -> int:
    """Return the base of an event (session timetag): its due if neither the floor nor W makes it later."""
    earliest = event.emitted + timing.lead_at(event.emitted)
    if event.kind is Kind.TIMED and event.timetag is not None:
        return max(event.timetag + timing.shift_at(event.timetag), earliest)
    return earliest


def raises_floor(kind: Kind) -> bool:
    """Return whether events of this kind raise the floor. Later events of the same sender are never due
    before such an event."""
    return kind in (Kind.UNTIMED, Kind.RESET)


def frees_at(due: int, flags: Flag) -> int:
    """Return the session instant at which a slot reset frees the nodes. due, flags: those of the reset."""
    return due + FADE if Flag.SILENCED in flags else due


def reset_over_at(due: int, flags: Flag) -> int:
    """Return the first session instant at which a slot may sound again after a reset. due, flags: those of
    the reset."""
    return due + FADE + FADE_REST if Flag.SILENCED in flags else due


def is_moved(event: Stamped, timing: Timing, due: int) -> bool:
    """Return whether an event with this due is moved: timed, and due later than its timetag plus the room's
    shift."""
    if event.kind is not Kind.TIMED or event.timetag is None:
        return False
    return due > event.timetag + timing.shift_at(event.timetag)
