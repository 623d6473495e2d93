"""At scsynth: what it was handed before its due, and how far it has run.

Pure.
"""

import heapq

from relay.wire.sequence import OrderKey


class AtSynth:
    """The events that scsynth holds, by their place in the room's order."""

    def __init__(self) -> None:
        self._held: list[OrderKey] = []
        self._run: OrderKey = (0, 0)
        """The last in the room's order of what it has run, or takes no other before any more."""

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: OrderKey) -> None:
        """Note that it was handed an event."""
        heapq.heappush(self._held, key)

    def run(self, until: int) -> None:
        """Note what it has run, or is about to, at the session instant `until`."""
        while self._held and self._held[0][0] <= until:
            self._run = max(self._run, heapq.heappop(self._held))

    def has_passed(self, key: OrderKey) -> bool:
        """Tell whether it has run something that belongs behind this."""
        return key < self._run

    def forget(self) -> None:
        """Forget it all: session time was set, so that what it has was due by another one."""
        self._held.clear()
        self._run = (0, 0)
