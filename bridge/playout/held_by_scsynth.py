"""Held by scsynth: the events that scsynth holds before their due, and how far in the room's order it has
run.

Pure.
"""

import heapq

from relay.wire.sequence import OrderKey


class AtSynth:
    """The events that scsynth holds, by their place in the room's order."""

    def __init__(self) -> None:
        self._held: list[OrderKey] = []
        self._run: OrderKey = (0, 0)
        """The place in the room's order of the last event that scsynth has run or is about to run. No event
        can be run before that one any more."""

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: OrderKey) -> None:
        """Note that scsynth was handed an event."""
        heapq.heappush(self._held, key)

    def run(self, until: int) -> None:
        """Note that scsynth has run, or is about to run, all its events due at or before session instant
        `until`."""
        while self._held and self._held[0][0] <= until:
            self._run = max(self._run, heapq.heappop(self._held))

    def has_passed(self, key: OrderKey) -> bool:
        """Return whether scsynth has run an event that belongs behind this one."""
        return key < self._run

    def forget(self) -> None:
        """Forget everything: session time was set, so events at scsynth have dues of the old time."""
        self._held.clear()
        self._run = (0, 0)
