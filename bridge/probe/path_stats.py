"""Path statistics: delay, jitter, loss, bursts and order of each direction, and the lead that a jam needs.

Pure. Everything is computed from the trace, so a trace read from a file gives the same results.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, log, sqrt

from relay.wire.quantile import quantile
from relay.wire.trace import Sample, Trace, TraceWay

Z_95 = 1.96
"""Half the width of a 95 % interval, in standard errors."""

RELEASE_ADVANCE_MS = 90.0
"""The release advance (ms) of a host whose scsynth plays through jackd at 1,024 frames, the slowest usual
case. It is 65 ms of need and 25 ms of a bridge's reserve (bridge.shells.scsynth_process)."""
HORIZON_MARGIN_MS = 10.0
"""The margin (ms) that the relay adds to the time from a verdict to its due (PROTOCOL.md, the judge)."""

LEFT_OVER = 1e-4
"""A lead suffices if at most this share of events is still lost after all repeats."""
REPEATS_MAX = 3
"""The greatest number of repeats of one event that fit into the lead. The least lead is the path plus 2-3
round trips between a member and the relay."""
NOTICED_MS = 5.0
REPEAT_MS_MIN, REPEAT_RTTS = 20.0, 1.2
"""A missing event is asked for after NOTICED_MS, and again every max(20 ms, 1.2 RTT) (PROTOCOL.md,
repeats)."""

GRAIN_MS = 0.01
"""Arrivals closer than this (ms) don't count as reordered, because timestamps and the trace's rounding are
off by a few µs."""


@dataclass(frozen=True, slots=True)
class WayFigures:
    """The figures of one direction. Delays are one way, in ms; None if nothing came.

    loss: the share lost, with its 95 % interval from loss_low to loss_high. jitter_ms: the mean delay minus
    the least delay. bursts: number of runs of two or more losses in a row. burst_ms_mean, burst_ms_max: mean
    and greatest length of these runs. reordered: number of datagrams that came after a later one (RFC 4737).
    """

    sent: int
    lost: int
    loss: float
    loss_low: float
    loss_high: float
    least_ms: float | None
    p50_ms: float | None
    p99_ms: float | None
    most_ms: float | None
    jitter_ms: float | None
    bursts: int
    burst_ms_mean: float
    burst_ms_max: float
    reordered: int


@dataclass(frozen=True, slots=True)
class PathFigures:
    """The figures of both directions. Values are None if nothing came in one direction.

    rtt_ms: sum of the median delays up and down. lead_ms: the lead of a room whose members all had this path.
    repeats_ms: the part of the lead that is for repairing losses.
    """

    up: WayFigures
    down: WayFigures
    rtt_ms: float | None
    repeats_ms: float | None
    lead_ms: float | None


def path_figures(trace: Trace) -> PathFigures:
    """Return the figures of a trace."""
    up, down = way_figures(trace.up), way_figures(trace.down)
    if up.p50_ms is None or down.p50_ms is None or up.p99_ms is None or down.p99_ms is None:
        return PathFigures(up, down, None, None, None)
    rtt_ms = up.p50_ms + down.p50_ms
    repeats_ms = _repeats_ms(up, down, rtt_ms)
    lead_ms = up.p99_ms + down.p99_ms + RELEASE_ADVANCE_MS + HORIZON_MARGIN_MS + repeats_ms
    return PathFigures(up, down, rtt_ms, repeats_ms, lead_ms)


def way_figures(way: TraceWay) -> WayFigures:
    """Return the figures of one direction."""
    delays = sorted(sample.delay_ms for sample in way.samples if sample.delay_ms is not None)
    bursts, runs = _runs_of_losses(way.samples)
    low, high = loss_interval(len(way.samples), runs)
    return WayFigures(
        sent=len(way.samples),
        lost=sum(runs),
        loss=sum(runs) / len(way.samples) if way.samples else 0.0,
        loss_low=low,
        loss_high=high,
        least_ms=delays[0] if delays else None,
        p50_ms=quantile(delays, 0.5),
        p99_ms=quantile(delays, 0.99),
        most_ms=delays[-1] if delays else None,
        jitter_ms=sum(delays) / len(delays) - delays[0] if delays else None,
        bursts=len(bursts),
        burst_ms_mean=sum(bursts) / len(bursts) if bursts else 0.0,
        burst_ms_max=max(bursts, default=0.0),
        reordered=_reordered(way.samples),
    )


def loss_interval(sent: int, runs: Iterable[int]) -> tuple[float, float]:
    """Return the 95 % interval of the share lost: (low, high). runs: the length of each run of losses.

    Source: Wilson's score interval. The losses of one run aren't independent, so a smaller number sent is put
    into it: `sent` divided by the sum of the squared lengths over the sum of the lengths. The variance of a
    compound Poisson count grows by this factor.
    """
    sizes = list(runs)
    lost = sum(sizes)
    if not sent:
        return 0.0, 1.0
    weight = sum(size * size for size in sizes) / lost if lost else 1.0
    count, share = sent / weight, lost / sent
    middle = (share + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    half = Z_95 / (1 + Z_95**2 / count) * sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _repeats_ms(up: WayFigures, down: WayFigures, rtt_ms: float) -> float:
    """Return the time (ms) that the lead needs for repairing losses.

    The time is enough for so many repeats that at most LEFT_OVER of the events stays lost. It is also longer
    than a usual burst.
    """
    loss = 1 - (1 - up.loss) * (1 - down.loss)
    if loss <= LEFT_OVER:
        return 0.0
    repeats = REPEATS_MAX if loss >= 1 else min(REPEATS_MAX, ceil(log(LEFT_OVER) / log(loss) - 1 - 1e-9))
    every_ms = max(REPEAT_MS_MIN, REPEAT_RTTS * rtt_ms)
    outwait_ms = max(up.burst_ms_mean, down.burst_ms_mean)
    outwait_ms += every_ms if outwait_ms else 0.0
    return NOTICED_MS + max(repeats * every_ms, outwait_ms)


def _runs_of_losses(samples: tuple[Sample, ...]) -> tuple[list[float], list[int]]:
    """Return two lists: the length (ms) of each burst, and the number of losses in each run.

    A burst is a run of at least two losses. Its length is the time from its first loss to the next datagram
    that arrived. On average this length is right.
    """
    bursts: list[float] = []
    runs: list[int] = []
    run, since_s = 0, 0.0
    for at, sample in enumerate(samples):
        if sample.delay_ms is None:
            since_s = sample.sent_s if not run else since_s
            run += 1
        if run and (sample.delay_ms is not None or at == len(samples) - 1):
            runs.append(run)
            if run > 1:
                bursts.append((sample.sent_s - since_s) * 1e3)
            run = 0
    return bursts, runs


def _reordered(samples: tuple[Sample, ...]) -> int:
    earliest_ms, late = float("inf"), 0
    for sample in reversed(samples):
        if sample.delay_ms is None:
            continue
        arrived_ms = sample.sent_s * 1e3 + sample.delay_ms
        late += arrived_ms > earliest_ms + GRAIN_MS
        earliest_ms = min(earliest_ms, arrived_ms)
    return late
