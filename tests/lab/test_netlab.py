"""The network emulator netlab, tested with real namespaces and datagrams. Needs root and /dev/net/tun.

How punctual this machine is isn't tested here but by `scripts/netlab --selfcheck`.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from laboratory.star import namespaces
from laboratory.star.decisionlog import first_difference, read_log
from laboratory.star.namespaces import NetlabError
from laboratory.star.selfcheck import check
from laboratory.star.star import Star
from laboratory.star.wayreport import report

from relay.netmodel.impairment import Leg, Way
from relay.netmodel.networks import parse_leg
from tests.worlds.places import SCRIPTS

pytestmark = pytest.mark.netlab

PLAIN = Leg.both(Way(delay_ms=5.0))
WAIT_S = 20.0


def received(sock: socket.socket, count: int) -> list[bytes]:
    sock.settimeout(WAIT_S)
    return [sock.recv(2048) for _ in range(count)]


def bound(star: Star, name: str | None = None, port: int = 7707) -> socket.socket:
    host = star.relay if name is None else star.member(name)
    sock = host.socket()
    sock.bind((host.address, port))
    return sock


@contextlib.contextmanager
def conversation(star: Star) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield two bound UDP sockets, one at anna and one at the relay."""
    with bound(star, "anna") as anna, bound(star) as relay:
        yield anna, relay


def until(condition: object) -> bool:
    deadline_s = time.monotonic() + WAIT_S
    assert callable(condition)
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


def test_every_decision_is_logged_and_repeatable(tmp_path: Path) -> None:
    path = tmp_path / "decisions.log"
    leg = parse_leg("delay=10,jitter=3,loss=10%,duplicate=10%,reorder=5%")
    with Star({"anna": leg, "bob": PLAIN}, seed=4, log=path) as star, conversation(star) as (anna, relay):
        for number in range(200):
            anna.sendto(b"%d" % number, (star.relay_address, 7707))
        assert len(received(relay, 100)) == 100
        with bound(star, "bob") as bob:
            relay.sendto(b"answer", (star.member("bob").address, 7707))
            assert received(bob, 1) == [b"answer"]
        time.sleep(0.3)
    assert star.ending is not None
    assert star.ending.datagrams == 201
    assert star.unlogged == 0
    log = read_log(path)
    assert len(log.rows_of("anna", "up")) == 200
    assert len(log.rows_of("bob", "down")) == 1
    assert log.header.legs == [leg, PLAIN]
    assert first_difference(log, "anna", "up") is None
    (up, down) = report(log)
    assert up.fates["lost"] > 0
    assert up.copied > 0
    assert up.in_flight == down.in_flight == 0
    assert (log.rows["written_s"] >= log.rows["arrival_s"])[log.rows["fate"] == 0].all()


def test_same_seed_loses_the_same_datagrams(tmp_path: Path) -> None:
    def fates(seed: int) -> list[int]:
        path = tmp_path / f"{seed}.log"
        leg = Leg.both(Way(loss=0.3))
        with Star({"anna": leg}, seed=seed, log=path) as star, conversation(star) as (anna, _):
            for _ in range(100):
                anna.sendto(b"x", (star.relay_address, 7707))
            time.sleep(0.2)
        return list(read_log(path).rows_of("anna", "up")["fate"])

    once = fates(1)
    assert len(once) == 100
    assert 10 < sum(map(bool, once)) < 50
    assert fates(1) == once
    assert fates(2) != once


def test_what_arrives_is_what_was_sent_and_as_often_as_decided() -> None:
    leg = parse_leg("delay=5,jitter=2,loss=5%,duplicate=5%")
    result = check(leg, seed=1, rate=400, seconds=1.5)
    assert [way.report.datagrams for way in result.ways] == [300, 300]
    for way in result.ways:
        assert way.error_ms[0] > 0.0  # nothing can arrive before it was decided to
        assert way.report.faults == []


def test_tcp_passes_through_a_lossy_leg_with_the_congestion_control_asked_for() -> None:
    serve = (
        "import socket; s = socket.create_server(('', 99)); print('up', flush=True); c = s.accept()[0]\n"
        "n = 0\n"
        "while data := c.recv(65536): n += len(data)\n"
        "print(n, c.getsockopt(6, 13, 16).strip(b'\\0').decode())"
    )
    send = (
        "import socket; s = socket.create_connection(('10.77.0.1', 99)); s.sendall(bytes(100_000))\n"
        "print(s.getsockopt(6, 13, 16).strip(b'\\0').decode())"
    )
    for name in ("cubic", "reno"):
        with Star({"anna": parse_leg("delay=5,loss=2%")}, seed=1, congestion=name) as star:
            server = star.relay.popen([sys.executable, "-c", serve], stdout=subprocess.PIPE, text=True)
            assert server.stdout is not None
            assert server.stdout.readline() == "up\n"
            client = star.member("anna").run(
                [sys.executable, "-c", send], capture_output=True, text=True, timeout=WAIT_S
            )
            assert client.stdout == f"{name}\n", client.stderr
            assert server.stdout.read() == f"100000 {name}\n"
            server.stdout.close()


def test_unknown_congestion_control_is_refused_in_words() -> None:
    with (
        pytest.raises(NetlabError, match="congestion control 'nonsense'"),
        Star({"anna": PLAIN}, seed=1, congestion="nonsense"),
    ):
        raise AssertionError


