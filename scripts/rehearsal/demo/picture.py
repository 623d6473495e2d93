"""Picture: one PNG of a jam, a lane for each member's scsynth, a tick for each event it was handed.

Read it so: equal patterns one above the other are one performance; the darker a tick, the earlier it
arrived. Faults differ by shape as well as by colour, so they survive a black-and-white printer and any
colour vision: late is a filled triangle, missing an open circle, all others a diamond.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D

from rehearsal.proof.compare import Comparison, MemberResult
from rehearsal.proof.matching import Event

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

LANE_HEIGHT = 0.84
LANE_INCHES = 0.92
WIDTH_INCHES = 13.0
DPI = 150
TICK_SHARE = 0.86
"""Share of a sub-lane's height that its ticks fill."""
HISTOGRAM_BINS = 40


def draw(comparison: Comparison, path: Path, subtitle: str = "", names: dict[int, str] | None = None) -> Path:
    """Draw a comparison to a PNG and return its path.

    Every lane has a sub-lane for each slot that played, the same in all lanes; names: slot -> who plays it.
    """
    members = list(comparison.members.values())
    slots = sorted({margin.event.slot for result in members for margin in result.margins})
    height_inches = 2.5 + LANE_INCHES * max(len(members), 2)
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=DPI, facecolor="white")
    grid = GridSpec(
        1,
        2,
        figure=figure,
        width_ratios=(4.6, 1),
        wspace=0.06,
        left=0.085,
        right=0.975,
        top=1 - 0.95 / height_inches,
        bottom=0.98 / height_inches,
    )
    lanes = figure.add_subplot(grid[0])
    histogram = figure.add_subplot(grid[1])
    scale = colour_scale(comparison)
    write_title(figure, comparison, subtitle, height_inches)
    draw_lanes(lanes, comparison, members, slots, scale, names or {})
    draw_histogram(histogram, comparison, members, scale)
    draw_colour_bar(figure, histogram, scale, height_inches)
    draw_legend(figure, comparison, height_inches)
    figure.savefig(path)
    return path


def colour_scale(comparison: Comparison) -> Normalize:
    margins = [margin.margin_ms for result in comparison.members.values() for margin in result.margins]
    highest = float(numpy.percentile(margins, 99)) if margins else 0.0
    return Normalize(comparison.needed_ms, max(highest, comparison.needed_ms + 50), clip=True)


def write_title(figure: Figure, comparison: Comparison, subtitle: str, height_inches: float) -> None:
    count = len(comparison.members)
    if comparison.coherent:
        title, colour = (
            f"Coherent: {count} synths were handed the same {comparison.events:,} events",
            BLUISH_GREEN,
        )
    elif not comparison.events:
        title, colour = "Nothing to compare: no event of the room in this window", VERMILION
    else:
        share = f"{comparison.diverging:,} of {comparison.events:,} events diverge"
        title, colour = f"NOT coherent: {share} ({comparison.divergence:.2%})", VERMILION
    lost = f"   recorders lost {comparison.dropped} datagrams" if comparison.dropped else ""
    spread = f"timetags agree within {comparison.timetag_spread_us:,.1f} µs"
    below = "   ·   ".join(part for part in (subtitle, spread + lost) if part)
    top = 1 - 0.2 / height_inches
    figure.text(0.085, top, title, fontsize=17, fontweight="bold", color=colour, va="top")
    figure.text(0.085, top - 0.36 / height_inches, below, fontsize=10, color=INK, va="top")


def draw_lanes(
    axes: Axes,
    comparison: Comparison,
    members: Sequence[MemberResult],
    slots: Sequence[int],
    scale: Normalize,
    names: dict[int, str],
) -> None:
    def second(due_ns: int) -> float:
        return (due_ns - comparison.from_ns) / 1e9

    def place(lane: int, event: Event) -> float:
        sub_lane = slots.index(event.slot) if event.slot in slots else 0
        return lane - LANE_HEIGHT / 2 + LANE_HEIGHT * (sub_lane + 0.5) / max(len(slots), 1)

    half_tick = LANE_HEIGHT / max(len(slots), 1) * TICK_SHARE / 2
    span_s = second(comparison.to_ns)
    for lane, result in enumerate(members):
        axes.axhspan(lane - LANE_HEIGHT / 2, lane + LANE_HEIGHT / 2, color=LANE, zorder=0, lw=0)
        for edge in range(1, len(slots)):
            level = lane - LANE_HEIGHT / 2 + LANE_HEIGHT * edge / len(slots)
            axes.axhline(level, color="white", lw=0.9, zorder=1)
        in_time = [margin for margin in result.margins if margin.margin_ms >= comparison.needed_ms]
        ticks = LineCollection(
            [
                [(second(m.due_ns), place(lane, m.event) + half) for half in (-half_tick, half_tick)]
                for m in in_time
            ],
            array=numpy.array([margin.margin_ms for margin in in_time]),
            cmap=MARGIN_COLOURS,
            norm=scale,
            linewidths=min(1.3, max(0.35, 600 / (len(in_time) + 1))),
            zorder=2,
        )
        axes.add_collection(ticks)
        others = (*result.different, *result.out_of_order, *result.mistimed)
        for events, marker in ((others, "D"), (result.late, "v"), (result.missing, "o")):
            axes.plot(
                [second(event.due_ns) for event in events],
                [place(lane, event) for event in events],
                marker,
                ms=9 if marker == "o" else 8,
                mfc="white" if marker == "o" else VERMILION,
                mec=VERMILION if marker == "o" else "white",
                mew=2.0 if marker == "o" else 0.9,
                zorder=4,
                clip_on=False,
            )
        if len(slots) > 1:
            for sub_lane, slot in enumerate(slots):
                level = lane - LANE_HEIGHT / 2 + LANE_HEIGHT * (sub_lane + 0.5) / len(slots)
                axes.annotate(
                    names.get(slot, f"{slot}"),
                    (1.004, level),
                    xycoords=("axes fraction", "data"),
                    fontsize=6.5,
                    color=FAINT,
                    va="center",
                )
    axes.set_xlim(0, span_s)
    axes.set_ylim(len(members) - 0.5, -0.5)
    axes.set_yticks(range(len(members)), [result.member for result in members], fontsize=11, color=INK)
    for lane, result in enumerate(members):
        axes.annotate(
            f"{result.received:,} events",
            (-0.008, lane + 0.26),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=7.5,
            color=FAINT,
        )
    axes.set_xlabel("when it sounds, in seconds of the window", fontsize=9, color=INK)
    finish(axes)


