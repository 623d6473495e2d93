"""Window demo: two genuine Sonic Pi windows in one room, as two friends would see and hear them.

Each window runs on a host of its own, is started by the command line in README.md, and is played by keyboard.
The demo is judged by the sound that reaches each sound card, and by what the windows leave behind when they
close.
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rehearsal.rigs.livetake import TakeError
from rehearsal.rigs.machine import StageError
from rehearsal.rigs.terminal import SETTINGS, progress_on, table, told_in_words
from rich.console import Console
from rich.progress import Progress

from laboratory.runs.players import RunFailed
from laboratory.star.namespaces import NetlabError, why_not
from laboratory.windows.jam import WindowJam

PARTS = {
    "anna": "live_loop(:a){ play chord(:e3, :m7).tick; sleep 0.25 }",
    "bob": "live_loop(:b){ sample :bd_haus; sleep 0.5 }",
}
"""Member -> the code that it types. It is short, so that a picture of the window shows all of it."""
SETTLE_S = 2.0
FADE_S = 3.0
ENDS_S = 25.0
ALIKE_DB = 1.0
HEARD_DBFS = -60.0


@dataclass(frozen=True)
class Turn:
    """One part of the demo. players: their names. heard_dbfs: member -> level (dBFS) at its sound card."""

    players: str
    heard_dbfs: dict[str, float]

    @property
    def same(self) -> bool:
        """True if every member hears the players, and all hear them equally loud."""
        levels = self.heard_dbfs.values()
        return min(levels) > HEARD_DBFS and max(levels) - min(levels) < ALIKE_DB


def perform(seconds: float, output: Path, progress: Progress) -> tuple[list[Turn], dict[str, list[str]]]:
    """Open the windows and let the members play, first alone and then together.

    Return the parts of the demo, and for each member a list of the processes and files that its window left
    behind when it was closed. seconds: length of each part. output: folder for pictures of the windows.
    """
    step = progress.add_task("opening two windows", total=None)
    turns = []
    with tempfile.TemporaryDirectory(prefix="windows-") as folder, WindowJam(Path(folder), [*PARTS]) as jam:
        jam.stage.play_for(SETTLE_S)
        for players in (["anna"], ["bob"], ["anna", "bob"]):
            names = " and ".join(players)
            progress.update(step, description=f"{names} playing", total=seconds, completed=0.0)
            for name in players:
                jam.windows[name].to_front()
                jam.windows[name].run_code(PARTS[name])
            jam.stage.play_for(SETTLE_S)
            from_ns = time.time_ns()
            jam.stage.play_for(seconds, lambda left_s: progress.update(step, completed=seconds - left_s))
            to_ns = time.time_ns()
            if len(players) == len(PARTS):
                for name, window in jam.windows.items():
                    window.screen.picture().save(output / f"{name}-window.png")
            jam.stage.play_for(0.5)
            heard = {name: window.take.level_dbfs(from_ns, to_ns) for name, window in jam.windows.items()}
            turns.append(Turn(names, heard))
            for name in players:
                jam.windows[name].stop_jobs()
            jam.stage.play_for(FADE_S)
        progress.update(step, description="closing the windows", total=None)
        for window in jam.windows.values():
            window.close()
        return turns, {name: window.wait_gone(ENDS_S) for name, window in jam.windows.items()}


def show(turns: list[Turn], left: dict[str, list[str]], output: Path, console: Console) -> None:
    """Print the findings. left: member -> the processes and files that its window left behind."""
    rows = [
        (
            turn.players, *(f"{turn.heard_dbfs[name]:.1f} dBFS" for name in PARTS),
            "[green]the same" if turn.same else "[red]NOT the same",
        )
        for turn in turns
    ]  # fmt: skip
    console.print(table(("playing", *(f"heard at {name}'s" for name in PARTS), ""), rows))
    for name, lines in left.items():
        console.print(
            f"{name}'s window closed" + (f", and left: {', '.join(lines)}" if lines else " for good")
        )
    names = " and ".join(f"{name}-window.png" for name in PARTS)
    console.print(f"both windows while both play: {names} in {output}", soft_wrap=True)


@click.command(context_settings=SETTINGS)
@click.option("--seconds", default=6.0, type=click.FloatRange(2, 600), help="Let each play for so long.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--output",
    default="demo-output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the pictures here.",
)
def main(seconds: float, as_json: bool, output: Path) -> None:
    """Open two genuine Sonic Pi windows in one room, let them play, and check that both hear both.

    The windows have virtual screens, so nothing is shown here. The exit status is 0 only if each player was
    heard equally loud at both, and the closed windows left no process or file behind.
    """
    if (reason := why_not()) is not None:
        raise click.ClickException(f"each window needs a network of its own: {reason}")
    output.mkdir(parents=True, exist_ok=True)
    output = output.resolve()
    with told_in_words(StageError, NetlabError, RunFailed, TakeError), progress_on() as progress:
        turns, left = perform(seconds, output, progress)
    show(turns, left, output, Console(stderr=as_json))
    if as_json:
        click.echo(
            json.dumps({"turns": [asdict(turn) | {"same": turn.same} for turn in turns], "left": left})
        )
    sys.exit(0 if all(turn.same for turn in turns) and not any(left.values()) else 1)


if __name__ == "__main__":
    main(prog_name="scripts/demo --window")
