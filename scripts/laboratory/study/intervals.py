"""Intervals: computes the intervals of shares, of differences of two shares, and of means of a few runs.
Pure.

Events of one run aren't independent: a burst takes many at once. So two intervals are computed for every
share. The result is their hull, from the lower of their low ends to the higher of their high ends:

* Wilson's, of all events pooled. It is right when events fail one by one, and not too narrow at 0 failures.
* Student's t over the shares of the runs, which differ by seed. It is right whatever happens inside a run.
  But when no run failed at all its width is 0.

A bootstrap over runs isn't used. With three runs it has ten different resamples, and its interval is too
narrow (Davison and Hinkley 1997, section 2.5: small samples). Student's t with two degrees of freedom is
wide, but not too narrow. Neither interval shows whether events depend on each other in runs without a
failure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import ndtri, stdtrit

Count = tuple[int, int]
"""(number of faulty events, number of all events) of one run."""

RULE_OF_THREE = 3.0
"""Numerator of the 95 % upper bound for 0 of n, which is 3 / n. Source: Hanley and Lippman-Hand, JAMA 249
(1983)."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of events with its interval. low <= value <= high, all from 0 to 1."""

    bad: int
    events: int
    runs: int
    value: float
    low: float
    high: float

    @property
    def interval(self) -> str:
        """The interval as text, such as "0.9–1.6 %"."""
        return f"{percent(self.low).removesuffix(' %')}–{percent(self.high)}"

    def __str__(self) -> str:
        return f"{percent(self.value)} ({self.interval}) of {self.events:,}"


def percent(share: float) -> str:
    """Return a share as text: "12 %", "0.31 %", "0 %"."""
    value = share * 100
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.2g} %"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of runs, or a difference, with its interval, in the unit of the values."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Tell whether the interval contains a value."""
        return self.low <= value <= self.high


def t_quantile(confidence: float, freedom: float) -> float:
    """Return Student's t for a two-sided interval, such as 4.303 for 0.95 with 2 degrees of freedom.

    freedom: the degrees of freedom, which may be fractional.
    """
    return float(stdtrit(freedom, (1 + confidence) / 2))


def wilson(bad: float, events: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval (low, high) of the share bad / events; (0, 1) without events.

    Both numbers may be fractional: dependent events count as fewer independent ones. Source: Wilson, JASA 22
    (1927); recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001).
    """
    if events <= 0:
        return 0.0, 1.0
    z = float(ndtri((1 + confidence) / 2))
    share, scale = bad / events, 1 + z * z / events
    centre = (share + z * z / (2 * events)) / scale
    half = z * math.sqrt(share * (1 - share) / events + z * z / (4 * events * events)) / scale
    # At the ends the formula is exact but for rounding.
    return (0.0 if bad == 0 else centre - half), (1.0 if bad == events else centre + half)


def mean_of(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Return the mean of a figure over runs with Student's t interval, which is infinite for a single run.

    values: the figure of each run. Raises statistics.StatisticsError without runs.
    """
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean, -math.inf, math.inf)
    half = t_quantile(confidence, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half)


def share_of(counts: Sequence[Count], confidence: float = 0.95) -> Share:
    """Return the share over all runs, with the hull of the two intervals that the module's docstring
    explains.

    For a single run it is Wilson's interval. Runs without events are left out.
    """
    counts = [(bad, events) for bad, events in counts if events]
    bad, events = sum(bad for bad, _ in counts), sum(events for _, events in counts)
    low, high = wilson(bad, events, confidence)
    if len(counts) > 1:
        runs = mean_of([bad / events for bad, events in counts], confidence)
        low, high = min(low, max(0.0, runs.low)), max(high, min(1.0, runs.high))
    return Share(bad, events, len(counts), bad / events if events else math.nan, low, high)


def newcombe(first: Count, second: Count, confidence: float = 0.99) -> Estimate:
    """Return the difference first - second of two shares, with its interval.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873, method 10, which combines Wilson's two intervals.
    """
    one, two = first[0] / first[1], second[0] / second[1]
    low_1, high_1 = wilson(*first, confidence)
    low_2, high_2 = wilson(*second, confidence)
    return Estimate(
        one - two,
        one - two - math.hypot(one - low_1, high_2 - two),
        one - two + math.hypot(high_1 - one, two - low_2),
    )


def welch(first: Sequence[float], second: Sequence[float], confidence: float = 0.99) -> Estimate:
    """Return the difference first - second of two means of runs, with its interval.

    first, second: the figure of each run. The interval is infinite if one side has a single run. Source:
    Welch, Biometrika 34 (1947), degrees of freedom by Satterthwaite (1946).
    """
    difference = fmean(first) - fmean(second)
    if min(len(first), len(second)) < 2:
        return Estimate(difference, -math.inf, math.inf)
    one, two = stdev(first) ** 2 / len(first), stdev(second) ** 2 / len(second)
    if one + two == 0:
        return Estimate(difference, difference, difference)
    freedom = (one + two) ** 2 / (one**2 / (len(first) - 1) + two**2 / (len(second) - 1))
    half = t_quantile(confidence, freedom) * math.sqrt(one + two)
    return Estimate(difference, difference - half, difference + half)


def difference_of(first: Sequence[Count], second: Sequence[Count], confidence: float = 0.99) -> Estimate:
    """Return the difference first - second of two shares, each of several runs.

    The interval is the hull of Newcombe's and Welch's. If one side has a single run it is Newcombe's.
    """
    pooled = newcombe(pool(first), pool(second), confidence)
    if min(len(first), len(second)) < 2:
        return pooled
    runs = welch(
        [bad / events for bad, events in first], [bad / events for bad, events in second], confidence
    )
    return Estimate(pooled.value, min(pooled.low, runs.low), max(pooled.high, runs.high))


def pool(counts: Sequence[Count]) -> Count:
    """Return the sums over all runs: (number of faulty events, number of all events)."""
    return sum(bad for bad, _ in counts), sum(events for _, events in counts)
