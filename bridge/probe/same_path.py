"""Agreement of two traces: whether their delays and their losses can come from one and the same path.

Pure. Delays are compared by the two-sample Kolmogorov-Smirnov test, losses by the test of two shares. Both
take datagrams for independent of each other; neighbours in a spike or a burst are not, so two recordings of a
lively path are called different a little too often, never the same too easily.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, sqrt

from bridge.probe.path_stats import WayFigures, way_figures
from relay.wire.trace import Trace, TraceWay

OWN_MS = 0.25
"""What measuring adds by itself, and what a replay through netlab therefore has twice: a probe is stamped
before seal and kernel have taken their time, and the emulator takes some too (measured there: 0.15-0.25 ms at
every quantile). Less than this is no difference of paths."""

LEVEL = 0.01
"""Below this probability two recordings are said to differ."""

SERIES_TERMS = 100
SERIES_FROM = 0.3
"""Below it the series converges slowly, and its sum is 1 to seven digits."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One direction of two traces.

    delays_apart: the greatest difference between the two distributions (0 to 1) that OWN_MS can't explain.
    delays_p, loss_p: how probable this much difference or more is on one and the same path.
    """

    first: WayFigures
    second: WayFigures
    delays_apart: float
    delays_p: float
    loss_p: float

    @property
    def agree(self) -> bool:
        """Tell whether neither test finds a difference at LEVEL."""
        return min(self.delays_p, self.loss_p) >= LEVEL


def agreements(trace: Trace, other: Trace) -> dict[str, Agreement]:
    """Compare both directions of two traces, by name."""
    return {"up": agreement(trace.up, other.up), "down": agreement(trace.down, other.down)}


def agreement(first: TraceWay, second: TraceWay) -> Agreement:
    """Compare one direction of two traces."""
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
    """Return the greatest difference between the shares of two ordered samples up to any value; 0 if both are
    empty, 1 if one is.

    allowing: differences are not counted that moving either sample by this much does away with.
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
    """Return by how much the share of `first` up to any value exceeds that of `second`, moved down to it."""
    before = 0
    most = 0.0
    for upto, value in enumerate(first, start=1):
        while before < len(second) and second[before] - allowing <= value:
            before += 1
        # Of equal ones the last counts; the others can only be smaller.
        most = max(most, upto / len(first) - before / len(second))
    return most


def _shares_p(first: WayFigures, second: WayFigures) -> float:
    """Return the probability of losses at least so different, from both ways' standard errors.

    Each error is half the width of the way's 95 % interval over 1.96, which knows of bursts.
    """
    if not first.sent or not second.sent:
        return 1.0
    widths = (first.loss_high - first.loss_low, second.loss_high - second.loss_low)
    error = sqrt(sum((width / 2 / 1.96) ** 2 for width in widths))
    return erfc(abs(first.loss - second.loss) / error / sqrt(2))
