"""Throttle: passes one log line of each kind every EVERY_S and counts the others, so that nobody can flood a
log.

Pure. Instants are seconds of any clock that only goes forward. Bound: KINDS_MAX kinds are distinguished.
Lines of further kinds share one count.
"""

from collections.abc import Hashable
from dataclasses import dataclass

EVERY_S = 60.0
KINDS_MAX = 256
"""Greatest number of kinds of lines that are distinguished. Each kind is a place in the program; far fewer
places write lines."""


@dataclass(slots=True)
class _Held:
    """The lines of one kind that are held back.

    told_at_s: instant (s) at which a line of this kind, or the count of its lines held back, was last
    written. count: how many lines were held back since. newest: the last of them.
    """

    told_at_s: float
    count: int = 0
    newest: str = ""


class Throttle:
    """Decides which log lines may be written, and counts the lines held back, for each kind of line."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Held] = {}

    def take(self, kind: Hashable, text: str, now_s: float) -> int | None:
        """Decide about one line: return None if it must be held back. Otherwise return how many lines of its
        kind were held back before it.

        kind: any value that is the same for lines of one kind. text: the line. now_s: the present, s.
        """
        if kind not in self._kinds and len(self._kinds) >= KINDS_MAX:
            kind = None
        held = self._kinds.get(kind)
        if held is not None and now_s < held.told_at_s + EVERY_S:
            held.count += 1
            held.newest = text
            return None
        self._kinds[kind] = _Held(now_s)
        return held.count if held is not None else 0

    def overdue(self, now_s: float) -> list[tuple[str, int]]:
        """Return (newest line, count of lines held back) for each kind whose count may be written now.

        These counts start at 0 again. A kind without a line for EVERY_S is forgotten.
        """
        told: list[tuple[str, int]] = []
        for kind, held in list(self._kinds.items()):
            if now_s < held.told_at_s + EVERY_S:
                continue
            if held.count:
                told.append((held.newest, held.count))
                self._kinds[kind] = _Held(now_s)
            else:
                del self._kinds[kind]
        return told

    def next_overdue_s(self) -> float | None:
        """Return the instant (s) at which `overdue` next returns a count; None if no line is held back."""
        return min((held.told_at_s + EVERY_S for held in self._kinds.values() if held.count), default=None)
