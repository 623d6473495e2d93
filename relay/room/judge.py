"""The judge: one due and one verdict for every event of a room.

Pure. Works slot by slot in the order of the sender's numbers; the rule is in relay/wire/sequence.py.
Invariants: numbers are dense; a due lies strictly after every watermark that was announced before;
dues of what a sender sent after an untimed event are not before that event's, unless counted overtaken.
An event that is refused takes its number with it: what follows does not wait for it. So does one that the
slot's guard refuses in its turn, for what it would do to a scsynth.
A note that comes far later than usual, when its time is over, has a number but no time: everybody drops it
(relay/wire/catchup.py). What is due further ahead than AHEAD_MAX is refused if it is a note, else due then.
In the scheme TIMESTAMP only the first holds: every event has its base due and is numbered as it comes.
Bounds, per slot: WAITING_MAX events wait for a gap; SKIPPED_MAX numbers given up, and as many refused
before their turn, are remembered.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relay.room.why import Why
from relay.wire.catchup import BEHIND_MAX, ORDER_WAIT, Chords
from relay.wire.guard import Guard
from relay.wire.sequence import (
    Flag,
    Judged,
    Kind,
    Scheme,
    Stamped,
    Timing,
    base_due,
    is_moved,
    raises_floor,
)
from relay.wire.timetag import ticks

GAP_GUARD = ticks(0.005)
"""A gap is given up this much before waiting would re-time what follows: an event loop wakes up a few
milliseconds late on a busy machine."""

WAITING_MAX = 2048
SKIPPED_MAX = 4096
AHEAD_MAX = ticks(60.0)
"""No due is further ahead: nothing may hold a place in every queue for longer."""


@dataclass(slots=True)
class SlotCounts:
    """What the judge found for one slot, since the slot was taken."""

    judged: int = 0
    retimed: int = 0
    overtaken: int = 0
    moved: int = 0
    duplicates: int = 0
    skipped: int = 0
    refused: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event that waits for those before it: when it came, and when it was to be expected, if that is
    known."""

    event: Stamped
    came: int
    expected: int | None


@dataclass(slots=True)
class _SlotState:
    next_seq: int = 1
    floor: int = 0
    waiting: dict[int, _Waiting] = field(default_factory=dict)
    skipped: dict[int, None] = field(default_factory=dict)
    """Given up, lately: one that comes after all is overtaken, not a duplicate."""
    refused: dict[int, None] = field(default_factory=dict)
    """Refused before their turn: there is nothing to wait for."""
    urgent: int | None = None
    """When the first of those that wait can wait no longer; None: to be reckoned again."""
    counts: SlotCounts = field(default_factory=SlotCounts)
    guard: Guard = field(default_factory=Guard)
    chords: Chords = field(default_factory=Chords)
    lent: int | None = None
    """The first number that resets of the relay took since the sender's last event."""


