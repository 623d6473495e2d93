"""Model of a bad network: decides about each datagram in one direction whether and when it arrives.

Pure. Times are seconds since the emulation's start, sizes are bytes of the IP datagram. Every effect (loss,
jitter, bursts and so on) has random numbers of its own, made from (seed, name, effect). So adding loss
doesn't change the jitter. The n-th datagram always meets the same random numbers, whatever happened to those
before it. Outages, bloats, bursts, spikes, held jitter and traces depend only on the instant at which a
datagram enters (relay/netmodel/timelines.py). So `best_arrival_s` can compute from them the best result that
is possible for any sender.

A datagram passes these stages: outage; the queue before the slowest part of the path; bursts and loss (a
datagram lost there has still used its share of the rate); delay and jitter. A spike blocks the slowest part
of the path. After it, the datagrams that waited leave one after the other if there is a rate, else together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from statistics import NormalDist

from relay.netmodel.timelines import (
    BloatLine,
    BurstLine,
    HeldLine,
    OutageLine,
    SpikeLine,
    TraceLine,
    between_0_and_1,
)
from relay.wire.errors import LocalError
from relay.wire.trace import TraceWay

DUPLICATE_AFTER_S = 0.003
"""How long after a duplicated datagram its copy arrives, s. The copy stands for a retry of a lower layer
(assumption)."""

NORMAL_CUT = 4.0
"""NORMAL jitter is cut at this many standard deviations, as in netem's table (iproute2)."""

LOGNORMAL_SIGMA = 0.8
"""Standard deviation of the logarithm of LOGNORMAL jitter. With it the p99 is 4.7 times the mean
(assumption)."""

PARETO_SHAPE = 3.0
"""Shape of PARETO jitter, the one that netem uses (iproute2, netem/pareto.c)."""

TAIL_CUT = 50.0
"""Jitter of every kind except NORMAL is cut at this many times its mean. That concerns one draw in 17,000
of PARETO, and practically none of the others."""


class JitterKind(Enum):
    """Distribution of the jitter. NORMAL lies symmetrically around the delay. The others only add to the
    delay."""

    NORMAL = "normal"
    LOGNORMAL = "lognormal"
    PARETO = "pareto"
    EXPONENTIAL = "exponential"
    UNIFORM = "uniform"


@dataclass(frozen=True, slots=True)
class Jitter:
    """The random variation of a direction's delay."""

    kind: JitterKind
    scale_ms: float
    """For NORMAL its standard deviation, ms. For the other kinds the mean of the added delay, ms."""
    hold_ms: float = 0.0
    """How long one random value holds for all datagrams, ms. If 0, each datagram has a random value of its
    own."""

    def __post_init__(self) -> None:
        _require(_at_least_0(self.scale_ms), "jitter", self.scale_ms, "at least 0 ms")
        _require(_at_least_0(self.hold_ms), "hold", self.hold_ms, "at least 0 ms")


@dataclass(frozen=True, slots=True)
class Spikes:
    """Sudden blockades of the path, each of height_ms. Datagrams that enter during a blockade go on at its
    end.

    So the delay jumps by height_ms and then falls by 1 ms in each ms. Observed on Wi-Fi: C. Huitema, "The
    weird case of the wifi latency spikes", 2023.
    """

    every_s: float
    """Mean time from the start of one spike to the start of the next, s. The times are exponentially
    distributed."""
    height_ms: float

    def __post_init__(self) -> None:
        _require(_above_0(self.every_s), "spikes", self.every_s, "a mean gap above 0 s")
        _require(_at_least_0(self.height_ms), "spike", self.height_ms, "at least 0 ms")


@dataclass(frozen=True, slots=True)
class Bursts:
    """Bad periods, in which every datagram is lost, alternate with good periods. The lengths of both are
    exponentially distributed (the Gilbert-Elliott model in continuous time)."""

    share: float
    """Share of the time that is bad; 0 <= share < 1. The same share of evenly sent datagrams is lost."""
    mean_s: float = 0.080
    """Mean length of the bad periods, s. 80 ms is an assumption."""

    def __post_init__(self) -> None:
        _require(0.0 <= self.share < 1.0, "bursts", self.share, "a share of the time, at least 0, below 1")
        _require(_above_0(self.mean_s), "burst", self.mean_s, "a mean length above 0 s")


