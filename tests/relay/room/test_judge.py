"""The judge gives each event one due and one verdict for all members, whatever the network does."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.room.judge import AHEAD_MAX, GAP_GUARD, SKIPPED_MAX, WAITING_MAX, Judge
from relay.wire.errors import LocalError
from relay.wire.sequence import Flag, Judged, Kind, Stamped, Timing
from relay.wire.timetag import ticks
from tests.worlds.relay import EPOCH, NOTE

pytestmark = pytest.mark.computes

LEAD, SHIFT, HORIZON = ticks(0.150), 0, ticks(0.030)
TIMING = Timing(LEAD, SHIFT)
STEP_BACK = ticks(0.01)
KINDS = (Kind.TIMED, Kind.TIMED, Kind.TIMED, Kind.UNTIMED, Kind.UNTIMED, Kind.RESOURCE, Kind.RESET)


def event(seq: int, *, at: int = EPOCH, ahead_s: float | None = None, kind: Kind = Kind.UNTIMED) -> Stamped:
    """Return an event emitted at `at` (ticks). With `ahead_s` it has a timetag that much later."""
    timetag = None if ahead_s is None else at + ticks(ahead_s)
    kind = kind if ahead_s is None else Kind.TIMED
    return Stamped(seq, at, timetag, kind, b"" if kind is Kind.RESET else NOTE)


def a_judge(timing: Timing = TIMING) -> Judge:
    return Judge(timing, horizon=HORIZON)


@dataclass
class Run:
    """A judge, with all that it has judged and the watermarks that it has announced."""

    judge: Judge
    judged: list[Judged]
    beats: list[tuple[int, int]]


@dataclass(frozen=True)
class Arrival:
    at: int
    slot: int
    event: Stamped


def run(arrivals: list[Arrival], timing: Timing = TIMING, beat_every: int = 3) -> Run:
    """Give a judge the arrivals in order of time, and wake it when it asks; return what it judged.

    beat_every: a watermark is announced after so many arrivals.
    """
    judge = a_judge(timing)
    done = Run(judge, [], [])

    def wake_until(instant: int | None) -> None:
        while (wakeup := judge.next_wakeup()) is not None and (instant is None or wakeup <= instant):
            now = max(wakeup, EPOCH)
            fresh = judge.wake(now)
            assert fresh, "a wake-up that judges nothing"
            done.judged.extend(fresh)

    for count, arrival in enumerate(sorted(arrivals, key=lambda arrival: arrival.at)):
        wake_until(arrival.at)
        if count % beat_every == 0:
            done.beats.append(judge.watermark(arrival.at))
        done.judged += judge.judge(arrival.slot, arrival.event, arrival.at)
    wake_until(None)
    return done


@st.composite
def streams(draw: st.DrawFn) -> dict[int, list[Stamped]]:
    """Draw what up to three Sonic Pis send: chords, runs of notes, groups, frees and FX.

    Most notes are 0.15 to 0.5 s ahead; a few are at or before their emission. Now and then a bridge's clock
    steps back a little.
    """
    slots: dict[int, list[Stamped]] = {}
    for slot in range(1, draw(st.integers(1, 3)) + 1):
        at = EPOCH + draw(st.integers(0, ticks(0.1)))
        latest = at
        sent = []
        for seq in range(1, draw(st.integers(1, 20)) + 1):
            latest = max(latest, at)
            at += draw(st.sampled_from([0, 1, ticks(0.0003), ticks(0.002), ticks(0.02), ticks(0.12)]))
            if draw(st.integers(0, 9)) == 0:  # its clock is set back; only then does the floor matter
                at = max(EPOCH, latest - STEP_BACK)
            kind = draw(st.sampled_from(KINDS))
            ahead_s = draw(st.sampled_from([-0.1, 0.0, 0.15, 0.3, 0.42, 0.5]) | st.floats(0.15, 0.5))
            sent.append(event(seq, at=at, ahead_s=ahead_s if kind is Kind.TIMED else None, kind=kind))
        slots[slot] = sent
    return slots


def dues_by_the_rule(slots: dict[int, list[Stamped]], timing: Timing = TIMING) -> set[tuple[int, int, int]]:
    """Return (slot, seq, due) of all events by the rule for dues, computed apart from the code under test."""
    dues = set()
    for slot, sent in slots.items():
        floor = 0
        for one in sent:
            due = one.emitted + timing.lead
            if one.timetag is not None:
                due = max(due, one.timetag + timing.shift)
            due = max(due, floor)
            if one.kind in (Kind.UNTIMED, Kind.RESET):
                floor = due
            dues.add((slot, one.seq, due))
    return dues


def deliver(
    draw: st.DrawFn, slots: dict[int, list[Stamped]], *, delay_s_max: float, lossy: bool
) -> list[Arrival]:
    arrivals = []
    for slot, sent in slots.items():
        for one in sent:
            if lossy and draw(st.integers(0, 5)) == 0:
                continue
            for _ in range(draw(st.integers(1, 2))):
                delay = draw(st.integers(0, ticks(delay_s_max)))
                arrivals.append(Arrival(one.emitted + delay, slot, one))
    return arrivals


@given(st.data(), streams())
def test_order_is_independent_of_arrival(data: st.DataObject, slots: dict[int, list[Stamped]]) -> None:
    """Dues don't depend on interleaving, reordering and duplication, as long as nothing is re-timed."""
    arrivals = deliver(data.draw, slots, delay_s_max=0.1, lossy=False)
    done = run(arrivals)
    assert {(one.slot, one.seq, one.due) for one in done.judged} == dues_by_the_rule(slots)
    assert len(done.judged) == sum(map(len, slots.values()))
    for slot in slots:
        counts = done.judge.counts(slot)
        assert (counts.retimed, counts.overtaken, counts.skipped, counts.refused) == (0, 0, 0, 0)
    assert sum(done.judge.counts(slot).duplicates for slot in slots) == len(arrivals) - len(done.judged)


