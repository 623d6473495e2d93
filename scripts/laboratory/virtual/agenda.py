"""Agenda of a virtual jam: everything that is to happen, and the true instant of each.

Pure. One integer counts true nanoseconds. Of two actions at the same instant, the one entered first is done
first.
"""

import heapq
from collections.abc import Callable


class Agenda:
    """True time, and the actions that are to be done in it."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._entries = 0

    def at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Enter an action to be done at a true instant (ns), or now if that has passed."""
        self._entries += 1
        heapq.heappush(self._heap, (max(true_ns, self.now_ns), self._entries, action))

    def at_s(self, true_s: float, action: Callable[[], None]) -> None:
        """Enter an action to be done at a true instant in seconds."""
        self.at(round(true_s * 1e9), action)

    def run(self, until_s: float) -> None:
        """Let time pass until a true instant (s), and do the actions that are due by then."""
        until_ns = round(until_s * 1e9)
        while self._heap and self._heap[0][0] <= until_ns:
            self.now_ns, _, action = heapq.heappop(self._heap)
            action()
        self.now_ns = until_ns
