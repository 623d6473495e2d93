"""The command scripts/lab: tries jams on bad networks, a matrix of them or the whole study."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from laboratory.runs import trials
from laboratory.runs.points import TRANSPORTS
from laboratory.runs.rows import BadRows
from laboratory.study import plan as studyplan
from laboratory.study import study
from relay.wire.errors import LocalError
from relay.wire.sequence import Scheme

LOG_WIDTH = 160
"""Width, in columns, of output that doesn't go to a terminal. It is enough for every table."""
SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
    "show_default": True,
}


class Laboratory(click.Group):
    """A group of commands whose functions return the exit status. An error that ends a command is printed as
    one line."""

    def invoke(self, ctx: click.Context) -> None:
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)  # even in a shell's background, where it is ignored
        try:
            sys.exit(super().invoke(ctx))
        except (LocalError, BadRows) as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            console().print("stopped; what was done is kept, the same command goes on from there")
            sys.exit(130)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def console() -> Console:
    """Return the console to print to: as wide as the terminal, or LOG_WIDTH where there is none."""
    here = Console(highlight=False)
    return here if here.is_terminal else Console(highlight=False, width=LOG_WIDTH)


jobs = click.option("--jobs", type=click.IntRange(1, 64), default=2, help="Runs at a time.")
again = click.option("--again", is_flag=True, help="Repeat runs that have results already.")
where = click.option(
    "--where", type=click.Choice(["virtual", "netlab"]), default="virtual",
    help="In virtual time, or with real processes over an emulated network (root, /dev/net/tun).",
)  # fmt: skip


def several(
    *names: str, default: object = (), **more: Any
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a click option that may be given several times, once for each value to try."""
    more["help"] += "; once for each to try."
    return click.option(*names, multiple=True, default=default, show_default=bool(default), **more)


@click.group(cls=Laboratory, context_settings=SETTINGS)
def main() -> None:
    """Try jams on bad networks, in virtual time or with real processes.

    \b
    scripts/lab run --network hotel-wifi    a network, or a matrix of them
    scripts/lab study                       the whole study
    scripts/lab COMMAND --help              the options of a command
    """


@main.command(
    context_settings=SETTINGS,
    epilog="""\b
Examples:
  scripts/lab run --network hotel-wifi --network delay=50,loss=5% --repair both
  scripts/lab run --network mobile --transport tls-cubic --where netlab
  scripts/lab run --real --profile hotel-wifi --seconds 30""",
)
@several(
    "--network",
    "--networks",
    "--profile",
    "networks",
    metavar="LEG",
    help="A profile (scripts/netlab --list), or e.g. delay=50,jitter=10,loss=5%",
)
@several(
    "--transport",
    "transports",
    type=click.Choice(TRANSPORTS),
    default=("udp",),
    help="How events travel (TCP needs --where netlab)",
)
@click.option(
    "--repair",
    type=click.Choice(["on", "off", "both"]),
    default="on",
    help="Repair of events over UDP.",
)
@several(
    "--scheme",
    "schemes",
    type=click.Choice([scheme.value for scheme in Scheme]),
    default=(Scheme.JUDGED.value,),
    help="What keeps the room together",
)
@several(
    "--lead-ms",
    "leads",
    type=click.FloatRange(min=0),
    default=(studyplan.BASE_LEAD_MS,),
    help="The room's lead, in milliseconds",
)
@click.option(
    "--ahead-ms",
    type=click.FloatRange(min=0),
    default=500.0,
    help="Sonic Pi's schedule-ahead, in milliseconds.",
)
@several("--members", "sizes", type=click.IntRange(1, 16), default=(3,), help="Players in the room")
@click.option(
    "--events-per-s",
    type=click.FloatRange(min=0.1),
    default=20.0,
    help="Events a second of each player.",
)
@click.option("--seconds", type=click.FloatRange(min=1), default=25.0, help="Measured time of a run.")
@click.option(
    "--seeds", type=click.IntRange(1, 100), show_default="3; with --real 1", help="Runs of each point."
)
@where
@click.option(
    "--real",
    is_flag=True,
    help="With genuine Sonic Pis and scsynths that play Sonic Pi's own examples, over an emulated "
    "network; one run at a time.",
)
@jobs
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lab-output"),
    help="Folder of rows.csv and the figure; runs with a row are not repeated.",
)
@again
def run(*, real: bool, jobs: int, output: Path, again: bool, **asked: Any) -> int:
    """Run a matrix of networks and settings.

    Each run gives a row of a CSV file. Each point gives its share of bad events, with an interval.
    """
    asked["seeds"] = asked["seeds"] or (1 if real else 3)
    if real:
        asked |= {"where": "genuine", "events_per_s": 0}
    return trials.run_matrix(console(), trials.matrix(**asked), output, jobs, again)


@main.command("study", context_settings=SETTINGS)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(study.PARTS),
    default=study.PARTS,
    help="Only this part; text and figures are written in any case.",
)
@click.option("--plan", is_flag=True, help="Show the experiments and the time that they take; run nothing.")
@click.option("--quick", is_flag=True, help="Run a small study in a temporary folder: at most 60 s.")
@jobs
@again
def study_(parts: tuple[str, ...], plan: bool, quick: bool, jobs: int, again: bool) -> int:
    """Run the missing points of the study, and write docs/STUDY.md."""
    if plan:
        study.show_plan(console())
        return 0
    if quick:
        return trials.run_quick(console(), jobs)
    return study.run(console(), study.COMMITTED, parts=parts, jobs=jobs, again=again)


@main.command(context_settings=SETTINGS)
@jobs
@click.argument("points", nargs=-1)
def repeat(points: tuple[str, ...], jobs: int) -> int:
    """Run points of the study again, and compare.

    The new runs have other seeds. POINTS are names of points as in docs/study/rows.csv. Without POINTS two
    cheap points are run.
    """
    return trials.run_repeat(console(), points, jobs)


@main.command(context_settings=SETTINGS)
@where
@jobs
@again
@click.argument("words", nargs=-1)
def envelope(words: tuple[str, ...], where: str, jobs: int, again: bool) -> int:
    """Run the trials of the envelope, and write docs/ENVELOPE.md.

    A trial is a network with a limit for the share of events that may go wrong there. With WORDS, only trials
    with one of these words in their title are run.
    """
    return trials.run_envelope(console(), where, jobs, again, words)


@main.command(context_settings=SETTINGS)
@jobs
def leads(jobs: int) -> int:
    """Run the trials of the lead, and write docs/LEADS.md.

    The page shows the lead that self-tuning reaches on every named network, and how accidents change it.
    """
    return trials.run_lead_table(console(), jobs)


@main.command(context_settings=SETTINGS)
def clocks() -> int:
    """Measure the errors of bridges' clocks, and write docs/CLOCK.md.

    Three real bridges play for ten minutes over a bad network. Then one is measured beside the relay, by
    loopback. Needs Linux, root and /dev/net/tun.
    """
    return trials.run_clock(console())


if __name__ == "__main__":
    main(prog_name="scripts/lab")
