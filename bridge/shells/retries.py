"""Retries: how long a bridge pauses before it asks its relay again.

Pure; the dice are the shell's. When a relay starts anew all its members have lost it at one instant. Each
pause is drawn from its upper half ("equal jitter", Brooker 2015), so that they don't come back at one instant
too, and no pause is longer than it may be.
"""

from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 5.0
GROWS_BY = 1.5
AGAIN_S = 0.1
"""After a connection on which the room was heard: whoever only lost its way is back before it is missed."""


class Retries:
    """The pauses of one bridge."""

    def __init__(self, dice: Callable[[], float]) -> None:
        """dice: returns a number from 0 up to 1."""
        self._dice = dice
        self._longest_s = FIRST_S

    def pause_s(self) -> float:
        """Return the pause after an attempt that failed; each may be longer than the one before."""
        pause_s, self._longest_s = self._drawn(self._longest_s), min(self._longest_s * GROWS_BY, LONGEST_S)
        return pause_s

    def again_s(self) -> float:
        """Return the pause after an attempt that succeeded for a while; the next failure is a first one."""
        self._longest_s = FIRST_S
        return self._drawn(AGAIN_S)

    def _drawn(self, longest_s: float) -> float:
        return longest_s * (0.5 + 0.5 * self._dice())
