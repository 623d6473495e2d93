"""Rate of the session clock against the local one, fitted to the shortest delays.

Pure. Time is cut into stretches. In each stretch the uplink bound is the least t2 - t1, the downlink bound
the greatest t3 - t4. A line is fitted through the bounds of either direction. The two slopes and the usual
error of crystals are weighted by their standard errors, so a short or noisy baseline moves the rate little.
Bound: `SAMPLES_KEPT` seconds that have exchanges.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

from clock.filter import SAMPLES_KEPT, Sample, take_in
from clock.model import NS_PER_S

BASELINE_NS_MIN = 30 * NS_PER_S
"""A shorter baseline measures only jitter (unless `CERTAIN_RATE` holds)."""
CERTAIN_RATE = 20e-6
"""A shorter baseline counts too if its delay is so small that jitter misleads by no more than this. The delay
is the greatest of the stretches' least delays. 20e-6 is 20 ppm."""
BASELINE_NS_MAX = 300 * NS_PER_S
"""A longer baseline gains nothing: room temperature changes a crystal's rate within minutes."""
STRETCHES = 8
"""Points of each line. Few long stretches serve better than many short ones: the least of many exponential
delays is a better point. Six degrees of freedom are left to judge how good the line is."""

PRIOR_ERROR = 40e-6
"""Assumed standard error between two crystals (40 ppm): each is 5-30 ppm off, measured."""

RATE_MAX = 400e-6
"""Greatest believed rate, 400 ppm. No crystal is that bad, but a host's own NTP may slew its clock. The limit
leaves 100 of the 500 ppm for slewing."""

POINT_ERROR_NS = 2_000
"""Least standard error of a point (2 us), however well the points lie: scheduling, stamps, rounding."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Session seconds gained per local second, and its standard error (1e-6 is 1 ppm)."""

    rate: float
    error: float


def fit_line(points: Sequence[tuple[float, float]]) -> Rate:
    """Return the slope of the least-squares line through (x in ns, y in ns), and its standard error.

    Needs at least three points. The error is infinite if all x are equal.
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
    """The exchanges of the last five minutes, and the rate fitted to them."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._prior = Rate(0.0, PRIOR_ERROR)

    def add(self, sample: Sample, *, merge: bool = False) -> None:
        """Add an exchange. merge: combine it with those of the same second; False keeps it apart."""
        take_in(self._samples, sample, merge=merge)
        while sample.received_ns - self._samples[0].received_ns > BASELINE_NS_MAX:
            self._samples.popleft()

    def restart(self, believed: float) -> None:
        """Drop the exchanges but keep the believed rate as prior: this host's crystal is still the same."""
        self._samples.clear()
        self._prior = Rate(believed, PRIOR_ERROR)

    def forget_before(self, local_ns: int) -> None:
        """Drop the exchanges before a local instant (ns), and the rate: a clock stepped at that instant."""
        while self._samples and self._samples[0].began_ns < local_ns:
            self._samples.popleft()
        self._prior = Rate(0.0, PRIOR_ERROR)

    def estimate(self, about: float) -> Rate:
        """Return the fitted rate, or the prior while the baseline is too short.

        about: the rate believed so far, used to compare delays within a stretch.
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
