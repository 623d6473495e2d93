"""Poller: decides when to send time requests, and matches answers to requests.

Pure. A request is open until its answer comes, and accepts one answer. A duplicate, a forged or a very late
answer matches no request. Bound: `OUTSTANDING_MAX` open requests.
"""

from clock.model import NS_PER_S, ticks_from_ns

BURST_REQUESTS = 8
"""Number of requests in a burst, as many as in RFC 5905. Among so many, some meet empty queues."""
BURST_SPACING_NS = 25_000_000
"""Time between the requests of a burst, ns. It is short compared with the duration of a join. It is longer
than a queue takes to drain, so that the eight requests meet different queues."""

EAGER_ANSWERS = 4
"""If a burst gets fewer answers than this, eager requests follow it. So many answers are needed to lock the
clock promptly."""
EAGER_REQUESTS = 10
EAGER_SPACING_NS = 100_000_000
"""Time between eager requests, ns. All of them together take at most one second. If none of them is answered,
the relay isn't there."""

STEADY_SPACING_NS = NS_PER_S // 4
"""Time between the requests after burst and eager requests, ns: four a second. The luckiest of four meets a
shorter queue than a single request would. The cost is 3.5 kbit/s in each direction."""

FORGET_AFTER_NS = 3 * NS_PER_S
"""A request is forgotten after this time, ns. A later answer is useless, because its error bound would be too
great."""
OUTSTANDING_MAX = 64
"""Greatest number of open requests. In the 3 s until a request is forgotten fewer are sent, even with a burst
and eager requests."""


class Poller:
    """The schedule of time requests, and the open requests. Instants are local ns."""

    def __init__(self, now_local_ns: int) -> None:
        self._open: dict[int, int] = {}
        self.next_poll_local_ns = now_local_ns
        """The instant at which the next request must be sent, local ns."""
        self._burst_left = BURST_REQUESTS
        self._eager_left = EAGER_REQUESTS
        self._answers = 0

    def restart_burst(self, now_local_ns: int) -> None:
        """Schedule a burst that starts at once. Called for a join, after the host's sleep, and for a new
        epoch of the relay. now_local_ns: the present, local ns."""
        self.next_poll_local_ns = now_local_ns
        self._burst_left = BURST_REQUESTS
        self._eager_left = EAGER_REQUESTS
        self._answers = 0

    def sent(self, now_local_ns: int) -> int:
        """Record a request that is sent at the local instant now_local_ns (t1). Return the 64-bit number to
        send as its transmit timestamp."""
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
        """Close the open request that an answer belongs to, and return its t1 (local ns); None if there is no
        such request.

        origin: the answer's origin, which repeats the request's transmit timestamp. now_local_ns: the
        present, local ns.
        """
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
