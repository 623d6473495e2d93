"""Time lines of a network's state: the state at an instant doesn't depend on the order of questions."""

import math
from itertools import pairwise
from random import Random

import pytest

from relay.netmodel import timelines as timeline
from relay.netmodel.timelines import BurstLine, HeldLine, OutageLine, SpikeLine, TraceLine, stay_s
from relay.wire.trace import Sample, TraceWay

INSTANTS = [index * 0.0137 for index in range(5000)]


def held(hold_s: float = 0.02) -> HeldLine:
    return HeldLine(hold_s, lambda u: u, "1/x/jitter")


@pytest.mark.parametrize(
    "make",
    [
        lambda: BurstLine(0.3, 0.08, Random(1)).bad_until_s,
        lambda: SpikeLine(0.5, 0.06, Random(1)).blocked_until_s,
        lambda: held().at,
        lambda: OutageLine(((1.0, 2.0), (5.0, 9.0))).out_until_s,
    ],
)
def test_the_order_of_asking_changes_no_answer(make: object) -> None:
    forwards, backwards, shuffled = make(), make(), make()  # type: ignore[operator]  # parametrized
    answers = [forwards(at_s) for at_s in INSTANTS]
    assert [backwards(at_s) for at_s in reversed(INSTANTS)] == answers[::-1]
    order = list(range(len(INSTANTS)))
    Random(2).shuffle(order)
    assert {index: shuffled(INSTANTS[index]) for index in order} == dict(enumerate(answers))


def test_a_burst_holds_until_it_says() -> None:
    line = BurstLine(0.3, 0.08, Random(1))
    ends = {line.bad_until_s(at_s) for at_s in INSTANTS} - {None}
    assert len(ends) > 50
    for end_s in ends:
        assert end_s is not None
        assert line.bad_until_s(math.nextafter(end_s, 0.0)) == end_s
        assert line.bad_until_s(end_s) is None


def test_a_held_draw_holds_for_its_cell_and_no_longer() -> None:
    line = held(0.1 / 3)
    at_s, values = 0.0, []
    while len(values) < 1000:
        value, until_s = line.at(at_s)
        assert until_s > at_s
        assert line.at(math.nextafter(until_s, 0.0)) == (value, until_s)
        values.append(value)
        at_s = until_s
    assert at_s == pytest.approx(1000 * 0.1 / 3)
    assert len(set(values)) == 1000


def test_held_draws_are_kept_within_the_bound_and_come_back_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "BLOCKS_KEPT", 3)
    line = held()
    hours = [line.at(index * 7.0)[0] for index in range(2000)]
    assert len(line._blocks) == 3
    assert [line.at(index * 7.0)[0] for index in range(2000)] == hours


def test_a_trace_says_until_when_a_sample_holds() -> None:
    line = TraceLine(TraceWay((Sample(5.0, 10.0), Sample(5.1, None), Sample(5.2, 30.0))))
    steps, at_s = [], 0.0
    for _ in range(8):
        delay_s, until_s = line.at(at_s)
        steps.append((delay_s, round(until_s, 9)))
        at_s = until_s + 1e-12
    delays = [0.01, None, 0.03, 0.01, None, 0.03, 0.01, None]
    assert steps == list(zip(delays, [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75], strict=True))
    assert line.least_s == 0.01


def test_spikes_within_a_spike_prolong_it() -> None:
    line = SpikeLine(0.01, 0.05, Random(1))
    answers = [line.blocked_until_s(at_s) for at_s in INSTANTS]
    assert all(after >= before for before, after in pairwise(answers))
    assert sum(until_s > at_s for at_s, until_s in zip(INSTANTS, answers, strict=True)) > 4900


def test_an_exponential_stay_is_never_nothing() -> None:
    class Zero(Random):
        def random(self) -> float:
            return 0.0

    assert stay_s(1.0, Zero()) > 0.0
