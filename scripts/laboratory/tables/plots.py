"""Plots: the study's figures as PNG, readable in black and white and with any colour vision.

Each mode has a colour of Okabe and Ito's palette, a marker and a dash of its own. Markers of virtual time are
filled and joined by lines; those of real processes (netlab) are hollow. Shares are drawn on a logarithmic
axis, with 95 % intervals. Such an axis has no place for a share of 0. A share of 0 is drawn at its upper
bound, 3 / n, with an arrow downwards.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from laboratory.runs.points import MODES
from laboratory.runs.rows import WHOLE, Minute
from laboratory.study.cells import COHERENT, Cell, curve, threshold
from laboratory.study.intervals import RULE_OF_THREE, Share, percent

DPI = 150
INK, FAINT = "#1F2430", "#6B7280"
LABELS = {
    "udp-repair": "UDP, with repair",
    "udp-plain": "UDP, without repair",
    "tls-cubic": "TLS over TCP, cubic",
    "tls-bbr": "TLS over TCP, bbr",
}
COLOURS = {"udp-repair": "#0072B2", "udp-plain": "#D55E00", "tls-cubic": "#009E73", "tls-bbr": "#CC79A7"}
MARKERS = {"udp-repair": "o", "udp-plain": "s", "tls-cubic": "^", "tls-bbr": "D"}
DASHES: dict[str, Any] = {"udp-repair": "-", "udp-plain": "--", "tls-cubic": "-.", "tls-bbr": ":"}
SCHEMES = {"judged": "udp-repair", "by timestamps": "udp-plain"}
"""Scheme -> the mode whose colour and marker it gets. Both schemes use the same transport."""
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
FLOOR = 1e-4
"""Smallest share on the axes. A few thousand events can't show a smaller one."""

# -- parts of figures ------------------------------------------------------------------------------------


def new_figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    figure.suptitle(title, fontsize=11, fontweight="bold", color=INK, x=0.01, ha="left")
    return figure


def share_axis(ax: Axes, *, across: bool, label: str) -> None:
    """Make an axis logarithmic, in per cent from FLOOR to 100 %. across: the x axis; otherwise the y axis."""
    tidy(ax)
    axis = ax.xaxis if across else ax.yaxis
    (ax.set_xscale if across else ax.set_yscale)("log")
    (ax.set_xlim if across else ax.set_ylim)(FLOOR * 0.7, 1.4)
    axis.set_major_locator(FixedLocator([1e-4, 1e-3, 1e-2, 1e-1, 1]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    axis.set_label_text(label, fontsize=9)
    (ax.axvline if across else ax.axhline)(COHERENT, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)))


def height_of(share: Share) -> float:
    """Return the value at which a share is drawn: its own, or its upper bound if it is 0."""
    return max(share.value if share.bad else RULE_OF_THREE / share.events, FLOOR)


def draw_share(ax: Axes, at: float, share: Share, mode: str, *, hollow: bool, across: bool = False) -> None:
    """Draw one share with its interval.

    at: place on the other axis. across: draw the share along x instead of y. hollow: don't fill the marker.
    """
    colour, value = COLOURS[mode], height_of(share)
    x, y = (value, at) if across else (at, value)
    if share.bad:
        xerr, yerr = (error_of(share), None) if across else (None, error_of(share))
        ax.errorbar(x, y, yerr, xerr, color=colour, elinewidth=1, capsize=2, zorder=2)
    else:
        end = (value / 2.2, at) if across else (at, value / 2.2)
        look: dict[str, Any] = {"arrowstyle": "-|>", "color": colour, "linewidth": 0.9}
        ax.annotate("", xy=end, xytext=(x, y), arrowprops=look)
    face = "white" if hollow else colour
    ax.plot(x, y, MARKERS[mode], markersize=5.5, markerfacecolor=face, markeredgecolor=colour, zorder=3)


