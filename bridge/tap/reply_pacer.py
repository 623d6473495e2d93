"""Reply pacer: in a burst sends Sonic Pi at most one reply a millisecond, and none while it doesn't read
them.

Pure. A stop brings up to 1,500 replies within 10 ms. Sonic Pi reads them into a queue of 50. While that is
full, replies wait in Sonic Pi's socket, and those that don't fit there are lost. A lost reply is worse than a
late one. A note whose /n_go is lost counts as never started, and with a full queue that blocks Sonic Pi's
event thread for ever.

On a busy machine Sonic Pi reads fewer than one reply a millisecond. So during a burst the pacer regularly
asks how many bytes lie unread in its socket, and waits if there are too many. Seconds of delay for replies
are harmless (measured). Bound: QUEUED_MAX replies; beyond it the oldest leave at once.
"""

from collections import deque

SPACING_NS = 1_000_000
QUEUED_MAX = 10_000
ASK_EVERY = 8
"""After this many replies of a burst the pacer asks again how many bytes lie unread. To find out costs the
bridge a tenth of a millisecond."""
UNREAD_BYTES_MAX = 32 * 1024
"""If more bytes than this lie unread, the pacer waits. This is some 40 replies as the kernel counts them (832
bytes each). Linux has room for 256."""
WAIT_NS = 4 * SPACING_NS


class Pacer:
    """Replies on their way to Sonic Pi, in order."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._free_at_ns = 0
        self._unasked = 0
        """Replies sent since `unread` last found few enough bytes."""

    def push(self, reply: bytes) -> None:
        """Append a reply."""
        self._queue.append(reply)

    @property
    def asks(self) -> bool:
        """Whether `unread` should be called before more replies are taken."""
        return bool(self._queue) and self._unasked >= ASK_EVERY

    def unread(self, unread_bytes: int, now_ns: int) -> None:
        """Note how many bytes lie unread in Sonic Pi's socket. now_ns: local ns."""
        if unread_bytes > UNREAD_BYTES_MAX:
            self._free_at_ns = max(self._free_at_ns, now_ns + WAIT_NS)
        else:
            self._unasked = 0

    def due(self, now_ns: int) -> list[bytes]:
        """Return the replies to send now, and remove them. now_ns: local ns."""
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
        """Return when the next reply may leave (local ns); None if none waits."""
        return self._free_at_ns if self._queue else None
