"""Filter over the last exchanges: between which bounds the session clock must lie.

Pure. An exchange bounds the offset from both sides, however asymmetric the path: the remote clock read t2
after we had sent at t1, and t3 before we received at t4, so t3 - t4 <= offset <= t2 - t1. The width is the
delay, so the exchange with the lowest delay bounds it best (RFC 5905, section 10). Taking the best upper and
the best lower bound of *different* exchanges is better still, for queues on the way up and on the way down
are independent; the middle of the two is the estimate. Bounds widen with their age (dispersion): by much
where the truth must lie in them, by little for the estimate, which so looks back further. The exchanges of
one second are kept as one, its best bounds. Bound: `SAMPLES_KEPT` such seconds.
"""

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from math import inf, sqrt

SAMPLES_KEPT = 320
"""Five minutes, for the estimate: the least of many queues is nearer to none than the least of few. A minute
of queues of 20 ms up and 8 down (lognormal) leaves an error of 2 ms at p99, five minutes of it half that."""
BOUNDING = 64
"""A minute, for the bounds. Beyond it dispersion (15 ppm * 60 s = 0.9 ms) outweighs what another lucky
exchange would gain on any path that can be played over, and a changed route is forgotten soon."""
MERGED_NS = 950_000_000
"""Exchanges that begin within this are of one second."""

DISPERSION_PPM = 15
"""How fast a bound loosens beside the known error of the rate. Source: RFC 5905, PHI."""
LIKELY_PPM = 3
"""How far a crystal wanders within minutes, beside the error of its rate: so fast older exchanges lose their
say in the estimate."""

JITTER_SAMPLES = 8
"""Jitter is of the recent past: RFC 5905's register of eight."""

STEPPED_NS = 5_000_000
"""Lopsided queues of 20 ms leave the ends that minutes of them show within 2 ms."""

GRAIN_NS = 10_000
"""Bounds that miss each other by less than this agree: a kernel's wall-clock stamps are off by a few µs
once they are local time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange, in ns: sent and received by the local clock; between which bounds the offset lies. Or the
    best of several: then the upper bound is of one that was sent, the lower of one that was received then.

    offset > 0: the session clock is ahead. All are relative to the origin the discipline has chosen.
    """

    sent_ns: int
    received_ns: int
    lower_ns: int
    upper_ns: int
    first_ns: int | None = None
    """When the first of several was sent; None of one."""
    least_delay_ns: int | None = None
    """The least of several; None of one."""

    @property
    def delay_ns(self) -> int:
        """Return the round trip less the time the remote side took."""
        return self.upper_ns - self.lower_ns if self.least_delay_ns is None else self.least_delay_ns

    @property
    def began_ns(self) -> int:
        """When it, or the first of several, was sent."""
        return self.sent_ns if self.first_ns is None else self.first_ns

    @property
    def offset_ns(self) -> float:
        """Return the offset if both ways took equally long."""
        return (self.upper_ns + self.lower_ns) / 2


def best_of(one: Sample, other: Sample) -> Sample:
    """Return the better upper and the better lower bound of two that are near each other in time."""
    upper, lower = min(one, other, key=lambda s: s.upper_ns), max(one, other, key=lambda s: s.lower_ns)
    return replace(
        upper, received_ns=lower.received_ns, lower_ns=lower.lower_ns, first_ns=one.began_ns,
        least_delay_ns=min(one.delay_ns, other.delay_ns),
    )  # fmt: skip


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

    @property
    def width_ns(self) -> float:
        """Return how far apart the bounds are."""
        return self.upper_ns - self.lower_ns

    def is_beside(self, other: "Interval") -> bool:
        """Return whether both of its ends lie to the same side of the other's, by more than queues of a few
        milliseconds explain: so does a clock that stepped by less than a round trip."""
        by_ns = (self.lower_ns - other.lower_ns, self.upper_ns - other.upper_ns)
        return min(by_ns) > STEPPED_NS or max(by_ns) < -STEPPED_NS

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


def take_in(samples: deque[Sample], sample: Sample, *, merge: bool) -> None:
    """Add an exchange to others, oldest first; merge: as one with the last if they are of one second."""
    last = samples[-1] if samples and merge else None
    if last is not None and abs(sample.sent_ns - last.began_ns) < MERGED_NS:
        samples[-1] = best_of(last, sample)
    else:
        samples.append(sample)


