"""The demo without Sonic Pi and scsynth: stand-ins that are named as such, and the same proof."""

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rehearsal.embedded import TRAFFIC, sounds
from rehearsal.embedded.jam import BOOT, traffic, traffic_s
from rehearsal.embedded.replayer import Replayer, Sent, moved_path, read
from rehearsal.embedded.sink import Sink
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import parse_message, unix_ns, walk

from tests.worlds.places import SCRIPTS

NOW_S = 1_800_000_000.25


def scsynth_free_path(folder: Path) -> str:
    """Make a folder with the few programs that a shim's shell needs; return it as a PATH.

    No program of Sonic Pi or SuperCollider is in it.
    """
    folder.mkdir()
    for name in ("sh", "dirname", "readlink", "env"):
        for place in os.environ["PATH"].split(os.pathsep):
            if (found := Path(place) / name).exists():
                (folder / name).symlink_to(found.resolve())
                break
    return str(folder)


@pytest.mark.slow
def test_the_demo_runs_and_proves_the_same_without_any_program_of_sonic_pi(tmp_path: Path) -> None:
    # Not --embedded: without the programs it must come to that by itself.
    command = [sys.executable, "-m", "rehearsal.demo.demo", "--seconds", "5", "--prove", "--json"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "output")],
        cwd=SCRIPTS,
        env=os.environ | {"PATH": scsynth_free_path(tmp_path / "bin"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert (report["embedded"], report["proved"]) == (True, True), report["troubles"]
    wrong = {key: report[key] for key in ("missing", "out_of_order", "different", "silent_here")}
    assert wrong == dict.fromkeys(wrong, 0)
    assert report["events"] > 50
    assert [member["name"] for member in report["members"]] == ["anna", "bob", "cleo", "cleo-again"]
    anna, bob, *cleo = report["members"]
    assert [member["matched"] + member["covered"] >= report["events"] for member in (anna, bob)] == [True] * 2
    # What was due before she came was built and not handed over, and that is proved, too.
    assert all(member["proved"] and member["covered"] > 20 and member["events"] > 20 for member in cleo)
    assert (report["heard"], report["heard_db_worst"]) == ([], None)
    assert "stand-ins" in done.stderr
    assert "not what is heard" in " ".join(done.stderr.split())
    # A machine too busy to be in time may spoil the jam, but never what was proved.
    assert (done.returncode == 0) == report["coherent"] == (not report["troubles"])
    engine, why_silent = sounds.engine()
    assert (report["sha256"] is not None) == (engine is not None)
    assert why_silent in " ".join(done.stderr.split())
    assert list(tmp_path.glob("jamrelay-demo-*")) == []


LEFT_ALONE = """
import sys, time
from pathlib import Path
import psutil
from rehearsal.embedded.jam import EmbeddedJam
from rehearsal.rigs.stage import Stage
with Stage() as stage:
    jam = EmbeddedJam(stage, Path(sys.argv[1]), ["ada"])
    jam.start_relay()
    jam.boot()
    print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_jam_whose_events_travel_over_tls_is_the_same_everywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal.demo.demo", "--embedded", "--seconds", "5", "--json",
         "--transport", "tls", "--output", str(tmp_path / "output")],
        cwd=SCRIPTS, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    wrong = {key: report[key] for key in ("missing", "out_of_order", "different", "silent_here")}
    assert wrong == dict.fromkeys(wrong, 0)
    assert report["events"] > 50


@pytest.mark.slow
def test_nothing_is_left_after_a_jam_of_stand_ins_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEFT_ALONE, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as stage:
        assert stage.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in stage.stdout.readline().split()]
        parts = " ".join(part for process in processes for part in process.cmdline())
        for program in (
            "serve",
            "replayer.py",
            "bridge.shells.shim",
            "bridge.shells.service",
            "recorder.py",
            "sink.py",
        ):
            assert program in parts
        stage.send_signal(signal.SIGKILL)
        _, survivors = psutil.wait_procs(processes, timeout=10)
    assert survivors == []


@pytest.fixture
def replayer() -> Iterator[Replayer]:
    made = Replayer(Path("/nowhere"), 9)
    yield made
    made.sock.close()


@pytest.mark.parametrize("path", [BOOT, *traffic().values()], ids=lambda path: path.stem)
def test_recorded_traffic_keeps_its_leads_when_it_is_moved_to_now(path: Path, replayer: Replayer) -> None:
    entries = read(path, Path("/nowhere"))
    first_s = entries[0].at_s
    bundles = 0
    for entry in entries:
        ((before, raw),) = walk(entry.datagram)
        ((after, same),) = walk(replayer.retimed(entry, first_s, NOW_S))
        assert raw == same
        if before is None:
            assert after is None
            continue
        bundles += 1
        lead_s = before / 2**32 - entry.at_s
        assert after is not None
        sent_at_s = NOW_S + entry.at_s - first_s
        assert unix_ns(after) / 1e9 - sent_at_s == pytest.approx(lead_s, abs=2e-6)
        assert 0.0 < lead_s < 0.6
    assert bundles > (0 if path == BOOT else 100)


def test_a_stop_replaces_what_was_still_to_be_played(replayer: Replayer) -> None:
    replayer.play(traffic()["acid"])
    assert len(replayer.waiting) > 100
    replayer.stop()
    addresses = [parse_message(datagram)[0] for _, datagram in replayer.waiting]
    assert addresses == ["/n_set", "/n_set", "/n_free", "/n_free", "/n_run", "/n_free"]
    replayer.stop()
    assert len(replayer.waiting) == len(addresses)


def test_every_run_plays_longer_than_the_shortest_demo() -> None:
    assert traffic_s() >= 20
    assert {"tilburg_2", "shufflit", "acid"} <= traffic().keys()


def test_paths_are_moved_to_where_the_samples_are(tmp_path: Path) -> None:
    load = osc("/b_allocRead", 4, "/usr/share/sonic-pi/samples/loop_industrial.flac", 0, 0)
    assert parse_message(moved_path(load, tmp_path))[1][1] == str(tmp_path / "samples/loop_industrial.flac")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/loop_industrial.wav").touch()
    assert parse_message(moved_path(load, tmp_path))[1] == (
        4, str(tmp_path / "samples/loop_industrial.wav"), 0, 0,
    )  # fmt: skip
    other = osc("/n_free", 7)
    assert moved_path(other, tmp_path) == other


def test_nothing_in_the_traffic_names_a_folder_but_sonic_pis_own() -> None:
    for path in TRAFFIC.glob("*.jsonl"):
        for entry in read(path, Path("/nowhere")):
            _, args = parse_message(next(raw for _, raw in walk(entry.datagram)))
            assert all(not str(arg).startswith("/") or str(arg).startswith("/nowhere/") for arg in args)


def test_without_npm_silent_placeholders_stand_in_for_the_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "CACHE", tmp_path / "nothing")
    made = sounds.root(tmp_path)
    assert sorted(path.stem for path in (made / "samples").iterdir()) == sounds.needed_samples()
    engine, why = sounds.engine()
    assert engine is None
    assert "npm" in why
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sounds.FetchError, match="no npm here"):
        sounds.fetch()


class HeardSink(Sink):
    """A scsynth stand-in that keeps its replies in a list instead of sending them."""

    def __init__(self) -> None:
        super().__init__(0, {"-l": "8", "-o": "16", "-i": "16", "-a": "1024", "-b": "4096"})
        self.said: list[tuple[object, ...]] = []
        self.tell_me = ("127.0.0.1", 9)

    def reply(self, _to: tuple[str, int], address: str, *args: int | float | str) -> None:
        self.said.append((address, *args))

    def ask(self, address: str, *args: int | float | str) -> list[tuple[object, ...]]:
        self.said.clear()
        self.execute(osc(address, *args), self.tell_me)
        return list(self.said)


@pytest.fixture
def sink() -> Iterator[HeardSink]:
    made = HeardSink()
    made.ask("/notify", 1)
    yield made
    made.sock.close()


def test_the_sink_tells_of_groups_and_synths_as_scsynth_does(sink: HeardSink) -> None:
    assert sink.ask("/g_new", 4, 1, 0) == [("/n_go", 4, 0, -1, -1, 1, -1, -1)]
    assert sink.ask("/s_new", "sonic-pi-beep", 9, 1, 4, "release", 1.0) == [("/n_go", 9, 4, -1, -1, 0)]
    assert sink.ask("/s_new", "sonic-pi-beep", 9, 1, 4) == [("/fail", "/s_new", "duplicate node ID")]
    assert sink.ask("/s_new", "sonic-pi-beep", 10, 1, 77) == [("/fail", "/s_new", "Group 77 not found")]
    assert sink.ask("/n_free", 4) == [
        ("/n_end", 9, 4, -1, -1, 0),
        ("/n_end", 4, 0, -1, -1, 1, -1, -1),
    ]
    assert sink.ask("/n_free", 4) == [("/fail", "/n_free", "Node 4 not found")]
    assert sink.ask("/n_set", 9, "amp", 0.5) == [("/fail", "/n_set", "Node 9 not found")]


def test_the_sink_answers_what_a_start_of_sonic_pi_waits_for(sink: HeardSink) -> None:
    assert sink.ask("/sync", 7) == [("/synced", 7)]
    assert sink.ask("/d_loadDir", "/nowhere") == [("/done", "/d_loadDir")]
    info = next(said for said in sink.ask("/s_new", "sonic-pi-server-info", 1, 0, 0) if said[0][1:2] == "s")
    assert (info[0], info[1:3], info[9:14]) == (
        "/sonic-pi/server-info", (1, -1), (16.0, 16.0, 1024.0, 1024.0, 4096.0),
    )  # fmt: skip
    assert list(sink.nodes.by_id) == [0]
    assert sink.ask("/g_freeAll", 0) == []
    assert sink.ask("/quit") == [("/done", "/quit")]
    assert not sink.running


def test_a_synth_ends_when_its_envelope_does_and_fx_stay(sink: HeardSink) -> None:
    sink.ask("/s_new", "sonic-pi-fx_reverb", 5, 1, 0)
    sink.ask("/s_new", "sonic-pi-beep", 6, 1, 0, "attack", 0.5, "release", 1.5)
    ((_, node),) = sink.ending
    assert node == 6


def test_a_datagram_of_the_traffic_is_a_bundle_or_bare_and_holds_one_message() -> None:
    for path in TRAFFIC.glob("*.jsonl"):
        for entry in read(path, Path("/nowhere")):
            assert isinstance(entry, Sent)
            bundle = entry.datagram.startswith(b"#bundle\0")
            assert len(list(walk(entry.datagram))) == 1
            assert not bundle or struct.unpack_from(">Q", entry.datagram, 8)[0] < 40 << 32
