"""scripts/lab: tries jams on bad networks, any matrix of them or the whole study."""

import signal
import sys
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from laboratory import study, studyplan
from laboratory.points import TRANSPORTS
from laboratory.rows import BadRows
from laboratory.trials import (
    matrix,
    run_clock,
    run_envelope,
    run_lead_table,
    run_matrix,
    run_quick,
    run_repeat,
)
from relay.wire.errors import LocalError
from relay.wire.sequence import Scheme

LOG_WIDTH = 160
"""Columns where there is no terminal: tables aren't squeezed."""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Examples:
  scripts/lab --network hotel-wifi --network delay=50,loss=5% --repair both
  scripts/lab --network mobile --transport tls-cubic --where netlab
  scripts/lab --real --profile hotel-wifi --seconds 30
  scripts/lab --study     the whole study: docs/STUDY.md, its data and figures
  scripts/lab --repeat    two points of that study anew: do they agree?""",
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
    help="Run the networks for which it is fixed how little may be lost instead, in the lab of --where: "
    "docs/ENVELOPE.md.",
)
@click.option(
    "--lead-table",
    is_flag=True,
    help="Write what a lead that tunes itself comes to on every named network, and what accidents do to it: "
    "docs/LEADS.md.",
)
@click.option(
    "--clock",
    "clock_only",
    is_flag=True,
    help="Watch three bridges' clocks for ten minutes over a bad network instead, and one by loopback: "
    "docs/CLOCK.md.",
)
@click.argument("points", nargs=-1)
def main(
    networks: tuple[str, ...], transports: tuple[str, ...], repair: str, schemes: tuple[str, ...],
    leads: tuple[float, ...], ahead_ms: float, sizes: tuple[int, ...], events_per_s: float,
    seconds: float, seeds: int | None, where: str, real: bool, jobs: int, output: Path, again: bool,
    whole_study: bool, parts: tuple[str, ...], plan_only: bool, quick: bool, repeated: bool,
    whole_envelope: bool, lead_table: bool, clock_only: bool, points: tuple[str, ...],
) -> None:  # fmt: skip
    """Try jams on bad networks: each run gives one row of a CSV, each point a share with its interval.

    POINTS are names of the study's points, for --repeat; with --envelope, words of its networks' titles.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # even in a shell's background, where it is ignored
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LOG_WIDTH)
    try:
        if points and not (repeated or whole_envelope):
            raise LocalError(f"{' '.join(points)}: names of points go with --repeat or --envelope")
        if plan_only:
            study.show_plan(console)
        elif repeated:
            sys.exit(run_repeat(console, points, jobs))
        elif quick:
            sys.exit(run_quick(console, jobs))
        elif whole_envelope:
            sys.exit(run_envelope(console, where, jobs, again, points))
        elif clock_only:
            sys.exit(run_clock(console))
        elif lead_table:
            sys.exit(run_lead_table(console, jobs))
        elif whole_study or parts:
            sys.exit(study.run(console, study.COMMITTED, parts=parts or study.PARTS, jobs=jobs, again=again))
        elif real:
            asked = matrix(
                networks, transports, repair, leads, ahead_ms, sizes, 0, seconds, seeds or 1, "genuine",
                schemes,
            )  # fmt: skip
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


if __name__ == "__main__":
    main(prog_name="scripts/lab")
