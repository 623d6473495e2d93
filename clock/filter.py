"""Filter over the last exchanges: the bounds between which the offset of the session clock lies.

Pure. The offset is session time minus local time, each counted from an origin. An exchange bounds it from
both sides, however asymmetric the path is. The remote clock showed t2 after we had sent at t1, and t3 before
we received at t4. So t3 - t4 <= offset <= t2 - t1. The distance of these bounds is the delay, so the exchange
with the least delay bounds best (RFC 5905, section 10). The best upper and the best lower bound of
*different* exchanges are better still, because the queues on uplink and downlink are independent.

The estimate is the middle of the two bounds. Bounds widen with their age (dispersion). They are taken twice:
as hard bounds, which widen quickly, and for the estimate, where they widen slowly, so that older exchanges
help too. The exchanges of one second are merged into their best bounds. Limit: `SAMPLES_KEPT` such seconds.
"""

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from math import inf, sqrt

SAMPLES_KEPT = 320
"""Seconds of exchanges used for the estimate, about five minutes. The shortest of many queues is nearer to an
empty one. Example: lognormal queues of 20 ms on the uplink and 8 ms on the downlink. The p99 of the error is
2 ms after one minute, and half that after five minutes."""
BOUNDING = 64
"""Seconds of exchanges used for the hard bounds, about one minute. An older exchange has widened by more than
0.9 ms (15 ppm * 60 s). On any path fit for playing that outweighs the gain from a shorter delay. With so few
exchanges a changed route is also forgotten soon."""
MERGED_NS = 950_000_000
"""Of exchanges that begin within this time (ns) of each other only the best is kept. It is a little less than
a second, since exchanges one second apart must stay two."""

DISPERSION_PPM = 15
"""How fast a hard bound widens with its age, ppm, in addition to the known error of the rate. Source: RFC
5905, PHI."""
LIKELY_PPM = 3
"""How fast a bound widens with its age for the estimate, ppm, in addition to the error of the rate. It is how
far the rate of a crystal changes within minutes. So older exchanges slowly lose weight in the estimate."""

JITTER_SAMPLES = 8
"""Exchanges over which jitter is computed, the last eight as in RFC 5905."""

STEPPED_NS = 5_000_000
"""A clock counts as stepped if both bounds of a minute moved by more than this (ns) in the same direction.
Queues of 20 ms in only one direction move the bounds of a minute by less than 2 ms."""

GRAIN_NS = 10_000
"""Two intervals that don't overlap still agree if the gap between them is at most this (ns; 10 µs). A
kernel's wall-clock stamps are wrong by a few µs after their conversion to local time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange, or the best bounds of several merged ones. `lower_ns` <= offset <= `upper_ns`.

    offset > 0: the session clock is ahead of the local clock, both counted from the origin that the
    discipline chose. sent_ns: local instant of sending the request. received_ns: local instant of receiving
    the answer. Of merged exchanges, the upper bound is that of the exchange sent at sent_ns, and the lower
    bound that of the exchange received at received_ns.
    """

    sent_ns: int
    received_ns: int
    lower_ns: int
    upper_ns: int
    first_ns: int | None = None
    """The local instant (ns) at which the first of the merged exchanges was sent; None for a single one."""
    least_delay_ns: int | None = None
    """The least delay (ns) of the merged exchanges; None for a single one."""

    @property
    def delay_ns(self) -> int:
        """The round trip without the time that the remote side took, ns. Of merged exchanges the least."""
        return self.upper_ns - self.lower_ns if self.least_delay_ns is None else self.least_delay_ns

    @property
    def began_ns(self) -> int:
        """The local instant (ns) at which the exchange, or the first of the merged ones, was sent."""
        return self.sent_ns if self.first_ns is None else self.first_ns

    @property
    def offset_ns(self) -> float:
        """The offset (ns) if both directions took equally long."""
        return (self.upper_ns + self.lower_ns) / 2


def best_of(one: Sample, other: Sample) -> Sample:
    """Return two exchanges merged: the smaller upper bound and the greater lower bound of the two.

    one: the earlier of the two; they must be close in time.
    """
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
        """The middle of the bounds (ns), which is the estimate of the offset."""
        return (self.lower_ns + self.upper_ns) / 2

    @property
    def radius_ns(self) -> float:
        """By how much the middle may be wrong, ns: half the distance of the bounds, but at least `GRAIN_NS` /
        2."""
        return max((self.upper_ns - self.lower_ns) / 2, GRAIN_NS / 2)

    def agrees_with(self, other: "Interval") -> bool:
        """Return whether the intervals overlap, or the gap between them is at most `GRAIN_NS`."""
        return self.lower_ns <= other.upper_ns + GRAIN_NS and other.lower_ns <= self.upper_ns + GRAIN_NS

    @property
    def width_ns(self) -> float:
        """The distance between the two bounds, ns."""
        return self.upper_ns - self.lower_ns

    def is_beside(self, other: "Interval") -> bool:
        """Return whether both bounds exceed those of the other, or both are below them, by over `STEPPED_NS`.

        Queues don't cause that; a clock that was stepped by less than a round trip does.
        """
        by_ns = (self.lower_ns - other.lower_ns, self.upper_ns - other.upper_ns)
        return min(by_ns) > STEPPED_NS or max(by_ns) < -STEPPED_NS

    def and_also(self, other: "Interval") -> "Interval":
        """Return the intersection of two intervals that agree.

        If there is a gap of up to `GRAIN_NS` between them, its lower bound is above its upper bound.
        """
        return Interval(max(self.lower_ns, other.lower_ns), min(self.upper_ns, other.upper_ns))