@dataclass(frozen=True, slots=True)
class Way:
    """The network in one direction of a leg. Raises LocalError for values that no network can have."""

    delay_ms: float = 0.0
    jitter: Jitter | None = None
    loss: float = 0.0
    """Share (0 to 1) of datagrams that are lost, each independently of the others."""
    bursts: Bursts | None = None
    duplicate: float = 0.0
    reorder: float = 0.0
    """Share (0 to 1) of datagrams that take reorder_ms longer, so that others may overtake them."""
    reorder_ms: float = 12.0
    rate_kbps: float | None = None
    queue_ms: float = 200.0
    """Longest wait in the queue that a rate_kbps causes, ms. A datagram that would wait longer is dropped."""
    spikes: Spikes | None = None
    outages: tuple[tuple[float, float], ...] = ()
    """Periods (from_s, to_s). Datagrams sent in such a period never arrive."""
    bloats: tuple[tuple[float, float, float], ...] = ()
    """Periods (from_s, to_s, added ms). Datagrams sent in such a period take longer by the added ms, as in a
    queue that other traffic keeps full."""
    trace: TraceWay | None = None
    """A recorded path that is replayed over and over, or None. Its sample nearest in time replaces delay_ms,
    jitter and loss."""
    fifo: bool = True
    """Whether datagrams keep their order, and arrive as far apart as the rate requires. Datagrams chosen by
    `reorder` and copies made by `duplicate` are exempt."""

    def __post_init__(self) -> None:
        _require(_at_least_0(self.delay_ms), "delay", self.delay_ms, "at least 0 ms")
        for what, share in (("loss", self.loss), ("duplicate", self.duplicate), ("reorder", self.reorder)):
            _require(0.0 <= share <= 1.0, what, share, "a share between 0 and 1 (0 % and 100 %)")
        _require(_at_least_0(self.reorder_ms), "reorder_ms", self.reorder_ms, "at least 0 ms")
        _require(self.rate_kbps is None or _above_0(self.rate_kbps), "rate", self.rate_kbps, "above 0 kbit/s")
        _require(_at_least_0(self.queue_ms), "queue", self.queue_ms, "at least 0 ms")
        _require_in_order("outage", self.outages)
        _require_in_order("bloat", [(from_s, to_s) for from_s, to_s, _ in self.bloats])
        for _, _, height_ms in self.bloats:
            _require(_at_least_0(height_ms), "bloat", height_ms, "at least 0 ms")
        _require(self.trace is None or bool(self.trace.samples), "trace", "nothing", "at least one sample")


@dataclass(frozen=True, slots=True)
class Leg:
    """The path between a member and the relay."""

    up: Way
    """Member to relay."""
    down: Way
    """Relay to member."""

    @classmethod
    def both(cls, way: Way) -> Leg:
        """Return a leg with the same network in both directions. Their random numbers differ, because these
        also depend on the direction's name."""
        return cls(way, way)


class Fate(Enum):
    """Whether a datagram arrives, or why it doesn't."""

    PASSED = "passed"
    LOST = "lost"
    """Lost by `Way.loss`, or because the trace's sample was lost."""
    BURST = "burst"
    OUTAGE = "outage"
    QUEUE_FULL = "queue-full"


@dataclass(frozen=True, slots=True)
class Decision:
    """The model's decision about one datagram."""

    index: int
    """The datagram's number in this direction, from 0."""
    at_s: float
    size: int
    fate: Fate
    arrivals_s: tuple[float, ...]
    """The instants of arrival. There are none if the datagram is lost, two if it is duplicated, else one."""


