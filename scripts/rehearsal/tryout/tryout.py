"""Tryout: plays other people's programs in a plain Sonic Pi and in a jam at the same time, and compares."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console

from rehearsal.rigs import sound
from rehearsal.rigs.machine import StageError
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.terminal import table, told_in_words
from rehearsal.tryout.theatre import WINDOW_S, Program, Theatre
from rehearsal.tryout.trial import WHERE, Trial

SECONDS = 20.0


def play_all(
    programs: Sequence[Program], seconds: float, folder: Path, *, lead_ms: float, pairs: int
) -> Iterator[Trial]:
    """Play all programs, `seconds` each, and yield their trials.

    If a Sonic Pi or a scsynth ends, the program is given up, and the next ones get a freshly booted stage.
    pairs: number of stereo pairs of output channels to record.
    """
    waiting = list(programs)
    stages = 0
    while waiting:
        stages += 1
        with Stage() as stage:
            theatre = Theatre(stage, folder / f"stage-{stages}", lead_ms=lead_ms, pairs=pairs)
            try:
                while waiting:
                    yield theatre.try_out(waiting[0], seconds)
                    waiting.pop(0)
                    if waiting:
                        theatre.afresh()
            except (StageError, sound.SoundError) as error:
                program = waiting.pop(0)
                yield Trial(program.path.name, program.lines, seconds, ended=str(error))


def show(trials: Sequence[Trial], console: Console) -> None:
    """Print a row for each program and, below, its differences from plain Sonic Pi and what may explain
    them."""
    rows = [
        (
            trial.program, trial.verdict + (", dies in plain" if trial.dies_in_plain else ""),
            *(f"{trial.levels[name].whole:.1f}" for name in WHERE),
            trial.sent.plain, trial.home.notes, trial.elsewhere.notes,
        )
        for trial in trials
    ]  # fmt: skip
    console.print(table(("program", "verdict", *("plain", "home", "else") * 2), rows, words=2))
    console.print(
        "levels in dBFS, then notes: of plain up to the stop, and handed to each scsynth", style="dim"
    )
    for trial in trials:
        if not (trial.faults or trial.reasons or trial.dies_in_plain):
            continue
        console.print(f"\n{trial.program} ({trial.lines} lines)", style="bold", markup=False)
        for mark, lines in (
            ("-", trial.faults),
            ("counted or told:", trial.reasons),
            ("plain says:", [f"{count} x {text}" for text, count in trial.errors["plain"].items()]),
        ):
            for line in lines:
                console.print(f"  {mark} {line}", markup=False, highlight=False)


@click.command(add_help_option=False)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--seconds", default=SECONDS, type=click.FloatRange(WINDOW_S, 3600))
@click.option("--lead-ms", default=200.0, type=click.FloatRange(40, 5000))
@click.option("--outputs", default=2, type=click.IntRange(2, 16))
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def main(
    files: tuple[Path, ...], seconds: float, lead_ms: float, outputs: int, keep: Path | None, as_json: bool
) -> None:
    """Play programs in plain Sonic Pi and in a jam. scripts/tryout --help says what the options mean."""
    console = Console(stderr=as_json)
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jamrelay-tryout-")))
        folder.mkdir(parents=True, exist_ok=True)
        trials = []
        try:
            with told_in_words(StageError, sound.SoundError, ValueError):
                programs = [Program.at(path) for path in files]
                for trial in play_all(
                    programs, seconds, folder.resolve(), lead_ms=lead_ms, pairs=(outputs + 1) // 2
                ):
                    trials.append(trial)
                    click.echo(f"{trial.program}: {trial.verdict}", err=True)
        finally:
            if trials:
                show(trials, console)
    if as_json:
        click.echo(json.dumps([trial.as_json() for trial in trials]))
    sys.exit(any(trial.verdict in ("ended", "DIFFERENT") for trial in trials))


if __name__ == "__main__":
    main(prog_name="scripts/tryout")
