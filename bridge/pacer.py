"""Pacer of replies to Sonic Pi: at most one a millisecond once a burst is queued.

Pure. Sonic Pi reads replies into a queue of 50 from a thread that can block itself; a stop brings up to
500 replies within 10 ms. Half a second of delay for them is harmless (measured).
Bound: QUEUED_MAX replies; the oldest go at once beyond it.
"""

from collections import deque

SPACING_NS = 1_000_000
QUEUED_MAX = 10_000


class Pacer:
    """Replies on their way to Sonic Pi, in order."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._free_at_ns = 0

    def push(self, reply: bytes) -> None:
        """Put a reply at the end."""
        self._queue.append(reply)

    def due(self, now_ns: int) -> list[bytes]:
        """Take out what may be sent now (local ns)."""
        ready: list[bytes] = []
        self._free_at_ns = max(self._free_at_ns, now_ns - SPACING_NS * 2)
        while len(self._queue) > QUEUED_MAX:
            ready.append(self._queue.popleft())
        while self._queue and self._free_at_ns <= now_ns:
            ready.append(self._queue.popleft())
            self._free_at_ns += SPACING_NS
        return ready

    def next_wakeup_ns(self) -> int | None:
        """Return when the next reply may go (local ns), None if none waits."""
        return self._free_at_ns if self._queue else None
