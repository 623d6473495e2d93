"""Stops: which events a slot reset drops, and when the live state of its member may be built.

Pure; instants are session timetags. A slot reset comes from a Stop in Sonic Pi, or from the relay if a member
is gone. It drops those earlier events of its sender that are due more than HANDED_AHEAD_MAX after it. No
scsynth can have been handed one of these already, so every member drops the same events. Bound: RESETS_KEPT
resets a slot.
"""

from bridge.playout.holdback_queue import Held, HoldbackQueue
from relay.wire.sequence import HANDED_AHEAD_MAX, reset_over_at
from relay.wire.timetag import ticks

RESETS_KEPT = 64
AFTER_RESET = ticks(0.001)
"""A live state is built this long (ticks) after the slot reset is over. If both had the same timetag, the
order of arrival at scsynth would decide which comes first."""


class Resets:
    """The slot resets of all members: those that were handed over, and those still in the queue."""

    def __init__(self, queue: HoldbackQueue) -> None:
        self._queue = queue
        self._marks: dict[int, list[tuple[int, int]]] = {}
        self._over_at: dict[int, int] = {}
        """Slot -> session instant at which its newest reset is over, of those that were handed over."""

    def clear(self) -> None:
        """Forget the resets that were handed over, because a new epoch of the relay began."""
        self._marks.clear()
        self._over_at.clear()

    def forget(self, slot: int) -> None:
        """Forget the resets of a slot, because its owner is gone."""
        self._marks.pop(slot, None)
        self._over_at.pop(slot, None)

    def take(self, reset: Held) -> list[Held]:
        """Record a slot reset that is handed over. Remove and return, in order, the queued events that it
        drops."""
        marks = self._marks.setdefault(reset.slot, [])
        marks.append((reset.due, reset.seq))
        del marks[:-RESETS_KEPT]
        self._over_at[reset.slot] = reset_over_at(reset.due, reset.flags)
        return self._queue.drop_before(reset.slot, reset.seq, reset.due + HANDED_AHEAD_MAX)

    def drop(self, held: Held) -> bool:
        """Return whether an event must be dropped, because a later slot reset of its sender was handed
        over."""
        return any(
            held.seq < seq and held.due > due + HANDED_AHEAD_MAX
            for due, seq in self._marks.get(held.slot, ())
        )

    def over_at(self, slot: int) -> int:
        """Return the session instant from which a slot may be built.

        It lies just after the slot's last reset, whether that was handed over or is still in the queue.
        """
        return max(self._queue.resets_over_at(slot), self._over_at.get(slot, 0)) + AFTER_RESET
