"""The most recent values of a figure, and their quantiles.

Pure. The values lie in an array of floats. A relay keeps a million of them, and Python's garbage collector
doesn't look into arrays. A float is exact for whole ticks up to 24 days.
"""

from array import array
from collections.abc import Iterable
from heapq import nlargest, nsmallest

from relay.wire.quantile import rank


class Recent:
    """The last `size` values added."""

    __slots__ = ("_kept", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept = array("d")

    def __len__(self) -> int:
        return min(len(self._kept), self._size)

    def add(self, figures: Iterable[float]) -> None:
        """Add values, the newest last."""
        self._kept.extend(figures)
        if len(self._kept) > 2 * self._size:
            del self._kept[: -self._size]

    def at_share(self, share: float) -> float | None:
        """Return the value at a share (0 to 1) of the values in ascending order; None if there are no values.
        Definition: `relay.wire.quantile`."""
        figures = self._kept[-self._size :]
        if not figures:
            return None
        nth = rank(share, len(figures))
        if nth <= len(figures) // 2:
            return nsmallest(nth, figures)[-1]
        return nlargest(len(figures) - nth + 1, figures)[-1]