def error_of(share: Share) -> list[list[float]]:
    """Return the lengths of a share's interval below and above the point that is drawn."""
    value = height_of(share)
    low, high = max(share.low, FLOOR / 10), min(max(share.high, FLOOR), 1.0)
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def draw_oracle(ax: Axes, at: float, cell: Cell, *, across: bool = False) -> None:
    """Mark the cell's unavoidable share, if it is known and not 0. at, across: as in `draw_share`."""
    if cell.unavoidable is not None and cell.unavoidable.bad:
        value = max(cell.unavoidable.value, FLOOR)
        ax.plot(*((value, at) if across else (at, value)), "x", color=FAINT, zorder=4)


def legend_entries(cells: Sequence[Cell]) -> list[Line2D]:
    """Return a figure's legend entries: one for each mode and lab among these cells."""
    wheres = {cell.where for cell in cells}
    entries = []
    for mode in MODES:
        for where in sorted({cell.where for cell in cells if cell.mode == mode}, reverse=True):
            virtual, label = where == "virtual", LABELS[mode] + (f" ({where})" if len(wheres) > 1 else "")
            hollow: dict[str, Any] = {} if virtual else {"linestyle": "", "markerfacecolor": "white"}
            entries.append(mode_line(mode, label, markersize=5.5, **hollow))
    if any(cell.unavoidable is not None and cell.unavoidable.bad for cell in cells):
        entries.append(Line2D([], [], color=FAINT, marker="x", linestyle="", label="oracle: unavoidable"))
    return entries


def mode_line(mode: str, label: str, **more: Any) -> Line2D:
    """Return a legend entry with the colour, marker and dash of a mode. more: other properties of the
    line."""
    look = {"color": COLOURS[mode], "marker": MARKERS[mode], "linestyle": DASHES[mode]}
    return Line2D([], [], label=label, **look | more)


def plain_log_axis(ax: Axes, label: str) -> None:
    """Make the y axis logarithmic, with plain numbers at the powers of ten only."""
    tidy(ax)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(PLAIN)
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel(label, fontsize=9)


def tidy(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize=8, colors=INK)
    ax.grid(True, color="#E5E7EB", linewidth=0.6)
    ax.set_axisbelow(True)


def save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The file has no date and no version of matplotlib, so the same data gives the same file.
    figure.savefig(path, metadata={"Software": None})
    return path


# -- figures ---------------------------------------------------------------------------------------------


def sweep(cells: Sequence[Cell], series: str, title: str, label: str, path: Path, *, symlog: bool) -> Path:
    """Draw the shares of bad and of re-timed events against the x of one experiment.

    All modes and both labs are drawn, with the oracle's unavoidable share. symlog: make the x axis
    logarithmic, and linear near 0.
    """
    shown = [cell for cell in cells if cell.series == series]
    figure = new_figure(7.2, 6.0, title)
    axes = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 1))
    for ax, share, what in zip(axes, ("bad", "retimed"), ("bad events", "re-timed events"), strict=True):
        share_axis(ax, across=False, label=what)
        for mode in MODES:
            for where in ("virtual", "netlab"):
                draw_curve(ax, curve(shown, where, series, mode), attrgetter(share), mode)
    for cell in shown:
        draw_oracle(axes[0], cell.x, cell)
    if symlog:
        axes[1].set_xscale("symlog", linthresh=min((cell.x for cell in shown if cell.x > 0), default=1.0))
    ticks = sorted({cell.x for cell in shown})
    axes[1].xaxis.set_major_locator(FixedLocator(ticks))
    axes[1].xaxis.set_minor_locator(NullLocator())
    axes[1].xaxis.set_major_formatter(PLAIN)
    axes[1].xaxis.set_minor_formatter(NullFormatter())
    axes[1].set_xlabel(label)
    axes[0].legend(handles=legend_entries(shown), fontsize=8, loc="best", frameon=True)
    return save(figure, path)


def draw_curve(ax: Axes, cells: Sequence[Cell], share: Callable[[Cell], Share], mode: str) -> None:
    if cells and cells[0].where == "virtual":
        xs, ys = [cell.x for cell in cells], [height_of(share(cell)) for cell in cells]
        ax.plot(xs, ys, DASHES[mode], color=COLOURS[mode], linewidth=1.3, zorder=1)
    for cell in cells:
        draw_share(ax, cell.x, share(cell), mode, hollow=cell.where != "virtual")


