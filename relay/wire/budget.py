"""Byte budget: limits the bytes that one direction of a hop carries beyond the events themselves.

Pure. Limit on all bytes sent, headers included: 3 times the plain bytes, plus 24 kbit/s. Plain bytes are
those of datagrams that would carry nothing but events sent for the first time. The limit has two purposes.
Repair never makes a crowded path much worse, and nobody can make a relay or bridge send more by asking.
"""

IP_UDP_BYTES = 28
"""Bytes of the two headers of a datagram: IPv4 (without options) and UDP."""

PER_PLAIN = 2
"""Extra bytes allowed for each plain byte. So all bytes together are at most 3 times the plain bytes."""
RATE_BYTES_PER_S = 24_000 / 8
BURST_BYTES = 64 * 1024
"""Greatest number of unused bytes that a budget can save up. It is so large because a member that joins or
returns asks for many events at once."""
RESERVE_BYTES = BURST_BYTES // 2
"""Bytes of the budget that only retransmits may use. Copies and extra heartbeats use what exceeds it."""


class ByteBudget:
    """A token bucket. Its level: how many bytes one direction of a hop may still send beside new events.

    The level rises with time. Each datagram lowers the level by its size, and raises it by three times its
    plain bytes. Plain bytes are those that new events (sent for the first time) need.
    """

    __slots__ = ("_at_s", "_level")

    def __init__(self) -> None:
        self._level = float(BURST_BYTES)
        self._at_s: float | None = None

    def pass_time(self, now_s: float) -> None:
        """Add the bytes earned since the last call. now_s: seconds of any clock that only goes forward."""
        if self._at_s is not None and now_s > self._at_s:
            self._level = min(BURST_BYTES, self._level + (now_s - self._at_s) * RATE_BYTES_PER_S)
        self._at_s = now_s

    def sent(self, plain: int, total: int) -> None:
        """Charge the budget for one or more datagrams.

        total: all their bytes, headers included. plain: the bytes that suffice for those of their events
        that are sent for the first time.
        """
        self._level = min(BURST_BYTES, self._level + (1 + PER_PLAIN) * plain - total)

    def affords(self, size: int) -> bool:
        """Return whether `size` bytes may be sent in answer to a request."""
        return self._level >= size

    def spares(self, size: int) -> bool:
        """Return whether `size` bytes that nobody asked for may be sent. Such bytes never use the reserve."""
        return self._level - RESERVE_BYTES >= size

    def affords_from_s(self, size: int) -> float:
        """Return the instant (s, by the clock of `pass_time`) from which `size` bytes may be sent in answer
        to a request; 0.0 if now."""
        if self._at_s is None or self._level >= size:
            return 0.0
        return self._at_s + (size - self._level) / RATE_BYTES_PER_S
