"""How Sonic Pi is told its schedule-ahead: where it takes code, and what a whole bridge sends it."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pythonosc.osc_message import OscMessage
from rehearsal.embedded.jam import EmbeddedJam, StandIn
from rehearsal.stage import Performer, Stage

from bridge.tuning import find_server, port_of

SERVER = "/usr/lib/sonic-pi/app/server/ruby/bin/sonic-pi-server.rb"


@pytest.mark.parametrize(
    ("words", "port"),
    [
        (["ruby", "-E", "utf-8", SERVER, "-u", "51235", "51236", "51237"], 51235),
        (["ruby", SERVER, "-u"], 4557),
        (["ruby", SERVER], 4557),
        (["ruby", SERVER, "-t", "51235"], None),
        (["ruby", SERVER, "-u", "next"], None),
        (["sh", "-c", "scsynth -u 4556"], None),
        ([], None),
    ],
)
def test_the_port_stands_behind_the_protocol_if_that_is_udp(words: list[str], port: int | None) -> None:
    assert port_of(words) == port


def test_a_process_that_no_sonic_pi_started_finds_none() -> None:
    assert find_server() is None


ASKING = """
import subprocess, sys
inner = "from bridge.tuning import find_server; print(find_server().port)"
sys.exit(subprocess.run(["sh", "-c", '"$0" -P -c "$1"; exit $?', sys.executable, inner]).returncode)
"""


def test_the_sonic_pi_is_found_among_all_that_started_a_process(tmp_path: Path) -> None:
    server = tmp_path / "sonic-pi-server.rb"
    server.write_text(ASKING)
    done = subprocess.run([sys.executable, server, "-u", "51235"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("51235\n", "")


STAND_IN = """
import subprocess, sys
sys.exit(subprocess.run(sys.argv[3:]).returncode)
"""
"""In the place of Sonic Pi's server: starts what plays for it. Its command line is what a bridge reads."""
HEARD_S = 30.0


class TunedJam(EmbeddedJam):
    """A jam of one stand-in that looks like a Sonic Pi which takes code at a port of ours."""

    code_port = 0

    def _performer(self, name: str, index: int) -> Performer:
        home = self.folder / name
        home.mkdir(parents=True)
        server = home / "sonic-pi-server.rb"
        server.write_text(STAND_IN)
        launcher = [*self.launcher(name), sys.executable, server, "-u", str(self.code_port)]
        return StandIn(name, index, home, launcher, self.root)


def heard(sock: socket.socket, stage: Stage) -> list[str | int]:
    """Return the next datagram's address and arguments; all play on."""
    deadline_s = time.monotonic() + HEARD_S
    while time.monotonic() < deadline_s:
        try:
            message = OscMessage(sock.recv(4096))
        except BlockingIOError:
            stage.play_for(0.02)
        else:
            return [message.address, *message.params]
    raise AssertionError(f"nothing came within {HEARD_S:.0f} s")


@pytest.mark.slow
def test_a_bridge_sets_it_in_silence_again_without_an_answer_and_back_when_it_leaves(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, Stage() as stage:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        jam = TunedJam(stage, tmp_path, ["ada"], lead_ms=120, tuned=["ada"])
        jam.code_port = sock.getsockname()[1]
        jam.start_relay()
        jam.boot()
        assert heard(sock, stage) == ["/run-code", "jambridge", "set_sched_ahead_time! 0.27"]
        assert heard(sock, stage) == ["/run-code", "jambridge", "set_sched_ahead_time! 0.27"]
        jam.shim_of("ada").terminate()
        assert heard(sock, stage) == ["/run-code", "jambridge", "set_sched_ahead_time! 0.50"]
