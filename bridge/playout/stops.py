"""Stops: decides which events a slot reset drops, and when the foundation of its member may be built again.

Pure; instants are session timetags. A Stop in Sonic Pi resets the slot of its member. A reset drops earlier
events of its sender that are due more than HANDED_AHEAD_MAX after it. No scsynth can have been handed one of
these already, so they are dropped everywhere alike. Bound: RESETS_KEPT resets a slot.
"""

from bridge.playout.holdback_queue import Held, HoldbackQueue
from relay.wire.sequence import HANDED_AHEAD_MAX
from relay.wire.timetag import ticks

RESETS_KEPT = 64
AFTER_RESET = ticks(0.001)
"""A foundation is rebuilt this long (ticks) after the slot reset. With the reset's own timetag the order of
arrival at scsynth would decide which comes first."""


class Resets:
    """The resets that were handed over, by slot, and those still in the queue."""

    def __init__(self, queue: HoldbackQueue) -> None:
        self._queue = queue
        self._marks: dict[int, list[tuple[int, int]]] = {}

    def clear(self) -> None:
        """Forget the resets, because another epoch began."""
        self._marks.clear()

    def take(self, reset: Held) -> list[Held]:
        """Note a reset that is handed over. Remove and return, in order, the queued events that it drops."""
        marks = self._marks.setdefault(reset.slot, [])
        marks.append((reset.due, reset.seq))
        del marks[:-RESETS_KEPT]
        return self._queue.drop_before(reset.slot, reset.seq, reset.due + HANDED_AHEAD_MAX)

    def drop(self, held: Held) -> bool:
        """Return whether a later reset of its sender drops the event."""
        return any(
            held.seq < seq and held.due > due + HANDED_AHEAD_MAX
            for due, seq in self._marks.get(held.slot, ())
        )

    def over_at(self, slot: int) -> int:
        """Return the session instant from which the slot's foundation may be built.

        All its resets, queued ones included, are over by then.
        """
        marks = self._marks.get(slot)
        last_due = marks[-1][0] if marks else 0
        return max(self._queue.next_reset(slot), last_due) + AFTER_RESET
