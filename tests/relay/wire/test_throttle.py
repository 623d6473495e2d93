"""The throttle of log lines: one line a minute of each kind; the others are counted and reported once."""

from hypothesis import given
from hypothesis import strategies as st

from relay.wire.throttle import EVERY_S, KINDS_MAX, Throttle


def test_one_line_of_a_kind_passes_within_a_minute_and_the_next_says_how_many_did_not() -> None:
    throttle = Throttle()
    assert throttle.take("full", "full 1", 5.0) == 0
    assert [throttle.take("full", "full", 5.0 + at) for at in (0.0, 1.0, 59.9)] == [None] * 3
    assert throttle.take("other", "other", 6.0) == 0
    assert throttle.take("full", "full 5", 65.0) == 3
    assert throttle.take("full", "full 6", 124.9) is None
    assert throttle.take("full", "full 7", 125.0) == 1


def test_the_number_is_told_without_another_line_once_its_minute_is_over() -> None:
    throttle = Throttle()
    throttle.take("full", "full", 5.0)
    assert throttle.next_overdue_s() is None
    throttle.take("full", "full 2", 6.0)
    throttle.take("full", "full 3", 7.0)
    assert throttle.next_overdue_s() == 65.0
    assert throttle.overdue(64.9) == []
    assert throttle.overdue(65.0) == [("full 3", 2)]
    assert throttle.overdue(200.0) == []
    assert throttle.next_overdue_s() is None


def test_a_number_counts_as_a_line_of_its_minute() -> None:
    throttle = Throttle()
    for at_s in (0.0, 1.0):
        throttle.take("full", "full", at_s)
    assert throttle.overdue(60.0) == [("full", 1)]
    assert throttle.take("full", "full", 119.0) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 50.0)), max_size=80))
def test_every_line_is_told_or_counted_exactly_once(steps: list[tuple[int, float]]) -> None:
    throttle, now_s, accounted = Throttle(), 0.0, 0
    for kind, later_s in steps:
        now_s += later_s
        told = throttle.take(kind, "line", now_s)
        accounted += 0 if told is None else 1 + told
        if later_s > 25.0:
            accounted += sum(count for _, count in throttle.overdue(now_s))
    accounted += sum(count for _, count in throttle.overdue(now_s + EVERY_S))
    assert accounted == len(steps)


def test_more_kinds_than_there_can_be_take_no_more_memory_and_share_a_line() -> None:
    throttle = Throttle()
    passed = [throttle.take(kind, "line", 0.0) for kind in range(10 * KINDS_MAX)]
    assert passed.count(0) == KINDS_MAX + 1
    assert throttle.overdue(EVERY_S) == [("line", 9 * KINDS_MAX - 1)]
