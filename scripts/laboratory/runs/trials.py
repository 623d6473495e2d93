"""Trials: does the work of the commands of scripts/lab, such as a matrix of networks or repeated points."""

import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from rich.console import Console

from laboratory.runs import rows, runs
from laboratory.runs.campaign import Failure, Job
from laboratory.runs.points import MODES, Point, legs_of
from laboratory.runs.reporting import run_jobs
from laboratory.runs.rows import GenuineRow, Row
from laboratory.runs.view import lead_text, table_of, table_of_runs
from laboratory.study import costs, repeat, study
from laboratory.study import plan as studyplan
from laboratory.study.cells import Cell, cells_of
from laboratory.tables import accidents, clockreport, envelope, plots
from laboratory.tables import leads as leadtable
from relay.wire.errors import LocalError
from relay.wire.sequence import Scheme

# -- any matrix ------------------------------------------------------------------------------------------


def matrix(
    networks: Sequence[str], transports: Sequence[str], repair: str, leads: Sequence[float],
    ahead_ms: float, sizes: Sequence[int], events_per_s: float, seconds: float, seeds: int, where: str,
    schemes: Sequence[str] = (Scheme.JUDGED,),
) -> list[Point]:  # fmt: skip
    """Return a point for each combination of the arguments.

    repair: "on", "off" or "both". sizes: numbers of members. Raises LocalError for a combination that can't
    be run.
    """
    if not networks:
        raise LocalError("no --network given: try --network hotel-wifi, or --help")
    if where == "virtual" and set(transports) != {"udp"}:
        raise LocalError("TCP isn't modelled in virtual time: add --where netlab")
    asked = {"off": {"udp-plain"}, "on": {"udp-repair"}, "both": {"udp-plain", "udp-repair"}}[repair]
    asked = (asked if "udp" in transports else set()) | set(transports)
    points = []
    for network, lead_ms, members, mode, scheme in product(
        networks, leads, sizes, [mode for mode in MODES if mode in asked], map(Scheme, schemes)
    ):
        series = f"{network} lead {lead_ms:g}/{ahead_ms:g} rate {events_per_s:g} for {seconds:g} s"
        series += "" if scheme is Scheme.JUDGED else f" by {scheme}"
        points.append(
            studyplan.point(
                where, series, members, network, mode, lead_ms=lead_ms, ahead_ms=ahead_ms, members=members,
                seconds=seconds, seeds=tuple(range(1, seeds + 1)), events_per_s=events_per_s,
                scheme=scheme,
            )
        )  # fmt: skip
        legs_of(points[-1])
    return points


def run_points(
    console: Console, points: Sequence[Point], path: Path, kind: type[Row], at_once: int, again: bool
) -> list[Failure]:
    """Run the points that have no row in the file `path`, and append their rows; return the failures.

    again: run all points. First all points run with their first seed, then all with the next. So a matrix
    that is stopped early has some runs of each point. kind: the class of the rows.
    """
    asked = [(point, seed) for point in points for seed in point.seeds]
    wanted = asked if again else runs.missing(list(points), rows.read(path, kind))
    if len(wanted) < len(asked):
        console.print(f"{len(asked) - len(wanted)} of {len(asked)} runs are in {path} already")
    refuse_where_it_cannot_work(point for point, _ in wanted)
    made_by = runs.stamp()
    jobs = [runs.job_of(point, seed, made_by) for point, seed in sorted(wanted, key=lambda run: run[1])]
    return run_jobs(console, jobs, at_once, lambda job, row: rows.append(path, a_row(row)))


def run_matrix(console: Console, points: list[Point], output: Path, jobs: int, again: bool) -> int:
    """Run the points that have no rows yet, show the results of all, and return the exit status.

    points: either all genuine or none. Rows of genuine points have a file of their own. output: folder for
    rows and figure. again: run all points.
    """
    genuine = points[0].where == "genuine"
    path, picture = output / "rows.csv", output / "shares.png"
    kind: type[Row] = Row
    if genuine:
        path, picture, kind = output / "genuine.csv", output / "genuine.png", GenuineRow
    failures = run_points(console, points, path, kind, 1 if genuine else jobs, again)
    names = {point.name for point in points}
    found = [row for row in rows.read(path, kind) if row.point in names]
    if cells := cells_of(found):
        console.print(table_of(cells))
        if played := [row for row in rows.latest(found).values() if isinstance(row, GenuineRow)]:
            console.print(table_of_runs(played))
        groups: dict[str, list[Cell]] = {}
        for cell in cells:
            row = cell.first
            tried = f"{row.network}\nlead {lead_text(row)}, {row.members} members"
            tried += "" if row.scheme is Scheme.JUDGED else f", by {row.scheme}"
            groups.setdefault(tried, []).append(cell)
        plots.dots(list(groups.items()), "Bad events by network", picture)
        console.print(f"rows in {path}, figure in {picture}")
    return 1 if failures else 0


