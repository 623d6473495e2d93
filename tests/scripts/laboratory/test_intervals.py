"""Confidence intervals, compared with published examples and tables, and at the ends of their range."""

import math
from random import Random

import pytest
from laboratory.study.intervals import difference_of, mean_of, newcombe, share_of, t_quantile, welch, wilson


def test_students_t_agrees_with_the_tables() -> None:
    for confidence, freedom, expected in (
        (0.95, 1, 12.7062),
        (0.95, 2, 4.30265),
        (0.99, 2, 9.92484),
        (0.95, 10, 2.22814),
        (0.99, 4, 4.60409),
        (0.95, 1000, 1.96234),
    ):
        assert t_quantile(confidence, freedom) == pytest.approx(expected, rel=2e-5), (confidence, freedom)


def test_wilson_and_newcombe_agree_with_newcombes_own_examples() -> None:
    # Statistics in Medicine 17 (1998): 857 (81 of 263, 15 of 148) and 873 (56/70 - 48/80; 10/10 - 0/20).
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    middle, end = newcombe((56, 70), (48, 80), 0.95), newcombe((10, 10), (0, 20), 0.95)
    assert (middle.low, middle.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert (end.low, end.high) == pytest.approx((0.6791, 1.0), abs=1e-4)


def test_nothing_bad_has_an_upper_bound_near_three_over_n_and_no_lower_one() -> None:
    low, high = wilson(0, 4500)
    assert low == 0
    assert 3 / 4500 < high < 4 / 4500
    assert wilson(20, 20)[1] == 1
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0, 1)


def test_runs_that_differ_widen_the_interval_and_runs_that_agree_leave_wilsons() -> None:
    alike = share_of([(10, 100)] * 3)
    apart = share_of([(0, 100), (0, 100), (30, 100)])
    assert (alike.low, alike.high) == wilson(30, 300)
    assert apart.value == alike.value == 0.1
    assert apart.low == 0
    assert apart.high == pytest.approx(0.1 + 4.30265 * math.sqrt(0.03) / math.sqrt(3), rel=1e-4)


def test_a_share_of_no_events_is_unknown() -> None:
    share = share_of([])
    assert math.isnan(share.value)
    assert (share.low, share.high) == (0, 1)


def test_one_run_says_nothing_about_other_runs() -> None:
    assert mean_of([3.0]).high == math.inf
    assert welch([3.0], [1.0, 2.0]).low == -math.inf
    assert difference_of([(3, 100)], [(3, 100)]).high < 1


def test_welch_agrees_with_students_sleep_data() -> None:
    # R's example: t.test(extra ~ group, data = sleep), 95 % interval -3.3654832 to 0.2054832.
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    estimate = welch(first, second, 0.95)
    assert (estimate.low, estimate.high) == pytest.approx((-3.3654832, 0.2054832), abs=1e-6)


def test_intervals_hold_the_truth_about_as_often_as_they_say_even_for_bursts() -> None:
    rng = Random(5)

    def run() -> tuple[int, int]:
        # Events fail ten at a time: Wilson alone would hold in about half of all cases.
        return sum(10 for _ in range(100) if rng.random() < 0.05), 1000

    shares = [share_of([run() for _ in range(3)]) for _ in range(400)]
    held = sum(share.low <= 0.05 <= share.high for share in shares)
    same = sum(
        difference_of([run() for _ in range(3)], [run() for _ in range(3)]).holds(0) for _ in range(400)
    )
    wilson_held = sum(
        wilson(share.bad, share.events)[0] <= 0.05 <= wilson(share.bad, share.events)[1] for share in shares
    )
    assert held >= 0.93 * 400
    assert same >= 0.96 * 400
    assert wilson_held < 0.75 * 400
