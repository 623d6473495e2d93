"""Filter over the last exchanges: between which bounds the session clock must lie.

Pure. An exchange bounds the offset from both sides, however asymmetric the path: the remote clock read t2
after we had sent at t1, and t3 before we received at t4, so t3 - t4 <= offset <= t2 - t1. The width is the
delay, so the exchange with the lowest delay bounds it best (RFC 5905, section 10). Taking the best upper and
the best lower bound of *different* exchanges is better still, for queues on the way up and on the way down
are independent; the middle of the two is the estimate. Bounds widen with their age (dispersion).
Bound: `SAMPLES_KEPT` exchanges.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from math import sqrt

SAMPLES_KEPT = 64
"""A minute at one a second. Beyond it dispersion (15 ppm * 60 s = 0.9 ms) outweighs what another lucky
exchange would gain on any path that can be played over, and a changed route is forgotten soon."""

DISPERSION_PPM = 15
"""How fast a bound loosens beside the known error of the rate. Source: RFC 5905, PHI."""

JITTER_SAMPLES = 8
"""Jitter is of the recent past: RFC 5905's register of eight."""

GRAIN_NS = 10_000
"""Bounds that miss each other by less than this agree: a kernel's wall-clock stamps are off by a few µs
once they are local time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange, in ns: sent and received by the local clock; between which bounds the offset lies.

    offset > 0: the session clock is ahead. All are relative to the origin the discipline has chosen.
    """

    sent_ns: int
    received_ns: int
    lower_ns: int
    upper_ns: int

    @property
    def delay_ns(self) -> int:
        """Return the round trip less the time the remote side took."""
        return self.upper_ns - self.lower_ns

    @property
    def offset_ns(self) -> float:
        """Return the offset if both ways took equally long."""
        return (self.upper_ns + self.lower_ns) / 2


@dataclass(frozen=True, slots=True)
class Interval:
    """Between which offsets (ns) the session clock lies at one instant; > 0 is ahead of the local clock."""

    lower_ns: float
    upper_ns: float

    @property
    def middle_ns(self) -> float:
        """Return the estimate."""
        return (self.lower_ns + self.upper_ns) / 2

    @property
    def radius_ns(self) -> float:
        """Return how far the estimate may be off."""
        return max((self.upper_ns - self.lower_ns) / 2, GRAIN_NS / 2)

    def agrees_with(self, other: "Interval") -> bool:
        """Return whether one offset can lie in both, give or take the grain of the readings."""
        return self.lower_ns <= other.upper_ns + GRAIN_NS and other.lower_ns <= self.upper_ns + GRAIN_NS

    def and_also(self, other: "Interval") -> "Interval":
        """Return what lies in both; by up to a grain inside out where they only just agree."""
        return Interval(max(self.lower_ns, other.lower_ns), min(self.upper_ns, other.upper_ns))


def project(sample: Sample, at_ns: int, *, rate: float, rate_error: float) -> Interval:
    """Return the bounds that an exchange sets at another local instant.

    rate: session seconds gained per local second; rate_error: how far that may be off (both are plain
    ratios, 1e-6 is 1 ppm), on top of `DISPERSION_PPM`.
    """
    growth = rate_error + DISPERSION_PPM * 1e-6
    since_sent_ns, since_received_ns = at_ns - sample.sent_ns, at_ns - sample.received_ns
    return Interval(
        sample.lower_ns + rate * since_received_ns - growth * abs(since_received_ns),
        sample.upper_ns + rate * since_sent_ns + growth * abs(since_sent_ns),
    )


class OffsetFilter:
    """The last exchanges, and what they say together."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._rtt_min_ns: int | None = None  # asked for at every wake-up of a bridge, changes once a second

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample) -> None:
        """Take in an exchange."""
        self._samples.append(sample)
        self._rtt_min_ns = None

    def clear(self) -> None:
        """Forget everything: the clock on the other side is another one now."""
        self._samples.clear()
        self._rtt_min_ns = None

    def interval(self, at_ns: int, *, rate: float, rate_error: float) -> Interval:
        """Return between which offsets the session clock lies at a local instant.

        From the newest exchange back to the first that contradicts what came after it: either clock ran
        otherwise than we thought since then. Needs at least one exchange.
        """
        newest_first = reversed(self._samples)
        common = project(next(newest_first), at_ns, rate=rate, rate_error=rate_error)
        for sample in newest_first:
            further = project(sample, at_ns, rate=rate, rate_error=rate_error)
            if not common.agrees_with(further):
                break
            common = common.and_also(further)
        return common

    @property
    def rtt_min_ns(self) -> int:
        """Return the lowest delay in the window. Needs at least one exchange."""
        if self._rtt_min_ns is None:
            self._rtt_min_ns = max(min(sample.delay_ns for sample in self._samples), 0)
        return self._rtt_min_ns

    def jitter_ns(self, *, rate: float) -> float:
        """Return how far recent offsets scatter about that of the lowest delay (RMS, RFC 5905 section 10)."""
        recent = list(islice(reversed(self._samples), JITTER_SAMPLES))
        if len(recent) < 2:
            return 0.0
        best = min(recent, key=lambda sample: sample.delay_ns)
        squares = sum(
            (sample.offset_ns - best.offset_ns - rate * (sample.received_ns - best.received_ns)) ** 2
            for sample in recent
        )
        return sqrt(squares / (len(recent) - 1))