def run_envelope(console: Console, where: str, jobs: int, again: bool, words: Sequence[str] = ()) -> int:
    """Run the envelope's trials that have no rows yet, write the page from all trials, and return the exit
    status.

    where: "virtual" or "netlab". words: run only trials with one of these words in the title; empty: all.
    Raises LocalError if there is no such trial.
    """
    asked = envelope.points(where, words=words)
    if not asked:
        titles = "; ".join(dict.fromkeys(trial.title for trial in envelope.TRIALS if where in trial.wheres))
        raise LocalError(f"no network has {' or '.join(words)} in its title; there are: {titles}")
    failures = run_points(console, asked, envelope.DATA, Row, jobs, again)
    verdicts = envelope.write(envelope.TEXT, envelope.DATA)
    show_page(console, envelope.TEXT.read_text(encoding="utf-8"), envelope.TEXT)
    names = {point.name for point in asked}
    return 1 if failures or not all(one.holds for one in verdicts if one.cell.first.point in names) else 0


def run_lead_table(console: Console, at_once: int) -> int:
    """Run the trials of leads and accidents, write their page, and return the exit status."""
    jobs = [*leadtable.jobs(), *accidents.jobs()]
    done: dict[str, object] = {}
    made_by = runs.stamp()
    failures = run_jobs(console, jobs, at_once, lambda job, found: done.update({job.name: found}))
    found = [done[job.name] for job in jobs if job.name in done]
    outcomes = [one for one in found if isinstance(one, leadtable.LeadOutcome)]
    stricken = [one for several in found if isinstance(several, list) for one in several]
    page = accidents.page(outcomes, stricken, made_by.commit)
    if not failures:
        accidents.TEXT.write_text(page, encoding="utf-8")
    show_page(console, page, None if failures else accidents.TEXT)
    return 1 if failures or not all(one.holds for one in stricken) else 0


def run_clock(console: Console) -> int:
    """Run the clock runs, write their page, and return the exit status."""
    from laboratory.runs import clockrun

    if why_not := study.netlab_missing():
        raise LocalError(f"NOT RUN, {why_not}: the clock run")
    jobs = [
        Job(
            f"the clocks: {setting.title.lower()}", setting.seconds + costs.NETLAB_OVERHEAD_S,
            partial(clockrun.run, setting),
        )
        for setting in clockreport.SETTINGS
    ]  # fmt: skip
    results: list[object] = []
    failures = run_jobs(console, jobs, 1, lambda job, result: results.append(result))
    found = [result for result in results if isinstance(result, clockreport.Found)]
    verdicts = [verdict for run in found for verdict in clockreport.judge(run)]
    if not failures:
        clockreport.write(found)
    show_page(console, clockreport.page(found), None if failures else clockreport.TEXT)
    return 0 if verdicts and not failures and all(verdict.holds for verdict in verdicts) else 1


def show_page(console: Console, page: str, path: Path | None) -> None:
    """Print a page of docs/. path: the file with the page; None: it wasn't written, because runs failed."""
    console.print(page, markup=False, highlight=False, soft_wrap=True)
    if path is not None:
        console.print(f"written: {path}")


def refuse_where_it_cannot_work(points: Iterable[Point]) -> None:
    """Raise LocalError if this machine can't run some of the points. The text names them."""
    names: dict[str, list[str]] = {}
    for point in points:
        names.setdefault(point.where, []).append(point.name)
    for where, missing_here in (("netlab", study.netlab_missing), ("genuine", study.genuine_missing)):
        if where in names and (why_not := missing_here()):
            raise LocalError(f"NOT RUN, {why_not}: {', '.join(dict.fromkeys(names[where]))}")


def a_row(result: object) -> Row:
    assert isinstance(result, Row)
    return result


# -- quick and repeat ------------------------------------------------------------------------------------


def run_quick(console: Console, jobs: int) -> int:
    """Run a small study in a temporary folder to test all steps from runs to text. Return the exit status."""
    with tempfile.TemporaryDirectory(prefix="lab-quick-") as folder:
        place = study.Place(Path(folder) / "STUDY.md", Path(folder) / "study")
        status = study.run(
            console, place, parts=("virtual", "text"), jobs=jobs, again=False,
            points=studyplan.quick_points(), spread=studyplan.quick_spread(),
        )  # fmt: skip
        pictures = sorted(path.name for path in place.folder.glob("*.png"))
        lines = place.text.read_text(encoding="utf-8").splitlines() if place.text.exists() else []
        console.print(*lines[:10], sep="\n")
        console.print(f"... {len(lines)} lines; figures: {', '.join(pictures) or 'none'}")
        return status if lines and pictures else 1


def run_repeat(console: Console, names: Sequence[str], jobs: int) -> int:
    """Run points of the committed study again with other seeds and compare; return the exit status.

    names: the points' names; empty: those of REPEATED.
    """
    plan = studyplan.virtual_points() + studyplan.netlab_points()
    committed = study.asked_for(rows.read(study.COMMITTED.rows, Row), plan)
    if not committed:
        raise LocalError(f"{study.COMMITTED.rows} has no rows: run scripts/lab study first")
    points = repeat.points_anew(committed, names or studyplan.REPEATED)
    refuse_where_it_cannot_work(points)
    found: list[Row] = []
    made_by = runs.stamp()
    failures = run_jobs(
        console, [runs.job_of(point, seed, made_by) for point in points for seed in point.seeds],
        1 if any(point.where == "netlab" for point in points) else jobs,
        lambda job, row: found.append(a_row(row)),
    )  # fmt: skip
    verdicts = repeat.judge(committed, found)
    for verdict in verdicts:
        console.print(verdict.text, style=None if verdict.agrees else "bold red")
    whole = len({verdict.point for verdict in verdicts}) == len(points)
    return 0 if whole and not failures and all(verdict.agrees for verdict in verdicts) else 1
