"""Study text: makes STUDY.md from the data and the template study.md.j2. Pure, except that it reads the
template.

The template has the words, and a table or a line for each kind of data. If data are missing, it states that
the figure isn't measured. This module computes the figures for the template.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from laboratory.runs.points import MODES, Point
from laboratory.runs.rows import WHOLE, Minute
from laboratory.study import groups
from laboratory.study import plan as studyplan
from laboratory.study.cells import COHERENT, Cell, agreements, curve, sweep_curve, threshold
from laboratory.study.intervals import percent
from laboratory.tables.pages import render
from laboratory.tables.plots import LABELS
from relay.netmodel.networks import PROFILES
from relay.wire.sequence import Scheme

KINDS = ("missing", "late", "out_of_order", "different", "retimed", "moved")
BROKEN = 0.5
"""Share of bad events from which on a jam counts as broken down.

The kinds of its bad events show nothing about other jams.
"""
IMPAIRMENTS = {
    "reorder": "reordering", "duplicate": "duplication", "rate": "a limited rate with its queue",
    "outage": "outages", "spikes": "spikes", "up:": "asymmetry", "trace": "recorded traces",
}  # fmt: skip
"""Word in a network's text -> the impairment that it stands for.

If no network of the study contains a word, its impairment wasn't tried.
"""


@dataclass(frozen=True, slots=True)
class Study:
    """All data of a study. figures: names of the figures' files. folder: name of their folder, beside the
    text."""

    cells: Sequence[Cell]
    minutes: Sequence[Minute]
    figures: set[str]
    folder: str


def write_study(study: Study) -> str:
    """Return the whole text of STUDY.md."""
    cells = study.cells
    rows = [row for cell in cells for row in cell.rows]
    wholes = [minute for minute in study.minutes if minute.minute == WHOLE]
    filters = {
        "percent": percent, "ms": ms_text, "network": network_text, "listed": listed,
        "described": groups.described, "seconds": lambda length: f"{length / 60:g} min",
    }  # fmt: skip
    return render(
        "study", filters, study=study, cells=cells, rows=rows, wholes=wholes, plan=studyplan, groups=groups,
        labels=LABELS, modes=MODES, profiles=PROFILES, COHERENT=COHERENT, kinds=KINDS,
        agreements=agreements(cells),
        threshold=threshold, curve=curve, sweep_curve=sweep_curve, median=median, came_to=came_to,
        bad_kinds=bad_kinds, oracle=oracle(cells), disturbed=disturbed(cells), dips=dips(cells),
        at_base_lead=lambda cell: at_base_lead(cells, cell), gaps=gaps(study),
        actions_ms=[action for cell in cells if is_usual(cell) and cell.bad.value < COHERENT
                    if (action := cell.mean("action_to_sound_ms_p50")) is not None],
    )  # fmt: skip


# -- figures as words ------------------------------------------------------------------------------------


def ms_text(value_us: float | None) -> str:
    """Return microseconds as a text in milliseconds; "?" for a figure that wasn't measured."""
    if value_us is None:
        return "?"
    value_ms = value_us / 1e3
    return f"{value_ms:.0f} ms" if value_ms >= 99.5 else f"{value_ms:.2g} ms"


def network_text(network: str) -> str:
    """Return a network's text in words, such as "fibre, ben on mobile"."""
    common, *exceptions = (part.strip() for part in network.split("|"))
    return ", ".join([common, *(exception.replace("=", " on ", 1) for exception in exceptions)])


def listed(items: Iterable[object]) -> str:
    """Return items as a list in words: "a", "a and b", "a, b and c"; "none" without items."""
    *most, last = [*map(str, items)] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def came_to(cell: Cell, figure: str) -> str:
    """Return the range of a figure (ms) over the cell's runs as text; "?" if no run has it."""
    known = [round(value) for value in cell.known(figure)]
    if not known:
        return "?"
    return f"{known[0]} ms" if known[0] == known[-1] else f"{known[0]} to {known[-1]} ms"


# -- what the data hold ----------------------------------------------------------------------------------


def is_usual(cell: Cell) -> bool:
    """Tell whether a cell's room is judged by the relay, with the base's lead and schedule-ahead."""
    row = cell.first
    return (row.scheme, row.ahead_ms, row.lead_ms) == (
        Scheme.JUDGED, studyplan.BASE_AHEAD_MS, studyplan.BASE_LEAD_MS,
    )  # fmt: skip


