"""Observers (such as the event log): one that fails is switched off and reported once; its caller goes on."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from relay.wire.errors import LocalError
from relay.wire.observers import Observers


def failing(error: Exception, calls: list[str]) -> Callable[[], None]:
    def observe() -> None:
        calls.append("called")
        raise error

    return observe


@pytest.mark.parametrize(
    "error", [LocalError("no room; make some"), OSError(28, "No space left"), ValueError("x")]
)
def test_an_observer_that_fails_is_called_no_more_and_others_are(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    observers, calls = Observers(), list[str]()
    for _ in range(3):
        assert observers.tell("the log", failing(error, calls)) is None
        assert observers.tell("the check", lambda: len(calls)) == 1
    assert observers.off == ["the log"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "the log is off from now on, the music goes on without it" in record.getMessage()
    assert str(error) in record.getMessage()
    assert (record.exc_info is not None) == isinstance(error, ValueError), "ours is told with its place"


async def test_a_task_that_fails_ends_nobody_who_waits_for_it(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        raise ValueError("no answer that makes sense")

    observers = Observers()
    await observers.attend("the check of the clock", check())
    assert observers.off == ["the check of the clock"]
    assert len(caplog.records) == 1


async def test_a_task_that_is_cancelled_has_not_failed() -> None:
    observers = Observers()
    task = asyncio.create_task(observers.attend("the check", asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert observers.off == []
