"""The genuine bridge process, with a socket of the test in Sonic Pi's place and one in scsynth's.

Used by several test files. The process is killed when the test is over.
"""

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

from bridge import notices
from bridge.shells import config
from bridge.shells.config import ChildConfig, JoinConfig
from relay.wire.osc import encode
from tests.worlds.commands import ENDS_S

QUICK = (
    "from bridge.shells import asides, retries, service\nretries.FIRST_S = retries.LONGEST_S = 0.1\n"
    "{changes}\nservice.main()"
)
"""A program that runs the bridge with retries every 0.1 s. The product waits a second or more between two."""


class Bridge:
    """A running bridge process and its log.

    tap: the address that Sonic Pi sends to. synth: the socket that receives in scsynth's place. to_synth: the
    address of the bridge's socket for scsynth.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log: Path,
        tap: tuple[str, int],
        synth: socket.socket,
        to_synth: tuple[str, int],
    ) -> None:
        self.process = process
        self.tap = tap
        self.synth = synth
        self.to_synth = to_synth
        self._log = log

    def lines(self) -> list[str]:
        """Return the lines of the log so far, without their timestamps."""
        text = self._log.read_text() if self._log.exists() else ""
        return [line.split(" ", 2)[-1] for line in text.splitlines()]

    def warnings(self) -> list[str]:
        lines = [line for line in self.lines() if line.startswith("WARNING")]
        return [line.removeprefix("WARNING bridge: ").removeprefix(notices.PLAYS_ON) for line in lines]

    def says(self, *parts: str) -> list[str]:
        """Wait until the log has, for each of these parts, a line that contains it; return all lines so far.

        The lines must come in the order of the parts.

        Fails after ENDS_S.
        """
        deadline_s = time.monotonic() + ENDS_S
        while True:
            lines = self.lines()
            rest = iter(lines)
            if all(any(part in line for line in rest) for part in parts):
                return lines
            assert time.monotonic() < deadline_s, lines
            time.sleep(0.02)

    def synthdefs_loaded(self) -> None:
        """Tell the bridge in scsynth's place that Sonic Pi's synthdefs are loaded."""
        self.synth.sendto(encode("/done", "/d_loadDir"), self.to_synth)

    def leave(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(ENDS_S) == 0


@contextlib.contextmanager
def bridge(
    folder: Path,
    port: int,
    *,
    name: str = "bob",
    impair: str | None = None,
    transport: str = "udp",
    journal: Path | None = None,
    tuned: bool = False,
    changes: str = "",
) -> Iterator[Bridge]:
    """Run a bridge that joins room main of the relay at `port`; all its files are in `folder`.

    impair: a network to emulate, as in `--impair`. tuned: as with `--tune-sonic-pi`. changes: Python code
    that is run before the bridge starts; it may use the modules that QUICK imports.
    """
    join = JoinConfig(
        host="127.0.0.1", port=port, room="main", name=name, pins=str(folder / "pins"),
        cache=str(folder / "cache"), scsynth="", folder=str(folder), software="test", impair=impair,
        tune_sonic_pi=tuned, transport=transport,
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
            journal=str(journal or folder / "journal"),
        )  # fmt: skip
        child_env = {
            config.CONFIG_ENV: str(folder / "join.json"),
            config.CHILD_ENV: msgspec.json.encode(child).decode(),
        }
        with subprocess.Popen(
            [sys.executable, "-P", "-c", QUICK.format(changes=changes)],
            stdin=subprocess.PIPE,
            pass_fds=(tap.fileno(), to_synth.fileno()),
            env=os.environ | child_env,
        ) as process:
            try:
                assert process.stdin is not None
                process.stdin.write(b"go\n")
                process.stdin.flush()
                yield Bridge(process, folder / "bridge.log", tap.getsockname(), synth, to_synth.getsockname())
            finally:
                process.kill()
