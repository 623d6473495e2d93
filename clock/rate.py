"""Rate of the session clock against the local clock, fitted to the exchanges with the shortest delays.

Pure. The time of the kept exchanges (the baseline) is cut into stretches. In each stretch the uplink bound is
the least t2 - t1, and the downlink bound the greatest t3 - t4. One line is fitted through the uplink bounds,
another through the downlink bounds. The result is a weighted mean of the two slopes and of the prior. The
prior is the rate believed before, with the usual error of crystals. Each is weighted by its standard error,
so a short or noisy baseline changes the rate little. Bound: `SAMPLES_KEPT` seconds that have exchanges.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

from clock.filter import SAMPLES_KEPT, Sample, take_in
from clock.model import NS_PER_S

BASELINE_NS_MIN = 30 * NS_PER_S
"""Shortest baseline that is used, ns. A shorter one measures only jitter, except if it meets
`CERTAIN_RATE`."""
CERTAIN_RATE = 20e-6
"""A baseline shorter than `BASELINE_NS_MIN` is used if jitter can make the rate wrong by at most this (20
ppm). The possible error is the baseline's delay divided by its length. Its delay is the greatest of the
stretches' least delays."""
BASELINE_NS_MAX = 300 * NS_PER_S
"""Longest baseline, ns. A longer one wouldn't be better, because the room's temperature changes a crystal's
rate within minutes."""
STRETCHES = 8
"""Number of stretches, and so of points for each line. Few long stretches are better than many short ones,
because the least of many delays makes a better point. Eight points leave six degrees of freedom to judge how
good the line is."""

PRIOR_ERROR = 40e-6
"""Assumed standard error of the rate between two crystals: 40 ppm. Each crystal's rate is wrong by 5 to 30
ppm (measured)."""

RATE_MAX = 400e-6
"""Greatest rate that is believed: 400 ppm. No crystal is so bad, but a host's own NTP may slew its clock. The
session clock may run up to 500 ppm faster or slower; the remaining 100 ppm are for slewing."""

POINT_ERROR_NS = 2_000
"""Least standard error of a point, ns (2 µs), however well the points fit the line. It covers scheduling,
stamps and rounding."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of the session clock against the local clock, and its standard error.

    rate: how many seconds session time gains in a second of local time. error: the standard error of the
    rate. Both are plain ratios: 1e-6 is 1 ppm.
    """

    rate: float
    error: float


def fit_line(points: Sequence[tuple[float, float]]) -> Rate:
    """Return the slope of the least-squares line through points (x in ns, y in ns), with its standard error.

    There must be at least three points. The error is infinite if all x are equal.
    """
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return Rate(0.0, inf)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    residue = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    variance = max(residue / (count - 2), float(POINT_ERROR_NS) ** 2)
    return Rate(slope, sqrt(variance / spread))


class RateFit:
    """Keeps the exchanges of the last five minutes, and fits the rate to them."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._prior = Rate(0.0, PRIOR_ERROR)

    def add(self, sample: Sample, *, merge: bool = False) -> None:
        """Add an exchange. merge: whether to merge it with those of the same second."""
        take_in(self._samples, sample, merge=merge)
        while sample.received_ns - self._samples[0].received_ns > BASELINE_NS_MAX:
            self._samples.popleft()

    def restart(self, believed: float) -> None:
        """Drop the exchanges, and use the rate believed so far as the prior.

        It is a good first guess, since this host's crystal is still the same.
        """
        self._samples.clear()
        self._prior = Rate(believed, PRIOR_ERROR)

    def forget_before(self, local_ns: int) -> None:
        """Drop the exchanges from before a local instant (ns), at which a clock was stepped.

        The rate believed so far is dropped too, because the step made it wrong.
        """
        while self._samples and self._samples[0].began_ns < local_ns:
            self._samples.popleft()
        self._prior = Rate(0.0, PRIOR_ERROR)

    def estimate(self, about: float) -> Rate:
        """Return the fitted rate; the prior if the baseline is too short.

        about: the rate believed so far. It is used to compare bounds of different instants within a stretch.
        """
        if not self._samples:
            return self._prior
        since_ns = min(min(sample.sent_ns, sample.received_ns) for sample in self._samples)
        span_ns = max(sample.received_ns for sample in self._samples) - since_ns
        uppers: dict[int, tuple[float, float]] = {}
        lowers: dict[int, tuple[float, float]] = {}
        delays: dict[int, int] = {}
        for sample in self._samples:
            at_sent, at_received = sample.sent_ns - since_ns, sample.received_ns - since_ns
            stretch = at_received * STRETCHES // (span_ns + 1)
            upper, lower = sample.upper_ns - about * at_sent, sample.lower_ns - about * at_received
            if stretch not in uppers or upper < uppers[stretch][1]:
                uppers[stretch] = (at_sent, upper)
            if stretch not in lowers or lower > lowers[stretch][1]:
                lowers[stretch] = (at_received, lower)
            delays[stretch] = min(sample.delay_ns, delays.get(stretch, sample.delay_ns))
        if len(uppers) < STRETCHES // 2:
            return self._prior
        if span_ns < BASELINE_NS_MIN and span_ns * CERTAIN_RATE < max(delays.values()):
            return self._prior
        up, down = fit_line(list(uppers.values())), fit_line(list(lowers.values()))
        shown = [Rate(about + up.rate, up.error), Rate(about + down.rate, down.error), self._prior]
        weights = [1 / one.error**2 for one in shown]
        rate = sum(one.rate * weight for one, weight in zip(shown, weights, strict=True)) / sum(weights)
        return Rate(min(max(rate, -RATE_MAX), RATE_MAX), 1 / sqrt(sum(weights)))
