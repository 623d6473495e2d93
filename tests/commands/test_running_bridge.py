"""Messages of a running bridge to its player: why the bridge isn't in the room, and when it is back.

The bridge process is genuine. Its scsynth is a socket; its relay is genuine or a scripted one.
"""

import asyncio
import contextlib
import socket
import time
from itertools import count
from pathlib import Path

import pytest
from rehearsal.rigs.recording import timetag_at

from relay.shells.tls_identity import load_or_create
from relay.transports import tls
from relay.transports.one_question import ask_stats
from relay.transports.pins import KnownRelays
from relay.transports.tls import ControlStream
from relay.wire import control
from relay.wire.endpoint import Endpoint
from relay.wire.osc import bundle, encode
from relay.wire.version import PROTOCOL_VERSION, UPDATE
from tests.worlds.bridge_process import Bridge, bridge
from tests.worlds.commands import ENDS_S, LATER_RELAY, own_user, relay


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return own_user(tmp_path)


def test_an_ordinary_leave_warns_of_nothing(env: dict[str, str], tmp_path: Path) -> None:
    with relay(env, tmp_path / "data") as (_, port), bridge(tmp_path, port) as joined:
        joined.says("in room main as bob, slot 1; nobody else is here yet", "clock set")
        joined.leave()
        assert joined.warnings() == []
        assert joined.lines()[-1] == "INFO bridge: left"


def test_a_relay_that_goes_and_comes_back_with_another_key_is_told_with_the_line_to_remove(
    env: dict[str, str], tmp_path: Path
) -> None:
    with relay(env, tmp_path / "one") as (first, port), bridge(tmp_path, port) as joined:
        joined.says("in room main as bob", "clock set")
        first.kill()
        joined.says("the relay is away", "refused the connection; is `jamrelay serve` running there?")
        with relay(env, tmp_path / "two", port):
            joined.says("is not the relay you used before")
            (other_key,) = [line for line in joined.warnings() if "used before" in line]
            assert f"line 1 of {tmp_path / 'pins'} says SHA256:" in other_key
            assert "remove that line" in other_key
            (tmp_path / "pins").write_text("")
            joined.says("used before", "back in room main as bob, slot 1; nobody else is here yet")
            assert len(set(joined.warnings())) == len(joined.warnings()), "each is told once"


def test_a_relay_that_comes_back_with_another_version_is_told_with_the_older_side_and_how_to_update_it(
    env: dict[str, str], tmp_path: Path
) -> None:
    with relay(env, tmp_path / "data") as (first, port), bridge(tmp_path, port) as joined:
        joined.says("in room main as bob", "clock set")
        first.kill()
        first.wait()
        with relay(env, tmp_path / "data", port, program=LATER_RELAY):
            joined.says(
                f"this relay speaks protocol {PROTOCOL_VERSION + 1}, you speak {PROTOCOL_VERSION}: you have "
                f"the older jamrelay; update it on this computer ({UPDATE}) and join again"
            )
            joined.leave()
    assert sum("the older jamrelay" in line for line in joined.warnings()) == 1


async def test_each_refusal_is_told_once_however_often_it_comes_and_its_change_as_well(
    tmp_path: Path,
) -> None:
    full = control.Refused(reason="room-full", text="room main is full (1 of 1)")
    stranger = control.Refused(reason="protocol", text="this relay speaks protocol 9", final=True)
    # A refusal for good is the last: nobody asks again.
    answers = [full] * 4 + [stranger]
    given = 0

    async def answer(stream: ControlStream) -> None:
        nonlocal given
        if await stream.receive() is not None:
            stream.send(control.encode(answers[given]))
            given += 1

    identity = load_or_create(tmp_path / "relay")
    server = await tls.serve("127.0.0.1", 0, identity, answer)
    try:
        with bridge(tmp_path, server.port) as refused:
            async with asyncio.timeout(ENDS_S):
                while given < len(answers):
                    await asyncio.sleep(0.02)
            refused.leave()
    finally:
        await server.close()
    assert refused.warnings() == [
        "the relay says: room main is full (1 of 1)",
        "the relay says: this relay speaks protocol 9; this join doesn't try again: end it, and join anew "
        "then",
    ]


