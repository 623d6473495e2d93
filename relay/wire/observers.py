"""Observers: what looks on beside the music (logs, checks, notes for later), called from here alone, guarded.

Pure. The music can do without each of them, so none may throw into its path: an observer that fails once is
off from then on, for good, and one warning says why. Whoever calls them sends first what waits to be sent.
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
        """Those that have failed."""

    def tell(self, name: str, observe: Callable[[], T]) -> T | None:
        """Call an observer, unless it has failed before; return what it returns, None if it is off."""
        if name not in self.off:
            try:
                return observe()
            except Exception as error:
                self.dismiss(name, error)
        return None

    async def attend(self, name: str, observing: Awaitable[object]) -> None:
        """Wait for an observer that is a task of its own. Being cancelled is its end, not its failure."""
        try:
            await observing
        except Exception as error:
            self.dismiss(name, error)

    def dismiss(self, name: str, error: Exception) -> None:
        """Switch an observer off, and say why: in words if it is the system's fault, else with the place."""
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
