"""Observers: code beside the music (logs, checks, notes for later), called only from here, guarded.

Pure. The music can do without each observer, so no observer's exception may reach it. An observer that fails
once is switched off for good, with one warning that says why. Callers flush waiting datagrams first.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from relay.wire.errors import LocalError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Observers:
    """The observers of one process, by name."""

    def __init__(self) -> None:
        self.off: list[str] = []
        """The names of the observers that have failed."""

    def tell(self, name: str, observe: Callable[[], T]) -> T | None:
        """Call an observer unless it has failed before. Return its result, or None if it is off."""
        if name not in self.off:
            try:
                return observe()
            except Exception as error:
                self.dismiss(name, error)
        return None

    async def attend(self, name: str, observing: Awaitable[object]) -> None:
        """Await an observer that is a task. Its cancellation is no failure."""
        try:
            await observing
        except Exception as error:
            self.dismiss(name, error)

    def dismiss(self, name: str, error: Exception) -> None:
        """Switch an observer off and log why: in words if the system is at fault, else with a traceback."""
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
