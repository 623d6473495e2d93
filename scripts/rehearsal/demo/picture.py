"""Picture: one PNG of a jam, with a lane for each member's scsynth and a tick for each event handed to it.
Below the lanes each member's part is drawn as all hear it: a curve of its level for each listener.

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

from rehearsal.demo.heard import Hearing
from rehearsal.proof.compare import Comparison, MemberResult, quantile

# Okabe and Ito's colours, told apart by all common kinds of colour vision.
VERMILION = "#D55E00"
BLUISH_GREEN = "#007A5E"  # a little darker than theirs, to be read as text
INK = "#1F2430"
FAINT = "#8A909C"
LANE = "#F3F4F7"
AWAY = "#DADCE2"
LISTENERS = ("#0072B2", VERMILION, "#009E73", "#CC79A7")
"""Colours of the curves of what each listener hears."""
# cividis is even to all eyes and in grey. Dark is early; its brightest end would vanish on white paper.
MARGIN_COLOURS = LinearSegmentedColormap.from_list(
    "margin", matplotlib.colormaps["cividis"](numpy.linspace(0.93, 0.04, 256))
)

LANE_INCHES = 0.92
PART_INCHES = 0.62
LOUDNESS_DB = 30.0
"""A part's curves are plotted down to this level (dB) below its loudest second."""
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
    comparison: Comparison,
    path: Path,
    subtitle: str = "",
    names: Mapping[int, str] | None = None,
    heard: Sequence[Hearing] = (),
    lanes: Mapping[str, str] | None = None,
) -> Path:
    """Draw a comparison to the PNG `path` and return `path`.

    Every lane has a sub-lane for each slot that played, in the same order in all lanes. subtitle: text below
    the title. names: slot -> name of its player. heard: the levels of each part at each listener. lanes:
    member -> name of the lane in which it is drawn, for members that share one; by default its own.
    """
    members = list(comparison.members.values())
    lane_of = lanes or {}
    grouped: dict[str, list[MemberResult]] = {}
    for result in members:
        grouped.setdefault(lane_of.get(result.member, result.member), []).append(result)
    slots = sorted({margin.event.slot for result in members for margin in result.margins})
    players = list(dict.fromkeys(lane_of.get(one.player, one.player) for one in heard if one.seconds))
    heights = [LANE_INCHES] * max(len(grouped), 1) + [PART_INCHES] * len(players)
    height_inches = 2.5 + max(sum(heights), 2 * LANE_INCHES)
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=DPI, facecolor="white")
    place = {"left": 0.085, "right": 0.975, "top": 1 - 0.95 / height_inches, "bottom": 0.98 / height_inches}
    figure.subplots_adjust(**place, wspace=0.06, hspace=0.2)
    axes = figure.subplots(
        len(heights), 2, sharex="col", squeeze=False, width_ratios=(4.6, 1), height_ratios=heights
    )
    margins_ms = [margin.margin_ms for result in members for margin in result.margins]
    highest_ms = float(numpy.percentile(margins_ms, 99)) if margins_ms else 0.0
    scale = Normalize(comparison.needed_ms, max(highest_ms, comparison.needed_ms + 50), clip=True)
    # The highest 1 % are put into the last bar.
    edges_ms = numpy.linspace(min([0.0, *margins_ms]), scale.vmax or 1.0, HISTOGRAM_BINS + 1)
    for (lane, histogram), (name, results) in zip(axes, grouped.items(), strict=False):
        draw_lane(lane, comparison, name, results, slots, scale, names or {})
        draw_histogram(histogram, comparison, results, edges_ms, scale)
    for (part, beside), player in zip(axes[len(grouped) :], players, strict=False):
        of_part: dict[str, list[Hearing]] = {}
        for one in heard:
            if lane_of.get(one.player, one.player) == player and one.seconds:
                of_part.setdefault(lane_of.get(one.listener, one.listener), []).append(one)
        draw_part(part, beside, player, of_part, dict(zip(grouped, LISTENERS, strict=False)))
    axes[-1, 0].set_xlabel("when it sounds, in seconds of the window", fontsize=9, color=INK)
    axes[max(len(grouped), 1) - 1, 1].tick_params(labelbottom=True)
    box = axes[0, 1].get_position()
    bar = figure.add_axes((box.x0, 1 - 0.5 / height_inches, box.width, 0.12 / height_inches))
    figure.colorbar(ScalarMappable(scale, MARGIN_COLOURS), cax=bar, orientation="horizontal")
    bar.set_title("margin: how early it arrived (ms)", fontsize=7.5, color=INK, pad=3)
    bar.tick_params(labelsize=7, length=2, pad=1, colors=INK)
    write_title(figure, comparison, len(grouped), subtitle, 1 - 0.2 / height_inches, 1 - 0.56 / height_inches)
    draw_legend(figure, comparison)
    figure.savefig(path)
    return path