def schemes(panels: Sequence[tuple[str, Sequence[tuple[Cell, Cell]]]], title: str, path: Path) -> Path:
    """Draw the shares of bad and of divergent events in both schemes, beside each other.

    panels: (label of the x axis, pairs of cells). A pair is (judged, by timestamps) at one x.
    """
    figure = new_figure(1.6 + 2.6 * len(panels), 5.6, title)
    axes = figure.subplots(2, len(panels), sharex="col", sharey=True, squeeze=False)
    for column, (label, pairs) in enumerate(panels):
        for ax, what in zip(axes[:, column], ("bad", "divergent"), strict=True):
            share_axis(ax, across=False, label="" if column else f"{what} events")
            for which, look in enumerate(SCHEMES.values()):
                shares: list[Share] = [getattr(pair[which], what) for pair in pairs]
                ax.plot([height_of(share) for share in shares], DASHES[look], color=COLOURS[look], zorder=1)
                for at, share in enumerate(shares):
                    draw_share(ax, at + 0.12 * (2 * which - 1), share, look, hollow=False)
        axes[1, column].set_xticks(range(len(pairs)), [f"{pair[0].x:g}" for pair in pairs])
        axes[1, column].set_xlabel(label, fontsize=8)
    handles = [mode_line(look, name) for name, look in SCHEMES.items()]
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=2)
    return save(figure, path)


def dots(groups: Sequence[tuple[str, Sequence[Cell]]], title: str, path: Path) -> Path:
    """Draw the shares of bad and of re-timed events for named groups of cells.

    Each group has a line of its own, and in it a marker for each mode.
    """
    figure = new_figure(9.2, 1.5 + 0.42 * max(len(groups), 2), title)
    axes = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    every = [cell for _, cells in groups for cell in cells]
    modes = [mode for mode in MODES if any(cell.mode == mode for cell in every)]
    for ax, what in zip(axes, ("bad events", "re-timed events"), strict=True):
        share_axis(ax, across=True, label=what)
        for index, (_, cells) in enumerate(groups):
            for cell in cells:
                at = index + 0.2 * (modes.index(cell.mode) - (len(modes) - 1) / 2)
                share = cell.bad if what == "bad events" else cell.retimed
                draw_share(ax, at, share, cell.mode, hollow=cell.where != "virtual", across=True)
                if what == "bad events":
                    draw_oracle(ax, at, cell, across=True)
        for index in range(len(groups) - 1):
            ax.axhline(index + 0.5, color="#D1D5DB", linewidth=0.6)
    axes[0].set_yticks(range(len(groups)), [name for name, _ in groups])
    axes[0].set_ylim(len(groups) - 0.5, -0.5)
    figure.legend(handles=legend_entries(every), fontsize=8, loc="outside lower center", ncols=3)
    return save(figure, path)


def table_of_shares(
    lines: Sequence[tuple[str, Sequence[Cell]]], columns: Sequence[float], title: str, label: str, path: Path,
    *, reverse: bool,
) -> Path:  # fmt: skip
    """Draw a table of shares of bad events, shaded by size. In each line the last coherent cell gets a frame.

    The last coherent cell is the one before the first that isn't coherent, counted from the left. reverse:
    counted from the right, because a greater x is better.
    """
    figure = new_figure(1.9 + 0.78 * len(columns), 1.3 + 0.42 * max(len(lines), 2), title)
    ax = figure.subplots()
    values = numpy.full((len(lines), len(columns)), numpy.nan)
    for row, (_, cells) in enumerate(lines):
        for cell in cells:
            column = columns.index(cell.x)
            values[row, column] = max(cell.bad.value, FLOOR)
            dark = cell.bad.value > 0.06
            ax.text(
                column, row, percent(cell.bad.value), ha="center", va="center", fontsize=7.5,
                color="white" if dark else INK,
            )  # fmt: skip
        found = threshold(cells[::-1] if reverse else cells)
        if found and found.holds:
            at = columns.index(found.holds.x)
            ax.add_patch(
                Rectangle((at - 0.46, row - 0.44), 0.92, 0.88, fill=False, edgecolor=INK, linewidth=1.8)
            )
    ax.imshow(values, norm=LogNorm(FLOOR, 1), cmap="Blues", aspect="auto", alpha=0.85)
    ax.set_xticks(range(len(columns)), [f"{x:g}" for x in columns], fontsize=8)
    ax.set_yticks(range(len(lines)), [name for name, _ in lines], fontsize=8)
    ax.set_xlabel(label, fontsize=9)
    ax.tick_params(length=0)
    return save(figure, path)


