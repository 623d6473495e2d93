"""scripts/lab: tries jams on bad networks, any matrix of them or the whole study."""

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from laboratory import envelope, figures, repeat, rows, study, studyplan
from laboratory.cells import Cell, cells_of
from laboratory.lab_view import table_of, table_of_runs
from laboratory.points import MODES, TRANSPORTS, Point, legs_of
from laboratory.reporting import Reporter, run_jobs, tell_failures
from laboratory.rows import BadRows, GenuineRow, Row
from laboratory.runs import job_of, missing, stamp
from relay.wire.errors import LocalError
from relay.wire.sequence import Scheme

LOG_WIDTH = 160
"""Columns where there is no terminal: tables aren't squeezed."""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Examples:
  scripts/lab --network hotel-wifi --network delay=50,loss=5% --repair both --seeds 3
  scripts/lab --network mobile --transport udp --transport tls-cubic --where netlab
  scripts/lab --real --profile hotel-wifi --seconds 30
  scripts/lab --study            the whole study: docs/STUDY.md, its data and figures
  scripts/lab --repeat           two points of the committed study anew: do they agree?""",
)
@click.option(
    "--network",
    "--networks",
    "--profile",
    "networks",
    multiple=True,
    metavar="LEG",
    help="A profile (scripts/netlab --list), or e.g. delay=50,jitter=10,loss=5%; once for each to try.",
)
@click.option(
    "--transport",
    "transports",
    multiple=True,
    type=click.Choice(TRANSPORTS),
    default=("udp",),
    show_default=True,
    help="How events travel; once for each to try. TCP needs --where netlab.",
)
@click.option(
    "--repair",
    type=click.Choice(["on", "off", "both"]),
    default="on",
    show_default=True,
    help="Of events over UDP.",
)
@click.option(
    "--scheme",
    "schemes",
    multiple=True,
    type=click.Choice([scheme.value for scheme in Scheme]),
    default=(Scheme.JUDGED.value,),
    show_default=True,
    help="What keeps the room together; once for each to try.",
)
@click.option(
    "--lead-ms",
    "leads",
    multiple=True,
    type=click.FloatRange(min=0),
    default=(studyplan.BASE_LEAD_MS,),
    show_default=True,
    help="The room's lead, in milliseconds; once for each to try.",
)
@click.option(
    "--ahead-ms",
    type=click.FloatRange(min=0),
    default=500.0,
    show_default=True,
    help="Sonic Pi's schedule-ahead, in milliseconds.",
)
@click.option(
    "--members",
    "sizes",
    multiple=True,
    type=click.IntRange(1, 16),
    default=(3,),
    show_default=True,
    help="Players in the room; once for each number to try.",
)
@click.option(
    "--events-per-s",
    type=click.FloatRange(min=0.1),
    default=20.0,
    show_default=True,
    help="Events a second of each player.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=25.0, show_default=True, help="Measured time of a run."
)
@click.option(
    "--seeds", type=click.IntRange(1, 100), show_default="3; with --real 1", help="Runs of each point."
)
@click.option(
    "--where",
    type=click.Choice(["virtual", "netlab"]),
    default="virtual",
    show_default=True,
    help="In virtual time, or with real processes over an emulated network (root, /dev/net/tun).",
)
@click.option(
    "--real",
    is_flag=True,
    help="With genuine Sonic Pis and scsynths that play Sonic Pi's own examples, over an emulated network; "
    "one run at a time.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Runs at a time.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lab-output"),
    show_default=True,
    help="Folder of rows.csv and the figure; what is there already isn't run again.",
)
@click.option("--again", is_flag=True, help="Run even what is there already.")
@click.option("--study", "whole_study", is_flag=True, help="Run the study instead: docs/STUDY.md.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(study.PARTS),
    help="Only this part of the study; text and figures are written in any case.",
)
@click.option(
    "--plan", "plan_only", is_flag=True, help="Show the study's plan and what it costs; run nothing."
)
@click.option("--quick", is_flag=True, help="Run a small study in a temporary folder: at most 60 s.")
@click.option(
    "--repeat",
    "repeated",
    is_flag=True,
    help="Run points of the committed study anew, with other seeds, and compare.",
)
@click.option(
    "--envelope",
    "whole_envelope",
    is_flag=True,
    help="Run the networks on which nothing may be lost instead, in the lab of --where: docs/ENVELOPE.md.",
)
@click.argument("points", nargs=-1)
def main(
    networks: tuple[str, ...], transports: tuple[str, ...], repair: str, schemes: tuple[str, ...],
    leads: tuple[float, ...], ahead_ms: float, sizes: tuple[int, ...], events_per_s: float,
    seconds: float, seeds: int | None, where: str, real: bool, jobs: int, output: Path, again: bool,
    whole_study: bool, parts: tuple[str, ...], plan_only: bool, quick: bool, repeated: bool,
    whole_envelope: bool, points: tuple[str, ...],
) -> None:  # fmt: skip
    """Try jams on bad networks: each run gives one row of a CSV, each point a share with its interval.

    POINTS are names of the study's points, for --repeat.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # even in a shell's background, where it is ignored
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LOG_WIDTH)
    try:
        if points and not repeated:
            raise LocalError(f"{' '.join(points)}: names of points go with --repeat")
        if plan_only:
            study.show_plan(console)
        elif repeated:
            sys.exit(run_repeat(console, points, jobs))
        elif quick:
            sys.exit(run_quick(console, jobs))
        elif whole_envelope:
            sys.exit(run_envelope(console, where, jobs, again))
        elif whole_study or parts:
            sys.exit(study.run(console, study.COMMITTED, parts=parts or study.PARTS, jobs=jobs, again=again))
        elif real:
            asked = matrix(
                networks,
                transports,
                repair,
                leads,
                ahead_ms,
                sizes,
                0,
                seconds,
                seeds or 1,
                "genuine",
                schemes,
            )
            sys.exit(run_matrix(console, asked, output, 1, again))
        else:
            asked = matrix(
                networks, transports, repair, leads, ahead_ms, sizes, events_per_s, seconds, seeds or 3,
                where, schemes,
            )  # fmt: skip
            sys.exit(run_matrix(console, asked, output, jobs, again))
    except (LocalError, BadRows) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        console.print("stopped; what was done is kept, the same command goes on from there")
        sys.exit(130)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


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
            tried = f"{row.network}\nlead {row.lead_ms:g}, {row.members} members"
            tried += "" if row.scheme is Scheme.JUDGED else f", by {row.scheme}"
            groups.setdefault(tried, []).append(cell)
        figures.dots(list(groups.items()), "Bad events by network", picture)
        console.print(f"rows in {path}, figure in {picture}")
    tell_failures(console, failures)
    return 1 if failures else 0


def run_envelope(console: Console, where: str, jobs: int, again: bool) -> int:
    """Run the trials that aren't there yet, write what follows from all; return the exit status."""
    asked = envelope.points(where)
    there = [] if again else rows.read(envelope.DATA, Row)
    wanted = missing(asked, there)
    refuse_netlab_where_it_cannot_work(point for point, _ in wanted)
    made_by = stamp()
    with Reporter(console) as reporter:
        failures = run_jobs(
            [job_of(point, seed, made_by) for point, seed in wanted], jobs, reporter,
            lambda job, row: rows.append(envelope.DATA, a_row(row)),
        )  # fmt: skip
    verdicts = envelope.write(envelope.TEXT, envelope.DATA)
    heading, *lines = envelope.table(verdicts)
    table = Table(*heading)
    for line in lines:
        table.add_row(*line)
    console.print(table, f"written: {envelope.TEXT}")
    tell_failures(console, failures)
    return 1 if failures or not all(verdict.holds for verdict in verdicts) else 0


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


if __name__ == "__main__":
    main(prog_name="scripts/lab")
