"""How far apart members' notes are over an hour. Clocks keep them together; the report is by minute."""

import statistics

import pytest
from laboratory.runs.rows import WHOLE
from laboratory.runs.tallying import TalliedNote
from laboratory.study.plan import SpreadPoint
from laboratory.virtual.spread import minutes_of, play

pytestmark = pytest.mark.computes


@pytest.mark.slow
def test_clocks_at_50_ppm_are_kept_within_microseconds_once_their_rate_is_known() -> None:
    hour = SpreadPoint("delay=10", seconds=100.0)
    whole, first, second = minutes_of(hour, *play(hour))
    assert (whole.minute, whole.events, whole.bad) == (WHOLE, 600, 0)
    assert (first.minute, first.events, second.minute, second.events) == (0, 360, 1, 240)
    assert first.spread_us_max is not None
    assert second.spread_us_max is not None
    assert second.clock_error_us is not None
    assert 50.0 < first.spread_us_max < 1000.0, "100 ppm for a second, until the rate is known"
    assert second.spread_us_max < 5.0
    assert whole.spread_us_max == first.spread_us_max
    assert second.clock_error_us < 5.0
    assert [one.free_us for one in (whole, first, second)] == [10_000, 6_000, 10_000], "100 ppm"


def test_an_asymmetric_way_shows_as_an_error_of_that_members_clock_alone() -> None:
    hour = SpreadPoint("delay=20 | ben=up:delay=10;down:delay=30", seconds=25.0)
    events, errors_ns, start_s = play(hour)
    # An answer that took longer than its question lets the relay's clock seem behind.
    errors_us = {name: statistics.median(ns / 1e3 for _, ns in found) for name, found in errors_ns.items()}
    assert errors_us["ben"] == pytest.approx(-10_000.0, abs=150.0)
    assert abs(errors_us["anna"]) < 150.0
    whole, minute = minutes_of(hour, events, errors_ns, start_s)
    assert minute.clock_error_us == pytest.approx(10_000.0, abs=200.0)
    assert whole.spread_us_p50 == pytest.approx(10_000.0, abs=150.0)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_hour() -> None:
    hours = [SpreadPoint("fibre", 20.0, seed) for seed in (3, 3, 4)]
    one, again, other = (minutes_of(hours[0], *play(hour)) for hour in hours)
    assert one == again != other


def test_minutes_count_from_the_music_and_take_the_median_error_of_each_member() -> None:
    events = [event(at_s) for at_s in (5.0, 64.0, 66.0, 200.0)]
    errors = {
        "anna": [(6_000_000_000, 1_000), (7_000_000_000, -5_000), (8_000_000_000, 2_000)],
        "ben": [(6_000_000_000, -3_000)],
    }
    whole, *minutes = minutes_of(SpreadPoint("fibre", 240.0), events, errors, 5.0)
    assert [(one.minute, one.events) for one in minutes] == [(0, 2), (1, 1), (3, 1)]
    assert [one.clock_error_us for one in minutes] == [3.0, None, None], "ben's; anna's is 1"
    assert whole.clock_error_us == 5.0
    assert minutes[0].bad == 2, "held by nobody"
    assert minutes[0].spread_us_p50 is None


def event(at_s: float) -> TalliedNote:
    """Return an event, emitted at `at_s`, that is missing at one member."""
    return TalliedNote("anna", round(at_s * 1e9), 0, 0, None, {}, ("ben",), (), (), ())