NETWORK_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
NETWORK_MARKERS = "os^Dv*"
NETWORK_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


def network_style(index: int) -> dict[str, Any]:
    """Return the colour, marker and dash of a network's line. index: its place in the figure, from 0."""
    at = index % len(NETWORK_COLOURS)
    return {"color": NETWORK_COLOURS[at], "marker": NETWORK_MARKERS[at], "linestyle": NETWORK_DASHES[at]}


def sizes(groups: Sequence[tuple[str, Sequence[Cell]]], title: str, path: Path) -> Path:
    """Draw the share of bad events and the spread against the number of members, a line for each network."""
    figure = new_figure(7.2, 5.6, title)
    axes = figure.subplots(2, 1, sharex=True)
    share_axis(axes[0], across=False, label="bad events")
    plain_log_axis(axes[1], "spread, ms")
    for index, (name, cells) in enumerate(groups):
        style = network_style(index)
        colour, marker = style["color"], style["marker"]
        xs = [cell.x for cell in cells]
        axes[0].plot(xs, [height_of(cell.bad) for cell in cells], **style | {"marker": ""})
        for cell in cells:
            value = height_of(cell.bad)
            if cell.bad.bad:
                axes[0].errorbar(cell.x, value, yerr=error_of(cell.bad), color=colour, capsize=2)
            axes[0].plot(cell.x, value, marker if cell.bad.bad else "v", color=colour, markersize=6)
        for quantile in ("p50", "p99"):
            spreads = [(cell.x, cell.mean(f"spread_us_{quantile}")) for cell in cells]
            known = [(x, us / 1e3) for x, us in spreads if us is not None]
            face = "white" if quantile == "p50" else colour
            look = style | {"markersize": 5, "markerfacecolor": face, "label": f"{name}, {quantile}"}
            axes[1].plot(*zip(*known, strict=True), **look)
    axes[1].yaxis.set_minor_formatter(PLAIN)
    axes[1].tick_params(which="minor", labelsize=7)
    axes[1].set_xlabel("members")
    axes[1].xaxis.set_major_locator(FixedLocator(sorted({cell.x for _, cells in groups for cell in cells})))
    axes[1].legend(fontsize=8, ncols=2)
    return save(figure, path)


def hour(minutes: Sequence[Minute], title: str, path: Path) -> Path:
    """Draw the spread and the clocks' errors for each minute of an hour, with a line for each network."""
    figure = new_figure(7.6, 6.0, title)
    axes = figure.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    for ax, what in zip(axes, ("spread, ms", "error of the worst member's\nclock, median, ms"), strict=True):
        plain_log_axis(ax, what)
    for index, network in enumerate(dict.fromkeys(minute.network for minute in minutes)):
        mine = sorted(
            (minute for minute in minutes if minute.network == network and minute.minute != WHOLE),
            key=lambda minute: minute.minute,
        )
        every = max(1, len(mine) // 10)
        style = network_style(index) | {"linewidth": 1.2, "markersize": 4.5, "markevery": every}
        thin = style | {"markerfacecolor": "white", "linewidth": 0.7}
        for ax, what, label, look in (
            (axes[0], "spread_us_p50", f"{network}, p50", style),
            (axes[0], "spread_us_p99", f"{network}, p99", thin),
            (axes[1], "clock_error_us", network, thin),
        ):
            figures = [(minute.minute, getattr(minute, what)) for minute in mine]
            known = [(minute, us / 1e3) for minute, us in figures if us is not None]
            ax.plot(*zip(*known, strict=True), label=label, **look)
    axes[1].set_xlabel("minute")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=7, ncols=2, loc="outside lower center")
    return save(figure, path)
