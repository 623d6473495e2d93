"""Sink and recorder in one: takes scsynth's place behind a bridge, plays nothing, writes down what came when.

    sinkrecorder.py FILE -v                  says what it is
    sinkrecorder.py FILE -u PORT FLAGS...    listens on UDP PORT of -B (127.0.0.1) until /quit or SIGTERM

It answers as `rehearsal.embedded.sink` does and writes what `rehearsal.recorder` does: FILE gets a JSON line
a datagram with the kernel's receive timestamp (CLOCK_REALTIME), so that this process being busy makes
nothing look late. One process instead of two, since an experiment has up to 16 members on one machine.
Standard library only.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rehearsal.embedded.sink import VERSION, Sink
from rehearsal.recorder import ANCILLARY_BYTES, LOOPBACK, SO_RXQ_OVFL, SO_TIMESTAMPNS, open_socket


class RecordingSocket(socket.socket):
    """A sink's socket that writes down what it receives."""

    def __init__(self, port: int, path: Path, flags: dict[str, str]) -> None:
        """Listen on `port` of the address in `flags` and append to the file at `path`. Raises OSError."""
        super().__init__(fileno=open_socket(port, flags.get("-B", LOOPBACK)).detach())
        self.lost = 0
        self.file = path.open("a", encoding="ascii")
        meta = {"pid": os.getpid(), "port": port, "scsynth_port": port, "flags": flags}
        self.file.write(json.dumps({"meta": meta}) + "\n")
        self.file.flush()

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Any]:
        try:
            datagram, ancillary, _, source = self.recvmsg(size, ANCILLARY_BYTES, flags)
        except BlockingIOError:
            self.file.flush()  # once for all that came together
            raise
        t_ns = self.stamp_ns(ancillary)
        self.file.write(f'{{"t_ns": {t_ns}, "dir": "to", "hex": "{datagram.hex()}"}}\n')
        return datagram, source

    def stamp_ns(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        t_ns = 0
        for _, kind, data in ancillary:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("ll", data)
                t_ns = seconds * 1_000_000_000 + nanoseconds
            elif kind == SO_RXQ_OVFL and (lost := struct.unpack("I", data)[0]) > self.lost:
                self.file.write(json.dumps({"dropped": lost - self.lost}) + "\n")
                self.lost = lost
        return t_ns or time.time_ns()


class SinkRecorder(Sink):
    """A sink that keeps a recording."""

    def __init__(self, port: int, flags: dict[str, str], path: Path) -> None:
        super().__init__(0, flags)
        self.sock.close()
        self.sock = RecordingSocket(port, path, flags)
        self.sock.setblocking(False)


def main(arguments: list[str]) -> int:
    path, *rest = arguments
    if "-u" not in rest[:-1]:
        print(VERSION)
        return 0
    flags = dict(zip(rest[::2], rest[1::2], strict=False))
    try:
        sink = SinkRecorder(int(flags["-u"]), flags, Path(path))
    except (OSError, ValueError) as error:
        raise SystemExit(f"sinkrecorder: cannot listen on UDP {flags.get('-u')} or write: {error}") from error
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    sink.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
