"""The demo: a jam of three genuine Sonic Pis with a relay and bridges; its proof, picture and sound go to
demo-output/. Its story is told by story.py: one of the three joins in mid-music, leaves and comes back.

If Sonic Pi or scsynth is missing, stand-ins take their places (embedded/), and the demo reports that.

Whether all heard the same is judged from the recorders' files alone (compare.py). The counts of re-timed,
unconfirmed and silent events come from `jamrelay stats`, because only relay and bridges know them. A
contradiction between the two sources is a failure. Levels are compared by live takes (heard.py).
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from rehearsal.demo.heard import hear, keep, own_level_dbfs
from rehearsal.demo.outcome import STAND_INS, DemoOutcome, show
from rehearsal.demo.picture import draw
from rehearsal.demo.story import AGAIN, CLEO, PARTS, Story
from rehearsal.embedded import sounds
from rehearsal.embedded.jam import EmbeddedJam, traffic_s
from rehearsal.proof.compare import compare
from rehearsal.proof.evidence import prove_jam, renderer
from rehearsal.proof.prove import Proof
from rehearsal.proof.relaylog import RelayLogError
from rehearsal.rigs.jam import Jam, late_lines
from rehearsal.rigs.livetake import TakeError
from rehearsal.rigs.machine import StageError, find_ruby_server
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.terminal import SETTINGS, progress_on, told_in_words

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
    transport: "udp" or "tls", for the bridges' events. Raises StageError, RelayLogError.
    """
    step = progress.add_task("starting the relay", total=seconds)

    def tell(scene: str, passed_s: float) -> None:
        progress.update(step, completed=passed_s, total=max(seconds, passed_s), description=scene or None)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jamrelay-demo-")))
        stage = stack.enter_context(Stage())
        event_log = folder / "events.jsonl" if with_proof else None
        jam = EmbeddedJam(stage, folder, [], event_log=event_log, transport=transport) if embedded else Jam(
            stage, folder, [], event_log=event_log, transport=transport, listened=True, parts=len(PARTS)
        )  # fmt: skip
        story = Story(stage, jam, seconds, tell)
        try:
            jam.start_relay()
            story.play()
            reported_at_s = time.monotonic() + REPORT_S - 1.0
            proof = None
            if with_proof and story.relay_runs():
                progress.update(step, description="proving", total=len(story.stays), completed=0)
                proof = proof_of(story, output, lambda: progress.advance(step))
            stage.play_for(reported_at_s - time.monotonic())
            story.look()
            progress.update(step, description="comparing", total=None)
            outcome = outcome_of(story, output, proof)
        except (StageError, RelayLogError):
            _keep_logs(folder, output)
            raise
        if outcome.troubles:
            _keep_logs(folder, output)
    parts = ", ".join(f"{name} plays {part}" for name, part in PARTS.items())
    subtitle = f"{parts}; lead {outcome.room['lead_ms']:.0f} ms"
    if embedded:
        subtitle += "; stand-ins for Sonic Pi and scsynth"
    names = {stay.slot: stay.name for stay in outcome.stays}
    lanes = {stay.label: stay.name for stay in outcome.stays}
    draw(outcome.comparison, output / "jam.png", subtitle, names, outcome.heard, lanes)
    (output / "report.json").write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
    return outcome


def outcome_of(story: Story, output: Path, proof: Proof | None) -> DemoOutcome:
    """Compare what all were handed and what all heard. Sound is written to `output`."""
    stays = list(story.stays.values())
    there_ns = {stay.label: (stay.from_ns, stay.to_ns) for stay in stays}
    if not story.embedded:
        slots = sorted({stay.slot for stay in stays})
        for stay in stays:
            with suppress(TakeError):  # `hear` says why
                keep(stay, slots, story.from_ns, output)
    return DemoOutcome(
        stays=stays,
        comparison=compare(story.jam.recordings(), story.from_ns, story.to_ns, there_ns=there_ns),
        room=story.room,
        late_lines={stay.label: len(late_lines(stay.performer)) for stay in stays},
        levels_dbfs={} if story.embedded else {stay.label: own_level_dbfs(stay) for stay in stays},
        heard=[] if story.embedded else hear(stays, story.from_ns, story.stopped_ns),
        scenes=story.scenes,
        seconds=(story.stopped_ns - story.from_ns) / 1e9,
        relay_trouble=story.relay_trouble,
        embedded=story.embedded,
        proof=proof,
    )


def proof_of(story: Story, output: Path, progress: Callable[[], None]) -> Proof:
    """Prove the jam that was just played, and render its sound if this machine can.

    progress: called as each member is done. Raises StageError, RelayLogError.
    """
    jam, stays = story.jam, story.stays
    slots = {label: stay.slot for label, stay in stays.items()}
    owners = {CLEO: 0} if AGAIN in stays and stays[CLEO].slot == stays[AGAIN].slot else {}
    if not isinstance(jam, EmbeddedJam):
        return prove_jam(jam, slots, renderer(), "", output, progress, owners)
    engine, why_silent = sounds.engine()
    render = None if engine is None else renderer(jam.root / "synthdefs" / "compiled", engine)
    return prove_jam(jam, slots, render, why_silent, output, progress, owners)


def _keep_logs(folder: Path, output: Path) -> None:
    for path in [*folder.glob("*.log"), *folder.glob("*/*.log")]:
        name = path.relative_to(folder).as_posix().replace("/", "-")
        (output / name).write_bytes(path.read_bytes())


@click.command(context_settings=SETTINGS)
@click.option(
    "--seconds",
    default=30.0,
    type=click.FloatRange(5, 3600),
    help="Play for this long, in seconds; longer if the joins need it.",
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

    They join one after the other. The third comes in the middle of the music, leaves, and comes back. The
    sound is compared by its levels, each member's part by itself at each synthesizer.

    The exit status is 0 only if the jam was coherent and, with --prove, proved. With --window as the first
    word two genuine windows play instead: scripts/demo --window --help.
    """
    output.mkdir(parents=True, exist_ok=True)
    output = output.resolve()
    for old in (*(f"{name}{part}.wav" for name in (*PARTS, AGAIN) for part in ("", "-stem")), "proof.wav"):
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
    failures, advice = (StageError, RelayLogError), f"\nlogs, if any, are in {output}"
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
