"""Retries: the pauses of a bridge before it tries its relay again.

Pure; the dice come from the shell. When a relay restarts, all members lose it at one instant. Each pause is
drawn at random between half of a limit and the limit ("equal jitter", Brooker 2015). So members don't return
at one instant.
"""

from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 5.0
GROWS_BY = 1.5
AGAIN_S = 0.1
"""Pause after a connection that worked, so that a member with a broken path is back before it is missed."""


class Retries:
    """The pauses of one bridge."""

    def __init__(self, dice: Callable[[], float]) -> None:
        """dice: returns a number from 0 (included) to 1 (excluded)."""
        self._dice = dice
        self._longest_s = FIRST_S

    def pause_s(self) -> float:
        """Return the pause (s) after an attempt that failed. The limit grows with each failed attempt."""
        pause_s, self._longest_s = self._drawn(self._longest_s), min(self._longest_s * GROWS_BY, LONGEST_S)
        return pause_s

    def again_s(self) -> float:
        """Return the pause (s) after a connection that worked for a while. The next failure counts as the
        first."""
        self._longest_s = FIRST_S
        return self._drawn(AGAIN_S)

    def _drawn(self, longest_s: float) -> float:
        return longest_s * (0.5 + 0.5 * self._dice())
