"""Way report: the figures of an emulated way as asked, as decided and as executed, and the verdict.

Pure; its only input is a decision log. Asked: the figures of the Way. Decided: the model's draws. Executed:
the instants at which the emulator wrote to the device.

Independent loss is judged only among the datagrams that it could hit. Datagrams lost in an outage, a full
queue or a burst aren't among them. So loss can be judged for any traffic, TCP too. Bursts can be judged only
for traffic that goes on during them (`even`). The seed fixes all random numbers. So a way that passes once
passes again with as many datagrams.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from laboratory.runs.oracle import way_name
from laboratory.star.decisionlog import FATES, WAYS, Log, first_difference
from laboratory.study.intervals import wilson
from relay.netmodel.impairment import Bursts, Fate, Way, drawer

ERROR_MS_P99_MAX = 1.0
"""Limit (ms) for the p99 of the emulator's lateness. A greater one fails. Source: issue 4."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AskedShare:
    """A share of datagrams with some fate that random numbers decide, such as loss.

    asked: the share that was asked for. got: the share found. low, high: Wilson's 99 % interval of `got`. The
    share passes if the interval contains `asked`. n: number of trials; for bursts the equivalent number of
    independent trials.
    """

    asked: float
    got: float
    n: float
    low: float
    high: float

    @property
    def fits(self) -> bool:
        """True if the share asked for lies in the interval."""
        return self.low <= self.asked <= self.high


@dataclass(frozen=True, slots=True)
class WayReport:
    """The report on one direction of one leg. Delays and errors are (p50, p99) in ms; NaN if no datagram
    passed."""

    name: str
    """Name of the way, such as "anna/up"."""
    datagrams: int
    fates: dict[str, int]
    copied: int
    overtaken: int
    """Number of datagrams that arrived after one that was sent later."""
    in_flight: int
    delay_asked_ms: tuple[float, float]
    """Delay and jitter alone, as computed from the Way. Queue, spikes and reordering add to it."""
    delay_decided_ms: tuple[float, float]
    error_ms: tuple[float, float]
    """Delay (ms) beyond the decided one with which datagrams were written."""
    loss: AskedShare
    bursts: AskedShare | None
    copies: AskedShare | None
    faults: list[str] = field(default_factory=list)
    """Differences between the way and the request, in words. They are the emulator's faults."""
    lateness: list[str] = field(default_factory=list)
    """Statements about late datagrams, in words. Lateness is the fault of this machine."""

    @property
    def is_ok(self) -> bool:
        """True if the way was as asked, and in time."""
        return not self.faults and not self.lateness


def report(log: Log, *, even: bool = False, replay: bool = True) -> list[WayReport]:
    """Return a report for each way that carried a datagram, in the order of the legs.

    even: the traffic went on during bursts, so their share is judged too. replay: check that the model
    decides the same again.
    """
    return [
        way_report(log, name, way, even=even, replay=replay)
        for name in log.header.names
        for way in WAYS
        if len(log.rows_of(name, way))
    ]


def way_report(log: Log, name: str, way: str, *, even: bool = False, replay: bool = True) -> WayReport:
    """Return the report on one way ("up" or "down") of the leg `name`. even, replay: as in `report`."""
    rows = log.rows_of(name, way)
    asked = log.way(name, way)
    fates = {fate.value: int(np.count_nonzero(rows["fate"] == FATES.index(fate))) for fate in Fate}
    passed = rows[rows["fate"] == FATES.index(Fate.PASSED)]
    written = passed[~np.isnan(passed["written_s"])]
    copied = int(np.count_nonzero(~np.isnan(passed["copy_arrival_s"])))
    error_s = written["written_s"] - written["arrival_s"]
    at_dice = fates["passed"] + fates["lost"]
    result = WayReport(
        name=way_name(name, way),
        datagrams=len(rows),
        fates=fates,
        copied=copied,
        overtaken=overtaken(written["written_s"]),
        in_flight=len(passed) - len(written),
        delay_asked_ms=delay_asked_ms(asked),
        delay_decided_ms=_p50_p99_ms(passed["arrival_s"] - passed["at_s"]),
        error_ms=_p50_p99_ms(error_s),
        loss=share(loss_asked(asked), fates["lost"], at_dice),
        bursts=_bursts(asked, rows, fates),
        copies=share(asked.duplicate, copied, len(passed)) if asked.duplicate else None,
    )
    result.faults.extend(_faults(result, asked, even=even))
    if result.error_ms[1] >= ERROR_MS_P99_MAX:
        result.lateness.append(
            f"1 in 100 was more than {result.error_ms[1]:.2f} ms late, at most {ERROR_MS_P99_MAX:.0f} ms is "
            "allowed: this machine was too busy"
        )
    if error_s.size and error_s.min() < 0.0:
        result.faults.append(f"a datagram was written {-error_s.min() * 1e3:.3f} ms early")
    if replay and (difference := first_difference(log, name, way)):
        result.faults.append(f"not repeatable: {difference}")
    return result


