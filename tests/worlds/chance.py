"""Statistical bounds, for tests of the random network model."""

import math
from collections.abc import Callable, Sequence


def binomial_bounds(n: int, p: float, outside: float = 0.001) -> tuple[int, int]:
    """Return (low, high), the range in which a binomial count of n trials lies by chance.

    A count is below low with a probability of at most outside/2, and above high with the same. Computed
    exactly, by summing the probabilities.
    """
    log_n = math.lgamma(n + 1)
    below, low, high = 0.0, 0, n
    for k in range(n + 1):
        log_pmf = log_n - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        below += math.exp(log_pmf + k * math.log(p) + (n - k) * math.log(1.0 - p))
        if below <= outside / 2:
            low = k + 1
        if below >= 1.0 - outside / 2:
            high = k
            break
    return low, high


def ks_distance(values: Sequence[float], cdf: Callable[[float], float]) -> float:
    """Return the greatest difference between the values' distribution function and `cdf`.

    This is the Kolmogorov-Smirnov distance.
    """
    ordered = sorted(values)
    n = len(ordered)
    return max(max((i + 1) / n - cdf(value), cdf(value) - i / n) for i, value in enumerate(ordered))


def ks_two(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the greatest difference between the distribution functions of two samples.

    This is the Kolmogorov-Smirnov distance.
    """
    left, right = sorted(a), sorted(b)
    i = j = 0
    greatest = 0.0
    while i < len(left) and j < len(right):
        at = min(left[i], right[j])
        while i < len(left) and left[i] == at:
            i += 1
        while j < len(right) and right[j] == at:
            j += 1
        greatest = max(greatest, abs(i / len(left) - j / len(right)))
    return greatest


def ks_bound(n: int, outside: float = 0.001) -> float:
    """Return the distance that n random draws exceed with probability `outside`, for `ks_distance`.

    By Kolmogorov's limit for large n.
    """
    return math.sqrt(-math.log(outside / 2.0) / 2.0 / n)
