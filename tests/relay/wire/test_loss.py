"""The loss meter: which events count as lost, and when a path counts as lossy."""

from relay.wire.loss import ASKED_MIN, KNOWN_FROM, LOSSY_FROM, MEMORY, STEP_S, WINDOW_STEPS, LossMeter
from tests.worlds import carried


def sent(meter: LossMeter, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        meter.sent(number)


def test_a_way_is_taken_for_a_lossy_one_until_it_has_carried_enough_without_loss() -> None:
    meter = LossMeter()
    sent(meter, KNOWN_FROM - 1)
    meter.pass_time(0.0)
    meter.pass_time(10 * WINDOW_STEPS * STEP_S)
    assert meter.lossy, "time alone tells nothing"
    meter.sent(KNOWN_FROM)
    assert not meter.lossy


def test_a_way_that_loses_events_from_the_first_on_is_never_taken_for_a_clean_one() -> None:
    meter = LossMeter()
    for number in range(1, 2 * KNOWN_FROM):
        meter.sent(number)
        if number % 100 == 0:
            meter.asked(number)
        assert meter.lossy


def test_one_lost_event_is_chance_and_two_of_few_are_loss() -> None:
    meter = LossMeter()
    carried.much(meter)
    sent(meter, 100)
    meter.asked(7)
    assert not meter.lossy
    meter.asked(8)
    assert meter.lossy


def test_a_number_counts_once_however_often_it_is_asked_for() -> None:
    meter = LossMeter()
    carried.much(meter)
    sent(meter, 100)
    for _ in range(50):
        meter.asked(7)
    assert not meter.lossy
    assert meter.share == 1 / (KNOWN_FROM + 100)


def test_less_than_a_thousandth_is_not_worth_copies_and_a_thousandth_is() -> None:
    meter = LossMeter()
    sent(meter, 10_000)
    needed = round(LOSSY_FROM * 10_000)
    assert needed > ASKED_MIN
    for number in range(1, needed):
        meter.asked(number)
    assert not meter.lossy
    meter.asked(needed)
    assert meter.lossy


def test_what_was_never_sent_here_is_no_loss() -> None:
    meter = LossMeter()
    meter.asked(1)
    sent(meter, 10, first=1000)
    for number in (1, 2, 999, 1010, 2**63):
        meter.asked(number)
    assert meter.share == 0.0


def test_after_a_minute_without_loss_it_is_over_and_not_before() -> None:
    meter = LossMeter()
    meter.pass_time(0.0)
    sent(meter, 10)
    meter.asked(1)
    meter.asked(2)
    for step in range(1, WINDOW_STEPS + 1):
        assert meter.lossy, f"forgotten after {(step - 1) * STEP_S} s"
        sent(meter, 200, first=10 + step * 200)
        meter.pass_time(step * STEP_S)
    assert not meter.lossy
    assert meter.share == 0.0


def test_at_the_limit_it_does_not_change_its_mind_with_every_event() -> None:
    meter = LossMeter()
    meter.pass_time(0.0)
    sent(meter, 2000)
    meter.asked(1)
    meter.asked(2)
    assert meter.lossy
    sent(meter, 800, first=2001)  # 2 of 2,800 are less than a thousandth, and more than half of one
    meter.pass_time(STEP_S)
    assert meter.lossy
    sent(meter, 2000, first=2801)
    meter.pass_time(2 * STEP_S)
    assert not meter.lossy


def test_a_liar_that_asks_for_everything_costs_bounded_memory() -> None:
    meter = LossMeter()
    sent(meter, 3 * MEMORY)
    for number in range(1, 3 * MEMORY + 1):
        meter.asked(number)
    assert len(meter._asked_before) == MEMORY
