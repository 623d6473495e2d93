"""Study: runs the study's plan part by part, keeps the rows, and writes figures and text from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from laboratory.runs import rows
from laboratory.runs.campaign import Failure, Job
from laboratory.runs.points import Point
from laboratory.runs.reporting import run_jobs, time_text
from laboratory.runs.rows import Minute, Row
from laboratory.runs.runs import ROOT, Stamp, answers, job_of, missing, run_spread, stamp
from laboratory.study import costs
from laboratory.study import figures as studyfigures
from laboratory.study import plan as studyplan
from laboratory.study.cells import cells_of
from laboratory.study.plan import SpreadPoint
from laboratory.study.text import Study, write_study
from relay.wire.errors import LocalError

PARTS = ("netlab", "virtual", "text")


@dataclass(frozen=True, slots=True)
class Place:
    """The files of a study. text: its page. folder: of its data and figures."""

    text: Path
    folder: Path

    @property
    def rows(self) -> Path:
        return self.folder / "rows.csv"

    @property
    def minutes(self) -> Path:
        return self.folder / "spread.csv"


NOT_RUN = 3
"""Exit status if netlab can't work here: no run failed, but some that were asked for weren't made."""
COMMITTED = Place(ROOT / "docs" / "STUDY.md", ROOT / "docs" / "study")


def run(
    console: Console,
    place: Place,
    *,
    parts: Sequence[str],
    jobs: int,
    again: bool,
    points: Sequence[Point] | None = None,
    spread: Sequence[SpreadPoint] | None = None,
) -> int:
    """Run the missing points of a study, write figures and text from all points, and return the exit status.

    parts: of PARTS. jobs: runs at a time. again: also run points that have rows. points, spread: another
    plan; None: the study's own.
    """
    planned = list(points) if points is not None else studyplan.virtual_points() + studyplan.netlab_points()
    hours = list(spread) if spread is not None else studyplan.spread_points()
    made_by, failures, not_run = stamp(), list[Failure](), ""
    for part in [part for part in PARTS if part in parts and part != "text"]:
        if part == "netlab" and (not_run := netlab_missing() or ""):
            console.print(f"netlab NOT RUN: {not_run}")
            continue
        # Virtual runs would disturb real ones, so netlab runs first and alone.
        wanted = jobs_wanted(place, part, planned, hours, made_by, again)
        at_once = min(jobs, studyplan.NETLAB_JOBS) if part == "netlab" else jobs
        cost_s = sum(job.cost_s for job in wanted) / at_once
        console.print(f"{part}: {len(wanted)} runs, {at_once} at a time, about {time_text(cost_s)}")
        failures += run_jobs(console, wanted, at_once, partial(keep, place))
    settle(place)
    write(console, place, planned, hours)
    if not_run:
        console.print(f"NOT RUN: netlab ({not_run})")
    return 1 if failures else NOT_RUN if not_run else 0


def netlab_missing() -> str | None:
    """Return the reason, in words, why real processes can't run here; None if they can."""
    from laboratory.star.namespaces import why_not

    return why_not()


def genuine_missing() -> str | None:
    """Return the reason, in words, why genuine Sonic Pis can't run here; None if they can."""
    from laboratory.runs.genuine import missing

    return missing()


def jobs_wanted(
    place: Place,
    part: str,
    points: Sequence[Point],
    hours: Sequence[SpreadPoint],
    made_by: Stamp,
    again: bool,
) -> list[Job]:
    """Return the runs of a part that are to be made, the longest first.

    points, hours: the plan. again: also return runs that have rows.
    """
    mine = [point for point in points if point.where == part]
    there = [] if again else rows.read(place.rows, Row)
    wanted = [job_of(point, seed, made_by) for point, seed in missing(mine, there)]
    if part == "virtual":
        watched = [] if again else rows.read(place.minutes, Minute)
        wanted += [
            Job(
                f"clocks over {hour.network}",
                costs.spread_cost_s(hour),
                partial(run_spread, hour, made_by),
            )
            for hour in hours
            if not any(is_of(minute, hour) for minute in watched)
        ]
    return sorted(wanted, key=lambda job: -job.cost_s)


def is_of(minute: Minute, hour: SpreadPoint) -> bool:
    return (minute.network, minute.seed, minute.seconds) == (hour.network, hour.seed, hour.seconds)


def keep(place: Place, job: Job, result: object) -> None:
    """Append a run's result to the study's files."""
    if isinstance(result, Row):
        rows.append(place.rows, result)
    else:
        assert isinstance(result, list)
        rows.append(place.minutes, *result)


def settle(place: Place) -> None:
    """Sort the rows in the study's files, and drop exact repeats.

    So the same runs give the same files, in whatever order they ended.
    """
    kept = sorted(rows.read(place.rows, Row), key=lambda row: (row.where, row.point, row.seed, row.started))
    rows.write(place.rows, list(dict.fromkeys(kept)), Row)
    minutes = rows.read(place.minutes, Minute)
    in_order = sorted(minutes, key=lambda one: (one.network, one.seconds, one.seed, one.started, one.minute))
    rows.write(place.minutes, list(dict.fromkeys(in_order)), Minute)


def asked_for(found: Sequence[Row], points: Sequence[Point]) -> list[Row]:
    """Return the rows of these points.

    Rows of other points are left out. Rows that were made with other settings of the point are left out, too.
    """
    named = {point.name: point for point in points}
    return [
        row
        for row in found
        if row.point in named and answers(row, named[row.point]) and row.seed in named[row.point].seeds
    ]


def write(console: Console, place: Place, points: Sequence[Point], hours: Sequence[SpreadPoint]) -> None:
    """Write figures and text from the data of these points and hours. Other data in the files aren't used."""
    there = rows.read(place.rows, Row)
    used = asked_for(there, points)
    if not used:
        raise LocalError(f"no rows of the plan in {place.rows}: nothing to write about")
    if len(used) < len(there):
        console.print(f"{len(there) - len(used)} rows of {place.rows} are not of the plan: left aside")
    last = {
        (minute.network, minute.seed, minute.minute): minute
        for minute in rows.read(place.minutes, Minute)
        if any(is_of(minute, hour) for hour in hours)
    }
    cells, minutes = cells_of(used), list(last.values())
    pictures = studyfigures.draw_all(cells, minutes, place.folder)
    text = write_study(Study(cells, minutes, pictures, place.folder.name))
    new = place.text.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(place.text)
    console.print(f"written: {place.text}, {len(pictures)} figures and the data in {place.folder}")


def show_plan(console: Console) -> None:
    """Print the experiments of the study and the time that they take."""
    points = studyplan.netlab_points() + studyplan.virtual_points()
    table = Table("part", "experiment", "modes", "x", "runs", "about")
    for part, series in dict.fromkeys((point.where, point.series) for point in points):
        group = [point for point in points if (point.where, point.series) == (part, series)]
        modes = dict.fromkeys(point.name.split("/")[-2] for point in group)
        table.add_row(
            part, series, ", ".join(modes), ", ".join(f"{x:g}" for x in sorted({point.x for point in group})),
            str(sum(len(point.seeds) for point in group)), time_text(costs.total_s(group)),
        )  # fmt: skip
    for hour in studyplan.spread_points():
        table.add_row("virtual", f"clocks over {hour.network}", "udp-repair", "", "1",
                      time_text(costs.spread_cost_s(hour)))  # fmt: skip
    console.print(table)
    netlab, virtual = costs.estimates_s()
    console.print(
        f"with {studyplan.NETLAB_JOBS} runs at a time: netlab about {time_text(netlab)}, "
        f"virtual about {time_text(virtual)}"
    )
