from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock.filter import (
    BOUNDING,
    DISPERSION_PPM,
    GRAIN_NS,
    SAMPLES_KEPT,
    Interval,
    OffsetFilter,
    Sample,
    project,
)
from clock.model import NS_PER_S

MS = 1_000_000


def sample(at_ns: int, *, offset_ns: int = 0, up_ns: int, down_ns: int) -> Sample:
    """Return an exchange with these one-way delays and a remote clock that is ahead by `offset_ns`."""
    return Sample(at_ns, at_ns + up_ns + down_ns, lower_ns=offset_ns - down_ns, upper_ns=offset_ns + up_ns)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_truth_is_within_the_bounds_of_every_exchange_however_asymmetric(
    offset_ns: int, up_ns: int, down_ns: int
) -> None:
    one = sample(0, offset_ns=offset_ns, up_ns=up_ns, down_ns=down_ns)
    bounds = project(one, one.received_ns, rate=0.0, rate_error=0.0)
    assert bounds.lower_ns - 1 <= offset_ns <= bounds.upper_ns + 1
    assert one.delay_ns == up_ns + down_ns


def test_the_lowest_delay_decides() -> None:
    samples = OffsetFilter()
    samples.add(sample(0, offset_ns=7000, up_ns=MS, down_ns=MS))
    for second in range(1, 6):
        samples.add(sample(second * NS_PER_S // 100, offset_ns=7000, up_ns=40 * MS, down_ns=2 * MS))
    middle = samples.interval(NS_PER_S // 20, rate=0.0, rate_error=0.0).middle_ns
    assert middle == pytest.approx(7000, abs=100)
    assert samples.rtt_min_ns == 2 * MS


def test_the_best_way_up_and_the_best_way_down_may_come_from_different_exchanges() -> None:
    samples = OffsetFilter()
    samples.add(sample(0, up_ns=MS, down_ns=30 * MS))
    samples.add(sample(0, up_ns=30 * MS, down_ns=MS))
    both = samples.interval(31 * MS, rate=0.0, rate_error=0.0)
    assert both.middle_ns == pytest.approx(0, abs=500)
    assert both.radius_ns == pytest.approx(MS, rel=1e-3)


def test_bounds_loosen_by_15_ppm_and_by_what_the_rate_may_be_off() -> None:
    one = sample(0, up_ns=MS, down_ns=MS)
    later = project(one, one.received_ns + 10 * NS_PER_S, rate=0.0, rate_error=5e-6)
    grown = (DISPERSION_PPM + 5) * 1e-6 * 10 * NS_PER_S
    assert Interval(later.lower_ns, later.upper_ns).radius_ns == pytest.approx(MS + grown, rel=1e-3)


def test_bounds_move_along_with_the_rate() -> None:
    one = sample(0, up_ns=0, down_ns=0)
    assert project(one, NS_PER_S, rate=50e-6, rate_error=0.0).middle_ns == pytest.approx(50_000)


def test_what_contradicts_the_newest_exchange_is_left_out_of_the_estimate() -> None:
    samples = OffsetFilter()
    samples.add(sample(0, offset_ns=5 * NS_PER_S, up_ns=1000, down_ns=1000))
    samples.add(sample(MS, offset_ns=0, up_ns=MS, down_ns=MS))
    samples.add(sample(2 * MS, offset_ns=0, up_ns=MS, down_ns=MS))
    assert samples.interval(4 * MS, rate=0.0, rate_error=0.0).middle_ns == pytest.approx(0, abs=100)


def test_bounds_agree_when_they_miss_each_other_by_the_grain_only() -> None:
    assert Interval(0, 10).agrees_with(Interval(10 + GRAIN_NS, 10**6))
    assert not Interval(0, 10).agrees_with(Interval(11 + GRAIN_NS, 10**6))
    assert not Interval(11 + GRAIN_NS, 10**6).agrees_with(Interval(0, 10))


def test_the_window_is_bounded_and_forgets_the_oldest() -> None:
    samples = OffsetFilter()
    samples.add(sample(0, offset_ns=MS // 2, up_ns=1, down_ns=1))
    for second in range(SAMPLES_KEPT):
        samples.add(sample(second, up_ns=MS, down_ns=MS))
    assert len(samples) == SAMPLES_KEPT
    assert samples.rtt_min_ns == 2 * MS
    bounds = Interval(-MS, MS)
    assert samples.estimate_ns(0, rate=0.0, rate_error=0.0, bounds=bounds) == pytest.approx(0, abs=GRAIN_NS)
    samples.clear()
    assert len(samples) == 0


def test_jitter_is_nought_on_a_steady_path_even_while_the_clocks_drift_apart() -> None:
    samples = OffsetFilter()
    for second in range(20):
        samples.add(sample(second * NS_PER_S, offset_ns=second * 50_000, up_ns=MS, down_ns=MS))
    assert samples.jitter_ns(rate=50e-6) < 10
    assert samples.jitter_ns(rate=0.0) > 50_000


def test_jitter_is_of_the_size_of_the_scatter() -> None:
    samples, random = OffsetFilter(), Random(1)
    assert samples.jitter_ns(rate=0.0) == 0
    for second in range(20):
        samples.add(sample(second * NS_PER_S, up_ns=random.randrange(10 * MS), down_ns=0))
    assert MS < samples.jitter_ns(rate=0.0) < 5 * MS


def test_of_the_exchanges_of_one_second_the_best_bounds_are_kept_as_one() -> None:
    kept = OffsetFilter()
    kept.add(sample(0, up_ns=9_000_000, down_ns=1_000_000), merge=True)
    kept.add(sample(250_000_000, up_ns=2_000_000, down_ns=7_000_000), merge=True)
    kept.add(sample(500_000_000, up_ns=8_000_000, down_ns=8_000_000), merge=True)
    assert len(kept) == 1
    found = kept.interval(500_000_000, rate=0.0, rate_error=0.0)
    assert found.upper_ns == pytest.approx(2_000_000, abs=10_000)
    assert found.lower_ns == pytest.approx(-1_000_000, abs=10_000)
    assert kept.rtt_min_ns == 9_000_000, "of one exchange: nothing has gone both ways in 3 ms"
    kept.add(sample(1_000_000_000, up_ns=8_000_000, down_ns=8_000_000), merge=True)
    assert len(kept) == 2


def test_the_estimate_looks_back_five_minutes_and_the_bounds_one() -> None:
    kept = OffsetFilter()
    kept.add(sample(0, up_ns=1_000_000, down_ns=1_000_000))
    for second in range(1, 200):
        kept.add(sample(second * 1_000_000_000, up_ns=21_000_000, down_ns=1_000_000))
    now_ns = 200_000_000_000
    bounds = kept.interval(now_ns, rate=0.0, rate_error=0.0)
    assert bounds.middle_ns == pytest.approx(10_000_000, abs=20_000)
    assert kept.estimate_ns(now_ns, rate=0.0, rate_error=0.0, bounds=bounds) == pytest.approx(
        300_000, abs=2e4
    )


def test_the_estimate_never_leaves_the_bounds() -> None:
    kept = OffsetFilter()
    kept.add(sample(0, up_ns=1_000_000, down_ns=1_000_000))
    bounds = Interval(3_000_000, 5_000_000)
    assert kept.estimate_ns(0, rate=0.0, rate_error=0.0, bounds=bounds) == 3_000_000


def test_an_exchange_that_is_overtaken_is_of_the_same_second() -> None:
    kept = OffsetFilter()
    kept.add(sample(250 * MS, up_ns=MS, down_ns=MS), merge=True)
    kept.add(sample(0, up_ns=400 * MS, down_ns=MS), merge=True)
    kept.add(sample(500 * MS, up_ns=MS, down_ns=MS), merge=True)
    assert len(kept) == 1


@pytest.mark.parametrize("by_ns", [30 * MS, -30 * MS])
def test_a_clock_that_stepped_by_less_than_a_round_trip_is_followed_after_a_minute(by_ns: int) -> None:
    kept = OffsetFilter()
    forgot = []
    for second in range(300):
        offset_ns = by_ns if second >= 220 else 0
        kept.add(sample(second * 1000 * MS, offset_ns=offset_ns, up_ns=50 * MS, down_ns=50 * MS))
        if kept.forget_before_step(second * 1000 * MS, rate=0.0, rate_error=0.0):
            forgot.append(second)
    now_ns = 300_000 * MS
    bounds = kept.interval(now_ns, rate=0.0, rate_error=0.0)
    estimate_ns = kept.estimate_ns(now_ns, rate=0.0, rate_error=0.0, bounds=bounds)
    assert estimate_ns == pytest.approx(by_ns, abs=MS)
    assert forgot == [219 + BOUNDING]


def test_a_queue_that_stands_is_no_step() -> None:
    kept = OffsetFilter()
    for second in range(300):
        up_ns = 150 * MS if second >= 150 else 50 * MS
        kept.add(sample(second * 1000 * MS, up_ns=up_ns, down_ns=50 * MS))
        assert not kept.forget_before_step(second * 1000 * MS, rate=0.0, rate_error=0.0)