def share(asked: float, count: float, n: float) -> AskedShare:
    """Compare a share asked for with the share found: `count` of n independent trials."""
    got = count / n if n else 0.0
    low, high = wilson(count, n, 0.99)
    return AskedShare(asked, got, n, low, high)


def burst_trials(bursts: Bursts, at_s: Floats) -> float:
    """Return the number of independent trials to which the datagrams sent at at_s (s, ascending) are
    equivalent.

    In a two-state Markov process, the states at two instants t apart have the correlation exp(-t (1/bad +
    1/good)). The variance of the mean, divided by that of one sample, is the mean of all pairs' correlations.
    The result is the inverse of that mean.
    """
    n = len(at_s)
    if n == 0:
        return 0.0
    bad_s = bursts.mean_s
    good_s = bad_s * (1.0 - bursts.share) / bursts.share
    fading = np.exp(-np.diff(at_s) * (1.0 / bad_s + 1.0 / good_s))
    pairs = 0.0
    earlier = 0.0
    for factor in fading.tolist():
        earlier = factor * (earlier + 1.0)
        pairs += earlier
    return n * n / (n + 2.0 * pairs)


def overtaken(written_s: Floats) -> int:
    """Return the number of datagrams that arrived after one that was sent later.

    written_s: instants of arrival, in the order of sending. Source: RFC 4737, section 3 (reordered).
    """
    if len(written_s) == 0:
        return 0
    earliest_from_here_on = np.minimum.accumulate(written_s[::-1])[::-1]
    return int(np.count_nonzero(written_s > earliest_from_here_on))


def loss_asked(way: Way) -> float:
    """Return the share (0 to 1) of datagrams that the Way is to lose: independently, or as its trace did."""
    if way.trace is None:
        return way.loss
    samples = way.trace.samples
    return sum(sample.delay_ms is None for sample in samples) / len(samples)


def delay_asked_ms(way: Way) -> tuple[float, float]:
    """Return (p50, p99) in ms of delay and jitter together, as asked for."""
    if way.trace is not None:
        delays = [sample.delay_ms for sample in way.trace.samples if sample.delay_ms is not None]
        return _p50_p99_ms(np.array(delays) / 1e3)
    if way.jitter is None or way.jitter.scale_ms == 0.0:
        return way.delay_ms, way.delay_ms
    draw = drawer(way.jitter)
    p50, p99 = (max(0.0, way.delay_ms + draw(share) * 1e3) for share in (0.5, 0.99))
    return p50, p99


def _bursts(asked: Way, rows: "NDArray[np.void]", fates: dict[str, int]) -> AskedShare | None:
    if asked.bursts is None or asked.bursts.share == 0.0:
        return None
    before = (rows["fate"] != FATES.index(Fate.OUTAGE)) & (rows["fate"] != FATES.index(Fate.QUEUE_FULL))
    n = int(np.count_nonzero(before))
    worth = burst_trials(asked.bursts, rows["at_s"][before])
    return share(asked.bursts.share, fates["burst"] / n * worth if n else 0.0, worth)


def _faults(result: WayReport, asked: Way, *, even: bool) -> list[str]:
    faults = []
    judged = [("loss", result.loss)] if asked.trace is None else []
    judged += [("bursts", result.bursts)] if even and result.bursts is not None else []
    judged += [("copies", result.copies)] if result.copies is not None else []
    for what, one in judged:
        if not one.fits:
            faults.append(
                f"{what} {one.got:.3%}, asked {one.asked:.3%}: not in [{one.low:.3%}, {one.high:.3%}] (99 %)"
            )
    return faults


def _p50_p99_ms(values_s: Floats) -> tuple[float, float]:
    if len(values_s) == 0:
        return math.nan, math.nan
    p50, p99 = np.percentile(values_s, [50, 99]) * 1e3
    return float(p50), float(p99)
