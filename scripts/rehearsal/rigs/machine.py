"""This machine: finds Sonic Pi's programs and free ports, ends child processes, and reads the ends of logs.

Performers use it before they start.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rehearsal import RECORDER
from rehearsal.rigs.recorder import die_with_parent

RUBY_SERVERS = (
    Path("/usr/lib/sonic-pi/app/server/ruby/bin/sonic-pi-server.rb"),
    Path("/usr/lib/sonic-pi/server/ruby/bin/sonic-pi-server.rb"),
    Path("/opt/sonic-pi/app/server/ruby/bin/sonic-pi-server.rb"),
)
EXAMPLES = Path("/usr/share/sonic-pi/examples")
APT = "apt-get install sonic-pi-server sonic-pi-samples supercollider-server jackd2 util-linux procps"

FIRST_PORT = 20_000
PORTS_EACH = 9
"""Number of consecutive ports that a performer takes, from FIRST_PORT on. They lie below Linux's ephemeral
ports (32768 and up), which any socket might take meanwhile."""
LOG_TAIL_LINES = 15
END_S = 3.0
"""Time (s) for a child to end after SIGTERM, or for a performer after its pipe was closed. Then it gets
SIGKILL."""


class StageError(RuntimeError):
    """A program is missing, didn't boot in time or ended by itself. The text says which."""


@dataclass(frozen=True, slots=True)
class Ports:
    """UDP ports of one Sonic Pi, in the order of its command line.

    The command line has `scsynth` twice: as the port where scsynth listens, and as the port to send to.
    """

    server: int
    gui: int
    scsynth: int
    cues: int
    erlang: int
    midi_out: int
    midi_in: int
    websocket: int
    spare: int
    """A free port for another program, such as this performer's bridge."""


class Place(Protocol):
    """The network in which a performer's programs run: one of its own, or this machine's."""

    def popen(self, command: Sequence[str | Path], **kwargs: Any) -> "subprocess.Popen[Any]":
        """Start a program in this network. It is killed when this process ends.

        kwargs: those of subprocess.Popen, without preexec_fn.
        """
        ...

    def socket(self) -> socket.socket:
        """Return a new UDP socket in this network."""
        ...


class ThisMachine:
    """The network of the machine itself."""

    def popen(self, command: Sequence[str | Path], **kwargs: Any) -> "subprocess.Popen[Any]":
        return subprocess.Popen([str(part) for part in command], preexec_fn=die_with_parent, **kwargs)

    def socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def examples() -> dict[str, Path]:
    """Return the example programs shipped with Sonic Pi: name (such as "tilburg_2") -> file."""
    return {path.stem: path for path in sorted(EXAMPLES.glob("*/*.rb"))}


def make_shim(folder: Path, program: Path = RECORDER) -> Path:
    """Make a link to `program` named `scsynth` in `folder`, and return `folder`, which is to be put into
    PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "scsynth"
    link.unlink(missing_ok=True)
    link.symlink_to(program.resolve())
    return folder


def find_ruby_server() -> Path:
    """Return the path of Sonic Pi's Ruby server. Raises StageError if a program is missing, with the packages
    to install."""
    programs = ("ruby", "jackd", "scsynth", "unshare", "mount", "ps")
    missing = [name for name in programs if shutil.which(name) is None]
    servers = [path for path in RUBY_SERVERS if path.exists()]
    if not servers:
        missing.append("sonic-pi-server.rb (of Sonic Pi 3.2)")
    if missing:
        raise StageError(f"not found: {', '.join(missing)}; {APT}")
    return servers[0]


def is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("", port))
            except OSError:
                return False
    return True


def find_ports(index: int) -> Ports:
    """Return ports that are free for UDP and TCP.

    Calls with different indices get different ports. Calls in different processes usually do too.
    """
    blocks = 1200
    for attempt in range(blocks):
        block = (os.getpid() * 31 + index + attempt * 37) % blocks
        first = FIRST_PORT + block * 10
        if all(is_free(first + offset) for offset in range(PORTS_EACH)):
            return Ports(*range(first, first + PORTS_EACH))
    raise StageError(f"no {PORTS_EACH} free ports in a row from {FIRST_PORT} on")


def end_child(child: "subprocess.Popen[bytes]") -> None:
    """End a child started by Stage.spawn, together with its process group. Idempotent."""
    if child.returncode is None:
        # The child itself isn't reaped yet, so its pid, and with it the group's id, can't be another's.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(END_S)
                return


def tail(path: Path) -> str:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return f"--- {path}: (none)"
    return "\n".join([f"--- {path}:", *text.splitlines()[-LOG_TAIL_LINES:]])
