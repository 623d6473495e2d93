"""Shifts a bridge's wall clock: time.time_ns and the kernel's receive timestamps get an offset from a file.

The offset is in ns. Python imports this module by itself if its folder is in PYTHONPATH. libfaketime, which
shifts scsynth's clock, can't be used for Python: it would break time.sleep.
"""

import mmap
import os
import socket
import struct
import sys
import time

if "bridge.shells.service" in sys.orig_argv:
    with open(os.environ["SETCLOCK_FILE"], "rb") as file:
        _offset = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    _true_ns = time.time_ns

    def offset_ns() -> int:
        return int(struct.unpack("<q", _offset[:8])[0])

    def recvmsg(sock: socket.socket, *args: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        """Receive as socket.recvmsg does, with the offset added to the kernel's timestamps."""
        payload, ancillary, flags, source = _true_recvmsg(sock, *args)
        return payload, [(level, kind, stamp(kind, data)) for level, kind, data in ancillary], flags, source

    def stamp(kind: int, data: bytes) -> bytes:
        if kind != SO_TIMESTAMPNS:
            return data
        seconds, ns = TIMESPEC.unpack(data[: TIMESPEC.size])
        return TIMESPEC.pack(*divmod(seconds * 10**9 + ns + offset_ns(), 10**9))

    SO_TIMESTAMPNS, TIMESPEC = 35, struct.Struct("@qq")
    _true_recvmsg = socket.socket.recvmsg
    socket.socket.recvmsg = recvmsg  # type: ignore[assignment, method-assign]  # on purpose
    time.time_ns = lambda: _true_ns() + offset_ns()
