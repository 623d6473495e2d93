"""Throttle: of lines of a kind one in a while, the rest counted, so that nobody can flood a log.

Pure. Instants in seconds of any clock that only goes forward. Bound: KINDS_MAX kinds; what is new beyond them
is one kind together.
"""

from collections.abc import Hashable
from dataclasses import dataclass

EVERY_S = 60.0
KINDS_MAX = 256
"""A kind is a place in a program, so that there are far fewer."""


@dataclass(slots=True)
class _Held:
    """What was held back of a kind since a line of it, or their number, was told."""

    told_at_s: float
    count: int = 0
    newest: str = ""


class Throttle:
    """What was told lately, by kind."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Held] = {}

    def take(self, kind: Hashable, text: str, now_s: float) -> int | None:
        """Return None to hold a line back; else how many were held back since the one before it."""
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
        """Return what may be told now of lines held back: the newest of each kind, and how many there were.

        They count anew from now on; kinds of which nothing was held back are forgotten.
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
        """Return when `overdue` has something to tell; None if nothing is held back."""
        return min((held.told_at_s + EVERY_S for held in self._kinds.values() if held.count), default=None)
