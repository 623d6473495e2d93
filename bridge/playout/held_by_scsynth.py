"""Held by scsynth: the events that scsynth was handed and hasn't run yet.

Pure. It also records how far scsynth has run in the room's order.
"""

import heapq

from relay.wire.sequence import OrderKey


class AtSynth:
    """The events that scsynth holds, by their place in the room's order: (due, room number)."""

    def __init__(self) -> None:
        self._held: list[OrderKey] = []
        self._run: OrderKey = (0, 0)
        """The last place in the room's order that scsynth has run or is about to run. An event that belongs
        before this place comes too late for it."""

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: OrderKey) -> None:
        """Note that scsynth was handed the event at place `key` of the room's order."""
        heapq.heappush(self._held, key)

    def run(self, until: int) -> None:
        """Note that scsynth has run, or is about to run, all its events due at or before `until` (session
        ticks)."""
        while self._held and self._held[0][0] <= until:
            self._run = max(self._run, heapq.heappop(self._held))

    def has_passed(self, key: OrderKey) -> bool:
        """Return whether scsynth has run an event that belongs behind place `key` of the room's order."""
        return key < self._run

    def forget(self) -> None:
        """Forget all events, because session time was set in one step and their dues are in the old time."""
        self._held.clear()
        self._run = (0, 0)
