"""Sink: a stand-in for scsynth that only writes down when what reached it. For scripts/bench.

    sink.py FILE -u PORT ...        listens on PORT of -B and says it is ready, as scsynth does

FILE gets a line a datagram: the kernel's receive timestamp (ns since 1970), a blank, the bytes in hex.
Standard library and the recorder's socket alone. It plays nothing and answers nothing.
"""

import os
import selectors
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rehearsal.recorder import ANCILLARY_BYTES, MAX_DATAGRAM, SO_TIMESTAMPNS, bound_to, open_socket


def main(path: str, arguments: list[str]) -> None:
    """Write down what comes until the parent is gone."""
    sock = open_socket(int(arguments[arguments.index("-u") + 1]), bound_to(arguments))
    parent = os.getppid()
    print("SC_AudioDriver: sample rate = 48000.000000, driver's block size = 256")
    print("SuperCollider 3 server ready.", flush=True)
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    with open(path, "w", encoding="ascii", buffering=1) as file:
        while os.getppid() == parent:
            if not selector.select(1.0):
                continue
            payload, ancillary, _, _ = sock.recvmsg(MAX_DATAGRAM, ANCILLARY_BYTES)
            t_ns = 0
            for _, kind, data in ancillary:
                if kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("ll", data)
                    t_ns = seconds * 1_000_000_000 + nanoseconds
            file.write(f"{t_ns} {payload.hex()}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
