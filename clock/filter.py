"""Filter over the last exchanges: the bounds between which the session clock lies.

Pure. An exchange bounds the offset from both sides, however asymmetric the path: the remote clock read t2
after we sent at t1, and t3 before we received at t4, so t3 - t4 <= offset <= t2 - t1. The width is the delay,
so the exchange with the least delay bounds best (RFC 5905, section 10). The best upper and the best lower
bound of *different* exchanges are better still, because uplink and downlink queues are independent. The
estimate is the middle of the two. Bounds widen with their age (dispersion): quickly for the hard bounds,
slowly for the estimate, which therefore looks back further. Exchanges of one second are merged into their
best bounds. Bound: `SAMPLES_KEPT` such seconds.
"""

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from math import inf, sqrt

SAMPLES_KEPT = 320
"""Five minutes, for the estimate: the least of many queues is nearer to an empty one. Example: lognormal
queues of 20 ms up and 8 ms down. After one minute the error is 2 ms at p99, after five minutes half that."""
BOUNDING = 64
"""One minute, for the hard bounds. Beyond it dispersion (15 ppm * 60 s = 0.9 ms) outweighs the gain of
another lucky exchange on any playable path. A short window also forgets a changed route soon."""
MERGED_NS = 950_000_000
"""Exchanges that begin within this time (ns) count as one second's."""

DISPERSION_PPM = 15
"""How fast a hard bound loosens, beside the known error of the rate. Source: RFC 5905, PHI."""
LIKELY_PPM = 3
"""How far a crystal wanders within minutes, beside the error of its rate. Older exchanges lose their weight
in the estimate at this pace."""

JITTER_SAMPLES = 8
"""Jitter is computed over the last eight exchanges, like RFC 5905's register."""

STEPPED_NS = 5_000_000
"""Least shift (ns) of both bounds that counts as a step. Lopsided queues of 20 ms move the bounds of a minute
by less than 2 ms."""

GRAIN_NS = 10_000
"""Bounds that miss each other by less than 10 µs still agree: a kernel's wall-clock stamps are off by a few
µs after conversion to local time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange, or the best bounds of several. `lower_ns` <= offset <= `upper_ns`.

    sent_ns, received_ns: local clock. Of several, the upper bound belongs to the exchange sent at `sent_ns`,
    the lower to the one received at `received_ns`. offset > 0: the session clock is ahead. Offsets are
    relative to the origin that the discipline chose.
    """

    sent_ns: int
    received_ns: int
    lower_ns: int
    upper_ns: int
    first_ns: int | None = None
    """The first send instant of several exchanges; None for a single one."""
    least_delay_ns: int | None = None
    """The least delay of several exchanges; None for a single one."""

    @property
    def delay_ns(self) -> int:
        """Return the round trip less the time that the remote side took, ns."""
        return self.upper_ns - self.lower_ns if self.least_delay_ns is None else self.least_delay_ns

    @property
    def began_ns(self) -> int:
        """The send instant (local ns) of the exchange, or of the first of several."""
        return self.sent_ns if self.first_ns is None else self.first_ns

    @property
    def offset_ns(self) -> float:
        """Return the offset (ns) under the assumption that both directions took equally long."""
        return (self.upper_ns + self.lower_ns) / 2


