"""The byte budget: three times the plain bytes and 24 kbit/s. The last bytes are kept for requested
events."""

from hypothesis import given
from hypothesis import strategies as st

from relay.wire.budget import BURST_BYTES, RATE_BYTES_PER_S, RESERVE_BYTES, ByteBudget


@given(
    st.lists(
        st.tuples(st.floats(0, 5), st.integers(0, 1500), st.integers(0, 40_000), st.booleans()), max_size=80
    )
)
def test_whatever_is_wanted_the_bound_holds(wanted: list[tuple[float, int, int, bool]]) -> None:
    budget = ByteBudget()
    now_s, plain_bytes, total_bytes = 10.0, 0, 0
    budget.pass_time(now_s)
    for wait_s, plain, extra, unasked in wanted:
        now_s += wait_s
        budget.pass_time(now_s)
        extra = extra if (budget.spares(extra) if unasked else budget.affords(extra)) else 0
        budget.sent(plain, plain + extra)
        plain_bytes += plain
        total_bytes += plain + extra
        assert total_bytes <= 3 * plain_bytes + (now_s - 10.0) * RATE_BYTES_PER_S + BURST_BYTES + 1e-6


def test_what_was_asked_for_still_goes_when_nothing_is_left_for_copies() -> None:
    budget = ByteBudget()
    budget.sent(0, BURST_BYTES - RESERVE_BYTES)
    assert not budget.spares(1)
    assert budget.affords(RESERVE_BYTES)
    assert not budget.affords(RESERVE_BYTES + 1)


def test_what_is_spent_comes_back_with_time_and_with_events() -> None:
    budget = ByteBudget()
    budget.pass_time(5.0)
    budget.sent(0, BURST_BYTES)
    assert not budget.affords(1)
    assert budget.affords_from_s(300) == 5.0 + 300 / RATE_BYTES_PER_S
    budget.pass_time(6.0)
    assert budget.affords(3000)
    assert not budget.affords(3001)
    budget.sent(100, 100)
    assert budget.affords(3200)
    assert not budget.affords(3201)


def test_nothing_is_saved_up_beyond_the_burst() -> None:
    budget = ByteBudget()
    budget.pass_time(0.0)
    budget.pass_time(1e6)
    budget.sent(10_000, 10_000)
    assert not budget.affords(BURST_BYTES + 1)
