"""Quantiles by nearest rank, used for every p50 and p99 of the product and its laboratory. Pure.

The quantile at a share is the smallest value v such that at least that share of all values is <= v. So the
p99 of the numbers 1 to 100 is 99, and their p50 is 50. Source: Hyndman and Fan, The American Statistician 50
(1996), definition 1.
"""

from collections.abc import Sequence
from math import ceil
from typing import TypeVar

T = TypeVar("T", int, float)

ROUNDING = 1e-9
"""Tolerance for rounding errors. In floating point 0.07 of 100 is 7.000000000000001, which must count as
7."""


def quantile(ordered: Sequence[T], share: float) -> T | None:
    """Return the quantile at a share (0 to 1) of values in ascending order; None if there are none."""
    return ordered[rank(share, len(ordered)) - 1] if ordered else None


def rank(share: float, count: int) -> int:
    """Return the place of the quantile at a share (0 to 1) among `count` ascending values; 1 is the least."""
    return min(max(ceil(share * count - ROUNDING), 1), count)
