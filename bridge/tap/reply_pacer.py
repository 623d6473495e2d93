"""Reply pacer: spaces the replies to Sonic Pi, and holds them while Sonic Pi doesn't read them.

Pure. In a burst it sends at most one reply a millisecond. A Stop brings up to 1,500 replies within 10 ms.
Sonic Pi reads them into a queue of 50. While that queue is full, replies wait in Sonic Pi's socket, and those
that don't fit there are lost. A lost reply is worse than a late one. A note whose /n_go is lost counts as
never started, and with a full queue that blocks Sonic Pi's event thread for ever.

On a busy machine Sonic Pi reads fewer than one reply a millisecond. So during a burst the pacer regularly
asks how many bytes lie unread in Sonic Pi's socket, and waits if there are too many. Seconds of delay for
replies are harmless (measured). Bound: QUEUED_MAX replies; beyond it the oldest are sent at once.
"""

from collections import deque

SPACING_NS = 1_000_000
QUEUED_MAX = 10_000
ASK_EVERY = 8
"""After this many replies of a burst the pacer asks again how many bytes lie unread. An answer costs the
bridge a tenth of a millisecond."""
UNREAD_BYTES_MAX = 32 * 1024
"""The pacer waits while more bytes than this lie unread. This is some 40 replies as the kernel counts them
(832 bytes each). Linux has room for 256."""
WAIT_NS = 4 * SPACING_NS


class Pacer:
    """Replies that wait to be sent to Sonic Pi, in order."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._free_at_ns = 0
        self._unasked = 0
        """Replies sent since `unread` was last called with few enough bytes."""

    def push(self, reply: bytes) -> None:
        """Add a reply to the end of the queue."""
        self._queue.append(reply)

    @property
    def asks(self) -> bool:
        """Whether the caller should call `unread` before it takes more replies."""
        return bool(self._queue) and self._unasked >= ASK_EVERY

    def unread(self, unread_bytes: int, now_ns: int) -> None:
        """Store how many bytes lie unread in Sonic Pi's socket. If there are too many, replies wait. now_ns:
        local ns."""
        if unread_bytes > UNREAD_BYTES_MAX:
            self._free_at_ns = max(self._free_at_ns, now_ns + WAIT_NS)
        else:
            self._unasked = 0

    def due(self, now_ns: int) -> list[bytes]:
        """Remove and return the replies to send now. now_ns: local ns."""
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
        """Return the local instant (ns) at which the next reply may be sent; None if none waits."""
        return self._free_at_ns if self._queue else None
