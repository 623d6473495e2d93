"""Stalls of a virtual jam: a process, or a way of the network, that stands still for a while and goes on.

A stopped process (SIGSTOP) reads nothing and isn't woken, while its clocks go on. Datagrams that come wait in
its sockets with the kernel's receive instants. When it goes on, it reads one socket after the other, in
gulps. A way that stands still holds its datagrams back and delivers them in order, all at the end of the
stall.
"""

from collections.abc import Callable

GULP = 64
"""Datagrams that a process takes in one wake-up, as relay/transports/udp.py does (DRAIN_MAX)."""


class Process:
    """A process that may stand still."""

    def __init__(self, settle: Callable[[], None]) -> None:
        """settle: does the effects of the datagrams that were read, and sets the timer anew."""
        self._settle = settle
        self._until_ns = 0
        self._unread: dict[str, list[Callable[[], None]]] = {}

    def is_still(self, now_ns: int) -> bool:
        """Return whether it reads nothing and isn't woken now."""
        return now_ns < self._until_ns

    def stop(self, until_ns: int) -> None:
        """Stand still from now on until an instant (true ns); then call go_on."""
        self._until_ns = until_ns

    def receive(self, socket: str, read: Callable[[], None], now_ns: int) -> None:
        """Let something come to a socket: it is read at once, or waits there."""
        if self.is_still(now_ns):
            self._unread.setdefault(socket, []).append(read)
        else:
            read()
            self._settle()

    def go_on(self) -> None:
        """Read everything that waits, first the socket that was first to get something; then wake up."""
        unread, self._unread = self._unread, {}
        for waiting in unread.values():
            for start in range(0, len(waiting), GULP):
                for read in waiting[start : start + GULP]:
                    read()
                self._settle()
        self._settle()
