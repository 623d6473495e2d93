"""Resets: what a member's slot resets drop, and after when its foundation may stand again.

Pure; instants are session timetags. What its sender sent before a reset and is due more than HANDED_AHEAD_MAX
after it is dropped: no scsynth can have been handed that already, so it is dropped everywhere alike.
Bound: RESETS_KEPT resets a slot.
"""

from bridge.playout.holdback_queue import Held, HoldbackQueue
from relay.wire.sequence import HANDED_AHEAD_MAX
from relay.wire.timetag import ticks

RESETS_KEPT = 64
AFTER_RESET = ticks(0.001)
"""What is built anew after a slot reset is due this much later: scsynth takes equal timetags as they come."""


class Resets:
    """The resets that were handed over, by slot, and those that are held still."""

    def __init__(self, queue: HoldbackQueue) -> None:
        self._queue = queue
        self._marks: dict[int, list[tuple[int, int]]] = {}

    def clear(self) -> None:
        """Forget them: another epoch."""
        self._marks.clear()

    def take(self, reset: Held) -> list[Held]:
        """Note a reset that is handed over; take out what it drops of the queue, and return that in order."""
        marks = self._marks.setdefault(reset.slot, [])
        marks.append((reset.due, reset.seq))
        del marks[:-RESETS_KEPT]
        return self._queue.drop_before(reset.slot, reset.seq, reset.due + HANDED_AHEAD_MAX)

    def drop(self, held: Held) -> bool:
        """Tell whether a reset that its sender sent later drops the event."""
        return any(
            held.seq < seq and held.due > due + HANDED_AHEAD_MAX
            for due, seq in self._marks.get(held.slot, ())
        )

    def over_at(self, slot: int) -> int:
        """Return the session instant from which on the slot's foundation may stand: all its resets, those to
        come included, are over then."""
        marks = self._marks.get(slot)
        last_due = marks[-1][0] if marks else 0
        return max(self._queue.next_reset(slot), last_due) + AFTER_RESET
