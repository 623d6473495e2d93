"""Poller: when to ask for the time next, and which answers are to questions of ours.

Pure. Every question is answered once at most: a duplicate, a forgery and a straggler all give None.
Bound: `OUTSTANDING_MAX` questions.
"""

from clock.model import NS_PER_S, ticks_from_ns

BURST_REQUESTS = 8
"""RFC 5905's burst: enough that some of them meet empty queues."""
BURST_SPACING_NS = 25_000_000
"""Short beside a join, long beside one queue's backlog, so that the eight don't share one fate."""

EAGER_ANSWERS = 4
"""A burst with fewer answers than the clock wants for a prompt lock is followed by eager requests."""
EAGER_REQUESTS = 10
EAGER_SPACING_NS = 100_000_000
"""One more second at most: then either the lock is there, or the relay isn't."""

STEADY_SPACING_NS = NS_PER_S // 4
"""The best of four queues is much nearer to none than one is, for 3.5 kbit/s each way."""

FORGET_AFTER_NS = 3 * NS_PER_S
"""An answer as late as this says nothing about the clock that the bound would not swallow."""
OUTSTANDING_MAX = 64
"""More than the burst, the eager and the steady requests of 3 s together."""


class Poller:
    """The schedule of requests, and the questions still open. Instants are local ns."""

    def __init__(self, now_local_ns: int) -> None:
        self._open: dict[int, int] = {}
        self.next_poll_local_ns = now_local_ns
        """When the next request is due."""
        self._burst_left = BURST_REQUESTS
        self._eager_left = EAGER_REQUESTS
        self._answers = 0

    def restart_burst(self, now_local_ns: int) -> None:
        """Ask at once and in a burst again: on joining, on waking, for a new epoch of the relay."""
        self.next_poll_local_ns = now_local_ns
        self._burst_left = BURST_REQUESTS
        self._eager_left = EAGER_REQUESTS
        self._answers = 0

    def sent(self, now_local_ns: int) -> int:
        """Note a request that leaves at this local instant (t1); return the 64 bits to put in as transmit."""
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
        """Return t1 (local ns) of the question that this answers, once; None if there is no such question."""
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
        # A question answered much later must not bring the eagerness back.
        self._eager_left = 0
        return STEADY_SPACING_NS

    def _forget(self, now_local_ns: int) -> None:
        while self._open:
            oldest = next(iter(self._open))
            if now_local_ns - self._open[oldest] <= FORGET_AFTER_NS:
                return
            del self._open[oldest]
