"""The table of leads: in whole virtual jams, the self-tuned lead and the least sufficient lead side by
side."""

import pytest
from laboratory.tables import accidents
from laboratory.tables.leads import BLOAT_MS, TRIALS, LeadOutcome, LeadTrial, run

pytestmark = pytest.mark.computes

CLEAN, BLOAT = TRIALS[:2]
FAR = next(trial for trial in TRIALS if trial.name.startswith("one member RTT 200"))


@pytest.fixture(scope="module")
def clean() -> LeadOutcome:
    return run(CLEAN, seconds=170.0)


@pytest.mark.slow
def test_on_a_good_network_the_lead_is_near_the_least_that_would_have_done(clean: LeadOutcome) -> None:
    assert (clean.retimed, clean.missed) == (0, 0)
    assert (clean.shift_ms, clean.shift_ms_max) == (0.0, 0.0)
    assert clean.lead_ms <= 1.2 * clean.hindsight_ms + 10.0
    assert clean.lead_ms >= 0.9 * clean.hindsight_ms


@pytest.mark.slow
def test_three_seconds_of_bufferbloat_at_one_member_leave_the_others_as_they_are(clean: LeadOutcome) -> None:
    bloat = run(BLOAT, seconds=170.0)
    assert (bloat.shift_ms_max, bloat.retimed) == (0.0, 0)
    # Not the very lead: the episode takes one of the places that the worst moments of the others have.
    assert clean.lead_ms <= bloat.lead_ms <= 1.2 * clean.hindsight_ms + 10.0 < BLOAT_MS
    for name in ("anna", "ben"):
        assert bloat.margin_ms_min[name] >= clean.margin_ms_min[name] - 5.0, name


@pytest.mark.slow
def test_one_member_far_away_costs_nobody_an_event() -> None:
    outcome = run(FAR, seconds=130.0)
    assert (outcome.retimed, outcome.missed, outcome.shift_ms_max) == (0, 0, 0.0)
    assert 250.0 <= outcome.lead_ms < 281.0


def test_hindsight_knows_the_least_that_would_have_done() -> None:
    outcome = run(LeadTrial("constant", "delay=40", seconds=5.0), members=2)
    # Both ways, 49 ms of release advance, and what the clocks may stray.
    assert 129.0 <= outcome.hindsight_ms <= 132.0
    assert (outcome.events, outcome.missed, outcome.retimed) == (100, 0, 0)


def test_the_page_has_a_line_for_each_run_and_says_what_made_it() -> None:
    outcome = LeadOutcome("hotel-wifi", "safe", 455.2, 0.0, 401.0, 100, 1, 2, 0.5, 30.0, 0.0)
    text = accidents.page([outcome], [], "abc123")
    assert "\n| hotel-wifi | safe | 455 | 0 | 401 | 100 | 1 | 2 | 0.5 | 30 s |\n" in text
    assert text.endswith("\n\nAt abc123.\n")
