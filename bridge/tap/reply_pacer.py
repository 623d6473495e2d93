"""Pacer of replies to Sonic Pi: at most one a millisecond in a burst, and none while it doesn't read them.

Pure. A stop brings up to 1,500 replies within 10 ms. Sonic Pi reads them into a queue of 50; while that is
full they wait in its socket, and what finds no room there is lost. A lost reply is worse than a late one: a
note whose /n_go is lost counts as never started, and with a full queue that blocks Sonic Pi's event thread
for ever. On a busy machine it reads fewer than one a millisecond; so in a burst the pacer asks now and then
how much lies unread, and waits. Seconds of delay for replies are harmless (measured).
Bound: QUEUED_MAX replies; the oldest go at once beyond it.
"""

from collections import deque

SPACING_NS = 1_000_000
QUEUED_MAX = 10_000
ASK_EVERY = 8
"""Replies of a burst between two questions: an answer costs the bridge a tenth of a millisecond."""
UNREAD_BYTES_MAX = 32 * 1024
"""Some 40 replies as the kernel counts them (832 bytes each), of the 256 that Linux has room for."""
WAIT_NS = 4 * SPACING_NS


class Pacer:
    """Replies on their way to Sonic Pi, in order."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._free_at_ns = 0
        self._unasked = 0
        """Replies that went since the last answer."""

    def push(self, reply: bytes) -> None:
        """Put a reply at the end."""
        self._queue.append(reply)

    @property
    def asks(self) -> bool:
        """Whether `unread` should be told before anything more is taken out."""
        return bool(self._queue) and self._unasked >= ASK_EVERY

    def unread(self, unread_bytes: int, now_ns: int) -> None:
        """Take note of how much lies unread in Sonic Pi's socket (local ns)."""
        if unread_bytes > UNREAD_BYTES_MAX:
            self._free_at_ns = max(self._free_at_ns, now_ns + WAIT_NS)
        else:
            self._unasked = 0

    def due(self, now_ns: int) -> list[bytes]:
        """Take out what may be sent now (local ns)."""
        ready: list[bytes] = []
        self._free_at_ns = max(self._free_at_ns, now_ns - SPACING_NS * 2)
        while len(self._queue) > QUEUED_MAX:
            ready.append(self._queue.popleft())
        while self._queue and self._free_at_ns <= now_ns:
            ready.append(self._queue.popleft())
            self._free_at_ns += SPACING_NS
        self._unasked += len(ready)
        return ready

    def next_wakeup_ns(self) -> int | None:
        """Return when the next reply may go (local ns), None if none waits."""
        return self._free_at_ns if self._queue else None
