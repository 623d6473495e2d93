"""Runs: does one run of a point in the lab that the point names, and stamps the result.

The stamp has the commit and the versions that produced the result.
"""

import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from laboratory.runs.campaign import Job
from laboratory.runs.points import Point
from laboratory.runs.rows import Minute, Row, asked
from laboratory.study.costs import cost_s
from laboratory.study.plan import SpreadPoint

ROOT = Path(__file__).resolve().parents[3]
MEASURED = ("relay", "bridge", "clock", "scripts", "pyproject.toml")
"""Parts of the repository that a result depends on. Only changes in these parts make its commit
"+changes"."""
NAMED_VERSIONS = ("msgspec", "cryptography", "numpy")


@dataclass(frozen=True, slots=True)
class Stamp:
    """The commit that produced a result, and the versions of the software that it used.

    The commit ends with "+changes" if files of MEASURED differ from it.
    """

    commit: str
    versions: str


def stamp() -> Stamp:
    """Return the stamp of this source tree. Its commit is "unknown" if the tree is no git checkout."""
    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--", *MEASURED)
    versions = [
        f"python {platform.python_version()}",
        f"{platform.system().lower()} {platform.release()}",
        *(f"{name} {version(name)}" for name in NAMED_VERSIONS),
    ]
    return Stamp(commit + ("+changes" if changed else ""), "; ".join(versions))


def git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def job_of(point: Point, seed: int, made_by: Stamp) -> Job:
    """Return the job of running a point with one seed. The job's result is a Row."""
    return Job(f"{point.name} seed {seed}", cost_s(point), partial(run_point, point, seed, made_by))


def run_point(point: Point, seed: int, made_by: Stamp, folder: Path) -> Row:
    """Run a point once in its lab and return the stamped row. Raises the lab's errors, and ValueError for an
    unknown lab."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    if point.where == "virtual":
        from laboratory.virtual import run as virtual

        row = virtual.run(point, seed)
    elif point.where == "netlab":
        from laboratory.runs import realrun

        row = realrun.run(point, seed, folder)
    elif point.where == "genuine":
        from laboratory.runs import genuine

        row = genuine.run(point, seed, folder)
    else:
        raise ValueError(f"no lab runs points in {point.where!r}, expected virtual, netlab or genuine")
    return msgspec.structs.replace(row, commit=made_by.commit, versions=made_by.versions, started=started)


def run_spread(hour: SpreadPoint, made_by: Stamp, folder: Path) -> list[Minute]:
    """Watch three members' clocks for an hour of virtual time. Return the figures of the hour, then of each
    minute."""
    from laboratory.virtual import spread

    started = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        msgspec.structs.replace(one, commit=made_by.commit, versions=made_by.versions, started=started)
        for one in spread.minutes_of(hour, *spread.play(hour))
    ]


def answers(row: Row, point: Point) -> bool:
    """Tell whether a row has this point's settings. An earlier point of the same name may have had others."""
    return all(getattr(row, field) == value for field, value in asked(point, row.seed).items())


def missing(points: list[Point], rows: list[Row]) -> list[tuple[Point, int]]:
    """Return the (point, seed) pairs that have no row yet, in the order of the points."""
    named = {point.name: point for point in points}
    there = {(row.point, row.seed) for row in rows if row.point in named and answers(row, named[row.point])}
    return [(point, seed) for point in points for seed in point.seeds if (point.name, seed) not in there]
