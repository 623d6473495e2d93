"""Helpers that run our commands as a user does: each in a process, which is ended with the test."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.wire import control
from relay.wire.endpoint import Endpoint
from relay.wire.version import PROTOCOL_VERSION

BIN = Path(sys.executable).parent
READY = re.compile(r"relay ready on port (\d+)")
ENDS_S = 60.0
"""Time (s) within which any program must end, even on a busy machine."""

Process = subprocess.Popen[str]


def own_user(home: Path) -> dict[str, str]:
    """Return the environment of a new user with this home folder, who has no files of ours yet."""
    return os.environ | {"HOME": str(home), "XDG_DATA_HOME": str(home / "xdg"), "COLUMNS": "120"}


@contextlib.contextmanager
def running(env: dict[str, str], *words: str | Path) -> Iterator[Process]:
    """Run one of our commands and yield its process. The process is killed in the end."""
    program, *arguments = map(str, words)
    with subprocess.Popen(
        [str(BIN / program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(env: dict[str, str], *words: str | Path) -> tuple[int, str, str]:
    """Run one of our commands to its end; return (exit status, stdout, stderr)."""
    with running(env, *words) as process:
        printed, errors = process.communicate(timeout=ENDS_S)
    return process.returncode, printed, errors


def line_of(process: Process, words: str) -> str:
    """Read the output up to the first line that holds `words`; return that line."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never said; it said {process.communicate()[1]!r}")


LATER_RELAY = (
    Path(sys.executable).name,
    "-c",
    "from relay.wire import version; version.PROTOCOL_VERSION += 1; from relay.cli import main; main()",
)
"""The command line of a relay whose protocol version is one higher than ours."""


@contextlib.contextmanager
def relay(
    env: dict[str, str], data: Path, port: int = 0, *words: str, program: tuple[str, ...] = ("jamrelay",)
) -> Iterator[tuple[Process, int]]:
    """Run a relay; yield its process and its port.

    port: 0 takes any free one. words: more options. program: the command, without `serve`.
    """
    with running(
        env, *program, "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", data, *words
    ) as process:
        found = READY.search(line_of(process, "relay ready"))
        assert found is not None
        yield process, int(found[1])


def take_a_place(port: int, pins: Path, *, room: str = "main", name: str = "ann") -> None:
    """Join a room of a relay on this machine and drop the connection. Its slot is kept for minutes."""

    async def come_in() -> None:
        stream = await tls.connect(Endpoint("127.0.0.1", port), pins=KnownRelays(pins))
        hello = control.Hello(protocol=PROTOCOL_VERSION, software="test", room=room, name=name)
        stream.send(control.encode(hello))
        payload = await stream.receive()
        assert payload is not None
        assert isinstance(control.decode_down(payload), control.Welcome)
        stream.abort()

    asyncio.run(come_in())


def wait_for_file(path: Path) -> None:
    deadline_s = time.monotonic() + ENDS_S
    while not path.exists():
        assert time.monotonic() < deadline_s, path
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
