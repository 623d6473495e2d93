from clock.model import NS_PER_S, Reading
from clock.wallcheck import step_of_wall


def test_a_wall_clock_that_runs_along_has_not_moved() -> None:
    assert step_of_wall(Reading(5, 1000), Reading(5 + NS_PER_S, 1000 + NS_PER_S)) == 0


def test_a_wall_clock_set_forward_shows_as_positive_to_the_nanosecond() -> None:
    now_ns = 1_800_000_000 * NS_PER_S
    assert step_of_wall(Reading(0, now_ns), Reading(NS_PER_S, now_ns + NS_PER_S + 17)) == 17


def test_a_wall_clock_set_back_shows_as_negative() -> None:
    assert step_of_wall(Reading(0, 0), Reading(NS_PER_S, -NS_PER_S)) == -2 * NS_PER_S


def test_sleep_with_the_local_clock_stopped_shows_as_its_length() -> None:
    assert step_of_wall(Reading(100, 0), Reading(101, 3600 * NS_PER_S + 1)) == 3600 * NS_PER_S
