"""Poller: the instants of time requests, and the match of answers to requests.

Pure. Each request accepts one answer. A duplicate, a forged or a very late answer matches none.
Bound: `OUTSTANDING_MAX` open requests.
"""

from clock.model import NS_PER_S, ticks_from_ns

BURST_REQUESTS = 8
"""The size of RFC 5905's burst: enough that some requests meet empty queues."""
BURST_SPACING_NS = 25_000_000
"""Short beside the duration of a join, but longer than one queue's backlog, so that the eight requests meet
different queues."""

EAGER_ANSWERS = 4
"""After a burst with fewer answers than this, which a prompt lock needs, eager requests follow."""
EAGER_REQUESTS = 10
EAGER_SPACING_NS = 100_000_000
"""The eager requests take one second at most. A relay that answered none of them isn't there."""

STEADY_SPACING_NS = NS_PER_S // 4
"""Four requests a second: the best of four meets a shorter queue than one would, for 3.5 kbit/s each way."""

FORGET_AFTER_NS = 3 * NS_PER_S
"""An answer later than this can be dropped: its error bound would exceed its information."""
OUTSTANDING_MAX = 64
"""More than all burst, eager and steady requests of 3 s together."""


class Poller:
    """The schedule of time requests, and the requests still open. Instants are local ns."""

    def __init__(self, now_local_ns: int) -> None:
        self._open: dict[int, int] = {}
        self.next_poll_local_ns = now_local_ns
        """The instant of the next request, local ns."""
        self._burst_left = BURST_REQUESTS
        self._eager_left = EAGER_REQUESTS
        self._answers = 0

    def restart_burst(self, now_local_ns: int) -> None:
        """Schedule a burst that starts at once. For a join, a wake from sleep, a new epoch of the relay."""
        self.next_poll_local_ns = now_local_ns
        self._burst_left = BURST_REQUESTS
        self._eager_left = EAGER_REQUESTS
        self._answers = 0

    def sent(self, now_local_ns: int) -> int:
        """Note a request that leaves at this local instant (t1). Return its 64-bit transmit timestamp."""
        self._forget(now_local_ns)
        cookie = ticks_from_ns(now_local_ns) & (2**64 - 1)
        while cookie in self._open:
            cookie = cookie + 1 & (2**64 - 1)
        if len(self._open) >= OUTSTANDING_MAX:
            del self._open[next(iter(self._open))]
        self._open[cookie] = now_local_ns
        self.next_poll_local_ns = now_local_ns + self._spacing_ns()
        return cookie

    def answered(self, origin: int, now_local_ns: int) -> int | None:
        """Return t1 (local ns) of the request with this origin, and close it; None if no such is open."""
        self._forget(now_local_ns)
        t1_local_ns = self._open.pop(origin, None)
        if t1_local_ns is not None:
            self._answers += 1
        return t1_local_ns

    def _spacing_ns(self) -> int:
        if self._burst_left > 1:
            self._burst_left -= 1
            return BURST_SPACING_NS
        if self._answers < EAGER_ANSWERS and self._eager_left > 0:
            self._eager_left -= 1
            return EAGER_SPACING_NS
        # A late answer must not start the eager requests again.
        self._eager_left = 0
        return STEADY_SPACING_NS

    def _forget(self, now_local_ns: int) -> None:
        while self._open:
            oldest = next(iter(self._open))
            if now_local_ns - self._open[oldest] <= FORGET_AFTER_NS:
                return
            del self._open[oldest]
