"""The disk is full under the relay's event log: no note is lost, and the owner is warned once.

Genuine relay and bridges over a bad network. Test sockets take Sonic Pi's and scsynth's place. The test
checks that notes arrive and not when, since the machine may be slow.
"""

import select
import signal
import socket
import time
from pathlib import Path

import pytest
from rehearsal.rigs.osc import message
from rehearsal.rigs.recording import BUNDLE, parse_message, timetag_at, walk

from tests.worlds.bridge_process import bridge
from tests.worlds.commands import ENDS_S, own_user, relay, run

NOTES = 400
EVERY_S = 1 / 30
AHEAD_S = 1.0
BAD = "delay=60,jitter=15,loss=5%"
NODES_OF_A_SLOT = 1 << 26


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return own_user(tmp_path)


SETTLES_S = 1.0
"""Time (s) in which bob builds what ann has, which is nothing."""


def note(node: int) -> bytes:
    """Return a bundle with one note, as Sonic Pi sends it. Its timetag is AHEAD_S from now."""
    played = message("/s_new", "sonic-pi-beep", node, 0, 0)
    due = timetag_at(time.time_ns() + round(AHEAD_S * 1e9))
    return BUNDLE + due.to_bytes(8, "big") + len(played).to_bytes(4, "big") + played


def notes_in(synth: socket.socket) -> set[int]:
    """Receive what a bridge has handed to scsynth; return the notes in it, by Sonic Pi's own node ids."""
    found: set[int] = set()
    while select.select([synth], [], [], 0.0)[0]:
        for _, raw in walk(synth.recv(65_536)):
            address, args = parse_message(raw)
            if address == "/s_new" and args[0] == "sonic-pi-beep":
                found.add(int(args[1]) % NODES_OF_A_SLOT)  # type: ignore[arg-type]  # a node is a number
    return found


@pytest.mark.slow
def test_a_full_disk_under_the_event_log_costs_no_note(env: dict[str, str], tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
    sent, at_ann, at_bob = set(range(1001, 1001 + NOTES)), set[int](), set[int]()
    with (
        relay(env, tmp_path / "data", 0, "--event-log", "/dev/full", "--lead-ms", "300") as (process, port),
        bridge(tmp_path / "ann", port, name="ann", impair=BAD) as ann,
        bridge(tmp_path / "bob", port, name="bob", impair=BAD) as bob,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sonic_pi,
    ):
        for joined in (ann, bob):
            joined.says("in room main as", "clock set")
            joined.synthdefs_loaded()
        time.sleep(SETTLES_S)
        started_s = time.monotonic()
        for count, node in enumerate(sorted(sent)):
            time.sleep(max(0.0, started_s + count * EVERY_S - time.monotonic()))
            sonic_pi.sendto(note(node), ann.tap)
            at_ann |= notes_in(ann.synth)
            at_bob |= notes_in(bob.synth)
        deadline_s = time.monotonic() + ENDS_S
        while (at_ann, at_bob) != (sent, sent) and time.monotonic() < deadline_s:
            time.sleep(0.05)
            at_ann |= notes_in(ann.synth)
            at_bob |= notes_in(bob.synth)
        _, said, _ = run(env, "jamrelay", "stats", f"localhost:{port}")
        process.send_signal(signal.SIGTERM)
        printed, errors = process.communicate(timeout=ENDS_S)
    assert (len(at_ann), len(at_bob)) == (NOTES, NOTES)
    assert "the event log is off since it failed" in said
    (warning,) = [line for line in errors.splitlines() if "WARNING" in line]
    assert "can't write /dev/full: No space left on device; make room, and start the relay again" in warning
    assert "Traceback" not in errors
    assert process.returncode == 0
    assert printed.splitlines()[-1] == "relay stopped"
