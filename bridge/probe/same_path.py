"""Comparison of two traces: whether their delays and losses can come from the same path.

Pure. Delays are compared by the two-sample Kolmogorov-Smirnov test, losses by the test of two shares. Both
assume independent datagrams, but neighbours in a spike or a burst are dependent. So two measurements of a
lively path are called different slightly too often. This doesn't make different paths look the same more
often.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, sqrt

from bridge.probe.path_stats import WayFigures, way_figures
from relay.wire.trace import Trace, TraceWay

OWN_MS = 0.25
"""The delay that measuring itself adds, ms. A replay through netlab adds it twice. A probe gets its timestamp
before it is sealed and sent, and the emulator takes time too. Measured in netlab: 0.15-0.25 ms at every
quantile. A smaller difference between two traces says nothing about their paths."""

LEVEL = 0.01
"""Two measurements count as different if such a difference on one path is less probable than this."""

SERIES_TERMS = 100
SERIES_FROM = 0.3
"""Below this scaled difference, Kolmogorov's series converges slowly, and the probability equals 1 to seven
digits."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The comparison of two traces in one direction.

    delays_apart: the greatest difference (0 to 1) between the distributions of delays, after allowing for
    OWN_MS. delays_p: the probability that the delays in two measurements of one path differ at least as much
    as these. loss_p: the same for their losses.
    """

    first: WayFigures
    second: WayFigures
    delays_apart: float
    delays_p: float
    loss_p: float

    @property
    def agree(self) -> bool:
        """Whether the two traces can be of one path: the probabilities of both tests are at least LEVEL."""
        return min(self.delays_p, self.loss_p) >= LEVEL


def agreements(trace: Trace, other: Trace) -> dict[str, Agreement]:
    """Return the comparison of two traces for each direction: "up" and "down"."""
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

    This is the greatest difference between the shares of the two samples up to any value. It is 0 if both
    samples are empty, and 1 if one is. allowing: a difference is ignored if it vanishes when one sample is
    moved by this much.
    """
    if not first or not second:
        return float(bool(first) or bool(second))
    return max(_ahead(first, second, allowing), _ahead(second, first, allowing), 0.0)


def kolmogorov_p(apart: float, first: int, second: int) -> float:
    """Return the probability that two samples of one distribution are at least `apart` from each other.

    apart: their Kolmogorov-Smirnov distance. first, second: the sizes of the samples. Source: M. A. Stephens
    1970, the asymptotic distribution with his correction for small samples.
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
    """Return the greatest excess of the share of `first` up to a value over the share of `second` up to it.

    allowing: `second` is first moved down by this much.
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
    """Return the probability that the losses in two measurements of one path differ at least as much as
    these.

    It follows from the standard errors of both shares lost. A share's standard error is half the width of its
    95 % interval, divided by 1.96. The interval accounts for bursts.
    """
    if not first.sent or not second.sent:
        return 1.0
    widths = (first.loss_high - first.loss_low, second.loss_high - second.loss_low)
    error = sqrt(sum((width / 2 / 1.96) ** 2 for width in widths))
    return erfc(abs(first.loss - second.loss) / error / sqrt(2))
