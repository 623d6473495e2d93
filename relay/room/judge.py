"""The judge: gives every event of a room one due and one verdict.

Pure. Each slot is judged in the order of its sender's numbers, by the rule in relay/wire/sequence.py.

Invariants: the room's numbers are dense. Every due is later than all watermarks announced before. No event
is due before an untimed event that its sender sent earlier. Overtaken events are the exception; they are
counted. In the scheme TIMESTAMP only the first invariant holds: every event gets its base as due, and its
number on arrival.

A note is refused if it is due further ahead than AHEAD_MAX. Any other event so far ahead gets a due AHEAD_MAX
from now. The slot's guard refuses an event that could crash a scsynth. Later events don't wait for a refused
event. A note that comes far later than usual, after its time, gets a number but is never played: every bridge
drops it (relay/wire/catchup.py).

Bounds for each slot: WAITING_MAX events that wait for a gap, SKIPPED_MAX numbers given up, and SKIPPED_MAX
numbers refused before their turn.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relay.room.slot_counts import SlotCounts
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
    frees_at,
    is_moved,
    raises_floor,
    reset_over_at,
)  # fmt: skip
from relay.wire.timetag import ticks

GAP_GUARD = ticks(0.005)
"""Reserve in giving up a gap: the gap is given up this long before the events behind it would be re-timed. It
is needed because an event loop wakes up a few milliseconds late on a busy machine."""

WAITING_MAX = 2048
SKIPPED_MAX = 4096
AHEAD_MAX = ticks(60.0)
"""How far after `now` an event may be due, ticks. An event takes a place in every queue until it is due."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event that waits until all events before it have come.

    came: session instant of its arrival. expected: session instant at which it would have come with its
    sender's usual delay; None if that delay is unknown.
    """

    event: Stamped
    came: int
    expected: int | None


@dataclass(slots=True)
class _SlotState:
    next_seq: int = 1
    floor: int = 0
    waiting: dict[int, _Waiting] = field(default_factory=dict)
    skipped: dict[int, None] = field(default_factory=dict)
    """Sender's numbers that were given up lately. If the event of such a number comes after all, it counts as
    overtaken instead of as a duplicate."""
    refused: dict[int, None] = field(default_factory=dict)
    """Sender's numbers that were refused before their turn. Later events don't wait for these."""
    urgent: int | None = None
    """Session instant at which the slot's gap must be given up, before waiting events would be re-timed;
    None: it must be computed again."""
    counts: SlotCounts = field(default_factory=SlotCounts)
    guard: Guard = field(default_factory=Guard)
    chords: Chords = field(default_factory=Chords)
    lent: int | None = None
    """The first of the slot's numbers that the relay itself has used for resets since the sender's last
    event; None if it has used none."""


class Judge:
    """Judges the events of one room. `now` is always session ticks, never decreasing.

    horizon: H, ticks from a verdict to the earliest due that still reaches every member in time. on_verdict:
    called with every event and its verdict. on_refused(slot, reason, count, now): called when events get no
    verdict, so that only their own player hears them.
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
        """Return the sender's number that is expected next in `slot`; 1 for a slot never used."""
        return self._slots.setdefault(slot, _SlotState()).next_seq

    def skip_to(self, slot: int, seq: int, now: int, *, was_in: bool = False) -> list[Judged]:
        """Expect the sender's number `seq` next in `slot`, since its bridge has nothing older to send. Return
        the events that waited for older numbers.

        was_in: whether the bridge was in the room before. If so, its events that never arrived count as heard
        by nobody else. While the bridge was away, the relay may have used numbers of the slot for resets. The
        bridge may use these numbers again, for events of its own.
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
        if was_in:  # a bridge keeps no more events than this without a verdict
            self._tell_refused(slot, Why.LOST, min(lost, SKIPPED_MAX), now)
        state.lent = None
        return judged + self._judge_ready(slot, state, now)

    def give_up(
        self, slot: int, seqs: Iterable[int], now: int, *, counts: Callable[[int], bool]
    ) -> list[Judged]:
        """Mark events of `slot` as lost for good. Return the events that waited for them.

        seqs: the sender's numbers. counts: returns whether the event with a given sender's number belonged to
        the room; if so, it is counted as lost.
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
        """Return the numbers, `seq` or greater, that the relay has given up but still accepts. They are the
        sender's numbers."""
        state = self._slots.setdefault(slot, _SlotState())
        return [number for number in state.skipped if number >= seq]

    def counts(self, slot: int) -> SlotCounts:
        """Return the counts of `slot`."""
        return self._slots.setdefault(slot, _SlotState()).counts

    def guard(self, slot: int) -> Guard:
        """Return the guard of `slot`, which refuses events that could crash a scsynth."""
        return self._slots.setdefault(slot, _SlotState()).guard

    def forget(self, slot: int) -> None:
        """Prepare `slot` for a new owner: drop its counts and waiting events.

        The sender's numbers continue, so that no event of the new owner can be mistaken for one of the old
        owner. The guard stays too, since scsynth may still have to make nodes of the old owner.
        """
        old = self._slots.pop(slot, _SlotState())
        self._slots[slot] = _SlotState(next_seq=old.next_seq, floor=old.floor, guard=old.guard)

    def tune(self, timing: Timing, horizon: int) -> None:
        """Use another lead, shift and H (ticks) from now on."""
        self.timing = timing
        self.horizon = horizon
        for state in self._slots.values():
            state.urgent = None

    def watermark(self, now: int) -> tuple[int, int]:
        """Close the sequence up to now + H: whatever is judged later is due after that. Return (W, N).

        W: the session instant up to which the sequence is closed. N: the room's last number; every event due
        by W has a number up to N. In the scheme TIMESTAMP the sequence is never closed, and W is 0.
        """
        if self.scheme is Scheme.JUDGED:
            self._closed = max(self._closed, now + self.horizon)
        return self._closed, self.number

    def judge(self, slot: int, event: Stamped, now: int, *, usual: int | None = None) -> list[Judged]:
        """Take an event that has arrived. Return all events that can be judged now, in the sender's order.

        usual: usual delay of this sender's events, ticks; None if unknown, and then no event counts as late.
        A note that is due too far ahead is refused. A second event with the same number is ignored. If
        WAITING_MAX events wait already, the judge gives up the gap that they wait for.
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
            self._skip_gap(state)  # nothing waits: events of the gap are numbered when they come
        return judged + self._judge_ready(slot, state, now)

    def refuse(self, slot: int, seq: int, now: int, why: Why) -> list[Judged]:
        """Refuse the event with the sender's number `seq`. Return the events that waited for it.

        If an event with this number was judged, refused or kept waiting before, it is only counted as a
        duplicate.
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
        if len(state.refused) > SKIPPED_MAX:  # a forgotten one is a gap like any other
            del state.refused[next(iter(state.refused))]
        return self._judge_ready(slot, state, now)

    def reset(self, slot: int, now: int, *, silenced: bool, left: bool = False) -> Judged:
        """Make a reset event for a slot on behalf of the relay, judge the event, and return it.

        The event takes the slot's next number. The slot's owner may use this number again after coming back.
        silenced: whether the reset only silences an absent member, whose own bridge then ignores the reset.
        left: whether the member is gone for good.
        """
        state = self._slots.setdefault(slot, _SlotState())
        state.waiting.clear()
        state.refused.clear()
        event = Stamped(state.next_seq, now, None, Kind.RESET, b"")
        if state.lent is None:
            state.lent = state.next_seq
        state.next_seq += 1
        flags = (Flag.SILENCED if silenced else Flag.NONE) | (Flag.LEFT if left else Flag.NONE)
        (judged,) = self._verdict(slot, state, _Waiting(event, now, None), now, flags)
        return judged

    def wake(self, now: int) -> list[Judged]:
        """Give up the gaps that would delay other events too long. Return the events that are judged because
        of that."""
        judged: list[Judged] = []
        for slot, state in self._slots.items():
            while state.waiting and self._gap_deadline(state) <= now:
                self._skip_gap(state)
                judged += self._judge_ready(slot, state, now)
        return judged

    def next_wakeup(self) -> int | None:
        """Return the session instant at which a gap must be given up; None if no event waits."""
        return min(
            (self._gap_deadline(state) for state in self._slots.values() if state.waiting), default=None
        )

    def _gap_deadline(self, state: _SlotState) -> int:
        """Return the session instant at which the slot's gap must be given up, as the most urgent waiting
        event demands."""
        if state.urgent is None:
            state.urgent = min(self._deadline(state, waits) for waits in state.waiting.values())
        return state.urgent

    def _deadline(self, state: _SlotState, waits: _Waiting) -> int:
        """Return the session instant until which an event may wait for earlier ones. After that it would be
        re-timed.

        An event that came far later than usual, after its time, may wait ORDER_WAIT from its arrival.
        """
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
        """Give an event its number and its due. Return it in a list, which is empty if the guard refuses the
        event."""
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
            state.guard.reset(frees_at(due, flags))
        elif not state.guard.passes(event.meaning, due):
            state.counts.refused += 1
            self._tell_refused(slot, Why.RANGE, 1, now)
            return []
        if Flag.RETIMED in flags:
            state.counts.retimed += 1
        if not missed and is_moved(event, self.timing, due):
            flags |= Flag.MOVED
            state.counts.moved += 1
        if Flag.OVERTAKEN in flags:
            state.counts.overtaken += 1
        if raises_floor(event.kind) and not missed:
            state.floor, state.urgent = reset_over_at(due, flags), None
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
        """Return whether an event is a note that came far later than usual, after its time.

        base: the note's base due. closed: session instant up to which the sequence is closed.
        """
        event = waits.event
        if not event.meaning.makes_synth:
            return False
        behind = 0
        if waits.expected is not None and base <= closed:
            behind = waits.came - waits.expected
            if waits.came < now:  # waiting for a gap is intended up to the deadline, so only the rest counts
                behind += max(0, now - max(waits.came, self._deadline(state, waits)))
        chord = event.seq if event.timetag is None else (event.timetag,)
        return state.chords.misses(chord, behind) and event.meaning.is_note

    def _tell_refused(self, slot: int, why: Why, events: int, now: int) -> None:
        if events and self._on_refused is not None:
            self._on_refused(slot, why, events, now)


def _forget_below(numbers: dict[int, None], first: int) -> int:
    """Remove the numbers below `first` from `numbers`. Return how many were removed."""
    below = [number for number in numbers if number < first]
    for number in below:
        del numbers[number]
    return len(below)
