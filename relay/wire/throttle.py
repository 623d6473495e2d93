"""Throttle: lets one log line of a kind through in a while and counts the rest, so nobody can flood a log.

Pure. Instants in seconds of any clock that only goes forward. Bound: KINDS_MAX kinds; all further kinds share
one entry.
"""

from collections.abc import Hashable
from dataclasses import dataclass

EVERY_S = 60.0
KINDS_MAX = 256
"""A kind is a place in a program, and there are far fewer of those."""


@dataclass(slots=True)
class _Held:
    """The lines of a kind held back since the last line, or report of a number, was written."""

    told_at_s: float
    count: int = 0
    newest: str = ""


class Throttle:
    """The kinds of lines written lately."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Held] = {}

    def take(self, kind: Hashable, text: str, now_s: float) -> int | None:
        """Return None to hold a line back; else the number of lines of its kind held back before it."""
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
        """Return (newest line, number held back) for each kind that may be reported now.

        Their counts start anew. Kinds with no line held back are forgotten.
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
        """Return the instant (s) at which `overdue` next has a report; None if no line is held back."""
        return min((held.told_at_s + EVERY_S for held in self._kinds.values() if held.count), default=None)