def write_title(
    figure: Figure, comparison: Comparison, count: int, subtitle: str, top: float, below: float
) -> None:
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
    axes: Axes, comparison: Comparison, name: str, results: Sequence[MemberResult], slots: Sequence[int],
    scale: Normalize, names: Mapping[int, str],
) -> None:  # fmt: skip
    """Draw one lane: the events that a scsynth was handed, and a circle for each missing event.

    results: those of one member, or of one that left and came back. Where none was there the lane is dark.
    slots: the slots of the sub-lanes, from top to bottom. scale: margin (ms) -> colour. names: slot ->
    player's name.
    """

    def second(due_ns: int) -> float:
        return (due_ns - comparison.from_ns) / 1e9

    place = {slot: at for at, slot in enumerate(slots)}
    gone_ns = comparison.from_ns
    for from_ns, to_ns in sorted(
        (*(result.stay for result in results), (comparison.to_ns, comparison.to_ns))
    ):
        if from_ns > gone_ns:
            axes.axvspan(second(gone_ns), second(from_ns), color=AWAY, lw=0, zorder=1.5)
            middle = (second(gone_ns) + second(from_ns)) / 2, (len(slots) - 1) / 2
            axes.text(*middle, "not there", ha="center", va="center", fontsize=8, color=FAINT, zorder=3)
        gone_ns = max(gone_ns, to_ns)
    margins = [margin for result in results for margin in result.margins]
    in_time = [margin for margin in margins if margin.margin_ms >= comparison.needed_ms]
    middles = numpy.array([place[margin.event.slot] for margin in in_time])
    axes.vlines(
        [second(margin.due_ns) for margin in in_time], middles - TICK_SHARE / 2, middles + TICK_SHARE / 2,
        array=[margin.margin_ms for margin in in_time], cmap=MARGIN_COLOURS, norm=scale, zorder=2,
        linewidths=min(1.3, max(0.35, 600 / (len(in_time) + 1))),
    )  # fmt: skip
    for result in results:
        others = (*result.different, *result.out_of_order, *result.mistimed)
        for events, marker in ((others, "D"), (result.late, "v"), (result.missing, "o")):
            xs, ys = (
                [second(event.due_ns) for event in events],
                [place.get(event.slot, 0) for event in events],
            )
            axes.plot(xs, ys, marker, zorder=4, clip_on=False, **LOOKS[marker])
    for edge in range(1, len(slots)):
        axes.axhline(edge - 0.5, color="white", lw=0.9, zorder=1)
    axes.set_xlim(0, second(comparison.to_ns))
    axes.set_ylim(max(len(slots), 1) - 0.5, -0.5)
    received = sum(result.received for result in results)
    words = f"{name}\n{received:,} events"
    axes.set_ylabel(words, rotation=0, ha="right", va="center", color=INK, fontsize=9)
    axes.yaxis.set_label_coords(-0.008, 0.5)
    finish(axes)
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(slots)), [names.get(slot, f"{slot}") for slot in slots])
    axes.tick_params(axis="y", labelsize=6.5, colors=FAINT)


def draw_part(
    axes: Axes, beside: Axes, player: str, heard: Mapping[str, Sequence[Hearing]], colours: Mapping[str, str]
) -> None:
    """Draw the level of a player's part, second by second: at home as a broad line, at each listener as a
    thin one on top of it. Write beside them how far they are apart.

    heard: listener -> what it heard of the part. colours: listener -> colour.
    """
    everything = [second for hearings in heard.values() for one in hearings for second in one.seconds]
    for at_s, level, _ in everything:
        axes.hlines(level, at_s, at_s + 1, color=FAINT, lw=4.5, alpha=0.5, zorder=2)
    for row, (listener, hearings) in enumerate(heard.items()):
        colour = colours.get(listener, INK)
        for one in hearings:
            for at_s, _, level in one.seconds:
                axes.hlines(level, at_s, at_s + 1, color=colour, lw=1.1, zorder=3)
        worst_db = max((one.worst[1] for one in hearings), key=abs)
        words = f"{listener} hears it within {abs(worst_db):.2f} dB"
        beside.text(
            0.02, 0.7 - 0.3 * row, words, transform=beside.transAxes, fontsize=7.5, color=colour, va="top"
        )
    loudest = max(level for _, level, _ in everything)
    axes.set_ylim(loudest - LOUDNESS_DB, loudest + 4)
    axes.set_ylabel(f"{player}'s part\ndBFS", rotation=0, ha="right", va="center", color=INK, fontsize=9)
    axes.yaxis.set_label_coords(-0.008, 0.5)
    finish(axes)
    axes.yaxis.tick_right()
    axes.tick_params(axis="y", labelsize=6.5, colors=FAINT)
    beside.set_axis_off()


def draw_histogram(
    axes: Axes, comparison: Comparison, results: Sequence[MemberResult], edges_ms: Any, scale: Normalize
) -> None:
    """Draw a histogram of a lane's margins (ms): how early the events arrived. edges_ms: edges of its
    bars."""
    found_ms = sorted(margin.margin_ms for result in results for margin in result.margins)
    counts, _ = numpy.histogram(numpy.clip(found_ms, edges_ms[0], edges_ms[-1]), edges_ms)
    centres_ms = (edges_ms[:-1] + edges_ms[1:]) / 2
    colours = [VERMILION if ms < comparison.needed_ms else MARGIN_COLOURS(scale(ms)) for ms in centres_ms]
    # By the square root a single late event stays visible beside hundreds in time.
    axes.bar(centres_ms, numpy.sqrt(counts), width=edges_ms[1] - edges_ms[0], color=colours, zorder=2)
    axes.axvline(comparison.needed_ms, color=VERMILION, lw=1.2, ls=(0, (4, 2)), zorder=3)
    if found_ms:
        words = f"min {found_ms[0]:.0f}   p1 {quantile(found_ms, 0.01):.0f}"
        words += f"   median {quantile(found_ms, 0.5):.0f}"
        axes.set_title(words, loc="left", fontsize=7.5, color=INK, pad=2)
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
