"""Comparison of two traces: whether their delays and losses can come from one and the same path.

Pure. Delays are compared by the two-sample Kolmogorov-Smirnov test, losses by the test of two shares. Both
assume independent datagrams. Neighbours in a spike or a burst are dependent. So two recordings of a lively
path are called different slightly too often, but different paths are never called the same too easily.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, sqrt

from bridge.probe.path_stats import WayFigures, way_figures
from relay.wire.trace import Trace, TraceWay

OWN_MS = 0.25
"""Delay that measuring itself adds, ms; a replay through netlab adds it twice. A probe is stamped before
sealing and the kernel take their time, and the emulator takes some too. Measured in netlab: 0.15-0.25 ms at
every quantile. A smaller difference between two traces is no difference of their paths."""

LEVEL = 0.01
"""Two recordings count as different if the probability of such a difference on one path is below this."""

SERIES_TERMS = 100
SERIES_FROM = 0.3
"""For scaled differences below this, Kolmogorov's series converges slowly, and the probability equals 1 to
seven digits."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One direction of two traces.

    delays_apart: the greatest difference between the two distributions (0 to 1) that OWN_MS can't explain.
    delays_p: probability that the delays of one path differ at least so much in two recordings. loss_p: the
    same for the losses.
    """

    first: WayFigures
    second: WayFigures
    delays_apart: float
    delays_p: float
    loss_p: float

    @property
    def agree(self) -> bool:
        """Whether neither test finds a difference at LEVEL."""
        return min(self.delays_p, self.loss_p) >= LEVEL


def agreements(trace: Trace, other: Trace) -> dict[str, Agreement]:
    """Return the comparison of each direction of two traces, by name."""
    return {"up": agreement(trace.up, other.up), "down": agreement(trace.down, other.down)}


def agreement(first: TraceWay, second: TraceWay) -> Agreement:
    """Return the comparison of one direction of two traces."""
    figures = way_figures(first), way_figures(second)
    delays = [
        sorted(sample.delay_ms for sample in way.samples if sample.delay_ms is not None)
        for way in (first, second)
    ]
    apart = kolmogorov_smirnov(delays[0], delays[1], allowing=OWN_MS)
    return Agreement(
        *figures,
        delays_apart=apart,
        delays_p=kolmogorov_p(apart, len(delays[0]), len(delays[1])),
        loss_p=_shares_p(*figures),
    )


def kolmogorov_smirnov(first: Sequence[float], second: Sequence[float], *, allowing: float = 0.0) -> float:
    """Return the Kolmogorov-Smirnov distance of two ordered samples, from 0 to 1.

    For each value, the shares of both samples that don't exceed it are compared; the greatest difference
    counts. It is 0 if both samples are empty, and 1 if one is. allowing: a difference doesn't count if moving
    either sample by this much removes it.
    """
    if not first or not second:
        return float(bool(first) or bool(second))
    return max(_ahead(first, second, allowing), _ahead(second, first, allowing), 0.0)


def kolmogorov_p(apart: float, first: int, second: int) -> float:
    """Return the probability of a difference of at least `apart` between samples of these sizes.

    Source: M. A. Stephens 1970, the asymptotic distribution with his correction for small samples.
    """
    if not first or not second:
        return 1.0 if apart == 0 else 0.0
    size = sqrt(first * second / (first + second))
    scaled = (size + 0.12 + 0.11 / size) * apart
    if scaled < SERIES_FROM:
        return 1.0
    terms = ((-1) ** (term - 1) * exp(-2 * (term * scaled) ** 2) for term in range(1, SERIES_TERMS))
    return min(1.0, max(0.0, 2.0 * sum(terms, start=0.0)))


def _ahead(first: Sequence[float], second: Sequence[float], allowing: float) -> float:
    """Return the most by which the share of `first` up to some value exceeds the share of `second` up to it.

    allowing: how far `second` is moved down first.
    """
    before = 0
    most = 0.0
    for upto, value in enumerate(first, start=1):
        while before < len(second) and second[before] - allowing <= value:
            before += 1
        # Among equal values the last counts; the others give smaller differences.
        most = max(most, upto / len(first) - before / len(second))
    return most


def _shares_p(first: WayFigures, second: WayFigures) -> float:
    """Return the probability that the losses of one path differ at least so much in two recordings.

    It follows from the standard errors of both loss shares. Each error is half the width of the 95 % interval
    over 1.96, which accounts for bursts.
    """
    if not first.sent or not second.sent:
        return 1.0
    widths = (first.loss_high - first.loss_low, second.loss_high - second.loss_low)
    error = sqrt(sum((width / 2 / 1.96) ** 2 for width in widths))
    return erfc(abs(first.loss - second.loss) / error / sqrt(2))
