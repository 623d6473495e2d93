"""Notices to the player: why there is no connection, once for each reason, and when there is one again."""

import pytest

from bridge.session.connection_status import AGAIN_AFTER_NS, REASONS_MAX, Standing
from bridge.session.states import Event, State

S = 1_000_000_000
GONE, FULL = "jam.example:7707 refused the connection", "the relay says: room main is full (2 of 2)"


def told(standing: Standing, *reasons: tuple[float, str | None]) -> list[str]:
    return [news.text for at_s, reason in reasons for news in standing.out(reason, round(at_s * S))]


def test_a_reason_that_stays_is_told_once_as_a_warning() -> None:
    standing = Standing()
    (news,) = standing.out(GONE, 0)
    assert news.warning
    assert news.text == f"you play alone for now: {GONE}"
    assert told(standing, *((at_s, GONE) for at_s in range(1, 4000))) == []


def test_another_reason_is_told_when_it_comes() -> None:
    lines = told(Standing(), (0, GONE), (1, FULL), (2, FULL), (3, "another key"))
    assert [line.partition(": ")[2] for line in lines] == [GONE, FULL, "another key"]


def test_two_reasons_that_take_turns_are_told_once_a_minute_at_most() -> None:
    turns = [(float(at_s), (GONE, FULL)[at_s % 2]) for at_s in range(180)]
    assert AGAIN_AFTER_NS == 60 * S
    assert len(told(Standing(), *turns)) == 6


def test_that_there_is_no_relay_is_told_only_where_no_reason_is_known() -> None:
    standing = Standing()
    assert [news.text for news in standing.away(0)] == ["you play alone for now: the relay is away"]
    assert standing.away(S) == []
    assert told(standing, (2, GONE)) != []
    assert standing.away(3 * S) == []


@pytest.mark.parametrize("welcomed", [True, False])
def test_that_the_connection_ended_is_told_who_was_in_the_room(welcomed: bool) -> None:
    standing = Standing()
    standing.see(Event.HELLO)
    if welcomed:
        standing.see(Event.WELCOME)
    assert bool(standing.ended(0)) is welcomed
    assert standing.state is State.ALONE


def test_to_be_back_is_told_once_and_the_same_reason_is_told_anew_afterwards() -> None:
    standing = Standing()
    assert [news.text for news in standing.inside("in room main")] == ["in room main"]
    assert not standing.is_out
    told(standing, (1, GONE), (2, FULL))
    assert standing.is_out
    (news,) = standing.inside("in room main as ann")
    assert (news.text, news.warning) == ("back in room main as ann", False)
    assert not standing.is_out
    assert len(told(standing, (3, GONE))) == 1


def test_who_was_refused_at_first_is_not_back_when_let_in() -> None:
    standing = Standing()
    told(standing, (0, FULL))
    assert [news.text for news in standing.inside("in room main")] == ["in room main"]


def test_no_reason_is_nothing_to_tell() -> None:
    assert told(Standing(), (0, None)) == []


def test_a_relay_that_says_something_else_each_time_costs_bounded_memory() -> None:
    standing = Standing()
    told(standing, *((at_s, f"the relay says: {at_s}") for at_s in range(100)))
    assert len(standing._told_at_ns) == REASONS_MAX
