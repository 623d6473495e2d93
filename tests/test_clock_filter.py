from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock.filter import DISPERSION_PPM, GRAIN_NS, SAMPLES_KEPT, Interval, OffsetFilter, Sample, project
from clock.model import NS_PER_S

MS = 1_000_000


def sample(at_ns: int, *, offset_ns: int = 0, up_ns: int, down_ns: int) -> Sample:
    """An exchange whose datagrams took so long, with the remote clock ahead by `offset_ns`."""
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
    samples.add(sample(0, up_ns=1, down_ns=1))
    for second in range(SAMPLES_KEPT):
        samples.add(sample(second, up_ns=MS, down_ns=MS))
    assert len(samples) == SAMPLES_KEPT
    assert samples.rtt_min_ns == 2 * MS
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
