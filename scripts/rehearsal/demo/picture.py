"""Picture: one PNG of a jam, with a lane for each member's scsynth and a tick for each event handed to it.

Lanes with equal patterns heard the same performance. The darker a tick is, the earlier the event arrived.
Faults differ by shape as well as by colour, for black and white prints and for any colour vision. A late
event is a filled triangle, a missing one an open circle, any other fault a diamond.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rehearsal.proof.compare import Comparison, MemberResult

# Okabe and Ito's colours, told apart by all common kinds of colour vision.
VERMILION = "#D55E00"
BLUISH_GREEN = "#007A5E"  # a little darker than theirs, to be read as text
INK = "#1F2430"
FAINT = "#8A909C"
LANE = "#F3F4F7"
# cividis is even to all eyes and in grey. Dark is early; its brightest end would vanish on white paper.
MARGIN_COLOURS = LinearSegmentedColormap.from_list(
    "margin", matplotlib.colormaps["cividis"](numpy.linspace(0.93, 0.04, 256))
)

LANE_INCHES = 0.92
WIDTH_INCHES = 13.0
DPI = 150
TICK_SHARE = 0.86
"""Share of a sub-lane's height that its ticks fill."""
HISTOGRAM_BINS = 40
LOOKS: dict[str, dict[str, Any]] = {
    "D": {"ms": 8, "mfc": VERMILION, "mec": "white", "mew": 0.9},
    "v": {"ms": 8, "mfc": VERMILION, "mec": "white", "mew": 0.9},
    "o": {"ms": 9, "mfc": "white", "mec": VERMILION, "mew": 2.0},
    "|": {"ms": 10, "mec": MARGIN_COLOURS(0.8), "mew": 1.6},
}
"""Marker of matplotlib -> its look. "v": late; "o": missing; "D": any other fault; "|": an event in time."""


def draw(
    comparison: Comparison, path: Path, subtitle: str = "", names: Mapping[int, str] | None = None
) -> Path:
    """Draw a comparison to the PNG `path` and return `path`.

    Every lane has a sub-lane for each slot that played, in the same order in all lanes. subtitle: text below
    the title. names: slot -> name of its player.
    """
    members = list(comparison.members.values())
    slots = sorted({margin.event.slot for result in members for margin in result.margins})
    height_inches = 2.5 + LANE_INCHES * max(len(members), 2)
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=DPI, facecolor="white")
    place = {"left": 0.085, "right": 0.975, "top": 1 - 0.95 / height_inches, "bottom": 0.98 / height_inches}
    figure.subplots_adjust(**place, wspace=0.06, hspace=0.2)
    axes = figure.subplots(len(members), 2, sharex="col", squeeze=False, width_ratios=(4.6, 1))
    margins_ms = [margin.margin_ms for result in members for margin in result.margins]
    highest_ms = float(numpy.percentile(margins_ms, 99)) if margins_ms else 0.0
    scale = Normalize(comparison.needed_ms, max(highest_ms, comparison.needed_ms + 50), clip=True)
    # The highest 1 % are put into the last bar.
    edges_ms = numpy.linspace(min([0.0, *margins_ms]), scale.vmax or 1.0, HISTOGRAM_BINS + 1)
    for (lane, histogram), result in zip(axes, members, strict=True):
        draw_lane(lane, comparison, result, slots, scale, names or {})
        draw_histogram(histogram, comparison, result, edges_ms, scale)
    axes[-1, 0].set_xlabel("when it sounds, in seconds of the window", fontsize=9, color=INK)
    axes[-1, 1].set_xlabel("how early it arrived (margin, ms)", fontsize=9, color=INK)
    box = axes[0, 1].get_position()
    bar = figure.add_axes((box.x0, 1 - 0.5 / height_inches, box.width, 0.12 / height_inches))
    figure.colorbar(ScalarMappable(scale, MARGIN_COLOURS), cax=bar, orientation="horizontal")
    bar.set_title("margin (ms)", fontsize=7.5, color=INK, pad=3)
    bar.tick_params(labelsize=7, length=2, pad=1, colors=INK)
    write_title(figure, comparison, subtitle, 1 - 0.2 / height_inches, 1 - 0.56 / height_inches)
    draw_legend(figure, comparison)
    figure.savefig(path)
    return path


def write_title(figure: Figure, comparison: Comparison, subtitle: str, top: float, below: float) -> None:
    count = len(comparison.members)
    colour = BLUISH_GREEN if comparison.coherent else VERMILION
    if comparison.coherent:
        title = f"Coherent: {count} synths were handed the same {comparison.events:,} events"
    elif not comparison.events:
        title = "Nothing to compare: no event of the room in this window"
    else:
        share = f"{comparison.diverging:,} of {comparison.events:,} events diverge"
        title = f"NOT coherent: {share} ({comparison.divergence:.2%})"
    lost = f"   recorders lost {comparison.dropped} datagrams" if comparison.dropped else ""
    spread = f"timetags agree within {comparison.timetag_spread_us:,.1f} µs"
    figure.text(0.085, top, title, fontsize=17, fontweight="bold", color=colour, va="top")
    line = "   ·   ".join(part for part in (subtitle, spread + lost) if part)
    figure.text(0.085, below, line, fontsize=10, color=INK, va="top")


