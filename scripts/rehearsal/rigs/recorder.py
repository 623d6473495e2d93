"""Recorder: a program that takes scsynth's place, starts the genuine one, and records all traffic between.

    recorder -v                     passes through to the genuine scsynth
    recorder -u PORT FLAGS...       listens on UDP PORT of -B (127.0.0.1), starts scsynth with FLAGS on a free
                                    port of 127.0.0.1

Environment: REHEARSAL_RECORDING, the file to append to (unset: no file). REHEARSAL_SCSYNTH, the program to
start as scsynth, such as a bridge's shim (unset: the first ELF executable named scsynth in PATH).

The recording is JSON lines. The first is {"meta": {pid, scsynth_pid, port, scsynth_port, flags}}. Then there
is a line for each datagram, {"t_ns", "dir": "to" | "from", "hex"}. t_ns is the kernel's receive timestamp
(CLOCK_REALTIME, ns), so a delay of the recorder doesn't count. A datagram "to" scsynth also has "passed_ns":
readings of that clock just before and just after the recorder passed it on.

If the kernel dropped datagrams in front of the recorder, a line {"dropped": n} follows. scsynth's own output
goes to stdout and to REHEARSAL_RECORDING + ".scsynth.log", there with the Unix time before each line.

It needs only this file and the standard library, so it starts fast on any Python from 3.11 on. Every client
address has an upstream socket of its own, because scsynth answers the sender and binds /notify to it. At most
MAX_CLIENTS are kept: the client silent for longest is forgotten first.
"""

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import BinaryIO, TextIO

LOOPBACK = "127.0.0.1"
MAX_DATAGRAM = 65_536
MAX_CLIENTS = 256
FLUSH_S = 0.2
END_GRACE_S = 2.0
"""Time (s) for scsynth to end after SIGTERM. Then it gets SIGKILL."""
RECEIVE_BUFFER = 8 << 20
"""Size of the receive buffer (bytes), enough for a burst of thousands of datagrams."""

# Linux constants that Python's socket module doesn't name (asm-generic/socket.h, linux/prctl.h).
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
SO_RCVBUFFORCE = 33
PR_SET_PDEATHSIG = 1
ANCILLARY_BYTES = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(4)

Address = tuple[str, int]


def genuine_scsynth() -> str:
    """Return the path of the scsynth to start: REHEARSAL_SCSYNTH if set, else the first ELF file scsynth in
    PATH.

    A shim named scsynth is a script, not an ELF file. Raises SystemExit with advice if no scsynth is found.
    """
    named = os.environ.get("REHEARSAL_SCSYNTH")
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    for candidate in [Path(named)] if named else [Path(folder or ".") / "scsynth" for folder in folders]:
        found = shutil.which(candidate)
        with contextlib.suppress(OSError):
            if found and (named or is_elf(found)):
                return found
    where = f"REHEARSAL_SCSYNTH={named}" if named else "PATH"
    raise SystemExit(f"recorder: no genuine scsynth in {where}; apt-get install supercollider-server")


