"""Plot of a measured path: delay over time and its histogram, up and down, as a PNG for print.

Not pure: matplotlib writes the file. It comes with the extra `rehearsal`, so importers must expect an
ImportError. Lost datagrams are marked by place and shape as well as by colour. The colours are Okabe and
Ito's, so the plot is readable in grey and with any colour vision.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bridge.probe.path_stats import PathFigures, WayFigures, path_figures
from relay.wire.quantile import quantile
from relay.wire.trace import Trace, TraceWay

BLUE, ORANGE, VERMILION, INK = "#0072B2", "#E69F00", "#D55E00", "#1F2430"
INCHES, DPI = (11.0, 6.4), 150
HISTOGRAM_BINS = 60
LOST_AT = -0.035
"""Where the marks of lost datagrams are, in shares of the plot's height above the axis (< 0: below)."""


def draw(trace: Trace, path: Path) -> None:
    """Draw a trace to a PNG file. Raises OSError if the file can't be written."""
    figures = path_figures(trace)
    figure = Figure(figsize=INCHES, dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(2, 2, width_ratios=(4, 1), sharey="row", sharex="col")
    ways = (
        ("up, to the relay", trace.up, figures.up, BLUE),
        ("down, from it", trace.down, figures.down, ORANGE),
    )
    for row, (name, way, figured, colour) in enumerate(ways):
        _draw_time(axes[row][0], name, way, figured, colour)
        _draw_histogram(axes[row][1], way, figured, colour)
    axes[0][1].set_title("line: half, dashes: 99 %", fontsize=9.5, loc="left", color=INK)
    axes[1][0].set_xlabel("sent at, s")
    axes[1][1].set_xlabel("share of what came, %")
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(hspace=0.06)  # type: ignore[call-arg]  # the base class doesn't name it
    figure.suptitle(_title(trace, figures), fontsize=11, color=INK)
    figure.savefig(path, format="png")


def _title(trace: Trace, figures: PathFigures) -> str:
    about = trace.about
    parts = [f"Path to {about.get('host', 'a relay')}"]
    if "started" in about:
        parts.append(str(about["started"]))
    if figures.rtt_ms is not None:
        parts.append(f"round trip {figures.rtt_ms:.1f} ms")
    if "clock_bound_ms" in about:
        parts.append(f"one-way delays right to ±{float(about['clock_bound_ms']):.2f} ms")
    return ", ".join(parts)


def _draw_time(axes: Axes, name: str, way: TraceWay, figured: WayFigures, colour: str) -> None:
    came = [(sample.sent_s, sample.delay_ms) for sample in way.samples if sample.delay_ms is not None]
    axes.plot(
        [at for at, _ in came],
        [delay for _, delay in came],
        linestyle="none", marker=".", markersize=2.6, color=colour, rasterized=True,
    )  # fmt: skip
    lost = [sample.sent_s for sample in way.samples if sample.delay_ms is None]
    axes.plot(
        lost,
        [LOST_AT] * len(lost),
        linestyle="none", marker="|", markersize=7, color=VERMILION,
        transform=axes.get_xaxis_transform(), clip_on=False,
    )[0].set_in_layout(False)  # fmt: skip
    delays = sorted(delay for _, delay in came)
    if delays:
        top = 1.15 * (quantile(delays, 0.999) or delays[-1])
        axes.set_ylim(0, max(top, 0.01))
        above = sum(delay > top for delay in delays)
        if above:
            axes.text(
                0.995, 0.97, f"{above} above", transform=axes.transAxes, ha="right", va="top", color=INK
            )
    axes.tick_params(axis="x", pad=8)
    axes.set_ylabel("one-way delay, ms")
    axes.set_title(_subtitle(name, figured), fontsize=9.5, loc="left", color=INK)
    axes.grid(axis="y", color="#E3E5EA", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _subtitle(name: str, way: WayFigures) -> str:
    if way.p50_ms is None or way.p99_ms is None or way.jitter_ms is None:
        return f"{name}: nothing came"
    text = f"{name}: half within {way.p50_ms:.1f} ms, 99 % within {way.p99_ms:.1f} ms, "
    text += f"lost {way.loss:.2%} ({way.loss_low:.2%} to {way.loss_high:.2%}) of {way.sent}"
    return text + (", marked | below" if way.lost else "")


def _draw_histogram(axes: Axes, way: TraceWay, figured: WayFigures, colour: str) -> None:
    delays = [sample.delay_ms for sample in way.samples if sample.delay_ms is not None]
    if delays:
        axes.hist(
            delays,
            bins=HISTOGRAM_BINS,
            range=axes.get_ylim(),
            weights=[100 / len(delays)] * len(delays),
            orientation="horizontal",
            color=colour,
        )
        for level, style in ((figured.p50_ms, "-"), (figured.p99_ms, "--")):
            assert level is not None
            axes.axhline(level, color=INK, linewidth=0.9, linestyle=style)
    axes.spines[["top", "right"]].set_visible(False)