@pytest.mark.parametrize("transport", ["udp", "tls"])
async def test_a_relay_that_says_what_no_relay_says_there_is_left_and_asked_again(
    tmp_path: Path, transport: str
) -> None:
    welcome = control.Welcome(
        slot=1, name="bob", ticket=bytes(16), epoch=bytes(16), channel=1, key_up=bytes(32),
        key_down=bytes(32), number=0, next_seq=1, resumed=False, lead=0, shift=0, horizon=0, members=[],
    )  # fmt: skip
    hellos = 0

    async def answer(stream: ControlStream) -> None:
        nonlocal hellos
        if stream.carries_events:
            while await stream.receive() is not None:
                pass
        elif await stream.receive() is not None:
            hellos += 1
            for _ in range(2):
                stream.send(control.encode(welcome))
            await stream.receive()

    server = await tls.serve("127.0.0.1", 0, load_or_create(tmp_path / "relay"), answer)
    try:
        with bridge(tmp_path, server.port, transport=transport) as joined:
            async with asyncio.timeout(ENDS_S):
                while hellos < 3:
                    await asyncio.sleep(0.02)
            joined.leave()
    finally:
        await server.close()
    why = "the relay can't be understood: Welcome where a bridge is in the room, not in time"
    assert sum(why in line for line in joined.warnings()) == 1


def test_a_disk_without_room_for_log_and_journal_costs_no_note(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bridge.log").symlink_to("/dev/full")
    with (
        relay(env, tmp_path / "data") as (_, port),
        bridge(tmp_path, port, journal=tmp_path / "gone" / "journal") as joined,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sonic_pi,
    ):
        play(sonic_pi, joined)
        joined.leave()


def test_what_the_sockets_of_bridge_and_relay_count_is_in_the_statistics(
    env: dict[str, str], tmp_path: Path
) -> None:
    with (
        relay(env, tmp_path / "data") as (_, port),
        bridge(tmp_path, port) as joined,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sonic_pi,
    ):
        joined.says("in room main as bob", "clock set")
        sonic_pi.sendto(b"no OSC", joined.tap)
        deadline_s, counts = time.monotonic() + ENDS_S, dict[str, int]()
        while "tap_malformed" not in counts:
            assert time.monotonic() < deadline_s, f"no report has come: {counts}"
            time.sleep(0.1)
            pins = KnownRelays(tmp_path / "pins of who asks")
            stats = asyncio.run(ask_stats(Endpoint("127.0.0.1", port), pins))
            counts = stats.rooms[0].members[0].counts
        joined.leave()
    assert (counts["tap_received"], counts["tap_malformed"]) == (1, 1)
    assert min(counts["udp_received"], counts["udp_sent"]) > 0
    assert min(stats.udp["udp_received"], stats.udp["udp_sent"]) > 0


FAILING_PORT = """
class Port:
    def __init__(self): assert not {at_start}
    def run(self, code): raise ValueError("no such process")
asides.CodePort = Port"""


@pytest.mark.parametrize("at_start", [True, False])
def test_a_schedule_ahead_that_cannot_be_tuned_costs_no_note(
    env: dict[str, str], tmp_path: Path, at_start: bool
) -> None:
    with (
        relay(env, tmp_path / "data") as (_, port),
        bridge(tmp_path, port, tuned=True, changes=FAILING_PORT.format(at_start=at_start)) as joined,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sonic_pi,
    ):
        joined.says("--tune-sonic-pi is off from now on, the music goes on without it")
        play(sonic_pi, joined)
        joined.leave()


def play(sonic_pi: socket.socket, joined: Bridge) -> None:
    """Send notes until one is handed to scsynth.

    Several are needed: a note that waits in the socket before the bridge reads it misses its time.
    """
    deadline_s = time.monotonic() + ENDS_S
    joined.synth.settimeout(0.05)
    for node in count(1001):
        assert time.monotonic() < deadline_s, "no note is handed over"
        note = encode("/s_new", "sonic-pi-beep", node, 0, 0)
        sonic_pi.sendto(bundle(timetag_at(time.time_ns() + 100_000_000), note), joined.tap)
        with contextlib.suppress(TimeoutError):
            while True:
                if b"sonic-pi-beep" in joined.synth.recv(65_536):
                    return