@given(st.data(), streams(), st.sampled_from([0, SHIFT, ticks(0.07), LEAD]))
def test_dues_follow_the_rule_at_every_shift(
    data: st.DataObject, slots: dict[int, list[Stamped]], shift: int
) -> None:
    timing = Timing(LEAD, shift)
    done = run(deliver(data.draw, slots, delay_s_max=0.1, lossy=False), timing)
    assert {(one.slot, one.seq, one.due) for one in done.judged} == dues_by_the_rule(slots, timing)


@given(st.data(), streams())
def test_without_loss_nothing_is_due_before_an_untimed_event_sent_earlier(
    data: st.DataObject, slots: dict[int, list[Stamped]]
) -> None:
    done = run(deliver(data.draw, slots, delay_s_max=0.1, lossy=False))
    assert inversions(done.judged) == []


@given(st.data(), streams(), st.floats(0.1, 2.0))
def test_with_loss_and_lateness_only_counted_overtaken_events_are_out_of_their_senders_order(
    data: st.DataObject, slots: dict[int, list[Stamped]], delay_s_max: float
) -> None:
    done = run(deliver(data.draw, slots, delay_s_max=delay_s_max, lossy=True))
    overtaken = [one for one in done.judged if Flag.OVERTAKEN in one.flags]
    assert inversions([one for one in done.judged if Flag.OVERTAKEN not in one.flags]) == []
    assert sum(done.judge.counts(slot).overtaken for slot in slots) == len(overtaken)


def inversions(judged: list[Judged]) -> list[tuple[Judged, Judged]]:
    """Return the pairs (untimed event, event sent later) of one slot that the room's order reverses."""
    return [
        (first, later)
        for first in judged
        if first.kind in (Kind.UNTIMED, Kind.RESET)
        for later in judged
        if later.slot == first.slot and later.seq > first.seq and later.key < first.key
    ]


@given(st.data(), streams(), st.floats(0.0, 2.0), st.booleans(), st.integers(1, 4))
def test_every_due_lies_after_every_watermark_announced_before_it(
    data: st.DataObject, slots: dict[int, list[Stamped]], delay_s_max: float, lossy: bool, beat_every: int
) -> None:
    arrivals = deliver(data.draw, slots, delay_s_max=delay_s_max, lossy=lossy)
    done = run(arrivals, beat_every=beat_every)
    for watermark, number in done.beats:
        assert all(one.due > watermark for one in done.judged if one.number > number)


@given(st.data(), streams(), st.floats(0.0, 2.0))
def test_numbers_are_dense_and_every_event_is_judged_once(
    data: st.DataObject, slots: dict[int, list[Stamped]], delay_s_max: float
) -> None:
    arrivals = deliver(data.draw, slots, delay_s_max=delay_s_max, lossy=True)
    done = run(arrivals)
    assert [one.number for one in done.judged] == list(range(1, len(done.judged) + 1))
    came = {(arrival.slot, arrival.event.seq) for arrival in arrivals}
    assert {(one.slot, one.seq) for one in done.judged} == came
    assert len(done.judged) == len(came)


