"""Stalls of a virtual jam: a process that stands still for a while and then goes on.

A stopped process (SIGSTOP) reads nothing and isn't woken, while its clocks go on. Arriving datagrams wait in
its sockets, with the kernel's receive instants. When the process goes on, it reads one socket after the
other, GULP datagrams at a time. Stalls of the network are in `wires`.
"""

from collections.abc import Callable

GULP = 64
"""Number of datagrams that a process reads in one wake-up, as in relay/transports/udp.py (DRAIN_MAX)."""


class Process:
    """A process that a test can stop for a while. Arriving data is read afterwards."""

    def __init__(self, settle: Callable[[], None]) -> None:
        """Create a running process. settle: carries out the effects of the datagrams it has read, and sets
        its timer."""
        self._settle = settle
        self._until_ns = 0
        self._unread: dict[str, list[Callable[[], None]]] = {}

    def is_still(self, now_ns: int) -> bool:
        """Tell whether the process stands still at a true instant (ns)."""
        return now_ns < self._until_ns

    def stop(self, until_ns: int) -> None:
        """Stop the process from now until a true instant (ns). The caller must then call `go_on`."""
        self._until_ns = until_ns

    def receive(self, socket: str, read: Callable[[], None], now_ns: int) -> None:
        """Let data arrive at a socket. `read`, which reads the data, is called now or, in a stall, by
        `go_on`."""
        if self.is_still(now_ns):
            self._unread.setdefault(socket, []).append(read)
        else:
            read()
            self._settle()

    def go_on(self) -> None:
        """Read all waiting data, one socket after the other, then carry out the effects.

        The sockets are read in the order in which each got its first waiting datagram.
        """
        unread, self._unread = self._unread, {}
        for waiting in unread.values():
            for start in range(0, len(waiting), GULP):
                for read in waiting[start : start + GULP]:
                    read()
                self._settle()
        self._settle()
