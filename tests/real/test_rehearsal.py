"""The rehearsal's parts on genuine programs: they boot, play, record and render, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from rehearsal.proof import offline
from rehearsal.rigs import livetake, osc, recording, sound
from rehearsal.rigs.machine import StageError, examples, find_ports, make_shim
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.recording import Recording
from rehearsal.rigs.stage import Stage

from tests.worlds.places import SCRIPTS

PLAYED_S = 3.0
SECOND_NS = 1_000_000_000
CODE = """
use_random_seed 7
live_loop :noise do
  synth :noise, release: 0.1, amp: 0.3
  sleep 0.25
end
live_loop :bd do
  sample :bd_haus
  sleep 0.5
end
"""


pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Session:
    recording: Recording
    wav: Path
    silent_wav: Path
    performer: Performer
    survivors: list[psutil.Process]
    names: set[str]
    quiet_dbfs: float
    heard_dbfs: float


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home = tmp_path_factory.mktemp("performer")
    with Stage() as stage:
        performer = stage.add(Performer("ada", 0, home, make_shim(home / "shim"), listened=True))
        stage.boot()
        port = recording.read(performer.recording_path).scsynth_port
        take = sound.start(port, home / "jam.wav")
        silent = sound.start(port, home / "silent.wav", in_bus=800, buffer=4001, node=901)
        from_ns = time.time_ns()
        performer.run_code(CODE)
        performer.play_for(PLAYED_S)
        to_ns = time.time_ns()
        sound.stop(take)
        sound.stop(silent)
        processes = performer.processes()
        names = {process.name() for process in processes}
        performer.exit()
    _, survivors = psutil.wait_procs(processes, timeout=5)
    read = recording.read(performer.recording_path)
    levels = [
        performer.take.level_dbfs(*span) for span in ((from_ns - SECOND_NS // 4, from_ns), (from_ns, to_ns))
    ]
    return Session(read, take.path, silent.path, performer, survivors, names, *levels)


def test_the_recording_holds_the_notes_with_sonic_pis_own_lead(session: Session) -> None:
    notes = [
        message
        for message in session.recording.to_scsynth
        if message.address == "/s_new" and message.args[0] == "sonic-pi-noise"
    ]
    assert 10 <= len(notes) <= 16
    leads_s = sorted((note.due_ns - note.t_ns) / 1e9 for note in notes)
    # The first note of a run may come later; the typical one is sent 0.5 s ahead.
    assert 0.4 < leads_s[len(leads_s) // 2] < 0.51
    gaps_ms = [(b.due_ns - a.due_ns) / 1e6 for a, b in pairwise(notes)]
    assert gaps_ms == pytest.approx([250.0] * len(gaps_ms), abs=0.001)


def test_the_recording_is_whole_and_holds_both_directions(session: Session) -> None:
    read = session.recording
    assert (read.dropped, read.unreadable, len(read.metas)) == (0, (), 1)
    assert read.to_scsynth[0].address == "/status"
    started = {message.args[0] for message in read.from_scsynth if message.address == "/n_go"}
    asked = {message.args[1] for message in read.to_scsynth if message.address == "/s_new"}
    assert len(asked & started) >= len(asked) - 4  # the last ones weren't due yet at the exit
    arrivals = [message.t_ns for message in read.to_scsynth]
    assert arrivals == sorted(arrivals)


def test_the_harness_own_commands_bypass_the_recorder(session: Session) -> None:
    assert not [m for m in session.recording.to_scsynth if m.address == "/b_write"]


def test_what_was_played_was_recorded_as_sound_and_an_unused_bus_is_silent(session: Session) -> None:
    assert sound.level_dbfs(session.wav) > -50
    assert sound.level_dbfs(session.silent_wav) == livetake.SILENCE_DBFS


def test_the_live_take_hears_at_the_sound_card_what_scsynth_itself_wrote(session: Session) -> None:
    assert session.quiet_dbfs == livetake.SILENCE_DBFS, "nobody had played yet"
    assert session.heard_dbfs == pytest.approx(sound.level_dbfs(session.wav), abs=1.0)


def test_sonic_pi_reports_no_timing_trouble_and_scsynth_nothing_late(session: Session) -> None:
    assert session.performer.timing_warnings() == []
    assert "SuperCollider 3 server ready" in session.performer.scsynth_log()
    assert " late " not in session.performer.scsynth_log()
    assert any("synth :noise" in line for line in session.performer.gui_lines())


def test_nothing_is_left_after_an_exit(session: Session) -> None:
    assert {"jackd", "ruby", "scsynth", "beam.smp"} <= session.names
    assert session.survivors == []


def test_a_captured_session_renders_bit_identically_and_not_to_silence(
    session: Session, tmp_path: Path
) -> None:
    messages = sorted(session.recording.to_scsynth, key=lambda each: (each.due_ns, each.index))
    start_ns = session.recording.to_scsynth[0].t_ns
    score = [(max(0.0, (each.due_ns - start_ns) / 1e9), each.raw) for each in messages]
    first, again, other = (
        offline.render(score, tmp_path / f"{name}.wav", seed)
        for name, seed in (("first", 7), ("again", 7), ("other", 8))
    )
    assert sound.level_dbfs(tmp_path / "first.wav") > -50
    assert first == again
    assert first != other, "another seed must be heard in the noise, else the seed isn't used"


def test_a_render_without_notes_is_silent(tmp_path: Path) -> None:
    offline.render([(0.0, osc.message("/g_new", 8, 1, 0))], tmp_path / "silent.wav")
    assert sound.level_dbfs(tmp_path / "silent.wav") == livetake.SILENCE_DBFS


LEFT_ALONE = """
import sys, time
from pathlib import Path
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.machine import make_shim
home = Path(sys.argv[1])
with Stage() as stage:
    performer = stage.add(Performer("bo", 1, home, make_shim(home / "shim")))
    stage.spawn(["sleep", "600"], home / "child.log")
    stage.boot()
    pids = [process.pid for process in performer.processes()]
    print(*pids, performer.process.pid, stage.children[0].pid, flush=True)
    time.sleep(600)