@given(st.data(), streams(), st.floats(0.0, 2.0))
def test_moved_and_retimed_are_flagged_and_counted_exactly(
    data: st.DataObject, slots: dict[int, list[Stamped]], delay_s_max: float
) -> None:
    done = run(deliver(data.draw, slots, delay_s_max=delay_s_max, lossy=True))
    stamped = {(slot, one.seq): one for slot, sent in slots.items() for one in sent}
    for slot in slots:
        floor = 0
        counted = {Flag.MOVED: 0, Flag.RETIMED: 0}
        for one in (one for one in done.judged if one.slot == slot):
            origin = stamped[slot, one.seq]
            base = origin.emitted + LEAD
            if origin.timetag is not None:
                base = max(base, origin.timetag + SHIFT)
                assert (Flag.MOVED in one.flags) == (one.due > origin.timetag + SHIFT)
            assert (Flag.RETIMED in one.flags) == (one.due > max(base, floor))
            if one.kind in (Kind.UNTIMED, Kind.RESET):
                floor = max(floor, one.due)
            for flag in counted:
                counted[flag] += flag in one.flags
        counts = done.judge.counts(slot)
        assert (counts.moved, counts.retimed) == (counted[Flag.MOVED], counted[Flag.RETIMED])


@given(st.data(), streams())
def test_a_loss_alone_retimes_nothing_that_came_in_time(
    data: st.DataObject, slots: dict[int, list[Stamped]]
) -> None:
    """The judge stops waiting for a lost event before the wait would move the events behind it."""
    late_s = (LEAD - HORIZON - GAP_GUARD) / 2**32
    done = run(deliver(data.draw, slots, delay_s_max=late_s, lossy=True))
    in_time = [one for one in done.judged if Flag.OVERTAKEN not in one.flags]
    assert all(Flag.RETIMED not in one.flags for one in in_time)


# -- gaps --------------------------------------------------------------------------------------------


def test_a_gap_is_given_up_just_before_waiting_would_retime_what_follows() -> None:
    judge = a_judge()
    assert judge.judge(1, event(2, ahead_s=0.3), EPOCH) == []
    deadline = EPOCH + ticks(0.3) - HORIZON - GAP_GUARD
    assert judge.next_wakeup() == deadline
    assert judge.wake(deadline - 1) == []
    (judged,) = judge.wake(deadline)
    assert (judged.seq, judged.due, judged.flags) == (2, EPOCH + ticks(0.3), Flag.NONE)
    assert judge.next_wakeup() is None
    assert judge.counts(1).skipped == 1


def test_the_most_urgent_of_those_that_wait_decides_how_long() -> None:
    judge = a_judge()
    judge.judge(1, event(3, ahead_s=0.5), EPOCH)
    judge.judge(1, event(4, ahead_s=0.2), EPOCH)
    judge.judge(1, event(5, ahead_s=0.4), EPOCH)
    assert judge.next_wakeup() == EPOCH + ticks(0.2) - HORIZON - GAP_GUARD
    judge.judge(1, event(1, ahead_s=0.3), EPOCH)
    judge.judge(1, event(2, ahead_s=0.3), EPOCH)
    assert judge.next_wakeup() is None
    judge.judge(1, event(7, ahead_s=0.45), EPOCH)
    assert judge.next_wakeup() == EPOCH + ticks(0.45) - HORIZON - GAP_GUARD


def test_what_comes_after_its_gap_was_given_up_is_overtaken_once() -> None:
    judge = a_judge()
    judge.judge(1, event(2), EPOCH)
    (second,) = judge.wake(judge.next_wakeup() or 0)
    (first,) = judge.judge(1, event(1), EPOCH + ticks(1))
    assert first.flags == Flag.OVERTAKEN | Flag.RETIMED
    assert first.due == EPOCH + ticks(1) + HORIZON + 1 > second.due
    assert judge.judge(1, event(1), EPOCH + ticks(1)) == []
    assert (judge.counts(1).overtaken, judge.counts(1).duplicates) == (1, 1)


def test_one_slots_gap_holds_back_no_other_slot() -> None:
    judge = a_judge()
    assert judge.judge(1, event(2), EPOCH) == []
    assert [one.slot for one in judge.judge(2, event(1), EPOCH)] == [2]


def test_the_event_that_fills_the_gap_is_taken_in_however_many_wait() -> None:
    judge = a_judge()
    for seq in range(2, WAITING_MAX + 2):
        judge.judge(1, event(seq), EPOCH)
    assert len(judge.judge(1, event(1), EPOCH)) == WAITING_MAX + 1
    assert judge.next_seq(1) == WAITING_MAX + 2


