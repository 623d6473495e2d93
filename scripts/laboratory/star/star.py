"""A star of network namespaces: the relay in the middle and one leg per member, all through one emulator.

    with Star(legs={"anna": leg, "bob": leg}, seed=1, log=path) as star:
        star.relay.popen(["jamrelay", "serve"])
        star.member("anna").run(["ping", "-c", "3", star.relay_address])

The relay is 10.77.0.1. Member number i (from 1, in the order of `legs`) is 10.77.i.1. No other address can be
reached from inside.

Every process in the namespaces ends with the star, even if the star's process is killed. Programs started by
`Host.popen` and `Host.run` die with the thread that started them. All others are killed by the emulator,
which notices the star's end by a pipe. Several stars can run at once without affecting each other.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from rehearsal.rigs.recorder import die_with_parent

from laboratory.star import namespaces
from laboratory.star.awake import kept_awake
from laboratory.star.emulator import Ending, Plan, Ready
from laboratory.star.namespaces import Namespace, NetlabError
from relay.netmodel.impairment import Leg

SCRIPTS = Path(__file__).resolve().parents[2]
MEMBERS_MAX = 200
READY_S = 20.0
END_S = 5.0
"""Time (s) for programs to end after SIGTERM, and for the emulator to write its log."""
POLL_S = 0.02


class Host:
    """One host of the star: a namespace to start programs in."""

    def __init__(self, name: str, namespace: Namespace) -> None:
        self.name = name
        self.address = namespace.address
        self.inode = namespace.inode
        self._net_fd = namespace.net_fd
        self.children: list[subprocess.Popen[Any]] = []

    def popen(self, command: Sequence[str | Path], **kwargs: Any) -> "subprocess.Popen[Any]":
        """Start a program on this host. kwargs: those of subprocess.Popen, without preexec_fn.

        The program has a session of its own by default. It dies (SIGKILL) with the calling thread, so call
        this from a thread that lives as long as the star. Closing the star ends the program.
        """
        kwargs.setdefault("start_new_session", True)
        child = subprocess.Popen([str(part) for part in command], preexec_fn=self._enter, **kwargs)
        self.children.append(child)
        return child

    def run(self, command: Sequence[str | Path], **kwargs: Any) -> "subprocess.CompletedProcess[Any]":
        """Run a program on this host until it ends. kwargs and errors: those of subprocess.run, without
        preexec_fn."""
        return subprocess.run([str(part) for part in command], preexec_fn=self._enter, **kwargs)

    def socket(self, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """Return a new socket in this host's namespace. It works there, though this process is outside."""
        return namespaces.call_inside(self._net_fd, lambda: socket.socket(family, kind))

    def _enter(self) -> None:
        namespaces.enter(self._net_fd)
        die_with_parent()


