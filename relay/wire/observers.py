"""Observers: code that watches the music but isn't needed to play it, such as logs and checks.

Pure. Observers are called only through this module, so that no exception of theirs stops the music. An
observer that fails once is switched off for good, with one warning that says why. Callers first send the
datagrams that wait, so that a slow observer doesn't delay them.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from relay.wire.errors import LocalError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Observers:
    """Calls the observers of one process, and knows by name which are switched off."""

    def __init__(self) -> None:
        self.off: list[str] = []
        """The names of the observers that have failed and are switched off, in the order of failing."""

    def tell(self, name: str, observe: Callable[[], T]) -> T | None:
        """Call the observer `name` unless it is switched off.

        Return its result; None if it is switched off or fails now.
        """
        if name not in self.off:
            try:
                return observe()
            except Exception as error:
                self.dismiss(name, error)
        return None

    async def attend(self, name: str, observing: Awaitable[object]) -> None:
        """Await an observer that is a task. It fails if it raises an exception, but not if it is
        cancelled."""
        try:
            await observing
        except Exception as error:
            self.dismiss(name, error)

    def dismiss(self, name: str, error: Exception) -> None:
        """Switch an observer off and log the reason once.

        The log has a traceback unless the system or the user is at fault (OSError, LocalError).
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
