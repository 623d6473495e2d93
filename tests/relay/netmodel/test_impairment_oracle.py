"""The model's oracle: the earliest possible arrival, compared with a sender that tries all the time."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.netmodel.impairment import Bursts, Impairment, Jitter, JitterKind, Spikes, Way
from relay.wire.trace import Sample, TraceWay

STEP_S = 0.001
FINE_S = 0.000_02
WINDOW_S = 0.6


def tried(way: Way, seed: int, at_s: float, until_s: float, step_s: float = STEP_S) -> float:
    """Return the earliest arrival (s) if a datagram is sent every step_s from at_s to until_s.

    Returns inf if none arrives.
    """
    impairment = Impairment(replace(way, loss=0.0, fifo=False), seed=seed, name="x")
    steps = range(math.floor((until_s - at_s) / step_s) + 1)
    return min(
        (one for step in steps for one in impairment.decide(at_s + step * step_s, 100).arrivals_s),
        default=math.inf,
    )


jitters = st.builds(
    Jitter,
    st.sampled_from(JitterKind),
    st.floats(0.5, 40.0),
    st.sampled_from([5.0, 20.0, 33.0]),
)
gaps_and_stays = st.lists(st.tuples(st.floats(0.01, 0.3), st.floats(0.005, 0.3)), max_size=3)


@st.composite
def outages(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    found, at_s = [], 0.0
    for gap_s, stay_s in draw(gaps_and_stays):
        found.append((at_s + gap_s, at_s + gap_s + stay_s))
        at_s += gap_s + stay_s
    return tuple(found)


@st.composite
def traces(draw: st.DrawFn) -> TraceWay:
    delays = draw(st.lists(st.none() | st.floats(0.0, 150.0), min_size=1, max_size=12))
    return TraceWay(tuple(Sample(index * 0.02, delay) for index, delay in enumerate(delays)))


ways = st.builds(
    Way,
    delay_ms=st.floats(0.0, 80.0),
    jitter=st.none() | jitters,
    loss=st.sampled_from([0.0, 0.3]),
    bursts=st.none() | st.builds(Bursts, st.floats(0.02, 0.7), st.floats(0.01, 0.2)),
    spikes=st.none() | st.builds(Spikes, st.floats(0.05, 1.0), st.floats(5.0, 200.0)),
    outages=outages(),
    bloats=st.sampled_from([(), ((0.2, 0.5, 80.0),), ((0.1, 0.4, 30.0), (0.4, 1.5, 150.0))]),
    trace=st.none() | traces(),
)


@settings(max_examples=200, derandomize=True)
@given(way=ways, seed=st.integers(0, 99), at_s=st.floats(0.0, 2.0))
def test_oracle_is_as_early_as_one_who_tries_every_millisecond(way: Way, seed: int, at_s: float) -> None:
    best_s = Impairment(way, seed=seed, name="x").best_arrival_s(at_s, at_s + WINDOW_S)
    found_s = tried(way, seed, at_s, at_s + WINDOW_S)
    if best_s is None:
        assert found_s > at_s + WINDOW_S
        return
    assert best_s <= found_s + 1e-9
    if found_s > best_s + STEP_S:
        # An opening shorter than a millisecond: it must be there all the same.
        found_s = tried(way, seed, at_s, best_s, FINE_S)
    assert found_s <= best_s + STEP_S + 1e-9


@settings(max_examples=60, derandomize=True)
@given(way=ways, kind=st.sampled_from(JitterKind), scale_ms=st.floats(0.5, 40.0), seed=st.integers(0, 99))
def test_nothing_beats_the_oracle_where_jitter_is_drawn_for_each(
    way: Way, kind: JitterKind, scale_ms: float, seed: int
) -> None:
    way = replace(way, jitter=Jitter(kind, scale_ms))
    best_s = Impairment(way, seed=seed, name="x").best_arrival_s(0.5, 0.5 + WINDOW_S)
    found_s = tried(way, seed, 0.5, 0.5 + WINDOW_S)
    assert found_s > 0.5 + WINDOW_S if best_s is None else best_s <= found_s + 1e-9


def best(way: Way, at_s: float, until_s: float = math.inf) -> float | None:
    return Impairment(way, seed=1, name="x").best_arrival_s(at_s, until_s)


def test_plain_delay_is_the_best_and_may_be_too_long() -> None:
    assert best(Way(delay_ms=50.0), 1.0) == 1.05
    assert best(Way(delay_ms=50.0), 1.0, 1.05) == 1.05
    assert best(Way(delay_ms=50.0), 1.0, 1.049) is None


def test_outage_is_waited_for() -> None:
    way = Way(delay_ms=50.0, outages=((1.0, 1.3), (1.3, 1.4)))
    assert best(way, 1.1) == pytest.approx(1.45)
    assert best(way, 1.1, 1.44) is None


def test_independent_loss_is_escaped_unless_it_is_total() -> None:
    assert best(Way(delay_ms=50.0, loss=0.99), 1.0) == 1.05
    assert best(Way(delay_ms=50.0, loss=1.0), 1.0) is None


def test_queue_and_order_do_not_bind_the_best_sender() -> None:
    way = Way(delay_ms=10.0, rate_kbps=10.0, reorder=1.0, reorder_ms=100.0)
    assert best(way, 1.0) == 1.01


def test_jitter_of_each_datagram_is_its_least() -> None:
    assert best(Way(delay_ms=50.0, jitter=Jitter(JitterKind.PARETO, 10.0)), 1.0) == 1.05
    assert best(Way(delay_ms=50.0, jitter=Jitter(JitterKind.NORMAL, 10.0)), 1.0) == pytest.approx(1.01)
    assert best(Way(delay_ms=5.0, jitter=Jitter(JitterKind.NORMAL, 10.0)), 1.0) == 1.0


def test_trace_in_which_all_was_lost_lets_nothing_through() -> None:
    way = Way(trace=TraceWay((Sample(0.0, None), Sample(0.1, None))))
    assert best(way, 1.0, 5.0) is None


def test_asking_changes_no_decision() -> None:
    way = Way(
        delay_ms=20.0,
        jitter=Jitter(JitterKind.LOGNORMAL, 8.0, 20.0),
        loss=0.1,
        bursts=Bursts(0.2),
        spikes=Spikes(0.5, 80.0),
    )
    plain, asked = Impairment(way, seed=3, name="x"), Impairment(way, seed=3, name="x")
    for index in range(2000):
        if index % 7 == 0:
            asked.best_arrival_s(index * 0.013 % 9.0, 30.0)
        assert plain.decide(index * 0.01, 100) == asked.decide(index * 0.01, 100)