def at_base_lead(cells: Sequence[Cell], cell: Cell) -> Cell | None:
    """Return the cell like `cell` but with the base's lead; None if there is none."""

    def place(one: Cell) -> tuple[object, ...]:
        row = one.first
        return (one.where, one.mode, row.network, row.scheme, row.members, row.events_per_s)

    return next((other for other in cells if is_usual(other) and place(other) == place(cell)), None)


def dips(cells: Sequence[Cell]) -> list[tuple[studyplan.Experiment, groups.Pair]]:
    """Return the places in the sweeps where a worse network had surely fewer bad events.

    Each is (experiment, (cell of the better network, cell of the worse one)).
    """
    return [
        (sweep, pair)
        for sweep in studyplan.SWEEPS
        for where, mode in dict.fromkeys((c.where, c.mode) for c in cells if c.series == sweep.series)
        if (line := curve(cells, where, sweep.series, mode))
        for pair in groups.compared(list(pairwise(line))).less
    ]


def bad_kinds(cells: Sequence[Cell], mode: str) -> dict[str, Any] | None:
    """Return the number of bad events of each kind in a mode's usual cells; None if there are no such cells.

    Cells that have broken down aren't counted. Two more figures count cells: `points` all of them, `used`
    those that haven't broken down.
    """
    mine = [cell for cell in cells if cell.mode == mode and is_usual(cell)]
    used = [cell for cell in mine if cell.bad.value < BROKEN]
    rows = [row for cell in used for row in cell.rows]
    counted = {kind: sum(getattr(row, kind) for row in rows) for kind in ("bad", *KINDS)}
    return counted | {"used": len(used), "points": len(mine)} if mine else None


def oracle(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return how often the oracle was asked, and its answers, under the names that the template uses."""
    asked = [cell for cell in cells if cell.unavoidable is not None]
    some = [(cell, best) for cell in asked if (best := cell.unavoidable) and best.bad]
    told = [row for cell in asked for row in cell.rows if row.doomed_but_good is not None]
    return {
        "points": len(asked), "runs": sum(len(cell.rows) for cell in asked), "some": len(some),
        "at_best": sum(cell.bad.bad == best.bad for cell, best in some), "looked": len(told),
        "impossible": sum(row.doomed_but_good or 0 for row in told),
        "impossible_at": sorted({row.point for row in told if row.doomed_but_good}),
    }  # fmt: skip


def disturbed(cells: Sequence[Cell]) -> dict[str, Any] | None:
    """Return figures about the events left out because the machine stood still; None if no cell has them."""
    out = {
        cell.first.point: (sum(row.disturbed or 0 for row in cell.rows), cell)
        for cell in cells
        if all(row.disturbed is not None for row in cell.rows)
    }
    if not out:
        return None
    shares = {point: count / (count + cell.bad.events) for point, (count, cell) in out.items()}
    worst = max(shares, key=lambda point: shares[point])
    bad = [row.disturbed_bad for _, cell in out.values() for row in cell.rows]
    return {
        "events": sum(count for count, _ in out.values()), "points": len(out),
        "bad": None if None in bad else sum(count or 0 for count in bad),
        "worst": worst, "worst_share": shares[worst],
    }  # fmt: skip


def gaps(study: Study) -> dict[str, Any]:
    """Return the planned points that the data lack, and the impairments that no network of the data has."""
    planned = [*studyplan.virtual_points(), *studyplan.netlab_points()]
    seeds = Counter(name for name, _ in {(row.point, row.seed) for c in study.cells for row in c.rows})
    networks = " ".join({cell.first.network for cell in study.cells} | {m.network for m in study.minutes})

    def some(found: Callable[[Point], bool], where: str) -> list[str]:
        return [point.name for point in planned if point.where == where and found(point)]

    return {
        "gone": {
            where: (missing, some(lambda point: True, where))
            for where in ("virtual", "netlab")
            if (missing := some(lambda point: not seeds[point.name], where))
        },
        "fewer": [f"{point.name} ({seeds[point.name]} of {len(point.seeds)})" for point in planned
                  if 0 < seeds[point.name] < len(point.seeds)],
        "alone": [words for word, words in IMPAIRMENTS.items() if word not in networks],
        "largest": max((c.first.members for c in study.cells if c.where == "netlab"), default=0),
    }  # fmt: skip
