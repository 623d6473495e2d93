"""Stalls of a virtual jam: a process, or a way of the network, that stands still for a while and goes on.

A stopped process (SIGSTOP) reads nothing and isn't woken, while its clocks go on. Datagrams that come wait in
its sockets, with the kernel's receive instants. When the process goes on, it reads one socket after the
other, GULP datagrams at a time. A way that stands still holds its datagrams back. It delivers them in order,
all at the end of the stall.
"""

from collections.abc import Callable

GULP = 64
"""Datagrams that a process reads in one wake-up, as in relay/transports/udp.py (DRAIN_MAX)."""


class Process:
    """A process that may stand still."""

    def __init__(self, settle: Callable[[], None]) -> None:
        """settle: carries out the effects of the datagrams that were read, and sets the timer anew."""
        self._settle = settle
        self._until_ns = 0
        self._unread: dict[str, list[Callable[[], None]]] = {}

    def is_still(self, now_ns: int) -> bool:
        """Return whether the process stands still at a true instant."""
        return now_ns < self._until_ns

    def stop(self, until_ns: int) -> None:
        """Stand still from now until a true instant. The caller has to call go_on then."""
        self._until_ns = until_ns

    def receive(self, socket: str, read: Callable[[], None], now_ns: int) -> None:
        """Let something come to a socket. It is read at once, or waits there while the process stands
        still."""
        if self.is_still(now_ns):
            self._unread.setdefault(socket, []).append(read)
        else:
            read()
            self._settle()

    def go_on(self) -> None:
        """Read everything that waits, one socket after the other, then wake up.

        The sockets come in the order in which each got its first waiting datagram.
        """
        unread, self._unread = self._unread, {}
        for waiting in unread.values():
            for start in range(0, len(waiting), GULP):
                for read in waiting[start : start + GULP]:
                    read()
                self._settle()
        self._settle()
