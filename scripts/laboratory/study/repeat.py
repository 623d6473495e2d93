"""Repeating: runs points of the committed study again with other seeds, and tells whether the results agree.
Pure.

The shares of bad events and of re-timed events are compared. Two results agree if the 99 % intervals of both
differences contain 0. The interval is the wider of Newcombe's (all events pooled) and Welch's (shares of
runs); see `laboratory.study.intervals`. Newcombe's alone would often find a difference where there is none,
because events fail in bursts. With two comparisons a point, one point in 50 fails by chance alone.

The spread isn't a share. Its median may differ by SPREAD_TOLERANCE (a ratio) or by SPREAD_TOLERANCE_US,
whichever is more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from laboratory.runs.points import Point
from laboratory.runs.rows import ASKED, Row, latest
from laboratory.study.cells import Cell, cells_of, counts
from laboratory.study.intervals import difference_of, percent
from relay.wire.errors import LocalError

SEED_STEP = 1000
"""Number to add to the committed runs' seeds to get the new seeds."""
SPREAD_TOLERANCE = 0.5
SPREAD_TOLERANCE_US = 150.0
"""Tolerance of the spread (us). Another seed has other asymmetries of delay, which no clock can measure."""


@dataclass(frozen=True, slots=True)
class RepeatVerdict:
    """The verdict on one figure of a point: whether it agrees with the committed one, and a sentence about
    it."""

    point: str
    agrees: bool
    text: str


def points_anew(committed: Iterable[Row], names: Iterable[str]) -> list[Point]:
    """Return the committed points of these names, with new seeds. Raises LocalError for an unknown name."""
    groups: dict[str, list[Row]] = {}
    for row in latest(committed).values():
        groups.setdefault(row.point, []).append(row)
    points = []
    for name in names:
        if name not in groups:
            raise LocalError(
                f"no point {name!r} in the committed study; it has e.g. {', '.join(sorted(groups)[:5])}"
            )
        points.append(point_of(groups[name]))
    return points


def point_of(group: Sequence[Row]) -> Point:
    """Return the point to which some rows belong, with new seeds."""
    seeds = tuple(sorted(row.seed + SEED_STEP for row in group))
    return Point(name=group[0].point, seeds=seeds, **{name: getattr(group[0], name) for name in ASKED})


def judge(committed: Iterable[Row], found: Iterable[Row]) -> list[RepeatVerdict]:
    """Return the verdicts on every point that was run again: two or three for each."""
    before = {cell.first.point: cell for cell in cells_of(committed)}
    return [
        verdict
        for cell in cells_of(found)
        for verdict in (
            share_verdict(before[cell.first.point], cell, "bad"),
            share_verdict(before[cell.first.point], cell, "re-timed"),
            *spread_verdict(before[cell.first.point], cell),
        )
    ]


def share_verdict(before: Cell, anew: Cell, what: str) -> RepeatVerdict:
    figure = "bad" if what == "bad" else "retimed"
    old, new = getattr(before, figure), getattr(anew, figure)
    difference = difference_of(counts(anew, figure), counts(before, figure))
    agrees = difference.holds(0.0)
    text = (
        f"{before.first.point}: {what} {percent(new.value)} of {new.events}, committed {percent(old.value)} "
        f"of {old.events}; difference {difference.value * 100:+.2f} points, 99 % interval "
        f"{difference.low * 100:+.2f} to {difference.high * 100:+.2f}: {'agrees' if agrees else 'DIFFERS'}"
    )
    return RepeatVerdict(before.first.point, agrees, text)


def spread_verdict(before: Cell, anew: Cell) -> list[RepeatVerdict]:
    """Return a list with the verdict on the median spread; [] if the spread wasn't measured."""
    old, new = (cell.mean("spread_us_p50") for cell in (before, anew))
    if old is None or new is None:
        return []
    tolerance_us = max(SPREAD_TOLERANCE * old, SPREAD_TOLERANCE_US)
    agrees = abs(new - old) <= tolerance_us
    text = (
        f"{before.first.point}: spread p50 {new:.0f} us, committed {old:.0f} us +- {tolerance_us:.0f} us: "
        f"{'agrees' if agrees else 'DIFFERS'}"
    )
    return [RepeatVerdict(before.first.point, agrees, text)]