class Judge:
    """Judges the events of one room. `now` is always the session instant, never decreasing.

    horizon: H, the time from judging to the earliest due that every member can still be served in.
    on_verdict is told every event with the verdict on it, on_refused of which slot, why, and how many events
    get none, so that nobody but their player hears them, and of `now`.
    """

    def __init__(
        self,
        timing: Timing,
        *,
        horizon: int,
        scheme: Scheme = Scheme.JUDGED,
        on_verdict: Callable[[Stamped, Judged], None] | None = None,
        on_refused: Callable[[int, Why, int, int], None] | None = None,
    ) -> None:
        self.timing = timing
        self.horizon = horizon
        self.scheme = scheme
        self._on_verdict = on_verdict
        self._on_refused = on_refused
        self.number = 0
        self.last_due = 0
        self._closed = 0
        self._slots: dict[int, _SlotState] = {}

    def next_seq(self, slot: int) -> int:
        """Return the sender's number expected next in `slot`, 1 for a slot never used."""
        return self._slots.setdefault(slot, _SlotState()).next_seq

    def skip_to(self, slot: int, seq: int, now: int, *, was_in: bool = False) -> list[Judged]:
        """Expect `seq` next in `slot`, if that is further on: its bridge has nothing older to send.

        A number that the relay took for a reset while the bridge was away is the bridge's again: it may have
        given it to an event of its own, say the group of a run.
        was_in: the bridge comes back, so what never came of it was played by it alone.
        Returns what waited for a gap below `seq`: nothing will fill it now.
        """
        state = self._slots.setdefault(slot, _SlotState())
        judged: list[Judged] = []
        while state.waiting and min(state.waiting) < seq:
            self._skip_gap(state)
            judged += self._judge_ready(slot, state, now)
        first = state.next_seq if state.lent is None else min(state.lent, state.next_seq)
        lost = max(0, seq - first) - sum(first <= number < seq for number in state.refused)
        lost += _forget_below(state.skipped, seq)
        if state.lent is not None and state.lent <= seq < state.next_seq:
            state.next_seq = seq
        state.next_seq = max(state.next_seq, seq)
        _forget_below(state.refused, state.next_seq)
        if was_in:  # more than a bridge keeps it can't have played without a verdict
            self._tell_refused(slot, Why.LOST, min(lost, SKIPPED_MAX), now)
        state.lent = None
        return judged + self._judge_ready(slot, state, now)

    def give_up(
        self, slot: int, seqs: Iterable[int], now: int, *, counts: Callable[[int], bool]
    ) -> list[Judged]:
        """Note that events of `slot` will never come; return what waited for them.

        counts: tells of a number whether its event belonged to the room, so that it is missed there.
        """
        state = self._slots.setdefault(slot, _SlotState())
        lost: list[int] = []
        for seq in seqs:
            if state.skipped.pop(seq, self) is None:
                lost.append(seq)
            elif seq >= state.next_seq and seq not in state.waiting and seq not in state.refused:
                state.refused[seq] = None
                lost.append(seq)
        self._tell_refused(slot, Why.LOST, sum(map(counts, lost)), now)
        return self._judge_ready(slot, state, now)

    def wanted(self, slot: int, seq: int) -> list[int]:
        """Return the numbers from `seq` on that were given up and may still come."""
        state = self._slots.setdefault(slot, _SlotState())
        return [number for number in state.skipped if number >= seq]

    def counts(self, slot: int) -> SlotCounts:
        """Return the counts of `slot`."""
        return self._slots.setdefault(slot, _SlotState()).counts

    def guard(self, slot: int) -> Guard:
        """Return what is known of the nodes of `slot`."""
        return self._slots.setdefault(slot, _SlotState()).guard

    def forget(self, slot: int) -> None:
        """Give `slot` to somebody new: counts and waiting events go. Its numbers go on, so that nothing of
        the new owner can be taken for something of the old one's. What is still to be made of that one's
        nodes isn't forgotten."""
        old = self._slots.pop(slot, _SlotState())
        self._slots[slot] = _SlotState(next_seq=old.next_seq, floor=old.floor, guard=old.guard)

    def tune(self, timing: Timing, horizon: int) -> None:
        """Judge by another lead, shift and H from now on."""
        self.timing = timing
        self.horizon = horizon
        for state in self._slots.values():
            state.urgent = None

    def watermark(self, now: int) -> tuple[int, int]:
        """Close the sequence up to now + H and return (W, N): every event due <= W is numbered <= N.

        In the scheme TIMESTAMP nothing is ever closed: W is 0.
        """
        if self.scheme is Scheme.JUDGED:
            self._closed = max(self._closed, now + self.horizon)
        return self._closed, self.number

    def judge(self, slot: int, event: Stamped, now: int, *, usual: int | None = None) -> list[Judged]:
        """Return the events that can be judged now that `event` has come, in the sender's order.

        usual: how long this sender's events usually take, None if nobody knows: none is late then. A note
        that is due too far ahead is refused; of a number that was judged, refused or waits already nothing
        more is taken in. Where too many wait already their gap is given up.
        """
        state = self._slots.setdefault(slot, _SlotState())
        judged: list[Judged] = []
        while len(state.waiting) >= WAITING_MAX and event.seq != state.next_seq:
            self._skip_gap(state)
            judged += self._judge_ready(slot, state, now)
        base = base_due(event, self.timing)
        if base > now + AHEAD_MAX and event.meaning.is_note:
            return judged + self.refuse(slot, event.seq, now, Why.FAR)
        waits = _Waiting(event, now, None if usual is None else event.emitted + usual)
        if event.seq < state.next_seq:
            if event.seq not in state.skipped:
                state.counts.duplicates += 1
                return judged
            del state.skipped[event.seq]
            return judged + self._verdict(slot, state, waits, now, Flag.OVERTAKEN)
        if event.seq in state.waiting or event.seq in state.refused:
            state.counts.duplicates += 1
            return judged
        if state.waiting and state.urgent is not None:
            state.urgent = min(state.urgent, self._deadline(state, waits))
        else:
            state.urgent = None
        state.waiting[event.seq] = waits
        if self.scheme is Scheme.TIMESTAMP:
            self._skip_gap(state)  # nothing waits: what the gap holds is numbered when it comes
        return judged + self._judge_ready(slot, state, now)

    def refuse(self, slot: int, seq: int, now: int, why: Why) -> list[Judged]:
        """Refuse the event of that number; return what waited for it.

        A number that was judged, or waits to be, is only a duplicate.
        """
        state = self._slots.setdefault(slot, _SlotState())
        known = seq in state.waiting or seq in state.refused
        if known or (seq < state.next_seq and seq not in state.skipped):
            state.counts.duplicates += 1
            return []
        state.counts.refused += 1
        self._tell_refused(slot, why, 1, now)
        if seq < state.next_seq:
            del state.skipped[seq]
            return []
        state.refused[seq] = None
        if len(state.refused) > SKIPPED_MAX:  # the one forgotten is a gap like any other
            del state.refused[next(iter(state.refused))]
        return self._judge_ready(slot, state, now)

    def reset(self, slot: int, now: int, *, silenced: bool) -> Judged:
        """Return a slot reset by the relay itself; it takes the slot's next number till the owner is back."""
        state = self._slots.setdefault(slot, _SlotState())
        state.waiting.clear()
        state.refused.clear()
        event = Stamped(state.next_seq, now, None, Kind.RESET, b"")
        if state.lent is None:
            state.lent = state.next_seq
        state.next_seq += 1
        waits, flags = _Waiting(event, now, None), Flag.SILENCED if silenced else Flag.NONE
        (judged,) = self._verdict(slot, state, waits, now, flags)
        return judged

    def wake(self, now: int) -> list[Judged]:
        """Give up the gaps that can't be waited for any longer; return what is judged by that."""
        judged: list[Judged] = []
        for slot, state in self._slots.items():
            while state.waiting and self._gap_deadline(state) <= now:
                self._skip_gap(state)
                judged += self._judge_ready(slot, state, now)
        return judged

    def next_wakeup(self) -> int | None:
        """Return the session instant at which a gap must be given up, or None."""
        return min(
            (self._gap_deadline(state) for state in self._slots.values() if state.waiting), default=None
        )

    def _gap_deadline(self, state: _SlotState) -> int:
        """The instant at which the first of the waiting events can wait no longer."""
        if state.urgent is None:
            state.urgent = min(self._deadline(state, waits) for waits in state.waiting.values())
        return state.urgent

    def _deadline(self, state: _SlotState, waits: _Waiting) -> int:
        """Return when an event would begin to be re-timed; of what came far later than usual, when its time
        was over, how long it waits for what was sent before it."""
        base, before = base_due(waits.event, self.timing), self.horizon + GAP_GUARD
        is_late = waits.expected is not None and waits.came > waits.expected + BEHIND_MAX
        if is_late and base - before < waits.came:
            return waits.came + ORDER_WAIT
        return max(base, state.floor) - before

    def _skip_gap(self, state: _SlotState) -> None:
        first = min(state.waiting)
        for seq in range(max(state.next_seq, first - SKIPPED_MAX), first):
            if seq not in state.refused:
                state.skipped[seq] = None
        state.counts.skipped += first - state.next_seq - _forget_below(state.refused, first)
        while len(state.skipped) > SKIPPED_MAX:
            del state.skipped[next(iter(state.skipped))]
        state.next_seq = first

    def _judge_ready(self, slot: int, state: _SlotState, now: int) -> list[Judged]:
        judged: list[Judged] = []
        while True:
            if state.next_seq in state.refused:
                del state.refused[state.next_seq]
                state.next_seq += 1
                continue
            waits = state.waiting.pop(state.next_seq, None)
            if waits is None:
                return judged
            state.urgent = state.lent = None
            state.next_seq += 1
            judged += self._verdict(slot, state, waits, now, Flag.NONE)

    def _verdict(self, slot: int, state: _SlotState, waits: _Waiting, now: int, flags: Flag) -> list[Judged]:
        """Number the event; return [] if the guard refuses it."""
        event = waits.event
        due = min(base_due(event, self.timing), now + AHEAD_MAX)
        missed = False
        if self.scheme is Scheme.JUDGED:
            closed, _ = self.watermark(now)
            missed = self._is_missed(state, waits, now, due, closed)
            unclamped = max(due, state.floor)
            due = max(unclamped, closed + 1)
            if due > unclamped:
                flags |= Flag.RETIMED
        if missed:
            flags = flags & ~Flag.RETIMED | Flag.MISSED
            state.counts.missed += 1
        elif event.kind is Kind.RESET:
            state.guard.reset(due)
        elif not state.guard.passes(event.meaning, due):
            state.counts.refused += 1
            self._tell_refused(slot, Why.RANGE, 1, now)
            return []
        if Flag.RETIMED in flags:
            state.counts.retimed += 1
        if not missed and is_moved(event, self.timing, due):
            flags |= Flag.MOVED
            state.counts.moved += 1
        if event.foundation:
            flags |= Flag.FOUNDATION
        if Flag.OVERTAKEN in flags:
            state.counts.overtaken += 1
        if raises_floor(event.kind) and not missed:
            state.floor, state.urgent = due, None
        state.counts.judged += 1
        self.number += 1
        self.last_due = max(self.last_due, due)
        judged = Judged(
            self.number, slot, event.seq, due, now, event.kind, flags, event.payload, event.meaning
        )
        if self._on_verdict is not None:
            self._on_verdict(event, judged)
        return [judged]

    def _is_missed(self, state: _SlotState, waits: _Waiting, now: int, base: int, closed: int) -> bool:
        """Tell whether it is a note that comes far later than usual, and too late for its time."""
        event = waits.event
        if not event.meaning.makes_synth:
            return False
        behind = 0
        if waits.expected is not None and base <= closed:
            behind = waits.came - waits.expected
            if waits.came < now:  # it waited for a gap: that was meant, up to its deadline
                behind += max(0, now - max(waits.came, self._deadline(state, waits)))
        chord = event.seq if event.timetag is None else (event.timetag,)
        return state.chords.misses(chord, behind) and event.meaning.is_note

    def _tell_refused(self, slot: int, why: Why, events: int, now: int) -> None:
        if events and self._on_refused is not None:
            self._on_refused(slot, why, events, now)


def _forget_below(numbers: dict[int, None], first: int) -> int:
    """Take the numbers below `first` out of `numbers`; return how many they were."""
    below = [number for number in numbers if number < first]
    for number in below:
        del numbers[number]
    return len(below)
