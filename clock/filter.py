"""Filter over the last exchanges: computes the bounds between which the offset of the session clock lies.

Pure. The offset is session time minus local time, each counted from an origin. An exchange bounds it from
both sides, however asymmetric the path is. The remote clock showed t2 after we had sent at t1, and t3 before
we received at t4. So t3 - t4 <= offset <= t2 - t1. The distance of these bounds is the delay, so the exchange
with the least delay has the best bounds (RFC 5905, section 10). The best upper and the best lower bound of
*different* exchanges are better still, because the queues on uplink and downlink are independent.

The estimate is the middle of the two bounds. Bounds widen with their age (dispersion). There are two sets of
bounds. Hard bounds widen quickly. The bounds for the estimate widen slowly, so that older exchanges help
too. The exchanges of one second are merged into their best bounds. Limit: `SAMPLES_KEPT` such seconds.
"""

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from math import inf, sqrt

SAMPLES_KEPT = 320
"""Number of seconds with exchanges that are used for the estimate, about five minutes. The shortest of many
queues is nearer to an empty one. Example: lognormal queues of 20 ms on the uplink and 8 ms on the downlink.
The p99 of the error is 2 ms after one minute, and half that after five minutes."""
BOUNDING = 64
"""Number of seconds with exchanges that are used for the hard bounds, about one minute. An older exchange has
widened by more than 0.9 ms (15 ppm * 60 s). On any path fit for playing that outweighs a shorter delay. With
so few exchanges a change of route is also forgotten soon."""
MERGED_NS = 950_000_000
"""Exchanges that begin within this time (ns) of each other are merged. It is a little less than a second, so
that exchanges one second apart are not merged."""

DISPERSION_PPM = 15
"""How fast a hard bound widens with its age, ppm. The known error of the rate is added. Source: RFC 5905,
PHI."""
LIKELY_PPM = 3
"""How fast a bound for the estimate widens with its age, ppm. The known error of the rate is added. The rate
of a crystal changes by about as much within minutes. So older exchanges slowly lose weight in the
estimate."""

JITTER_SAMPLES = 8
"""Number of last exchanges over which jitter is computed, as in RFC 5905."""

STEPPED_NS = 5_000_000
"""A clock counts as stepped if both bounds of a minute moved by more than this (ns) in the same direction.
Queues of 20 ms in only one direction move the bounds of a minute by less than 2 ms."""

GRAIN_NS = 10_000
"""Two intervals agree if they overlap or the gap between them is at most this (ns; 10 µs). The reason: a
kernel's wall-clock stamps are wrong by a few µs after their conversion to local time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange, or the best bounds of several merged exchanges. `lower_ns` <= offset <= `upper_ns`.

    offset > 0: the session clock is ahead of the local clock, both counted from the same origin. sent_ns:
    local instant of sending the request. received_ns: local instant of receiving the answer. In merged
    exchanges, upper_ns is from the exchange sent at sent_ns, and lower_ns from the exchange received at
    received_ns.
    """

    sent_ns: int
    received_ns: int
    lower_ns: int
    upper_ns: int
    first_ns: int | None = None
    """The local instant (ns) at which the first of the merged exchanges was sent; None for a single
    exchange."""
    least_delay_ns: int | None = None
    """The least delay (ns) of the merged exchanges; None for a single exchange."""

    @property
    def delay_ns(self) -> int:
        """The round trip time without the time that the remote side took, ns. Of merged exchanges it is the
        least."""
        return self.upper_ns - self.lower_ns if self.least_delay_ns is None else self.least_delay_ns

    @property
    def began_ns(self) -> int:
        """The local instant (ns) at which the exchange, or the first of the merged ones, was sent."""
        return self.sent_ns if self.first_ns is None else self.first_ns

    @property
    def offset_ns(self) -> float:
        """The offset (ns), on the assumption that both directions took equally long."""
        return (self.upper_ns + self.lower_ns) / 2


