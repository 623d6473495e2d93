"""Figures of a path, each tested with a trace that was made to have a certain value."""

from math import log
from random import Random

import pytest

from bridge.probe.path_stats import (
    HORIZON_MARGIN_MS,
    RELEASE_ADVANCE_MS,
    loss_interval,
    path_figures,
    way_figures,
)
from bridge.shells.scsynth_process import NEED_MS_UNKNOWN, RELEASE_SLACK_MS
from relay.lead.room_tuning import H_MARGIN
from relay.wire.timetag import seconds
from relay.wire.trace import Sample, Trace, TraceWay


def way(*delays: float | None, spacing_s: float = 0.02) -> TraceWay:
    return TraceWay(tuple(Sample(number * spacing_s, delay) for number, delay in enumerate(delays)))


def test_delays_are_counted_from_the_least_and_named_by_share() -> None:
    figures = way_figures(way(*(float(ms) for ms in range(101, 201))))
    assert (figures.least_ms, figures.p50_ms, figures.p99_ms, figures.most_ms) == (101, 150, 199, 200)
    assert figures.jitter_ms == pytest.approx(49.5)
    assert (figures.sent, figures.lost, figures.reordered) == (100, 0, 0)


def test_losses_in_a_row_are_bursts_and_single_ones_are_not() -> None:
    figures = way_figures(way(9, None, 9, None, None, None, 9, 9, None, None, 9))
    assert (figures.lost, figures.loss) == (6, pytest.approx(6 / 11))
    assert figures.bursts == 2
    assert figures.burst_ms_max == pytest.approx(60)
    assert figures.burst_ms_mean == pytest.approx(50)


def test_a_burst_at_the_very_end_counts() -> None:
    figures = way_figures(way(9, 9, None, None))
    assert (figures.lost, figures.bursts) == (2, 1)


def test_who_comes_after_a_later_one_is_reordered_and_who_overtook_is_not() -> None:
    assert way_figures(way(10, 10, 10)).reordered == 0
    assert way_figures(way(45, 10, 10)).reordered == 1
    assert way_figures(way(65, 45, 10, 10)).reordered == 2
    assert way_figures(way(10, None, 65, 10)).reordered == 1
    assert way_figures(way(30, 10.005)).reordered == 0


def test_a_way_of_which_nothing_came_has_no_delay() -> None:
    figures = way_figures(way(None, None))
    assert (figures.p50_ms, figures.jitter_ms, figures.loss) == (None, None, 1.0)
    assert way_figures(TraceWay(())).loss == 0.0
    assert path_figures(Trace(way(None), way(9))).lead_ms is None


def test_the_interval_of_single_losses_is_wilsons() -> None:
    # Source: the example of Newcombe 1998, table I: 81 of 263, 0.2553 to 0.3662.
    assert loss_interval(263, [1] * 81) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert loss_interval(20, []) == pytest.approx((0, 0.1611), abs=1e-4)
    assert loss_interval(0, []) == (0.0, 1.0)


@pytest.mark.parametrize("in_bursts", [False, True])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(in_bursts: bool) -> None:
    dice, held, tries, share = Random(5), 0, 400, 0.05
    for _ in range(tries):
        runs: list[int] = []
        left = 3000
        while left > 0:
            # Good and bad periods, geometric; a bad one loses everything, 4 in a row on average.
            size = 1 if not in_bursts else _geometric(dice, 4)
            gap = _geometric(dice, (1 if not in_bursts else 4) * (1 - share) / share)
            left -= size + gap
            runs.append(size)
        low, high = loss_interval(3000, runs)
        held += low <= share <= high
    assert 0.91 < held / tries < 0.98


def _geometric(dice: Random, mean: float) -> int:
    return 1 + int(dice.expovariate(1) / -_log1m(1 / mean))


def _log1m(share: float) -> float:
    return log(1 - share)


def test_the_release_advance_is_the_bridges_own() -> None:
    assert RELEASE_ADVANCE_MS == NEED_MS_UNKNOWN + RELEASE_SLACK_MS


def test_the_margin_is_the_relays_own() -> None:
    assert seconds(H_MARGIN) * 1e3 == pytest.approx(HORIZON_MARGIN_MS)


def test_the_lead_without_loss_is_the_relays_own_formula() -> None:
    figures = path_figures(Trace(way(*[20.0] * 99, 30.0), way(*[40.0] * 100)))
    assert figures.rtt_ms == 60
    assert figures.repeats_ms == 0
    assert figures.lead_ms == 20 + 40 + RELEASE_ADVANCE_MS + HORIZON_MARGIN_MS


@pytest.mark.parametrize(
    ("every", "repeats"), [(1000, 1), (100, 1), (50, 2), (10, 3), (2, 3)], ids=lambda count: str(count)
)
def test_the_more_is_lost_the_more_repeats_are_allowed_for(every: int, repeats: int) -> None:
    up = way(*(None if number % every == 0 else 25.0 for number in range(1, 2001)))
    figures = path_figures(Trace(up, way(*[25.0] * 2000)))
    assert figures.repeats_ms == pytest.approx(5 + repeats * 60)


def test_a_burst_is_waited_out() -> None:
    up = way(*[25.0] * 1000, *[None] * 20, *[25.0] * 1000)
    figures = path_figures(Trace(up, way(*[25.0] * 2000)))
    assert figures.repeats_ms == pytest.approx(5 + 400 + 60)
