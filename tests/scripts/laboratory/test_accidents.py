"""The table of accidents: what lead and shift do in whole virtual jams when a network stands still once."""

import pytest
from laboratory.tables import accidents
from laboratory.tables.accidents import ACCIDENTS, TRIALS, AccidentOutcome, AccidentTrial, run, stalled

from relay.lead.keeper import Safety

TRIAL = AccidentTrial(2.0, 60.0, 1, Safety.BALANCED)


def test_what_is_sent_while_a_network_stands_still_arrives_when_it_goes_on() -> None:
    meddle = stalled(["ben"], [(10.0, 12.0), (70.0, 72.0)])
    assert [meddle("ben", 0, at_s) for at_s in (9.9, 10.0, 11.5, 12.0, 71.0)] == [0.0, 2.0, 0.5, 0.0, 1.0]
    assert meddle("anna", 1, 11.0) == 0.0


@pytest.mark.parametrize(
    "trial",
    [
        AccidentTrial(2.0, 70.0, 1, Safety.BALANCED),
        AccidentTrial(5.0, 30.0, 2, Safety.SAFE),
        AccidentTrial(1.0, 10.0, 1, Safety.QUICK),
    ],
)
def test_one_accident_raises_neither_lead_nor_shift(trial: AccidentTrial) -> None:
    (outcome,) = run(trial, accidents=1)
    assert outcome.verdict == "holds: nothing rose", outcome


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_the_rule_holds_in_every_line_of_the_table(trial: AccidentTrial) -> None:
    outcomes = run(trial)
    assert [outcome.accidents for outcome in outcomes] == [1, ACCIDENTS]
    assert [outcome for outcome in outcomes if not outcome.holds] == []


def outcome(
    *, age_s: float = 60.0, safety: Safety = Safety.BALANCED, accidents: int = 1,
    most: tuple[int, int] = (200, 0), later: tuple[int, int] = (200, 0),
) -> AccidentOutcome:  # fmt: skip
    return AccidentOutcome(AccidentTrial(2.0, age_s, 1, safety), accidents, (200, 0), most, later)


def test_a_rise_breaks_the_rule_but_in_a_fresh_room_that_is_back_and_for_weather() -> None:
    rise = (805, 320)
    assert outcome(most=(150, 0), later=(150, 0)).holds
    assert not outcome(most=rise, later=rise).holds
    assert not outcome(most=rise).holds
    assert not outcome(most=(200, 20)).holds
    assert outcome(age_s=10.0, most=rise).holds
    assert not outcome(age_s=10.0, most=rise, later=(200, 20)).holds
    assert outcome(accidents=3, most=rise, later=rise).holds
    assert not outcome(accidents=3, most=rise, later=rise, safety=Safety.QUICK, age_s=600.0).holds


def test_the_page_has_a_line_for_each_outcome_and_says_whether_the_rule_holds() -> None:
    broken = outcome(most=(805, 320), later=(805, 320))
    text = accidents.page([], [outcome(age_s=600.0, accidents=3), broken], "abc")
    first = "| 1 min | 2 s | 1 | 1 | balanced | 200 | 805 | 805 | 0 | 320 | 320 | BROKEN |\n"
    assert first + "| 10 min | 2 s | 3 |" in text
    assert "It is BROKEN in 1 lines." in text
    assert "It holds in every line." in accidents.page([], [outcome()], "abc")