def test_where_too_many_wait_for_a_gap_it_is_given_up_and_nothing_is_refused() -> None:
    judge = a_judge()
    for seq in range(2, WAITING_MAX + 2):
        judge.judge(1, event(seq), EPOCH)
    judged = judge.judge(1, event(WAITING_MAX + 2), EPOCH)
    assert [one.seq for one in judged] == list(range(2, WAITING_MAX + 3))
    assert (judge.counts(1).refused, judge.counts(1).skipped) == (0, 1)
    (after_all,) = judge.judge(1, event(1), EPOCH)
    assert Flag.OVERTAKEN in after_all.flags


def test_numbers_given_up_are_remembered_up_to_a_bound() -> None:
    judge = a_judge()
    judge.judge(1, event(10 * SKIPPED_MAX), EPOCH)
    judge.wake(judge.next_wakeup() or 0)
    assert judge.counts(1).skipped == 10 * SKIPPED_MAX - 1
    assert judge.judge(1, event(1), EPOCH) == []
    assert len(judge.judge(1, event(10 * SKIPPED_MAX - 1), EPOCH)) == 1


# -- refusals ----------------------------------------------------------------------------------------


def test_an_event_too_far_ahead_is_refused_and_what_follows_does_not_wait() -> None:
    judge = a_judge()
    assert judge.judge(1, event(1, ahead_s=60.001), EPOCH) == []
    (second,) = judge.judge(1, event(2, ahead_s=60.0), EPOCH)
    assert second.seq == 2
    assert second.due == EPOCH + AHEAD_MAX
    assert (judge.counts(1).refused, judge.counts(1).skipped) == (1, 0)


def test_a_refusal_that_fills_a_gap_lets_go_what_waited_for_it() -> None:
    judge = a_judge()
    assert judge.judge(1, event(2), EPOCH) == []
    assert [one.seq for one in judge.judge(1, event(1, ahead_s=100), EPOCH)] == [2]


def test_a_refusal_before_its_turn_is_stepped_over_when_its_turn_comes() -> None:
    judge = a_judge()
    judge.judge(1, event(2, ahead_s=100), EPOCH)
    judge.judge(1, event(3), EPOCH)
    assert [one.seq for one in judge.judge(1, event(1), EPOCH)] == [1, 3]


def test_a_copy_of_a_refused_event_is_never_judged() -> None:
    judge = a_judge()
    far = event(1, ahead_s=61)
    judge.judge(1, far, EPOCH)
    judge.judge(1, event(2), EPOCH)
    assert judge.judge(1, far, EPOCH + ticks(30)) == []
    assert (judge.counts(1).refused, judge.counts(1).duplicates) == (1, 1)


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0.2, 0.5, 61.0])), max_size=60))
def test_no_mixture_of_refusals_and_gaps_wedges_a_slot(sent: list[tuple[int, float]]) -> None:
    judge = a_judge()
    for seq, ahead_s in sent:
        judge.judge(1, event(seq, ahead_s=ahead_s), EPOCH)
    while (wakeup := judge.next_wakeup()) is not None:
        assert judge.wake(max(wakeup, EPOCH))
    assert [one.seq for one in judge.judge(1, event(judge.next_seq(1)), EPOCH + ticks(9))]


def test_refusals_remembered_are_bounded() -> None:
    judge = a_judge()
    for seq in range(2, 3 * SKIPPED_MAX):
        judge.judge(1, event(seq, ahead_s=100), EPOCH)
    judge.judge(1, event(3 * SKIPPED_MAX), EPOCH)
    (last,) = judge.wake(judge.next_wakeup() or 0)
    assert last.seq == 3 * SKIPPED_MAX
    assert judge.counts(1).skipped == 3 * SKIPPED_MAX - 1 - SKIPPED_MAX


# -- owners, resets, settings --------------------------------------------------------------------------


def test_a_shift_above_the_lead_is_refused_with_the_reason() -> None:
    with pytest.raises(LocalError, match=r"shift 200 ms, lead 150 ms.*between 0 and the lead"):
        Timing(ticks(0.15), ticks(0.2))
    with pytest.raises(LocalError):
        Timing(ticks(0.15), -1)


def test_the_watermark_never_goes_back_when_the_horizon_shrinks() -> None:
    judge = a_judge()
    assert judge.watermark(EPOCH) == (EPOCH + HORIZON, 0)
    judge.horizon = ticks(0.02)
    assert judge.watermark(EPOCH) == (EPOCH + HORIZON, 0)
