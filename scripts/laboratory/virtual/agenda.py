"""Agenda of a virtual jam: a queue of actions, each with the true instant at which to run it.

Pure. True time is an integer count of nanoseconds. Of two actions at the same instant, the one entered first
runs first.
"""

import heapq
from collections.abc import Callable


class Agenda:
    """True time, and the queue of actions to run."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._entries = 0

    def at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Enter an action to run at a true instant (ns), or now if that instant has passed."""
        self._entries += 1
        heapq.heappush(self._heap, (max(true_ns, self.now_ns), self._entries, action))

    def at_s(self, true_s: float, action: Callable[[], None]) -> None:
        """Enter an action to run at a true instant in seconds, or now if that instant has passed."""
        self.at(round(true_s * 1e9), action)

    def run(self, until_s: float) -> None:
        """Advance true time to an instant (s), and run the actions that are due by then."""
        until_ns = round(until_s * 1e9)
        while self._heap and self._heap[0][0] <= until_ns:
            self.now_ns, _, action = heapq.heappop(self._heap)
            action()
        self.now_ns = until_ns