def test_members_reach_the_relay_alone() -> None:
    star = Star({"anna": PLAIN, "bob": PLAIN}, seed=1)
    with star, conversation(star) as (anna, relay), bound(star, "bob") as bob:
        anna.sendto(b"to bob", (star.member("bob").address, 7707))
        with pytest.raises(OSError, match="unreachable"):
            anna.sendto(b"out", ("192.0.2.1", 7707))
        anna.sendto(b"to the relay", (star.relay_address, 7707))
        assert received(relay, 1) == [b"to the relay"]
        bob.setblocking(False)
        with pytest.raises(BlockingIOError):
            bob.recv(100)
    assert star.ending is not None
    assert star.ending.no_route == 1


def test_programs_inside_end_with_the_star_however_stubborn() -> None:
    with Star({"anna": PLAIN}, seed=1) as star:
        child = star.member("anna").popen(["bash", "-c", "trap '' TERM; sleep 300 & sleep 301; sleep 302"])
        gentle = star.relay.popen(["sleep", "300"])
        assert until(lambda: len(star.processes()) == 4)
        inodes = {star.relay.inode, star.member("anna").inode}
    assert namespaces.processes_in(inodes) == []
    assert child.returncode == -signal.SIGKILL
    assert gentle.returncode == -signal.SIGTERM


def test_nothing_is_left_when_the_stars_process_is_killed() -> None:
    holder = (
        "import time\n"
        "from laboratory.star.star import Star\n"
        "from relay.netmodel.impairment import Leg, Way\n"
        "with Star({'anna': Leg.both(Way())}, seed=1) as star:\n"
        "    star.member('anna').popen(['bash', '-c', 'sleep 300 & exec setsid sleep 301'])\n"
        "    print(star.emulator_pid, star.relay.inode, star.member('anna').inode, flush=True)\n"
        "    time.sleep(300)\n"
    )
    path = f"{SCRIPTS}{os.pathsep}{SCRIPTS.parent}"
    process = subprocess.Popen(
        [sys.executable, "-c", holder],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    emulator, *inodes = map(int, process.stdout.readline().split())
    assert until(lambda: len(namespaces.processes_in(set(inodes))) == 2)
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        assert until(lambda: not namespaces.processes_in(set(inodes)))
        assert until(lambda: not Path(f"/proc/{emulator}").exists())
    finally:
        namespaces.end_processes_in(set(inodes))


def test_star_whose_emulator_dies_says_so() -> None:
    star = Star({"anna": PLAIN}, seed=1)
    star.__enter__()
    os.kill(star.emulator_pid, signal.SIGKILL)
    assert until(lambda: not star.is_alive)
    with pytest.raises(NetlabError, match="ended with -9"):
        star.check()
    with pytest.raises(NetlabError, match="emulator ended before the star"):
        star.__exit__(None, None, None)


def netlab(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "laboratory.star.netlab", *arguments],
        env=os.environ | {"PYTHONPATH": f"{SCRIPTS}{os.pathsep}{SCRIPTS.parent}"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_command_runs_once_for_each_member_and_the_check_is_printed() -> None:
    send = "import socket; s = socket.socket(2, 2)\nfor _ in range(50): s.sendto(b'x', ('{relay}', 7707))"
    command = f'echo {{member}} $NETLAB_MEMBER $NETLAB_RELAY; exec {sys.executable} -c "{send}"'
    ended = netlab(
        "--profile", "delay=5,loss=10%", "--members", "anna,zoe", "--leg", "zoe=delay=1", "--json",
        "--", "bash", "-c", command,
    )  # fmt: skip
    assert "  anna | anna anna 10.77.0.1" in ended.stderr
    assert "   zoe | zoe zoe 10.77.0.1" in ended.stderr
    assert " relay | relay ready on port 7707" in ended.stderr
    found = json.loads(ended.stdout)
    assert found["failed"] == {}
    assert found["ways"]["anna/up"]["datagrams"] == 50
    assert found["ways"]["anna/up"]["loss"]["asked"] == 0.1
    assert found["ways"]["zoe/up"]["fates"]["lost"] == 0
    assert ended.returncode == (0 if all(way["ok"] for way in found["ways"].values()) else 1)


def test_command_says_which_program_failed() -> None:
    ended = netlab("--profile", "loopback", "--members", "2", "--relay", "none", "--", "bash", "-c", "exit 7")
    assert ended.returncode == 1
    assert "anna's program ended with 7" in ended.stdout
    assert "no datagram went through the network" in ended.stdout


def test_program_that_is_not_there_is_named() -> None:
    ended = netlab("--profile", "loopback", "--relay", "none", "--", "no-such-program")
    assert ended.returncode == 1
    assert ended.stderr == "Error: no-such-program can't be started: No such file or directory\n"


def test_ctrl_c_lets_the_programs_say_goodbye_and_still_checks() -> None:
    command = (
        "trap 'echo bye {member}; exit 0' TERM; echo hi > /dev/udp/{relay}/9; echo there; sleep 300 & wait"
    )
    process = subprocess.Popen(
        [
            sys.executable, "-m", "laboratory.star.netlab", "--profile", "delay=1", "--members", "2",
            "--relay", "none", "--", "bash", "-c", command,
        ],
        env=os.environ | {"PYTHONPATH": f"{SCRIPTS}{os.pathsep}{SCRIPTS.parent}"},
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline() + process.stdout.readline()
    assert said.count("there") == 2
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=WAIT_S)
    assert "bye anna" in rest
    assert "bye bob" in rest
    assert "anna/up" in rest
