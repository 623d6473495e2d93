"""A proxy between one bridge and a relay on this machine, for UDP and TCP on one port.

Usage: carrier.py RELAY_PORT. It prints the port that it listens on, and ends when its standard input ends.

A test stops its process (SIGSTOP) to simulate a network that stands still. Whatever arrives meanwhile waits
in the kernel and is forwarded at once when the process continues. Standard library only.
"""

import contextlib
import selectors
import socket
import sys
from collections.abc import Callable

LOOPBACK = "127.0.0.1"
SO_RCVBUFFORCE = 33
BUFFER_BYTES = 8 << 20
"""Size of the sockets' buffers. They must hold everything that arrives during a stall of seconds."""
PIECE_BYTES = 65_536
TRIES = 20


def roomy(sock: socket.socket) -> socket.socket:
    """Give a socket a buffer of BUFFER_BYTES, or without root the largest allowed; return the socket."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return sock


def one_port() -> tuple[socket.socket, socket.socket]:
    """Return a listening TCP socket and a UDP socket that have the same free port number."""
    for _ in range(TRIES):
        listener = socket.create_server((LOOPBACK, 0))
        datagrams = roomy(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with contextlib.suppress(OSError):
            datagrams.bind(listener.getsockname())
            return listener, datagrams
        listener.close()
        datagrams.close()
    raise OSError("no port is free for both UDP and TCP")


class Carrier:
    """Forwards datagrams and TCP connections between a bridge and the relay."""

    def __init__(self, relay_port: int) -> None:
        self.relay = (LOOPBACK, relay_port)
        self.selector = selectors.DefaultSelector()
        self.listener, self.datagrams = one_port()
        self.upstream: dict[tuple[str, int], socket.socket] = {}
        self.watch(self.listener, self.accept)
        self.watch(self.datagrams, self.datagram_up)

    def watch(self, sock: socket.socket, act: Callable[[], None]) -> None:
        self.selector.register(sock, selectors.EVENT_READ, act)

    def datagram_up(self) -> None:
        payload, source = self.datagrams.recvfrom(PIECE_BYTES)
        if source not in self.upstream:
            upstream = self.upstream[source] = roomy(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            upstream.connect(self.relay)
            self.watch(upstream, lambda: self.datagram_down(upstream, source))
        with contextlib.suppress(ConnectionRefusedError):
            self.upstream[source].send(payload)

    def datagram_down(self, upstream: socket.socket, to: tuple[str, int]) -> None:
        with contextlib.suppress(ConnectionRefusedError):
            self.datagrams.sendto(upstream.recv(PIECE_BYTES), to)

    def accept(self) -> None:
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(self.relay)
        except ConnectionRefusedError:
            near.close()
            return
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.watch(near, lambda: self.bytes_on(near, far))
        self.watch(far, lambda: self.bytes_on(far, near))

    def bytes_on(self, source: socket.socket, to: socket.socket) -> None:
        piece = b""
        with contextlib.suppress(ConnectionResetError):
            piece = source.recv(PIECE_BYTES)
        with contextlib.suppress(OSError):
            if piece:
                to.sendall(piece)
                return
        for sock in (source, to):
            self.selector.unregister(sock)
            sock.close()


def main(relay_port: int) -> None:
    carrier = Carrier(relay_port)
    print(carrier.listener.getsockname()[1], flush=True)
    ended = False

    def end() -> None:
        nonlocal ended
        ended = not sys.stdin.buffer.read1()

    carrier.selector.register(sys.stdin, selectors.EVENT_READ, end)
    while not ended:
        for key, _ in carrier.selector.select():
            if key.fileobj in carrier.selector.get_map():  # not closed by what came before it
                key.data()


if __name__ == "__main__":
    main(int(sys.argv[1]))