class Impairment:
    """Decides about the datagrams of one direction, one after the other."""

    def __init__(self, way: Way, *, seed: int, name: str) -> None:
        """way: the network. seed, name: determine all random numbers. The name is the direction's, for
        example "anna/up". So directions with the same seed differ."""
        stem = f"{seed}/{name}"
        self.way = way
        self.index = 0
        """The number that the next datagram gets."""
        self._at_s = 0.0
        self._last_arrival_s = 0.0
        self._free_at_s = 0.0
        self._delay_s = way.delay_ms / 1e3
        self._loss = Random(f"{stem}/loss")
        self._duplicate = Random(f"{stem}/duplicate")
        self._reorder = Random(f"{stem}/reorder")
        self._jitter = Random(f"{stem}/jitter")
        self._outages = OutageLine(way.outages) if way.outages else None
        self._bloats = BloatLine(way.bloats) if way.bloats else None
        self._bursts: BurstLine | None = None
        if way.bursts is not None and way.bursts.share > 0.0:
            self._bursts = BurstLine(way.bursts.share, way.bursts.mean_s, Random(f"{stem}/bursts"))
        self._spikes: SpikeLine | None = None
        if way.spikes is not None and way.spikes.height_ms > 0.0:
            self._spikes = SpikeLine(way.spikes.every_s, way.spikes.height_ms / 1e3, Random(f"{stem}/spikes"))
        self._trace = TraceLine(way.trace) if way.trace is not None else None
        self._draw: Callable[[float], float] | None = None
        self._held: HeldLine | None = None
        if way.jitter is not None and way.jitter.scale_ms > 0.0 and way.trace is None:
            draw = drawer(way.jitter)
            if way.jitter.hold_ms > 0.0:
                self._held = HeldLine(way.jitter.hold_ms / 1e3, draw, f"{stem}/jitter")
            else:
                self._draw = draw
        self._least_s = self._least_delay_s()

    def decide(self, at_s: float, size: int) -> Decision:
        """Return the decision about a datagram of `size` bytes that is sent at at_s. at_s must never
        decrease."""
        assert at_s >= self._at_s, f"time ran back from {self._at_s} to {at_s}"
        self._at_s = at_s
        index = self.index
        self.index = index + 1
        way = self.way
        # Drawn first and always, so that the n-th datagram takes the n-th draw whatever happened before it.
        lost = way.trace is None and way.loss > 0.0 and self._loss.random() < way.loss
        doubled = way.duplicate > 0.0 and self._duplicate.random() < way.duplicate
        overtaken = way.reorder > 0.0 and self._reorder.random() < way.reorder
        added_s = self._draw(between_0_and_1(self._jitter)) if self._draw is not None else 0.0

        if self._outages is not None and self._outages.out_until_s(at_s) is not None:
            return Decision(index, at_s, size, Fate.OUTAGE, ())
        leaves_s, takes_s = at_s, 0.0
        blocked_s = at_s if self._spikes is None else self._spikes.blocked_until_s(at_s)
        if way.rate_kbps is not None:
            starts_s = max(blocked_s, self._free_at_s)
            if starts_s - at_s > way.queue_ms / 1e3:
                return Decision(index, at_s, size, Fate.QUEUE_FULL, ())
            takes_s = size * 8e-3 / way.rate_kbps
            leaves_s = self._free_at_s = starts_s + takes_s
        if self._bursts is not None and self._bursts.bad_until_s(at_s) is not None:
            return Decision(index, at_s, size, Fate.BURST, ())
        delay_s = self._delay_at_s(at_s, added_s)
        if lost or delay_s is None:
            return Decision(index, at_s, size, Fate.LOST, ())

        if self._bloats is not None:
            delay_s += self._bloats.at(at_s)[0]
        arrival_s = leaves_s + delay_s
        if way.rate_kbps is None:
            arrival_s += blocked_s - at_s
        if overtaken:
            arrival_s += way.reorder_ms / 1e3
        elif way.fifo:
            arrival_s = self._last_arrival_s = max(arrival_s, self._last_arrival_s + takes_s)
        arrivals_s = (arrival_s, arrival_s + DUPLICATE_AFTER_S) if doubled else (arrival_s,)
        return Decision(index, at_s, size, Fate.PASSED, arrivals_s)

    def best_arrival_s(self, at_s: float, until_s: float) -> float | None:
        """Return the earliest possible arrival of an event that is ready at at_s; None if that is after
        until_s.

        The best sender imaginable repeats the event without a pause. So independent loss below 100 %,
        reordering, the rate and its queue don't delay it, and jitter drawn for each datagram has its least
        value. Outages, bloats, bursts, spikes, held jitter and the trace do delay it. A call doesn't change
        later results of `decide`.
        """
        if self.way.trace is None and self.way.loss >= 1.0:
            return None
        best_s = math.inf
        sent_s = at_s
        # Within a stretch of one delay, sending later never arrives earlier, so only its edges are tried.
        while sent_s + self._least_s <= until_s and sent_s + self._least_s < best_s:
            open_s = self._open_from_s(sent_s)
            if open_s > sent_s:
                sent_s = open_s
                continue
            delay_s, next_s = self._stretch(sent_s)
            if delay_s is not None:
                blocked_s = self._spikes.blocked_until_s(sent_s) if self._spikes is not None else sent_s
                best_s = min(best_s, blocked_s + delay_s)
            sent_s = max(next_s, math.nextafter(sent_s, math.inf))  # advances even if an edge was rounded
        return best_s if best_s <= until_s else None

    def _delay_at_s(self, at_s: float, added_s: float) -> float | None:
        if self._trace is not None:
            return self._trace.at(at_s)[0]
        if self._held is not None:
            added_s = self._held.at(at_s)[0]
        return max(0.0, self._delay_s + added_s)

    def _open_from_s(self, at_s: float) -> float:
        """Return the end (s) of the outage or bad period in which at_s lies; at_s itself if it lies in
        none."""
        if self._outages is not None:
            at_s = self._outages.out_until_s(at_s) or at_s
        if self._bursts is not None:
            at_s = self._bursts.bad_until_s(at_s) or at_s
        return at_s

    def _stretch(self, at_s: float) -> tuple[float | None, float]:
        """Return (least, until). least: the least delay at the instant at_s, s; None if all is lost. until:
        the instant (s) until which this holds."""
        delay_s, until_s = self._plain_stretch(at_s)
        if self._bloats is None or delay_s is None:
            return delay_s, until_s
        added_s, bloated_until_s = self._bloats.at(at_s)
        return delay_s + added_s, min(until_s, bloated_until_s)

    def _plain_stretch(self, at_s: float) -> tuple[float | None, float]:
        if self._trace is not None:
            return self._trace.at(at_s)
        if self._held is not None:
            added_s, until_s = self._held.at(at_s)
            return max(0.0, self._delay_s + added_s), until_s
        return self._least_s, math.inf

    def _least_delay_s(self) -> float:
        if self._trace is not None:
            return self._trace.least_s
        if self.way.jitter is not None:
            return max(0.0, self._delay_s + least_draw_s(self.way.jitter))
        return self._delay_s


