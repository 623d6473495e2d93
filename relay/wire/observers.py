"""Observers: calls code that watches the music but isn't needed to play it, such as logs and checks.

Pure. An observer's exception never stops the music. An observer that fails once is switched off for good,
with one warning that gives the reason. Callers send waiting datagrams first, so that a slow observer doesn't
delay them.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from relay.wire.errors import LocalError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Observers:
    """Calls the observers of one process, and keeps the names of those switched off."""

    def __init__(self) -> None:
        self.off: list[str] = []
        """The names of the observers that failed and are switched off, in the order of their failures."""

    def tell(self, name: str, observe: Callable[[], T]) -> T | None:
        """Call the observer `name`, if it isn't switched off.

        Return its result; None if it is switched off or fails now.
        """
        if name not in self.off:
            try:
                return observe()
            except Exception as error:
                self.dismiss(name, error)
        return None

    async def attend(self, name: str, observing: Awaitable[object]) -> None:
        """Await an observer that is a task, and switch it off if it raises an exception. Cancelling the task
        isn't a failure."""
        try:
            await observing
        except Exception as error:
            self.dismiss(name, error)

    def dismiss(self, name: str, error: Exception) -> None:
        """Switch an observer off and log the reason once.

        The log has a traceback, except for errors of the system or the user (OSError, LocalError).
        """
        if name in self.off:
            return
        ours = not isinstance(error, LocalError | OSError)
        why = f"our fault: {type(error).__name__}: {error}" if ours else str(error)
        self.off.append(name)
        log.warning(
            "%s is off from now on, the music goes on without it: %s",
            name,
            why,
            exc_info=error if ours else None,
        )