def draw_histogram(
    axes: Axes, comparison: Comparison, members: Sequence[MemberResult], scale: Normalize
) -> None:
    """Draw how early the events arrived, a small histogram beside each member's lane."""
    low_ms = min([0.0, *(result.margin_ms_min for result in members if result.margins)])
    high_ms = scale.vmax or low_ms + 1  # above it, the highest 1 % are put into the last bar
    edges = numpy.linspace(low_ms, high_ms, HISTOGRAM_BINS + 1)
    colours = MARGIN_COLOURS
    for lane, result in enumerate(members):
        margins = numpy.clip([margin.margin_ms for margin in result.margins], low_ms, high_ms)
        counts, _ = numpy.histogram(margins, edges)
        # The square root keeps a single straggler visible beside hundreds in time.
        heights = numpy.sqrt(counts / max(counts.max(), 1)) * LANE_HEIGHT * 0.9
        base = lane + LANE_HEIGHT / 2
        centres = (edges[:-1] + edges[1:]) / 2
        late = centres < comparison.needed_ms
        axes.axhspan(lane - LANE_HEIGHT / 2, base, color=LANE, zorder=0, lw=0)
        axes.bar(
            centres,
            -heights,
            width=edges[1] - edges[0],
            bottom=base,
            color=[
                VERMILION if is_late else colours(scale(ms))
                for is_late, ms in zip(late, centres, strict=True)
            ],
            zorder=2,
        )
        needed = ([comparison.needed_ms] * 2, [lane - LANE_HEIGHT / 2, base])
        axes.plot(*needed, color=VERMILION, lw=1.2, ls=(0, (4, 2)), zorder=3)
        if result.margins:
            axes.annotate(
                f"min {result.margin_ms_min:.0f}   p1 {result.margin_ms_p1:.0f}"
                f"   median {result.margin_ms_p50:.0f}",
                (0.0, lane - LANE_HEIGHT / 2 - 0.02),
                xycoords=("axes fraction", "data"),
                va="bottom",
                fontsize=7.5,
                color=INK,
                zorder=5,
            )
    axes.set_xlim(low_ms, high_ms)
    axes.set_ylim(len(members) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlabel("how early it arrived (margin, ms)", fontsize=9, color=INK)
    finish(axes)


def draw_colour_bar(figure: Figure, below: Axes, scale: Normalize, height_inches: float) -> None:
    box = below.get_position()
    bar = figure.add_axes((box.x0, 1 - 0.5 / height_inches, box.width, 0.12 / height_inches))
    colours = matplotlib.cm.ScalarMappable(scale, MARGIN_COLOURS)
    figure.colorbar(colours, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=7, length=2, pad=1, colors=INK)
    bar.set_title("margin (ms)", fontsize=7.5, color=INK, pad=3)
    for spine in bar.spines.values():
        spine.set_visible(False)


def draw_legend(figure: Figure, comparison: Comparison, height_inches: float) -> None:
    def marker(shape: str, label: str, **style: object) -> Line2D:
        shown = {"ls": "", "ms": 8, "mfc": VERMILION, "mec": "white", "mew": 0.9} | style
        return Line2D([], [], marker=shape, label=label, **shown)  # type: ignore[arg-type]  # styles vary

    counts = dict.fromkeys(("missing", "different", "out of order", "late", "mistimed"), 0)
    for result in comparison.members.values():
        for kind, events in result.faults.items():
            counts[kind] += len(events)
    other = counts["different"] + counts["out of order"] + counts["mistimed"]
    figure.legend(
        handles=[
            marker("|", "handed over in time", mec=MARGIN_COLOURS(0.8), ms=10, mew=1.6),
            marker("v", f"late: under {comparison.needed_ms:.0f} ms ({counts['late']})"),
            marker("o", f"missing ({counts['missing']})", mfc="white", mec=VERMILION, mew=2.0),
            marker("D", f"different, misplaced or mistimed ({other})"),
        ],
        loc="lower left",
        bbox_to_anchor=(0.08, 0.12 / height_inches),
        ncols=4,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handletextpad=0.4,
        columnspacing=1.6,
    )


def finish(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    axes.tick_params(axis="y", labelsize=11)
    axes.grid(axis="x", color="white", lw=0.8, zorder=1)
    axes.set_axisbelow(True)
