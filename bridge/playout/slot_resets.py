"""Resets: what a member's slot resets drop, and after when its foundation may stand again.

Pure; instants are session timetags. What its sender sent before a reset and is due more than HANDED_AHEAD_MAX
after it is dropped: no scsynth can have been handed that already, so it is dropped everywhere alike.
Bound: RESETS_KEPT resets a slot.
"""

from bridge.playout.holdback_queue import Held
from relay.wire.sequence import HANDED_AHEAD_MAX

RESETS_KEPT = 64


class Resets:
    """The resets that were handed over, by slot."""

    def __init__(self) -> None:
        self._marks: dict[int, list[tuple[int, int]]] = {}

    def clear(self) -> None:
        """Forget them: another epoch."""
        self._marks.clear()

    def note(self, reset: Held) -> int:
        """Note a reset that is handed over; return the instant after which it drops what is due."""
        marks = self._marks.setdefault(reset.slot, [])
        marks.append((reset.due, reset.seq))
        del marks[:-RESETS_KEPT]
        return reset.due + HANDED_AHEAD_MAX

    def drop(self, held: Held) -> bool:
        """Tell whether a reset that its sender sent later drops the event."""
        return any(
            held.seq < seq and held.due > due + HANDED_AHEAD_MAX
            for due, seq in self._marks.get(held.slot, ())
        )

    def last_due(self, slot: int) -> int:
        """Return the due of the slot's last reset, 0 if there was none."""
        marks = self._marks.get(slot)
        return marks[-1][0] if marks else 0
