"""The demo: a jam of three genuine Sonic Pis with a relay and bridges; its proof, picture and sound go to
demo-output/.

If Sonic Pi or scsynth is missing, stand-ins take their places (embedded/), and the demo reports that.

Whether all heard the same is judged from the recorders' files alone (compare.py). The counts of re-timed,
unconfirmed and silent events come from `jamrelay stats`, because only relay and bridges know them. A
contradiction between the two sources is a failure.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from rehearsal.demo.outcome import STAND_INS, DemoOutcome, show
from rehearsal.demo.picture import draw
from rehearsal.embedded import sounds
from rehearsal.embedded.jam import EmbeddedJam, traffic, traffic_s
from rehearsal.proof.compare import compare
from rehearsal.proof.evidence import prove_jam, renderer
from rehearsal.proof.prove import Proof
from rehearsal.proof.relaylog import RelayLogError
from rehearsal.rigs import sound
from rehearsal.rigs.jam import Jam, late_lines
from rehearsal.rigs.machine import StageError, examples, find_ruby_server
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.terminal import SETTINGS, progress_on, told_in_words

PARTS = {"anna": "tilburg_2", "bob": "shufflit", "cleo": "acid"}
"""Member -> name of the example that it plays. The examples come with Sonic Pi; together they use samples, FX
and synths."""

SETTLE_S = 2.0
"""Silence (s) between boot and first run, in which the clocks lock. At its end the comparison's window
begins."""
FIRST_SECOND_S = 1.0
"""Length (s) of the start of the first run. Events may be re-timed in it, because Sonic Pi is slow when it
uses anything for the first time."""
FADE_S = 4.0
"""Wait (s) after the stop. Sonic Pi fades out for 1.7 s and frees its nodes; after this wait every event has
arrived."""
REPORT_S = 4.5
"""Time (s) from the end of the comparison's window until the relay has compared its last second. A bridge
reports each second half a second after it ended, and the relay compares soon after."""


def perform(
    seconds: float,
    output: Path,
    progress: Progress,
    *,
    with_proof: bool = False,
    embedded: bool = False,
    transport: str = "udp",
) -> DemoOutcome:
    """Play the jam for `seconds` and return the findings. WAV files and picture are written to `output`.

    with_proof: also prove the jam from the relay's log. embedded: use stand-ins for Sonic Pi and scsynth.
    transport: "udp" or "tls", for the bridges' events. Raises StageError, SoundError, RelayLogError.
    """
    step = progress.add_task("starting the relay", total=None)
    shipped = traffic() if embedded else examples()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jamrelay-demo-")))
        stage = stack.enter_context(Stage())
        jam_kind = EmbeddedJam if embedded else Jam
        event_log = folder / "events.jsonl" if with_proof else None
        jam = jam_kind(stage, folder, list(PARTS), event_log=event_log, transport=transport)
        try:
            jam.start_relay()
            booting = f"booting three {'stand-ins' if embedded else 'Sonic Pis'}"
            progress.update(step, description=booting, total=len(PARTS), completed=0)
            jam.boot(lambda _: progress.advance(step))
            stage.play_for(SETTLE_S)
            before = jam.room()
            takes = [] if embedded else start_takes(jam, output)
            from_ns = time.time_ns()
            for name, part in PARTS.items():
                jam.performers[name].run_file(shipped[part])
            stage.play_for(FIRST_SECOND_S)
            early, _ = last_words(jam, before)
            progress.update(step, description="playing", total=seconds, completed=FIRST_SECOND_S)
            stage.play_for(
                seconds - FIRST_SECOND_S, lambda left_s: progress.update(step, completed=seconds - left_s)
            )
            progress.update(step, description="fading out", total=None)
            for performer in jam.performers.values():
                performer.stop_jobs()
            stage.play_for(FADE_S)
            to_ns = time.time_ns() - 1_000_000_000
            for take in takes:
                sound.stop(take)
            reported_at_s = time.monotonic() + REPORT_S - 1.0
            proof = None
            if with_proof and not last_words(jam, early)[1]:
                progress.update(step, description="proving", total=len(PARTS), completed=0)
                proof = proof_of(jam, early, output, lambda: progress.advance(step))
            stage.play_for(reported_at_s - time.monotonic())
            room, relay_trouble = last_words(jam, early)
        except (StageError, RelayLogError):
            _keep_logs(folder, output)
            raise
        progress.update(step, description="comparing")
        bounds_us = [member["clock_bound_ms"] * 1e3 for member in room["members"]]
        comparison = compare(jam.recordings(), from_ns, to_ns)
        outcome = DemoOutcome(
            comparison=comparison,
            room=room,
            retimed_later=retimed_so_far(room) - retimed_so_far(early),
            late_lines={name: len(late_lines(performer)) for name, performer in jam.performers.items()},
            levels_dbfs={
                name: sound.level_dbfs(output / f"{name}-stem.wav") for name in ([] if embedded else PARTS)
            },
            seconds=seconds,
            bounds_us=bounds_us,
            relay_trouble=relay_trouble,
            embedded=embedded,
            proof=proof,
        )
        slots = {member["slot"]: member["name"] for member in room["members"]}
        parts = ", ".join(f"{name} plays {part}" for name, part in PARTS.items())
        subtitle = f"{parts}; lead {room['lead_ms']:.0f} ms"
        if embedded:
            subtitle += "; stand-ins for Sonic Pi and scsynth"
        draw(comparison, output / "jam.png", names=slots, subtitle=subtitle)
        if outcome.troubles:
            _keep_logs(folder, output)
    (output / "report.json").write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
    return outcome


def start_takes(jam: Jam, output: Path) -> list[sound.Take]:
    """Start two recordings at every scsynth: its whole output in NAME.wav, its own member's part in
    NAME-stem.wav."""
    takes = []
    for name, recording in jam.recordings().items():
        port, stem = recording.scsynth_port, output / f"{name}-stem.wav"
        takes.append(sound.start(port, output / f"{name}.wav"))
        takes.append(sound.start(port, stem, jam.stem_bus(name), sound.BUFFER + 1, sound.NODE + 1))
    return takes


def proof_of(jam: Jam, room: dict[str, Any], output: Path, progress: Callable[[], None]) -> Proof:
    """Prove the jam that was just played, and render its sound if this machine can.

    room: the room's statistics, which name the members' slots. progress: called as each member is done.
    Raises StageError, RelayLogError.
    """
    slots = {member["name"]: int(member["slot"]) for member in room["members"]}
    if not isinstance(jam, EmbeddedJam):
        return prove_jam(jam, slots, renderer(), "", output, progress)
    engine, why_silent = sounds.engine()
    render = None if engine is None else renderer(jam.root / "synthdefs" / "compiled", engine)
    return prove_jam(jam, slots, render, why_silent, output, progress)


def last_words(jam: Jam, early: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return (the room's statistics now, ""). If the relay has ended, return (`early`, a sentence that says
    so)."""
    assert jam.relay is not None
    status = jam.relay.poll()
    if status is None:
        return jam.room(), ""
    return early, f"the relay ended in mid-play (status {status}): each played on alone"