def best_of(one: Sample, other: Sample) -> Sample:
    """Return the better upper and the better lower bound of two exchanges that are close in time."""
    upper, lower = min(one, other, key=lambda s: s.upper_ns), max(one, other, key=lambda s: s.lower_ns)
    return replace(
        upper, received_ns=lower.received_ns, lower_ns=lower.lower_ns, first_ns=one.began_ns,
        least_delay_ns=min(one.delay_ns, other.delay_ns),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interval:
    """The bounds (ns) of the session clock's offset at one instant; > 0 is ahead of the local clock."""

    lower_ns: float
    upper_ns: float

    @property
    def middle_ns(self) -> float:
        """Return the estimate, ns."""
        return (self.lower_ns + self.upper_ns) / 2

    @property
    def radius_ns(self) -> float:
        """Return how far the estimate may be off, ns."""
        return max((self.upper_ns - self.lower_ns) / 2, GRAIN_NS / 2)

    def agrees_with(self, other: "Interval") -> bool:
        """Return whether some offset lies in both intervals, within `GRAIN_NS`."""
        return self.lower_ns <= other.upper_ns + GRAIN_NS and other.lower_ns <= self.upper_ns + GRAIN_NS

    @property
    def width_ns(self) -> float:
        """Return the distance of the bounds, ns."""
        return self.upper_ns - self.lower_ns

    def is_beside(self, other: "Interval") -> bool:
        """Return whether both bounds lie on the same side of the other's by more than `STEPPED_NS`.

        Queues don't cause that; a clock that stepped by less than a round trip does.
        """
        by_ns = (self.lower_ns - other.lower_ns, self.upper_ns - other.upper_ns)
        return min(by_ns) > STEPPED_NS or max(by_ns) < -STEPPED_NS

    def and_also(self, other: "Interval") -> "Interval":
        """Return the intersection. Its bounds cross by up to `GRAIN_NS` if the intervals only just agree."""
        return Interval(max(self.lower_ns, other.lower_ns), min(self.upper_ns, other.upper_ns))


def project(sample: Sample, at_ns: int, *, rate: float, rate_error: float) -> Interval:
    """Return the bounds that an exchange sets at another local instant.

    rate: session seconds gained per local second. rate_error: how far the rate may be off, in addition to
    `DISPERSION_PPM`. Both are plain ratios: 1e-6 is 1 ppm.
    """
    growth = rate_error + DISPERSION_PPM * 1e-6
    since_sent_ns, since_received_ns = at_ns - sample.sent_ns, at_ns - sample.received_ns
    return Interval(
        sample.lower_ns + rate * since_received_ns - growth * abs(since_received_ns),
        sample.upper_ns + rate * since_sent_ns + growth * abs(since_sent_ns),
    )


def take_in(samples: deque[Sample], sample: Sample, *, merge: bool) -> None:
    """Append an exchange to `samples` (oldest first). merge: combine it with the last one of the same
    second."""
    last = samples[-1] if samples and merge else None
    if last is not None and abs(sample.sent_ns - last.began_ns) < MERGED_NS:
        samples[-1] = best_of(last, sample)
    else:
        samples.append(sample)


class OffsetFilter:
    """The last exchanges, and their common bounds on the offset."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        # Cached: every wake-up of a bridge asks for it, and it changes a few times a second.
        self._rtt_min_ns: int | None = None

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample, *, merge: bool = False) -> None:
        """Add an exchange. merge: combine it with those of the same second; False keeps it apart."""
        take_in(self._samples, sample, merge=merge)
        self._rtt_min_ns = None

    def clear(self) -> None:
        """Drop all exchanges: the clock on the other side is a different one now."""
        self._samples.clear()
        self._rtt_min_ns = None

    def interval(self, at_ns: int, *, rate: float, rate_error: float) -> Interval:
        """Return the hard bounds of the session clock's offset at a local instant (ns).

        Exchanges are combined from the newest back to the first that contradicts the later ones: since then
        one of the clocks ran differently than assumed. Needs at least one exchange.
        """
        return self._common(at_ns, slice(BOUNDING), rate, rate_error, DISPERSION_PPM)

    def estimate_ns(self, at_ns: int, *, rate: float, rate_error: float, bounds: Interval) -> float:
        """Return the most likely offset (ns) at a local instant (ns), limited to the given hard bounds.

        Needs at least one exchange.
        """
        likely = self._common(at_ns, slice(SAMPLES_KEPT), rate, rate_error, LIKELY_PPM)
        return min(max(likely.middle_ns, bounds.lower_ns), max(bounds.lower_ns, bounds.upper_ns))

    def forget_before_step(self, at_ns: int, *, rate: float, rate_error: float) -> bool:
        """Drop all but the last minute if a clock stepped just before it. Return whether one did.

        A step of less than a round trip shows as different bounds of the last minute and the minute before.
        Queues that stood for a minute on the uplink and then on the downlink look alike, except that they
        lengthen the round trip. Call this about once a second.
        """
        if len(self._samples) < 2 * BOUNDING:
            return False
        minutes = (slice(BOUNDING), slice(BOUNDING, 2 * BOUNDING))
        last, before = (self._common(at_ns, which, rate, rate_error, LIKELY_PPM) for which in minutes)
        if not last.is_beside(before):
            return False
        least_ns = min(sample.delay_ns for sample in self._samples)
        # The step itself makes the rate uncertain, which widens both intervals.
        if any(
            self._common(at_ns, one, rate, 0.0, LIKELY_PPM).width_ns > least_ns + STEPPED_NS
            for one in minutes
        ):
            return False
        while len(self._samples) > BOUNDING:
            self._samples.popleft()
        return True

    def _common(self, at_ns: int, which: slice, rate: float, rate_error: float, ppm: float) -> Interval:
        # `project` and `Interval` in one loop for speed: a bridge does this for a thousand exchanges a
        # second.
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
        """Return the local instant (ns) at which the oldest kept exchange began. Needs at least one."""
        return self._samples[0].began_ns

    @property
    def rtt_min_ns(self) -> int:
        """Return the least delay of the last minute, ns. Needs at least one exchange."""
        if self._rtt_min_ns is None:
            last = islice(reversed(self._samples), BOUNDING)
            self._rtt_min_ns = max(min(sample.delay_ns for sample in last), 0)
        return self._rtt_min_ns

    def jitter_ns(self, *, rate: float) -> float:
        """Return the scatter (ns, RMS) of recent offsets about that of the least delay.

        Merged exchanges count as the best of their second. Source: RFC 5905, section 10.
        """
        recent = list(islice(reversed(self._samples), JITTER_SAMPLES))
        if len(recent) < 2:
            return 0.0
        best = min(recent, key=lambda sample: sample.delay_ns)
        squares = sum(
            (sample.offset_ns - best.offset_ns - rate * (sample.received_ns - best.received_ns)) ** 2
            for sample in recent
        )
        return sqrt(squares / (len(recent) - 1))
