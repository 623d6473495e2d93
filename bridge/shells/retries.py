"""Retries: the pauses of a bridge before it tries to reach its relay again.

Pure; random numbers come from the shell. When a relay restarts, all members lose it at one instant. So that
they don't return at one instant, each pause is drawn at random between half of a limit and the limit ("equal
jitter", Brooker 2015).
"""

from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 5.0
GROWS_BY = 1.5
AGAIN_S = 0.1
"""The limit of the pause (s) after a connection that worked. It is short, so that a member whose connection
broke is back before anybody misses it."""


class Retries:
    """The pauses of one bridge."""

    def __init__(self, dice: Callable[[], float]) -> None:
        """dice: returns a random number from 0 (included) to 1 (excluded)."""
        self._dice = dice
        self._longest_s = FIRST_S

    def pause_s(self) -> float:
        """Return the pause (s) after an attempt that failed. Its limit grows with each failed attempt."""
        pause_s, self._longest_s = self._drawn(self._longest_s), min(self._longest_s * GROWS_BY, LONGEST_S)
        return pause_s

    def again_s(self) -> float:
        """Return the pause (s) after a connection that worked. The limit for `pause_s` is reset to
        FIRST_S."""
        self._longest_s = FIRST_S
        return self._drawn(AGAIN_S)

    def _drawn(self, longest_s: float) -> float:
        return longest_s * (0.5 + 0.5 * self._dice())