class OffsetFilter:
    """The last exchanges, and what they say together."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._rtt_min_ns: int | None = (
            None  # asked for at every wake-up of a bridge, changes a few times a second
        )

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample, *, merge: bool = False) -> None:
        """Take in an exchange. merge: as one with those of the same second; else it stands for itself."""
        take_in(self._samples, sample, merge=merge)
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
        return self._common(at_ns, slice(BOUNDING), rate, rate_error, DISPERSION_PPM)

    def estimate_ns(self, at_ns: int, *, rate: float, rate_error: float, bounds: Interval) -> float:
        """Return the most likely offset at a local instant, within the bounds that it must lie in.

        Needs at least one exchange.
        """
        likely = self._common(at_ns, slice(SAMPLES_KEPT), rate, rate_error, LIKELY_PPM)
        return min(max(likely.middle_ns, bounds.lower_ns), max(bounds.lower_ns, bounds.upper_ns))

    def forget_before_step(self, at_ns: int, *, rate: float, rate_error: float) -> bool:
        """Forget all but the last minute if that and the one before it show that a clock stepped between
        them, by less than a round trip; return whether it did. Ask about once a second.

        Queues that stand for a minute on the way up and then on the way down look alike, but for a round trip
        that is longer than it has to be.
        """
        if len(self._samples) < 2 * BOUNDING:
            return False
        minutes = (slice(BOUNDING), slice(BOUNDING, 2 * BOUNDING))
        last, before = (self._common(at_ns, which, rate, rate_error, LIKELY_PPM) for which in minutes)
        if not last.is_beside(before):
            return False
        least_ns = min(sample.delay_ns for sample in self._samples)
        # By the step itself the rate is uncertain, which widens both.
        if any(
            self._common(at_ns, one, rate, 0.0, LIKELY_PPM).width_ns > least_ns + STEPPED_NS
            for one in minutes
        ):
            return False
        while len(self._samples) > BOUNDING:
            self._samples.popleft()
        return True

    def _common(self, at_ns: int, which: slice, rate: float, rate_error: float, ppm: float) -> Interval:
        # `project` and `Interval` in one loop: a bridge does this for a thousand exchanges a second.
        growth = rate_error + ppm * 1e-6
        lower_ns, upper_ns = -inf, inf
        for sample in islice(reversed(self._samples), which.start, which.stop):
            since_received_ns, since_sent_ns = at_ns - sample.received_ns, at_ns - sample.sent_ns
            lower = sample.lower_ns + rate * since_received_ns - growth * abs(since_received_ns)
            upper = sample.upper_ns + rate * since_sent_ns + growth * abs(since_sent_ns)
            if lower > upper_ns + GRAIN_NS or upper < lower_ns - GRAIN_NS:
                break
            lower_ns, upper_ns = max(lower_ns, lower), min(upper_ns, upper)
        return Interval(lower_ns, upper_ns)

    @property
    def since_ns(self) -> int:
        """Return when the oldest exchange that is kept began. Needs at least one."""
        return self._samples[0].began_ns

    @property
    def rtt_min_ns(self) -> int:
        """Return the lowest delay of the last minute. Needs at least one exchange."""
        if self._rtt_min_ns is None:
            last = islice(reversed(self._samples), BOUNDING)
            self._rtt_min_ns = max(min(sample.delay_ns for sample in last), 0)
        return self._rtt_min_ns

    def jitter_ns(self, *, rate: float) -> float:
        """Return how far recent offsets scatter about that of the lowest delay (RMS, RFC 5905 section 10);
        where exchanges are merged, those of the best of each second."""
        recent = list(islice(reversed(self._samples), JITTER_SAMPLES))
        if len(recent) < 2:
            return 0.0
        best = min(recent, key=lambda sample: sample.delay_ns)
        squares = sum(
            (sample.offset_ns - best.offset_ns - rate * (sample.received_ns - best.received_ns)) ** 2
            for sample in recent
        )
        return sqrt(squares / (len(recent) - 1))