def draw_lane(
    axes: Axes, comparison: Comparison, result: MemberResult, slots: Sequence[int], scale: Normalize,
    names: Mapping[int, str],
) -> None:  # fmt: skip
    """Draw one member's lane: the events that its scsynth was handed, and a circle for each missing event.

    slots: the slots of the sub-lanes, from top to bottom. scale: margin (ms) -> colour. names: slot ->
    player's name.
    """

    def second(due_ns: int) -> float:
        return (due_ns - comparison.from_ns) / 1e9

    place = {slot: at for at, slot in enumerate(slots)}
    in_time = [margin for margin in result.margins if margin.margin_ms >= comparison.needed_ms]
    middles = numpy.array([place[margin.event.slot] for margin in in_time])
    axes.vlines(
        [second(margin.due_ns) for margin in in_time], middles - TICK_SHARE / 2, middles + TICK_SHARE / 2,
        array=[margin.margin_ms for margin in in_time], cmap=MARGIN_COLOURS, norm=scale, zorder=2,
        linewidths=min(1.3, max(0.35, 600 / (len(in_time) + 1))),
    )  # fmt: skip
    others = (*result.different, *result.out_of_order, *result.mistimed)
    for events, marker in ((others, "D"), (result.late, "v"), (result.missing, "o")):
        xs, ys = [second(event.due_ns) for event in events], [place.get(event.slot, 0) for event in events]
        axes.plot(xs, ys, marker, zorder=4, clip_on=False, **LOOKS[marker])
    for edge in range(1, len(slots)):
        axes.axhline(edge - 0.5, color="white", lw=0.9, zorder=1)
    axes.set_xlim(0, second(comparison.to_ns))
    axes.set_ylim(max(len(slots), 1) - 0.5, -0.5)
    axes.set_ylabel(
        f"{result.member}\n{result.received:,} events",
        rotation=0,
        ha="right",
        va="center",
        color=INK,
        fontsize=9,
    )
    axes.yaxis.set_label_coords(-0.008, 0.5)
    finish(axes)
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(slots)), [names.get(slot, f"{slot}") for slot in slots])
    axes.tick_params(axis="y", labelsize=6.5, colors=FAINT)


def draw_histogram(
    axes: Axes, comparison: Comparison, result: MemberResult, edges_ms: Any, scale: Normalize
) -> None:
    """Draw a histogram of one member's margins (ms): how early the events arrived. edges_ms: edges of its
    bars."""
    margins_ms = numpy.clip([margin.margin_ms for margin in result.margins], edges_ms[0], edges_ms[-1])
    counts, _ = numpy.histogram(margins_ms, edges_ms)
    centres_ms = (edges_ms[:-1] + edges_ms[1:]) / 2
    colours = [VERMILION if ms < comparison.needed_ms else MARGIN_COLOURS(scale(ms)) for ms in centres_ms]
    # The square root keeps a single late event visible beside hundreds in time.
    axes.bar(centres_ms, numpy.sqrt(counts), width=edges_ms[1] - edges_ms[0], color=colours, zorder=2)
    axes.axvline(comparison.needed_ms, color=VERMILION, lw=1.2, ls=(0, (4, 2)), zorder=3)
    if result.margins:
        words = f"min {result.margin_ms_min:.0f}   p1 {result.margin_ms_p1:.0f}"
        axes.set_title(
            f"{words}   median {result.margin_ms_p50:.0f}", loc="left", fontsize=7.5, color=INK, pad=2
        )
    axes.set_xlim(edges_ms[0], edges_ms[-1])
    axes.set_yticks([])
    finish(axes)


def draw_legend(figure: Figure, comparison: Comparison) -> None:
    counts = dict.fromkeys(("missing", "different", "out of order", "late", "mistimed"), 0)
    for result in comparison.members.values():
        for kind, events in result.faults.items():
            counts[kind] += len(events)
    other = counts["different"] + counts["out of order"] + counts["mistimed"]
    labels = {
        "|": "handed over in time",
        "v": f"late: under {comparison.needed_ms:.0f} ms ({counts['late']})",
        "o": f"missing ({counts['missing']})",
        "D": f"different, misplaced or mistimed ({other})",
    }
    figure.legend(
        handles=[
            Line2D([], [], marker=marker, ls="", label=label, **LOOKS[marker])
            for marker, label in labels.items()
        ],
        loc="lower left", bbox_to_anchor=(0.08, 0.02), ncols=4, frameon=False, fontsize=8.5, labelcolor=INK,
    )  # fmt: skip


def finish(axes: Axes) -> None:
    axes.set_facecolor(LANE)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    axes.grid(axis="x", color="white", lw=0.8, zorder=1)
    axes.set_axisbelow(True)