def retimed_so_far(room: dict[str, Any]) -> int:
    """Return the number of events that the judge has re-timed since the members joined."""
    return sum(int(member["retimed"]) for member in room["members"])


def _keep_logs(folder: Path, output: Path) -> None:
    for path in [*folder.glob("*.log"), *folder.glob("*/*.log")]:
        name = path.relative_to(folder).as_posix().replace("/", "-")
        (output / name).write_bytes(path.read_bytes())


@click.command(context_settings=SETTINGS)
@click.option(
    "--seconds", default=30.0, type=click.FloatRange(5, 3600), help="Play for this long, in seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--output",
    default="demo-output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write WAV files, picture and report here.",
)
@click.option(
    "--prove",
    "with_proof",
    is_flag=True,
    help="Hold every recording against the relay's log, message by message, and render each offline.",
)
@click.option(
    "--embedded",
    is_flag=True,
    show_default="where Sonic Pi or scsynth is missing",
    help="Replay recorded traffic into recording sinks instead of running Sonic Pi and scsynth.",
)
@click.option(
    "--transport",
    type=click.Choice(["udp", "tls"]),
    default="udp",
    help="Let the bridges send events this way.",
)
def main(
    seconds: float, as_json: bool, output: Path, with_proof: bool, embedded: bool, transport: str
) -> None:
    """Play a jam of three genuine Sonic Pis on this machine and check that all heard the same.

    The exit status is 0 only if the jam was coherent and, with --prove, proved. With --window as the first
    word two genuine windows play instead: scripts/demo --window --help.
    """
    output.mkdir(parents=True, exist_ok=True)
    output = output.resolve()
    for old in (*(f"{name}{part}.wav" for name in PARTS for part in ("", "-stem")), "proof.wav"):
        (output / old).unlink(missing_ok=True)
    try:
        find_ruby_server()
    except StageError as error:
        if not embedded:
            click.echo(f"{error}\nso {STAND_INS}", err=True)
        embedded = True
    if embedded and seconds > traffic_s():
        click.echo(f"the recorded traffic lasts {traffic_s():.0f} s: playing no longer than that", err=True)
        seconds = traffic_s()
    console = Console(stderr=as_json)
    failures, advice = (StageError, sound.SoundError, RelayLogError), f"\nlogs, if any, are in {output}"
    with told_in_words(*failures, advice=advice), progress_on() as progress:
        outcome = perform(
            seconds, output, progress, with_proof=with_proof, embedded=embedded, transport=transport
        )
    show(outcome, output, console)
    if as_json:
        click.echo(json.dumps(outcome.as_json()))
    sys.exit(1 if outcome.troubles else 0)


if __name__ == "__main__":
    main(prog_name="scripts/demo")