def project(sample: Sample, at_ns: int, *, rate: float, rate_error: float) -> Interval:
    """Return the hard bounds that an exchange sets for the offset at the local instant at_ns.

    rate: by how many seconds session time gains on local time in a local second. rate_error: by how much that
    may be wrong, in addition to `DISPERSION_PPM`. Both are plain ratios: 1e-6 is 1 ppm.
    """
    growth = rate_error + DISPERSION_PPM * 1e-6
    since_sent_ns, since_received_ns = at_ns - sample.sent_ns, at_ns - sample.received_ns
    return Interval(
        sample.lower_ns + rate * since_received_ns - growth * abs(since_received_ns),
        sample.upper_ns + rate * since_sent_ns + growth * abs(since_sent_ns),
    )


def take_in(samples: deque[Sample], sample: Sample, *, merge: bool) -> None:
    """Append an exchange to `samples`, of which the oldest is first.

    merge: if the last sample is from the same second, merge the exchange with it instead.
    """
    last = samples[-1] if samples and merge else None
    if last is not None and abs(sample.sent_ns - last.began_ns) < MERGED_NS:
        samples[-1] = best_of(last, sample)
    else:
        samples.append(sample)


class OffsetFilter:
    """The last exchanges, and the bounds that they together set for the offset."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        # Cached: every wake-up of a bridge asks for it, and it changes a few times a second.
        self._rtt_min_ns: int | None = None

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample, *, merge: bool = False) -> None:
        """Add an exchange. merge: merge it with those of the same second; False: keep it apart."""
        take_in(self._samples, sample, merge=merge)
        self._rtt_min_ns = None

    def clear(self) -> None:
        """Drop all exchanges, because the clock on the other side is a different one now."""
        self._samples.clear()
        self._rtt_min_ns = None

    def interval(self, at_ns: int, *, rate: float, rate_error: float) -> Interval:
        """Return the hard bounds of the session clock's offset at a local instant (ns).

        Exchanges are combined from the newest backwards, until one contradicts the newer ones. A
        contradiction means that a clock has run differently than assumed since then. rate, rate_error: as for
        `project`. There must be at least one exchange.
        """
        return self._common(at_ns, slice(BOUNDING), rate, rate_error, DISPERSION_PPM)

    def estimate_ns(self, at_ns: int, *, rate: float, rate_error: float, bounds: Interval) -> float:
        """Return the most likely offset (ns) at a local instant (ns) that lies within the given hard bounds.

        rate, rate_error: as for `project`. There must be at least one exchange.
        """
        likely = self._common(at_ns, slice(SAMPLES_KEPT), rate, rate_error, LIKELY_PPM)
        return min(max(likely.middle_ns, bounds.lower_ns), max(bounds.lower_ns, bounds.upper_ns))

    def forget_before_step(self, at_ns: int, *, rate: float, rate_error: float) -> bool:
        """If a clock was stepped a minute ago, drop the exchanges from before. Return whether that was so.

        A step of less than a round trip shows because the bounds of the last minute differ from those of the
        minute before. A queue that lasted a minute on the uplink, followed by one on the downlink, has the
        same effect on the bounds, but also lengthens the round trip. Call this about once a second. at_ns:
        the present, local ns.
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
        """The local instant (ns) at which the oldest kept exchange was sent. There must be at least one."""
        return self._samples[0].began_ns

    @property
    def rtt_min_ns(self) -> int:
        """The least delay of the last minute's exchanges, ns. There must be at least one exchange."""
        if self._rtt_min_ns is None:
            last = islice(reversed(self._samples), BOUNDING)
            self._rtt_min_ns = max(min(sample.delay_ns for sample in last), 0)
        return self._rtt_min_ns

    def jitter_ns(self, *, rate: float) -> float:
        """Return how much the offsets of the last exchanges scatter (ns, RMS) about that of the least delay.

        Merged exchanges count as one exchange with their best bounds. rate: as for `project`. Source: RFC
        5905, section 10.
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
