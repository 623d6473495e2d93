"""Spread over time: what drifts apart is kept together, and it is said minute by minute."""

import pytest
from laboratory.virtual.spread import measure, minutes_of
from laboratory.virtual.tally import Event

pytestmark = pytest.mark.computes


@pytest.mark.slow
def test_clocks_at_50_ppm_are_kept_within_microseconds_once_their_rate_is_known() -> None:
    shares: list[float] = []
    spread = measure("delay=10", seconds=100.0, on_time=shares.append)
    assert spread.rate_ppm == {"anna": -50.0, "ben": 0.0, "carla": 50.0}
    assert (spread.events, spread.bad) == (600, 0)
    first, second = spread.minutes
    assert (first.from_s, first.events, second.from_s, second.events) == (0.0, 360, 60.0, 240)
    assert first.spread_us_max is not None
    assert second.spread_us_max is not None
    assert 50.0 < first.spread_us_max < 1000.0, "100 ppm for a second, until the rate is known"
    assert second.spread_us_max < 5.0
    assert spread.spread_us_max == first.spread_us_max
    assert all(abs(error) < 5.0 for error in second.clock_error_us.values())
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_an_asymmetric_way_shows_as_an_error_of_that_members_clock_alone() -> None:
    spread = measure("delay=20 | ben=up:delay=10;down:delay=30", seconds=50.0, events_per_s=1.0)
    (minute,) = spread.minutes
    # An answer that took longer than its question lets the relay's clock seem behind.
    assert minute.clock_error_us["ben"] == pytest.approx(-10_000.0, abs=150.0)
    assert abs(minute.clock_error_us["anna"]) < 150.0
    assert minute.clock_error_us_max == pytest.approx(10_000.0, abs=200.0)
    assert spread.spread_us_p50 == pytest.approx(10_000.0, abs=150.0)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_hour() -> None:
    assert measure("fibre", seconds=20.0, seed=3) == measure("fibre", seconds=20.0, seed=3)
    assert measure("fibre", seconds=20.0, seed=3) != measure("fibre", seconds=20.0, seed=4)


def test_minutes_count_from_the_music_and_take_the_median_error_of_each_member() -> None:
    events = [event(at_s) for at_s in (5.0, 64.0, 66.0, 200.0)]
    errors = {"anna": [(6_000_000_000, 1_000), (7_000_000_000, -5_000), (8_000_000_000, 2_000)]}
    minutes = minutes_of(events, errors, 5.0)
    assert [(one.from_s, one.events) for one in minutes] == [(0.0, 2), (60.0, 1), (180.0, 1)]
    assert minutes[0].clock_error_us == {"anna": 1.0}
    assert minutes[0].clock_error_us_max == 5.0
    assert minutes[1].clock_error_us == {}
    assert minutes[1].clock_error_us_max is None
    assert minutes[0].bad == 2, "held by nobody"
    assert minutes[0].spread_us_p50 is None


def event(at_s: float) -> Event:
    """Return an event that one member misses."""
    return Event("anna", round(at_s * 1e9), 0, 0, None, {}, ("ben",), (), (), ())
