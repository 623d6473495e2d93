"""Trials: what scripts/lab runs when it is asked, from a matrix of networks to the study's points anew."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.table import Table

from laboratory import accidents, clockreport, envelope, figures, leadtable, repeat, rows, study, studyplan
from laboratory.campaign import Job
from laboratory.cells import Cell, cells_of
from laboratory.lab_view import lead_text, table_of, table_of_runs
from laboratory.points import MODES, Point, legs_of
from laboratory.reporting import Reporter, run_jobs, tell_failures
from laboratory.rows import GenuineRow, Row
from laboratory.runs import job_of, missing, stamp, watch_clocks
from relay.wire.errors import LocalError
from relay.wire.sequence import Scheme

# -- any matrix ------------------------------------------------------------------------------------------


def matrix(
    networks: tuple[str, ...], transports: tuple[str, ...], repair: str, leads: tuple[float, ...],
    ahead_ms: float, sizes: tuple[int, ...], events_per_s: float, seconds: float, seeds: int, where: str,
    schemes: Sequence[str] = (Scheme.JUDGED,),
) -> list[Point]:  # fmt: skip
    """Return the points of a matrix. Raises LocalError for what can't be run."""
    if not networks:
        raise LocalError("no --network given: try --network hotel-wifi, --study, --quick or --help")
    if where == "virtual" and set(transports) != {"udp"}:
        raise LocalError("TCP isn't modelled in virtual time: add --where netlab")
    modes = [mode for mode in MODES if mode in transports]
    if "udp" in transports:
        modes = [
            *(["udp-plain"] if repair in ("off", "both") else []),
            *(["udp-repair"] if repair in ("on", "both") else []),
            *modes,
        ]
    points = []
    for network, lead_ms, members, mode, scheme in product(
        networks, leads, sizes, modes, map(Scheme, schemes)
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


def run_matrix(console: Console, points: list[Point], output: Path, jobs: int, again: bool) -> int:
    """Run what isn't there yet, show all of it; return the exit status.

    points: all genuine, whose rows are kept in a file of their own, or none.
    """
    genuine = points[0].where == "genuine"
    path, kind, picture = output / "rows.csv", Row, output / "shares.png"
    if genuine:
        path, kind, picture = output / "genuine.csv", GenuineRow, output / "genuine.png"
    asked = [(point, seed) for point in points for seed in point.seeds]
    wanted = asked if again else missing(points, rows.read(path, kind))
    if len(wanted) < len(asked):
        console.print(f"{len(asked) - len(wanted)} of {len(asked)} runs are in {path} already")
    refuse_netlab_where_it_cannot_work(point for point, _ in wanted)
    made_by = stamp()
    with Reporter(console) as reporter:
        failures = run_jobs(
            [job_of(point, seed, made_by) for point, seed in wanted], jobs, reporter,
            lambda job, row: rows.append(path, a_row(row)),
        )  # fmt: skip
    names = {point.name for point in points}
    found = [row for row in rows.read(path, kind) if row.point in names]
    cells = cells_of(found)
    if cells:
        console.print(table_of(cells))
        if genuine:
            console.print(table_of_runs(list(rows.latest(found).values())))
        groups: dict[str, list[Cell]] = {}
        for cell in cells:
            row = cell.first
            tried = f"{row.network}\nlead {lead_text(row)}, {row.members} members"
            tried += "" if row.scheme is Scheme.JUDGED else f", by {row.scheme}"
            groups.setdefault(tried, []).append(cell)
        figures.dots(list(groups.items()), "Bad events by network", picture)
        console.print(f"rows in {path}, figure in {picture}")
    tell_failures(console, failures)
    return 1 if failures else 0


def run_envelope(console: Console, where: str, jobs: int, again: bool, words: Sequence[str] = ()) -> int:
    """Run the trials that aren't there yet, write what follows from all; return the exit status.

    words: only trials with one of them in their title, if there are any. Raises LocalError if none has.
    """
    asked = envelope.points(where, words=words)
    if not asked:
        titles = "; ".join(dict.fromkeys(trial.title for trial in envelope.TRIALS if where in trial.wheres))
        raise LocalError(f"no network has {' or '.join(words)} in its title; there are: {titles}")
    there = [] if again else rows.read(envelope.DATA, Row)
    # All networks with the first seed, then with the next: stopped early, each of them has something to say.
    wanted = sorted(missing(asked, there), key=lambda run: run[1])
    refuse_netlab_where_it_cannot_work(point for point, _ in wanted)
    made_by = stamp()
    with Reporter(console) as reporter:
        failures = run_jobs(
            [job_of(point, seed, made_by) for point, seed in wanted], jobs, reporter,
            lambda job, row: rows.append(envelope.DATA, a_row(row)),
        )  # fmt: skip
    verdicts = envelope.write(envelope.TEXT, envelope.DATA)
    console.print(shown(envelope.table(verdicts)), f"written: {envelope.TEXT}")
    tell_failures(console, failures)
    names = {point.name for point in asked}
    return 1 if failures or not all(one.holds for one in verdicts if one.cell.first.point in names) else 0


def run_lead_table(console: Console, at_once: int) -> int:
    """Run the trials of lead table and accidents, write and show what was found; return the exit status."""
    jobs = [*leadtable.jobs(), *accidents.jobs()]
    done: dict[str, object] = {}
    made_by = stamp()
    with Reporter(console) as reporter:
        failures = run_jobs(jobs, at_once, reporter, lambda job, found: done.update({job.name: found}))
    found = [done[job.name] for job in jobs if job.name in done]
    outcomes = [one for one in found if isinstance(one, leadtable.Outcome)]
    stricken = [one for several in found if isinstance(several, list) for one in several]
    if not failures:
        leadtable.write(outcomes, accidents.text(stricken), made_by.commit)
    console.print(shown(leadtable.table(outcomes)), shown(accidents.table(stricken)))
    tell_failures(console, failures)
    return 1 if failures or not all(one.holds for one in stricken) else 0


def run_clock(console: Console) -> int:
    """Watch the clocks of a real run, write and show what was found; return the exit status."""
    if why_not := study.netlab_missing():
        raise LocalError(f"NOT RUN, {why_not}: the clock run")
    found: list[clockreport.Found] = []

    def keep(job: Job, result: object) -> None:
        assert isinstance(result, clockreport.Found)
        found.append(result)

    with Reporter(console) as reporter:
        jobs = [
            Job(
                f"the clocks: {setting.title.lower()}", setting.seconds + studyplan.NETLAB_OVERHEAD_S,
                partial(watch_clocks, setting),
            )
            for setting in clockreport.SETTINGS
        ]  # fmt: skip
        failures = run_jobs(jobs, 1, reporter, keep)
    verdicts = [] if failures else clockreport.write(found)
    console.print(shown(clockreport.table([one for run in found for one in clockreport.judge(run)])))
    tell_failures(console, failures)
    return 0 if verdicts and all(verdict.holds for verdict in verdicts) else 1


def shown(lines: Sequence[tuple[str, ...]]) -> Table:
    """Return lines of text fields, the heading first, as a table for a terminal."""
    heading, *others = lines
    table = Table(*heading)
    for line in others:
        table.add_row(*line)
    return table


def refuse_netlab_where_it_cannot_work(points: Iterable[Point]) -> None:
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


@contextlib.contextmanager
def temporary_study() -> Iterator[study.Place]:
    with tempfile.TemporaryDirectory(prefix="lab-quick-") as folder:
        yield study.Place(Path(folder) / "STUDY.md", Path(folder) / "study")


def run_quick(console: Console, jobs: int) -> int:
    """Run a small study in a temporary folder: does everything from run to text work?"""
    with temporary_study() as place:
        status = study.run(
            console, place, parts=("virtual", "text"), jobs=jobs, again=False,
            points=studyplan.quick_points(), spread=studyplan.quick_spread(),
        )  # fmt: skip
        pictures = sorted(path.name for path in place.folder.glob("*.png"))
        lines = place.text.read_text(encoding="utf-8").splitlines() if place.text.exists() else []
        console.print(*lines[:10], sep="\n")
        console.print(f"... {len(lines)} lines; figures: {', '.join(pictures) or 'none'}")
        return status if lines and pictures else 1


def run_repeat(console: Console, names: tuple[str, ...], jobs: int) -> int:
    """Run points of the committed study anew and judge them; return the exit status."""
    plan = studyplan.virtual_points() + studyplan.netlab_points()
    committed = study.asked_for(rows.read(study.COMMITTED.rows, Row), plan)
    if not committed:
        raise LocalError(f"{study.COMMITTED.rows} has no rows: run scripts/lab --study first")
    points = repeat.points_anew(committed, names or studyplan.REPEATED)
    refuse_netlab_where_it_cannot_work(points)
    found: list[Row] = []
    made_by = stamp()
    with Reporter(console) as reporter:
        failures = run_jobs(
            [job_of(point, seed, made_by) for point in points for seed in point.seeds],
            1 if any(point.where == "netlab" for point in points) else jobs, reporter,
            lambda job, row: found.append(a_row(row)),
        )  # fmt: skip
    verdicts = repeat.judge(committed, found)
    for verdict in verdicts:
        console.print(verdict.text, style=None if verdict.agrees else "bold red")
    tell_failures(console, failures)
    whole = len({verdict.point for verdict in verdicts}) == len(points)
    return 0 if whole and not failures and all(verdict.agrees for verdict in verdicts) else 1
