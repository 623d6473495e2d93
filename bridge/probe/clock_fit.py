"""Clock fit: the relay's time as one straight line over this host's, fitted to a finished measurement.

Pure. A jam needs its clock at once and slews it (`clock.discipline`). A measurement is complete, so one line
is fitted to all its exchanges. Exchanges at its end improve the line at its beginning too. The rate is found
by `clock.rate`, and the offset lies between the bounds of `clock.filter`.

No exchange can show a constant difference between uplink and downlink delay. Both are therefore taken to be
equal, and the bound contains the possible error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clock.errors import BadSample
from clock.exchange import offset_and_delay
from clock.filter import GRAIN_NS, Interval, Sample, project
from clock.model import NS_PER_S, PPT_PER_UNIT, Line, ns_from_ticks, ticks_from_ns
from clock.rate import RateFit
from relay.wire.errors import LocalError

RATE_ROUNDS = 2
"""How often the rate is fitted. The second fit compares delays within a stretch of time by the rate of the
first. A third fit changes nothing."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """The four timestamps of one answered probe.

    t1, t4: sent and received here, by the local clock (ns). t2, t3: received and sent at the relay, by its
    clock (timetags).
    """

    t1_local_ns: int
    t2_session: int
    t3_session: int
    t4_local_ns: int


@dataclass(frozen=True, slots=True)
class PathClock:
    """The relay's time as a function of this host's.

    bound_s: the greatest possible error anywhere in the measurement, s. rate_ppm > 0: the relay's clock runs
    faster. rate_error_ppm: standard error of the rate. steady: False if no straight line fits, because a
    clock was set or a host slept.
    """

    line: Line
    bound_s: float
    rate_ppm: float
    rate_error_ppm: float
    steady: bool

    def local_at(self, session: int) -> int:
        """Return the local instant (ns) of a session instant (timetag)."""
        return self.line.local_at(session)


def fit_clock(exchanges: Sequence[Exchange]) -> PathClock:
    """Return the clock that fits the exchanges, given in sending order.

    Raises LocalError if there are no exchanges, or if all have impossible timestamps.
    """
    if not exchanges:
        raise LocalError("no answer came back, so the two clocks can't be compared")
    origin = exchanges[0]
    samples = list(_best_of_each_second(exchanges, origin))
    if not samples:
        raise LocalError("no exchange can be true: the relay's timestamps contradict this host's clock")
    fit = RateFit()
    for sample in samples:
        fit.add(sample)
    rate = fit.estimate(0.0)
    for _ in range(RATE_ROUNDS - 1):
        rate = fit.estimate(rate.rate)
    first_ns, last_ns = exchanges[0].t1_local_ns, exchanges[-1].t4_local_ns
    middle_ns = (first_ns + last_ns) // 2
    intervals = {at: _bounds(samples, at, rate.rate, rate.error) for at in (first_ns, middle_ns, last_ns)}
    offset_ns = intervals[middle_ns].middle_ns
    session = origin.t2_session + ticks_from_ns(middle_ns - origin.t1_local_ns + round(offset_ns))
    bound_ns = max(
        abs(offset_ns + rate.rate * (at - middle_ns) - interval.middle_ns) + interval.radius_ns
        for at, interval in intervals.items()
    )
    return PathClock(
        Line(middle_ns, session, round(rate.rate * PPT_PER_UNIT)),
        bound_ns / NS_PER_S,
        rate.rate * 1e6,
        rate.error * 1e6,
        all(interval.lower_ns <= interval.upper_ns + GRAIN_NS for interval in intervals.values()),
    )


def _best_of_each_second(exchanges: Iterable[Exchange], origin: Exchange) -> Iterable[Sample]:
    """Yield one sample for each second, with two bounds of the clock's offset.

    The sample has the lowest of all upper bounds and the highest of all lower bounds. The two may come from
    different exchanges of the second. Offsets are relative to t1 and t2 of `origin`. More samples would only
    cost time.
    """
    best: dict[int, Sample] = {}
    for exchange in exchanges:
        try:
            sample = _sample(exchange, origin)
        except BadSample:
            continue
        second = (exchange.t1_local_ns - origin.t1_local_ns) // NS_PER_S
        so_far = best.get(second)
        if so_far is None:
            best[second] = sample
            continue
        upper = min(so_far, sample, key=lambda one: one.upper_ns)
        lower = max(so_far, sample, key=lambda one: one.lower_ns)
        best[second] = Sample(upper.sent_ns, lower.received_ns, lower.lower_ns, upper.upper_ns)
    return best.values()


def _sample(exchange: Exchange, origin: Exchange) -> Sample:
    t1_ns, t4_ns = (at - origin.t1_local_ns for at in (exchange.t1_local_ns, exchange.t4_local_ns))
    t2_ns, t3_ns = (
        ns_from_ticks(at - origin.t2_session) for at in (exchange.t2_session, exchange.t3_session)
    )
    offset_and_delay(t1_ns, t2_ns, t3_ns, t4_ns, tolerance=GRAIN_NS)
    return Sample(exchange.t1_local_ns, exchange.t4_local_ns, t3_ns - t4_ns, t2_ns - t1_ns)


def _bounds(samples: Sequence[Sample], at_ns: int, rate: float, rate_error: float) -> Interval:
    common = project(samples[0], at_ns, rate=rate, rate_error=rate_error)
    for sample in samples[1:]:
        common = common.and_also(project(sample, at_ns, rate=rate, rate_error=rate_error))
    return common
