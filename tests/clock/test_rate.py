from math import inf
from random import Random

import pytest

from clock.filter import Sample
from clock.model import NS_PER_S
from clock.rate import PRIOR_ERROR, RATE_MAX, Rate, RateFit, fit_line


def fit(seconds: int, *, drift: float, up_s: float, down_s: float, seed: int = 1) -> RateFit:
    """Return a rate fit after one exchange a second.

    Each delay is 10 ms and an exponentially distributed wait with mean up_s or down_s.
    """
    result, random = RateFit(), Random(seed)
    for second in range(seconds):
        sent_ns = second * NS_PER_S
        up_ns, down_ns = (round((0.01 + random.expovariate(1 / mean)) * 1e9) for mean in (up_s, down_s))
        received_ns = sent_ns + up_ns + down_ns
        offset_ns = round(drift * sent_ns)
        result.add(Sample(sent_ns, received_ns, offset_ns - down_ns, offset_ns + up_ns))
    return result


def test_a_line_through_exact_points_has_their_slope() -> None:
    assert fit_line([(0.0, 1.0), (1e9, 3.0), (2e9, 5.0)]).rate == pytest.approx(2e-9)


def test_a_line_through_points_above_each_other_says_that_it_knows_nothing() -> None:
    assert fit_line([(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]).error == inf


@pytest.mark.parametrize("drift", [-100e-6, -21.7e-6, 0.0, 50e-6])
@pytest.mark.parametrize("seed", range(5))
def test_five_minutes_show_the_rate_to_3_ppm_through_jitter_of_20_ms_up_and_8_down(
    drift: float, seed: int
) -> None:
    estimate = Rate(0.0, 0.0)
    fitted = fit(300, drift=drift, up_s=0.02, down_s=0.008, seed=seed)
    for _ in range(3):  # each estimate helps the next one to compare delays
        estimate = fitted.estimate(estimate.rate)
    assert estimate.rate == pytest.approx(drift, abs=3e-6)
    assert estimate.error < 3e-6


@pytest.mark.parametrize(("up_s", "down_s"), [(0.1, 2e-3), (2e-3, 0.1)], ids=["quiet down", "quiet up"])
def test_the_quieter_way_decides(up_s: float, down_s: float) -> None:
    fitted = fit(300, drift=30e-6, up_s=up_s, down_s=down_s)
    assert fitted.estimate(30e-6).rate == pytest.approx(30e-6, abs=1e-6)


def test_below_half_a_minute_a_jittery_path_shows_no_rate() -> None:
    assert fit(30, drift=50e-6, up_s=0.02, down_s=0.008).estimate(0.0) == Rate(0.0, PRIOR_ERROR)
    assert fit(40, drift=50e-6, up_s=0.02, down_s=0.008).estimate(0.0) != Rate(0.0, PRIOR_ERROR)


def test_a_short_noisy_baseline_moves_the_rate_less_than_it_shows_and_admits_its_error() -> None:
    early = fit(35, drift=0.0, up_s=0.02, down_s=0.02).estimate(0.0)
    assert abs(early.rate) < PRIOR_ERROR
    assert 1e-6 < early.error <= PRIOR_ERROR


def test_the_rate_is_clamped() -> None:
    fitted = fit(300, drift=2000e-6, up_s=1e-6, down_s=1e-6)
    assert fitted.estimate(0.0).rate == RATE_MAX


def test_a_restart_keeps_the_rate_believed_in_and_forgets_how_sure_it_was() -> None:
    fitted = fit(300, drift=50e-6, up_s=1e-6, down_s=1e-6)
    fitted.restart(50e-6)
    assert fitted.estimate(0.0) == Rate(50e-6, PRIOR_ERROR)


def test_the_rate_of_more_than_five_minutes_ago_is_forgotten() -> None:
    fitted = fit(300, drift=0.0, up_s=1e-6, down_s=1e-6)
    for second in range(300, 620, 4):  # so few that the bound on their number would keep the old ones
        offset_ns = (second - 300) * 40_000
        at_ns = second * NS_PER_S
        fitted.add(Sample(at_ns, at_ns + 20_000_000, offset_ns - 10_000_000, offset_ns + 10_000_000))
    assert fitted.estimate(40e-6).rate == pytest.approx(40e-6, abs=1e-6)