def drawer(jitter: Jitter) -> Callable[[float], float]:
    """Return a function that turns a random number in (0, 1) into seconds of this jitter."""
    scale_s = jitter.scale_ms / 1e3
    cut_s = TAIL_CUT * scale_s
    match jitter.kind:
        case JitterKind.NORMAL:
            inverse = NormalDist(0.0, scale_s).inv_cdf
            cut_s = NORMAL_CUT * scale_s
            return lambda u: min(cut_s, max(-cut_s, inverse(u)))
        case JitterKind.LOGNORMAL:
            inverse = NormalDist(-(LOGNORMAL_SIGMA**2) / 2.0, LOGNORMAL_SIGMA).inv_cdf
            return lambda u: min(cut_s, scale_s * math.exp(inverse(u)))
        case JitterKind.PARETO:
            # Pareto of the second kind (Lomax). It begins at 0, and its mean is its scale / (shape - 1).
            return lambda u: min(
                cut_s, scale_s * (PARETO_SHAPE - 1.0) * ((1.0 - u) ** (-1.0 / PARETO_SHAPE) - 1.0)
            )
        case JitterKind.EXPONENTIAL:
            return lambda u: min(cut_s, -scale_s * math.log(1.0 - u))
        case JitterKind.UNIFORM:
            return lambda u: 2.0 * scale_s * u


def least_draw_s(jitter: Jitter) -> float:
    """Return the least delay that this jitter can add, s. It is below 0 for NORMAL, and 0 for the other
    kinds."""
    return -NORMAL_CUT * jitter.scale_ms / 1e3 if jitter.kind is JitterKind.NORMAL else 0.0


def _require_in_order(what: str, periods: Sequence[tuple[float, float]]) -> None:
    end_s = 0.0
    for from_s, to_s in periods:
        fits = end_s <= from_s < to_s and math.isfinite(to_s)
        _require(fits, what, (from_s, to_s), "(from_s, to_s) in the order of time, apart, above 0 long")
        end_s = to_s


def _at_least_0(value: float) -> bool:
    return math.isfinite(value) and value >= 0.0


def _above_0(value: float) -> bool:
    return math.isfinite(value) and value > 0.0


def _require(fits: bool, what: str, found: object, expected: str) -> None:
    if not fits:
        raise LocalError(f"{what} {found}: expected {expected}")
