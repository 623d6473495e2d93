"""The judge in the scheme "timestamp": each event is due at its base, and none waits for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.room.judge import AHEAD_MAX, SKIPPED_MAX, Judge
from relay.wire.sequence import Flag, Judged, Kind, Scheme, Stamped, base_due
from relay.wire.timetag import ticks
from tests.relay.room.test_judge import HORIZON, LEAD, TIMING, Arrival, deliver, event, streams
from tests.worlds.relay import EPOCH

pytestmark = pytest.mark.computes


def a_judge() -> Judge:
    return Judge(TIMING, horizon=HORIZON, scheme=Scheme.TIMESTAMP)


def judge_all(judge: Judge, arrivals: list[Arrival]) -> list[Judged]:
    """Judge the arrivals in order of time; return the judged events. A watermark is announced before each."""
    judged: list[Judged] = []
    for arrival in sorted(arrivals, key=lambda arrival: arrival.at):
        judge.watermark(arrival.at)
        judged += judge.judge(arrival.slot, arrival.event, arrival.at)
        assert judge.next_wakeup() is None, "nothing waits"
    return judged


@given(st.data(), streams(), st.floats(0.0, 2.0), st.booleans())
def test_whatever_the_network_does_everything_has_its_base_due_and_nothing_is_retimed(
    data: st.DataObject, slots: dict[int, list[Stamped]], delay_s_max: float, lossy: bool
) -> None:
    judge = a_judge()
    judged = judge_all(judge, deliver(data.draw, slots, delay_s_max=delay_s_max, lossy=lossy))
    stamped = {(slot, one.seq): one for slot, sent in slots.items() for one in sent}
    assert all(one.due == base_due(stamped[one.slot, one.seq], TIMING) for one in judged)
    assert not any(Flag.RETIMED in one.flags for one in judged)
    assert [one.number for one in judged] == list(range(1, len(judged) + 1))
    assert all(judge.counts(slot).retimed == 0 for slot in slots)


@given(st.data(), streams(), st.floats(0.0, 2.0))
def test_every_event_is_numbered_the_moment_it_comes_and_once(
    data: st.DataObject, slots: dict[int, list[Stamped]], delay_s_max: float
) -> None:
    arrivals = deliver(data.draw, slots, delay_s_max=delay_s_max, lossy=True)
    judge, came = a_judge(), set[tuple[int, int]]()
    for arrival in sorted(arrivals, key=lambda arrival: arrival.at):
        place = (arrival.slot, arrival.event.seq)
        judged = judge.judge(arrival.slot, arrival.event, arrival.at)
        assert [(one.slot, one.seq) for one in judged] == ([] if place in came else [place])
        came.add(place)


def test_what_fills_a_gap_is_overtaken_and_due_as_stamped_even_if_that_is_over() -> None:
    judge = a_judge()
    (later,) = judge.judge(1, event(2, ahead_s=0.5), EPOCH)
    assert (later.number, later.flags) == (1, Flag.NONE)
    (earlier,) = judge.judge(1, event(1, ahead_s=0.4), EPOCH + ticks(3.0))
    assert (earlier.number, earlier.due, earlier.flags) == (2, EPOCH + ticks(0.4), Flag.OVERTAKEN)
    assert judge.judge(1, event(1, ahead_s=0.4), EPOCH + ticks(3.0)) == []
    assert judge.counts(1).duplicates == 1


def test_an_untimed_event_holds_up_nothing_that_its_sender_sends_with_an_earlier_due() -> None:
    judge = a_judge()
    judge.judge(1, event(1, at=EPOCH + ticks(0.1)), EPOCH + ticks(0.1))
    (after,) = judge.judge(1, event(2, at=EPOCH, kind=Kind.RESOURCE), EPOCH + ticks(0.1))
    assert after.due == EPOCH + LEAD


def test_moved_still_says_that_the_lead_moved_a_note() -> None:
    (note,) = a_judge().judge(1, event(1, ahead_s=0.05), EPOCH)
    assert (note.due, note.flags) == (EPOCH + LEAD, Flag.MOVED)


def test_what_is_due_too_far_ahead_is_refused_and_given_up_numbers_are_bounded() -> None:
    judge = a_judge()
    assert judge.judge(1, event(1, at=EPOCH + AHEAD_MAX), EPOCH) == []
    assert judge.counts(1).refused == 1
    assert len(judge.judge(1, event(10 * SKIPPED_MAX), EPOCH)) == 1
    assert judge.judge(1, event(2), EPOCH) == [], "forgotten long ago: a duplicate for all we know"
    assert len(judge.judge(1, event(10 * SKIPPED_MAX - 1), EPOCH)) == 1
