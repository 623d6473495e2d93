"""Cells: combines all runs of a point, makes curves of cells, and finds thresholds on them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from laboratory.runs.points import mode_of
from laboratory.runs.rows import Row, latest
from laboratory.study.intervals import Count, Estimate, Share, difference_of, share_of
from laboratory.study.plan import BASE_SERIES, Experiment

COHERENT = 1e-3
"""Limit for the share of bad events. A session with a share below it is called coherent."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A point with all its runs. Shares are of the events of all runs together, with 95 % intervals."""

    where: str
    series: str
    mode: str
    x: float
    rows: tuple[Row, ...]
    bad: Share
    retimed: Share
    divergent: Share
    unavoidable: Share | None
    """The share of unavoidable events, by the oracle; None if any run lacks the oracle's answer."""

    @property
    def first(self) -> Row:
        """The first row, for the fields that describe the point. They are the same in all rows."""
        return self.rows[0]

    def known(self, figure: str) -> list[float]:
        """Return a figure's values in all runs that have it, ascending. figure: name of a field of Row."""
        return sorted(value for row in self.rows if (value := getattr(row, figure)) is not None)

    def mean(self, figure: str) -> float | None:
        """Return a figure's mean over the runs that have it; None if no run has it."""
        known = self.known(figure)
        return fmean(known) if known else None

    def worst(self, figure: str) -> float | None:
        """Return a figure's greatest value over the runs that have it; None if no run has it."""
        return max(self.known(figure), default=None)


def cells_of(rows: Iterable[Row]) -> list[Cell]:
    """Combine rows into cells, sorted by (where, series, mode, x).

    Rows without any event are left out.
    """
    sorted_rows: dict[tuple[str, str, str, float], list[Row]] = {}
    for row in latest(rows).values():
        if row.events:
            sorted_rows.setdefault((row.where, row.series, mode_of(row), row.x), []).append(row)
    return [
        cell_of(*key, tuple(sorted(group, key=lambda row: row.seed)))
        for key, group in sorted(sorted_rows.items())
    ]


def cell_of(where: str, series: str, mode: str, x: float, rows: tuple[Row, ...]) -> Cell:
    def share(figure: str) -> Share:
        return share_of([(getattr(row, figure), row.events) for row in rows])

    asked = all(row.unavoidable is not None for row in rows)
    return Cell(
        where, series, mode, x, rows, share("bad"), share("retimed"), share("divergent"),
        share("unavoidable") if asked else None,
    )  # fmt: skip


def curve(cells: Iterable[Cell], where: str, series: str, mode: str) -> list[Cell]:
    """Return the cells of one curve, by ascending x."""
    return sorted(
        (cell for cell in cells if (cell.where, cell.series, cell.mode) == (where, series, mode)),
        key=lambda cell: cell.x,
    )


def sweep_curve(cells: Sequence[Cell], where: str, sweep: Experiment, mode: str) -> list[Cell]:
    """Return the cells of an experiment's curve by ascending x, the base's cell among them.

    If this experiment didn't try the base, its cell is taken from the experiment that did.
    """
    line = curve(cells, where, sweep.series, mode)
    if not line or any(cell.x == sweep.base_x for cell in line):
        return line
    base = next((c for c in cells if (c.where, c.mode) == (where, mode) and is_base(c)), None)
    started = [replace(base, series=sweep.series, x=sweep.base_x)] if base else []
    return sorted([*started, *line], key=lambda cell: cell.x)


def is_base(cell: Cell) -> bool:
    return (cell.series, cell.x) == (BASE_SERIES, 0)


# -- thresholds ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Threshold:
    """The place on a curve where sessions stop being coherent.

    fails: the first cell that isn't coherent; None: all are. holds: the cell before it; None: there is none.
    sure: True if for every cell up to `holds` even the upper bound of the share is below COHERENT.
    """

    holds: Cell | None
    fails: Cell | None
    sure: bool


def threshold(cells: Iterable[Cell]) -> Threshold | None:
    """Return the threshold of a curve, at the first cell that isn't coherent; None without cells.

    Pass a curve as it is if a greater x is worse, and reversed if a smaller x is worse.
    """
    passed: list[Cell] = []
    failed: Cell | None = None
    for cell in cells:
        if cell.bad.value >= COHERENT:
            failed = cell
            break
        passed.append(cell)
    if not passed and failed is None:
        return None
    sure = bool(passed) and all(cell.bad.high < COHERENT for cell in passed)
    return Threshold(passed[-1] if passed else None, failed, sure)


# -- the two labs side by side ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """One point tried in both labs: in virtual time and with real processes (netlab)."""

    virtual: Cell
    netlab: Cell
    difference: Estimate
    """Netlab's share of bad events minus that of virtual time, with the 99 % interval."""

    @property
    def agrees(self) -> bool:
        return self.difference.holds(0.0)

    @property
    def half_width(self) -> float:
        """Half the width of the interval: a smaller difference between the labs couldn't have been
        noticed."""
        return (self.difference.high - self.difference.low) / 2


def agreements(cells: Sequence[Cell]) -> list[Agreement]:
    """Return an Agreement for every point that both labs tried, in the order of the cells.

    If virtual time tried the same network in two experiments, the one with netlab's series and x is used.
    """
    found = []
    for real in cells:
        alike = [cell for cell in cells if cell.where == "virtual" and same(cell) == same(real)]
        if real.where == "netlab" and alike:
            virtual = next(
                (cell for cell in alike if (cell.series, cell.x) == (real.series, real.x)), alike[0]
            )
            found.append(Agreement(virtual, real, difference_of(counts(real), counts(virtual))))
    return found


def same(cell: Cell) -> tuple[object, ...]:
    row = cell.first
    return (row.network, cell.mode, row.scheme, row.lead_ms, row.ahead_ms, row.members, row.events_per_s)


def counts(cell: Cell, figure: str = "bad") -> list[Count]:
    """Return a pair for each run: (number of its events with a fault, number of all its events). figure: the
    fault's name."""
    return [(getattr(row, figure), row.events) for row in cell.rows]
