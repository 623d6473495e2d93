"""Quantiles by nearest rank: the one definition of a p50 or a p99 in the product and its laboratory. Pure.

The quantile is always one of the values: the least that at least `share` of all don't exceed. So of 1 to 100
the p99 is 99 and the p50 is 50. Source: Hyndman and Fan, The American Statistician 50 (1996), definition 1.
"""

from collections.abc import Sequence
from math import ceil
from typing import TypeVar

T = TypeVar("T", int, float)

ROUNDING = 1e-9
"""0.07 of 100 is 7.000000000000001 in floating point, and still the 7th."""


def quantile(ordered: Sequence[T], share: float) -> T | None:
    """Return the value at a share (0 to 1) of values in ascending order; None of none."""
    if not ordered:
        return None
    rank = ceil(share * len(ordered) - ROUNDING)
    return ordered[min(max(rank, 1), len(ordered)) - 1]