def is_elf(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process the signal `number` when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def read_ancillary(ancillary: Iterable[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Return (receive timestamp in Unix ns, number of datagrams that the socket has lost so far).

    ancillary: as from recvmsg. The timestamp is the kernel's; if there is none, the time now.
    """
    t_ns = lost = 0
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("ll", data)
            t_ns = seconds * 1_000_000_000 + nanoseconds
        elif kind == SO_RXQ_OVFL:
            (lost,) = struct.unpack("I", data)
    return t_ns or time.time_ns(), lost


def bound_to(flags: list[str]) -> str:
    """Return the address on which scsynth is to listen: the value of -B among its flags."""
    return flags[flags.index("-B") + 1] if "-B" in flags[:-1] else LOOPBACK


def open_socket(port: int = 0, host: str = LOOPBACK) -> socket.socket:
    """Return a non-blocking UDP socket with kernel receive timestamps, bound to `port` (0: any) of `host`."""
    return stamping(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), port, host)


def stamping(sock: socket.socket, port: int, host: str) -> socket.socket:
    """Bind a UDP socket, make it non-blocking, switch kernel receive timestamps on, and return it."""
    sock.bind((host, port))
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    sock.setblocking(False)
    return sock


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


class Recorder:
    """Passes datagrams between clients and scsynth, and writes them and scsynth's output to files.

    port: where clients send to. flags: scsynth's command line. recording: the file to append to; None: no
    file.
    """

    def __init__(self, port: int, flags: list[str], recording: str | None) -> None:
        self.port = port
        self.scsynth_port = free_port()
        self.flags = flags
        self.lines: list[str] = []
        self.file: TextIO | None = None
        self.log: TextIO | None = None
        if recording:
            # Appended, so that the recording made before a restart is kept.
            self.file = open(recording, "a", encoding="ascii")  # noqa: SIM115 (open for a lifetime)
            self.log = open(recording + ".scsynth.log", "a", encoding="utf-8")  # noqa: SIM115 (same)
        self.selector = selectors.DefaultSelector()
        self.listening = open_socket(port, bound_to(flags))
        self.upstream: dict[Address, socket.socket] = {}
        self.dropped: dict[socket.socket, int] = {}
        self.ending = False
        self.pending_output = b""
        self.flush_at = 0.0

    def run(self, scsynth: str) -> int:
        """Start `scsynth` and pass datagrams until scsynth, the parent or a signal ends this. Return the exit
        code."""
        self.watch(self.listening, lambda: self.pass_to_scsynth())
        self.watch_signals()
        child = subprocess.Popen(
            # The last -B counts.
            [scsynth, "-u", str(self.scsynth_port), *self.flags, "-B", LOOPBACK],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        assert child.stdout is not None
        output: BinaryIO = child.stdout  # type: ignore[assignment]  # Popen without text: binary
        os.set_blocking(output.fileno(), False)
        self.watch(output, lambda: self.pass_output(output))
        self.watch_parent()
        meta = {
            "pid": os.getpid(),
            "scsynth_pid": child.pid,
            "port": self.port,
            "scsynth_port": self.scsynth_port,
            "flags": self.flags,
        }
        self.write(json.dumps({"meta": meta}))
        self.flush()
        try:
            while not self.ending and child.poll() is None:
                timeout_s = max(0.0, self.flush_at - time.monotonic()) if self.lines else None
                for key, _ in self.selector.select(timeout_s):
                    key.data()
                if self.lines and time.monotonic() >= self.flush_at:
                    self.flush()
        finally:
            self.end(child)
            self.pass_output(output)
            self.flush()
        return child.returncode if child.returncode >= 0 else 128 - child.returncode

    def watch(self, source: BinaryIO | socket.socket | int, act: Callable[[], None]) -> None:
        self.selector.register(source, selectors.EVENT_READ, act)

    def watch_signals(self) -> None:
        wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        # scsynth's end must wake the loop even if something else holds its output open.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.watch(wakeup_read, lambda: self.drain(wakeup_read))

    def watch_parent(self) -> None:
        # A pidfd, not PDEATHSIG: that fires when the starting *thread* ends, and Ruby starts threads freely.
        try:
            parent = os.pidfd_open(os.getppid())
        except OSError:
            return  # the parent is in another PID namespace, whose end kills this process
        self.watch(parent, self.stop)

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self.ending = True

    def drain(self, fd: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(fd, 4096)

    def end(self, child: "subprocess.Popen[bytes]") -> None:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(END_GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def pass_to_scsynth(self) -> None:
        for payload, t_ns, source in self.receive(self.listening):
            upstream = self.upstream.pop(source, None) or self.open_upstream(source)
            self.upstream[source] = upstream  # last in, so the first is the one silent for longest
            sent_ns = time.time_ns()
            try:
                upstream.send(payload)
            except ConnectionRefusedError:
                # The refusal of an *earlier* datagram (scsynth not up yet) is reported here: send again.
                try:
                    upstream.send(payload)
                except OSError:
                    continue  # nobody listens: nothing was passed
            passed = f"[{sent_ns}, {time.time_ns()}]"
            self.write(f'{{"t_ns": {t_ns}, "dir": "to", "hex": "{payload.hex()}", "passed_ns": {passed}}}')

    def pass_to_client(self, upstream: socket.socket, client: Address) -> None:
        for payload, t_ns, _ in self.receive(upstream):
            with contextlib.suppress(OSError):
                self.listening.sendto(payload, client)
            self.write(f'{{"t_ns": {t_ns}, "dir": "from", "hex": "{payload.hex()}"}}')

    def receive(self, sock: socket.socket) -> Iterator[tuple[bytes, int, Address]]:
        """Yield (payload, kernel receive timestamp in ns, source) until the socket is empty."""
        while True:
            try:
                payload, ancillary, _, source = sock.recvmsg(MAX_DATAGRAM, ANCILLARY_BYTES)
            except (BlockingIOError, ConnectionRefusedError):
                return
            t_ns, lost = read_ancillary(ancillary)
            if lost:
                self.count_dropped(sock, lost)
            yield payload, t_ns, source

    def count_dropped(self, sock: socket.socket, total: int) -> None:
        if total > self.dropped.get(sock, 0):
            self.dropped[sock] = total
            self.write(json.dumps({"dropped": sum(self.dropped.values())}))
            print(f"recorder: {total} datagrams lost in front of the recorder", file=sys.stderr)

    def open_upstream(self, client: Address) -> socket.socket:
        if len(self.upstream) >= MAX_CLIENTS:
            silent = self.upstream.pop(next(iter(self.upstream)))
            self.selector.unregister(silent)
            silent.close()
        upstream = open_socket()
        upstream.connect((LOOPBACK, self.scsynth_port))
        self.watch(upstream, lambda: self.pass_to_client(upstream, client))
        return upstream

    def pass_output(self, output: BinaryIO) -> None:
        try:
            data = os.read(output.fileno(), 65_536)
        except BlockingIOError:
            return
        if not data:
            with contextlib.suppress(KeyError):
                self.selector.unregister(output)
            return
        with contextlib.suppress(OSError):
            os.write(1, data)
        if self.log:
            *whole, self.pending_output = (self.pending_output + data).split(b"\n")
            now_s = time.time()
            self.log.writelines(f"{now_s:.3f} {line.decode(errors='replace')}\n" for line in whole)
            self.log.flush()

    def write(self, line: str) -> None:
        if not self.lines:
            self.flush_at = time.monotonic() + FLUSH_S
        self.lines.append(line)

    def flush(self) -> None:
        lines, self.lines = self.lines, []
        if self.file and lines:
            self.file.write("\n".join(lines) + "\n")
            self.file.flush()


def main(arguments: list[str]) -> int:
    scsynth = genuine_scsynth()
    if "-u" not in arguments[:-1]:
        os.execv(scsynth, [scsynth, *arguments])  # -v, -N ...: nothing to record
    at = arguments.index("-u")
    flags = arguments[:at] + arguments[at + 2 :]
    try:
        port = int(arguments[at + 1])
        recorder = Recorder(port, flags, os.environ.get("REHEARSAL_RECORDING"))
    except (ValueError, OverflowError) as error:
        raise SystemExit(f"recorder: -u {arguments[at + 1]}: expected a UDP port ({error})") from error
    except OSError as error:
        raise SystemExit(f"recorder: cannot listen on UDP {arguments[at + 1]} or write: {error}") from error
    # The recorder must not wait behind a booting Sonic Pi. If this isn't allowed, it runs as usual.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(3))
    return recorder.run(scsynth)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