"""


def test_nothing_is_left_after_the_stage_itself_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEFT_ALONE, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as stage:
        assert stage.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in stage.stdout.readline().split()]
        assert {"jackd", "ruby", "scsynth", "unshare", "sleep"} <= {p.name() for p in processes}
        stage.send_signal(signal.SIGKILL)
        _, survivors = psutil.wait_procs(processes, timeout=5)
    assert survivors == []


def test_scsynth_dies_with_a_killed_recorder_and_the_wait_says_what_ended(tmp_path: Path) -> None:
    with Stage() as stage:
        performer = stage.add(Performer("cyd", 2, tmp_path, make_shim(tmp_path / "shim")))
        stage.boot()
        processes = performer.processes()
        recorder = next(p for p in processes if any("recorder.py" in part for part in p.cmdline()))
        scsynth = next(p for p in processes if p.name() == "scsynth")
        recorder.kill()
        # The recorder itself stays a zombie: Sonic Pi never asks how its scsynth ended.
        _, survivors = psutil.wait_procs([scsynth], timeout=5)
        assert survivors == []
        performer.kill()
        with pytest.raises(StageError, match="expected heard, but it ended"):
            performer.wait_until(lambda: False, "heard", 5)


def test_a_boot_that_fails_says_why_with_the_logs(tmp_path: Path) -> None:
    broken = tmp_path / "broken-scsynth"
    broken.write_text("#!/bin/sh\necho no sound today\nexit 3\n")
    broken.chmod(0o755)
    with Stage() as stage:
        stage.add(Performer("dot", 3, tmp_path, make_shim(tmp_path / "shim", broken)))
        with pytest.raises(StageError, match=r"(?s)dot: not booted within 3 s.*server\.log.*Booting"):
            stage.boot(timeout_s=3)


def test_port_blocks_of_different_performers_do_not_overlap() -> None:
    blocks = [find_ports(index) for index in range(4)]
    assert len({block.server for block in blocks}) == 4
    assert all(block.spare - block.server == 8 for block in blocks)


def test_the_shipped_examples_are_found_by_name() -> None:
    assert {"tilburg_2", "shufflit", "acid"} <= examples().keys()
