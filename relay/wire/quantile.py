"""Quantiles by nearest rank: the one definition of a p50 or p99 in the product and its laboratory. Pure.

A quantile is always one of the values: the least value that is >= at least `share` of all values. So the p99
of 1 to 100 is 99, and the p50 is 50. Source: Hyndman and Fan, The American Statistician 50 (1996), definition
1.
"""

from collections.abc import Sequence
from math import ceil
from typing import TypeVar

T = TypeVar("T", int, float)

ROUNDING = 1e-9
"""Tolerance: in floating point 0.07 of 100 is 7.000000000000001, and that must count as the 7th."""


def quantile(ordered: Sequence[T], share: float) -> T | None:
    """Return the value at a share (0 to 1) of the ascending values; None if there are none."""
    return ordered[rank(share, len(ordered)) - 1] if ordered else None


def rank(share: float, count: int) -> int:
    """Return the rank (1 for the least) of the value at a share (0 to 1) among `count` ascending values."""
    return min(max(ceil(share * count - ROUNDING), 1), count)