@dataclass(eq=False)
class Star:
    """Owner of the namespaces, the emulator and the programs inside. Use it as a context manager.

    legs: each member's leg, by name. log: file for every decision of the emulator
    (laboratory.star.decisionlog), complete when the star is closed; None: no log. congestion: TCP's
    congestion control inside ("cubic", "bbr"); None: the kernel's default. realtime: let the emulator run
    under SCHED_FIFO if allowed. awake: keep the processors awake (laboratory.star.awake), on a machine that
    has little else to do.

    Raises NetlabError, in words, if a star can't be set up here.
    """

    legs: Mapping[str, Leg]
    seed: int
    log: Path | str | None = None
    congestion: str | None = None
    realtime: bool = True
    awake: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.legs) <= MEMBERS_MAX:
            raise NetlabError(f"{len(self.legs)} members: a star has 1 to {MEMBERS_MAX}")
        self.relay_address = "10.77.0.1"
        self.ready: Ready | None = None
        """The clocks' readings at the emulation's second 0; None before the emulator runs."""
        self.ending: Ending | None = None
        """The emulator's counts; None until the star is closed."""
        self.unlogged = 0
        """Number of datagrams that the kernel dropped before or after the emulator; known once the star is
        closed."""
        self._namespaces: list[Namespace] = []
        self._hosts: list[Host] = []
        self._emulator: subprocess.Popen[bytes] | None = None
        self._awake = contextlib.ExitStack()

    def __enter__(self) -> "Star":
        if self.awake:
            self._awake.enter_context(kept_awake())
        try:
            self._make()
            self._start_emulator()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None and self.ending is None:
            raise NetlabError("the emulator ended before the star did: what went through it isn't complete")

    @property
    def relay(self) -> Host:
        """The relay's host."""
        return self._hosts[0]

    @property
    def members(self) -> dict[str, Host]:
        """All members' hosts by name, in the order of the legs."""
        return {host.name: host for host in self._hosts[1:]}

    def member(self, name: str) -> Host:
        """Return a member's host. Raises KeyError."""
        return self.members[name]

    @property
    def emulator_pid(self) -> int:
        """Process id of the emulator, for measuring its load."""
        assert self._emulator is not None, "the star isn't open"
        return self._emulator.pid

    @property
    def is_alive(self) -> bool:
        """True while the emulator runs."""
        return self._emulator is not None and self._emulator.poll() is None

    def check(self) -> None:
        """Raise NetlabError if the emulator has ended by itself."""
        if self._emulator is not None and not self.is_alive:
            raise NetlabError(f"the emulator ended with {self._emulator.returncode}: {self._complaint()}")

    def processes(self) -> list[int]:
        """Return the pids of all processes inside."""
        return namespaces.processes_in({host.inode for host in self._hosts})

    def close(self) -> None:
        """End all programs inside (SIGTERM, then SIGKILL), and then the emulator. Idempotent."""
        inodes = {namespace.inode for namespace in self._namespaces}
        if inodes and namespaces.end_processes_in(inodes, signal.SIGTERM):
            deadline_s = time.monotonic() + END_S
            while namespaces.processes_in(inodes) and time.monotonic() < deadline_s:
                time.sleep(POLL_S)
            namespaces.end_processes_in(inodes)
        for host in self._hosts:
            for child in host.children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(END_S)
        if self._emulator is not None and self.ready is not None and self._namespaces:
            self.unlogged = sum(namespaces.lost_at_devices(one.net_fd) for one in self._namespaces)
        self._end_emulator()
        for namespace in self._namespaces:
            namespace.close()
        self._namespaces.clear()
        self._awake.close()

    def _make(self) -> None:
        for number, name in enumerate(("relay", *self.legs)):
            namespace = namespaces.make(f"10.77.{number}.1", self.congestion)
            self._namespaces.append(namespace)
            self._hosts.append(Host(name, namespace))

    def _start_emulator(self) -> None:
        relay, *members = self._namespaces
        plan = Plan(
            seed=self.seed,
            relay_address=relay.address,
            relay_tun=relay.tun_fd,
            names=list(self.legs),
            addresses=[member.address for member in members],
            tuns=[member.tun_fd for member in members],
            legs=list(self.legs.values()),
            inodes=[namespace.inode for namespace in self._namespaces],
            log=None if self.log is None else str(Path(self.log).resolve()),
            realtime=self.realtime,
        )
        path = os.pathsep.join(
            [str(SCRIPTS), str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the emulator)
        self._emulator = subprocess.Popen(
            [sys.executable, "-m", "laboratory.star.emulator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"PYTHONPATH": path},
            pass_fds=[namespace.tun_fd for namespace in self._namespaces],
            start_new_session=True,
        )
        assert self._emulator.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._emulator.stdin.write(msgspec.json.encode(plan) + b"\n")
            self._emulator.stdin.flush()
        word = self._hear(READY_S)
        if not word:
            self._emulator.kill()
            self._emulator.wait()
            raise NetlabError(
                f"the emulator didn't start: {self._complaint() or f'silent for {READY_S:.0f} s'}"
            )
        self.ready = msgspec.json.decode(word, type=Ready)

    def _hear(self, timeout_s: float) -> bytes:
        """Return the next line that the emulator writes; b"" if none comes within timeout_s."""
        assert self._emulator is not None
        assert self._emulator.stdout is not None
        line = b""
        deadline_s = time.monotonic() + timeout_s
        while not line.endswith(b"\n"):
            left_s = max(0.0, deadline_s - time.monotonic())
            if not select.select([self._emulator.stdout], [], [], left_s)[0]:
                return b""
            part = os.read(self._emulator.stdout.fileno(), 4096)
            if not part:
                return b""
            line += part
        return line

    def _end_emulator(self) -> None:
        if self._emulator is None or self._emulator.stdin is None or self._emulator.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._emulator.stdin.close()
        self._emulator.terminate()  # a process forked from ours may hold the pipe open
        word = self._hear(END_S)
        if word and self.ready is not None:
            self.ending = msgspec.json.decode(word, type=Ending)
        try:
            self._emulator.wait(END_S)
        except subprocess.TimeoutExpired:
            self._emulator.kill()
            self._emulator.wait()
        assert self._emulator.stdout is not None
        self._emulator.stdout.close()
        self._errors.close()

    def _complaint(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-800:]