def best_of(one: Sample, other: Sample) -> Sample:
    """Merge two exchanges that are close in time: keep the smaller upper bound and the greater lower bound.

    one: the earlier exchange. other: the later one.
    """
    upper, lower = min(one, other, key=lambda s: s.upper_ns), max(one, other, key=lambda s: s.lower_ns)
    return replace(
        upper, received_ns=lower.received_ns, lower_ns=lower.lower_ns, first_ns=one.began_ns,
        least_delay_ns=min(one.delay_ns, other.delay_ns),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interval:
    """The bounds (ns) of the session clock's offset at one instant. > 0: it is ahead of the local clock."""

    lower_ns: float
    upper_ns: float

    @property
    def middle_ns(self) -> float:
        """The middle of the bounds (ns), which is the estimate of the offset."""
        return (self.lower_ns + self.upper_ns) / 2

    @property
    def radius_ns(self) -> float:
        """By how much the middle may be wrong, ns: half the distance of the bounds, and at least half of
        `GRAIN_NS`."""
        return max((self.upper_ns - self.lower_ns) / 2, GRAIN_NS / 2)

    def agrees_with(self, other: "Interval") -> bool:
        """Return whether the intervals overlap, or have a gap of at most `GRAIN_NS` between them."""
        return self.lower_ns <= other.upper_ns + GRAIN_NS and other.lower_ns <= self.upper_ns + GRAIN_NS

    @property
    def width_ns(self) -> float:
        """The distance between the two bounds, ns."""
        return self.upper_ns - self.lower_ns

    def is_beside(self, other: "Interval") -> bool:
        """Return whether both bounds differ from the other interval's by more than `STEPPED_NS`, in the same
        direction.

        Queues don't cause that; a clock that was stepped by less than a round trip does.
        """
        by_ns = (self.lower_ns - other.lower_ns, self.upper_ns - other.upper_ns)
        return min(by_ns) > STEPPED_NS or max(by_ns) < -STEPPED_NS

    def and_also(self, other: "Interval") -> "Interval":
        """Return the intersection of two intervals that agree.

        If there is a gap between them, the result's lower bound is above its upper bound by up to `GRAIN_NS`.
        """
        return Interval(max(self.lower_ns, other.lower_ns), min(self.upper_ns, other.upper_ns))


def project(sample: Sample, at_ns: int, *, rate: float, rate_error: float) -> Interval:
    """Return the hard bounds that an exchange sets for the offset at the local instant at_ns.

    rate: how many seconds session time gains in a second of local time. rate_error: by how much the rate may
    be wrong; `DISPERSION_PPM` is added to it. Both are plain ratios: 1e-6 is 1 ppm.
    """
    growth = rate_error + DISPERSION_PPM * 1e-6
    since_sent_ns, since_received_ns = at_ns - sample.sent_ns, at_ns - sample.received_ns
    return Interval(
        sample.lower_ns + rate * since_received_ns - growth * abs(since_received_ns),
        sample.upper_ns + rate * since_sent_ns + growth * abs(since_sent_ns),
    )


def take_in(samples: deque[Sample], sample: Sample, *, merge: bool) -> None:
    """Append an exchange to `samples`, whose oldest is first.

    merge: whether to merge the exchange with the last sample if both are from the same second.
    """
    last = samples[-1] if samples and merge else None
    if last is not None and abs(sample.sent_ns - last.began_ns) < MERGED_NS:
        samples[-1] = best_of(last, sample)
    else:
        samples.append(sample)


class OffsetFilter:
    """Keeps the last exchanges, and computes the bounds that they set together for the offset."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        # Cached: every wake-up of a bridge asks for it, and it changes a few times a second.
        self._rtt_min_ns: int | None = None

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample, *, merge: bool = False) -> None:
        """Add an exchange. merge: whether to merge it with those of the same second."""
        take_in(self._samples, sample, merge=merge)
        self._rtt_min_ns = None

    def clear(self) -> None:
        """Drop all exchanges. Called when the remote clock has been replaced or set."""
        self._samples.clear()
        self._rtt_min_ns = None

    def interval(self, at_ns: int, *, rate: float, rate_error: float) -> Interval:
        """Return the hard bounds of the session clock's offset at a local instant (ns).

        Exchanges are combined from the newest backwards. At the first one that contradicts the newer ones
        the combination ends: after that exchange a clock ran differently than assumed. rate, rate_error: as
        for `project`. There must be at least one exchange.
        """
        return self._common(at_ns, slice(BOUNDING), rate, rate_error, DISPERSION_PPM)

    def estimate_ns(self, at_ns: int, *, rate: float, rate_error: float, bounds: Interval) -> float:
        """Return the most likely offset (ns) at a local instant (ns), within the given hard bounds.

        rate, rate_error: as for `project`. There must be at least one exchange.
        """
        likely = self._common(at_ns, slice(SAMPLES_KEPT), rate, rate_error, LIKELY_PPM)
        return min(max(likely.middle_ns, bounds.lower_ns), max(bounds.lower_ns, bounds.upper_ns))

    def forget_before_step(self, at_ns: int, *, rate: float, rate_error: float) -> bool:
        """Drop the exchanges from before a step of a clock, if one happened a minute ago. Return whether one
        did.

        A step of less than a round trip shows because the bounds of the last minute differ from those of the
        minute before. Long queues, first on the uplink and then on the downlink, have the same effect on the
        bounds. But they also lengthen the round trip, so they aren't mistaken for a step. This should be
        called about once a second. at_ns: the present, local ns.
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
        """Return how much the offsets of the last exchanges scatter around the offset of the exchange with
        the least delay, ns (RMS).

        Merged exchanges count as one. rate: as for `project`. Source: RFC 5905, section 10.
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
