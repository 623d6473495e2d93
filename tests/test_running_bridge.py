"""What a running bridge tells the player of the relay: why it isn't in the room, once, and that it is over.

The genuine bridge process, its scsynth a socket that nobody reads; relays are genuine or play one by heart.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bridge import config, words
from bridge.config import ChildConfig, JoinConfig
from relay.identity import load_or_create
from relay.transports import tls
from relay.transports.tls import ControlStream
from relay.wire import control
from tests.commands import ENDS_S, own_user, relay

QUICK = "from bridge import service\nservice.RETRY_S = service.RETRY_S_MAX = 0.1\nservice.main()"
"""The bridge, which waits a second and more between two tries as a rule."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return own_user(tmp_path)


class Bridge:
    """A bridge's process and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def lines(self) -> list[str]:
        """The log so far, without its times."""
        text = self._log.read_text() if self._log.exists() else ""
        return [line.split(" ", 2)[2] for line in text.splitlines()]

    def warnings(self) -> list[str]:
        lines = [line for line in self.lines() if line.startswith("WARNING")]
        return [line.removeprefix("WARNING bridge: ").removeprefix(words.PLAYS_ON) for line in lines]

    def says(self, *parts: str) -> list[str]:
        """Wait until the last lines hold these parts, one each, in this order; return all lines."""
        deadline_s = time.monotonic() + ENDS_S
        while True:
            lines = self.lines()
            rest = iter(lines)
            if all(any(part in line for line in rest) for part in parts):
                return lines
            assert time.monotonic() < deadline_s, lines
            time.sleep(0.02)

    def leave(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(ENDS_S) == 0


@contextlib.contextmanager
def bridge(folder: Path, port: int) -> Iterator[Bridge]:
    """Run a bridge that joins room main of the relay at `port` as bob."""
    join = JoinConfig(
        host="127.0.0.1", port=port, room="main", name="bob", pins=str(folder / "pins"), scsynth="",
        folder=str(folder), software="test",
    )  # fmt: skip
    config.save(join, folder / "join.json")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to_synth,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as synth,
    ):
        for sock in (tap, to_synth, synth):
            sock.bind(("127.0.0.1", 0))
        to_synth.connect(synth.getsockname())
        child = ChildConfig(
            tap_fd=tap.fileno(), synth_fd=to_synth.fileno(), outs=2, ins=2, need_ms=20.0,
            journal=str(folder / "journal"),
        )  # fmt: skip
        child_env = {
            config.CONFIG_ENV: str(folder / "join.json"),
            config.CHILD_ENV: msgspec.json.encode(child).decode(),
        }
        with subprocess.Popen(
            [sys.executable, "-P", "-c", QUICK],
            stdin=subprocess.PIPE,
            pass_fds=(tap.fileno(), to_synth.fileno()),
            env=os.environ | child_env,
        ) as process:
            try:
                assert process.stdin is not None
                process.stdin.write(b"go\n")
                process.stdin.flush()
                yield Bridge(process, folder / "bridge.log")
            finally:
                process.kill()


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


async def test_each_refusal_is_told_once_however_often_it_comes_and_its_change_as_well(
    tmp_path: Path,
) -> None:
    full = control.Refused(reason="room-full", text="room main is full (1 of 1)")
    stranger = control.Refused(reason="protocol", text="this relay speaks protocol 9", final=True)
    # The second of the last two is asked for by the bridge that plays already, the first before that.
    answers = [full] * 4 + [stranger] * 2
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
