"""Byte budget: how much one direction of a hop may carry beyond the events themselves.

Pure. The bound is on the wire, headers counted: at most 3 times the plain bytes + 24 kbit/s, where plain is
each datagram of events that are sent for the first time, without anything else in it. So repair never makes
a crowded path much worse, and nobody can make a relay or a bridge send more by asking.
"""

IP_UDP_BYTES = 28
"""IPv4 without options, and UDP."""

PER_PLAIN = 2
"""Bytes beyond the events' own for each of theirs: with their own, three times as many."""
RATE_BYTES_PER_S = 24_000 / 8
BURST_BYTES = 64 * 1024
"""Saved up at most: what a member asks for that came in, or back, is more than a second brings in."""
RESERVE_BYTES = BURST_BYTES // 2
"""Left for what was asked for; copies and extra heartbeats take what is above."""


class ByteBudget:
    """A token bucket of bytes."""

    __slots__ = ("_at_s", "_level")

    def __init__(self) -> None:
        self._level = float(BURST_BYTES)
        self._at_s: float | None = None

    def pass_time(self, now_s: float) -> None:
        """Earn what time brings."""
        if self._at_s is not None and now_s > self._at_s:
            self._level = min(BURST_BYTES, self._level + (now_s - self._at_s) * RATE_BYTES_PER_S)
        self._at_s = now_s

    def sent(self, plain: int, total: int) -> None:
        """Settle what left: `total` bytes, of which events sent for the first time need `plain` alone."""
        self._level = min(BURST_BYTES, self._level + (1 + PER_PLAIN) * plain - total)

    def affords(self, size: int) -> bool:
        """Tell whether `size` bytes may be sent because they were asked for."""
        return self._level >= size

    def spares(self, size: int) -> bool:
        """Tell whether `size` bytes may be sent unasked."""
        return self._level - RESERVE_BYTES >= size

    def affords_from_s(self, size: int) -> float:
        """Return the instant from which `size` bytes are there by time alone; long ago if they are now."""
        if self._at_s is None or self._level >= size:
            return 0.0
        return self._at_s + (size - self._level) / RATE_BYTES_PER_S
