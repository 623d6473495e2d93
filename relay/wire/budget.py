"""Byte budget: a limit on the bytes that one direction of a hop carries beyond the events themselves.

Pure. Limit on the wire, headers included: 3 times the plain bytes + 24 kbit/s. Plain bytes are those of
datagrams with nothing but events sent for the first time. So repair never makes a crowded path much worse,
and nobody can make a relay or a bridge send more by asking.
"""

IP_UDP_BYTES = 28
"""Header bytes of IPv4 without options, and UDP."""

PER_PLAIN = 2
"""Extra bytes allowed for each plain byte. Together with the plain bytes themselves: three times as many."""
RATE_BYTES_PER_S = 24_000 / 8
BURST_BYTES = 64 * 1024
"""Greatest saving. More than a second brings in, since a member that joins or returns asks for that much."""
RESERVE_BYTES = BURST_BYTES // 2
"""Reserved for retransmits. Copies and extra heartbeats use only the bytes above this."""


class ByteBudget:
    """A token bucket of bytes."""

    __slots__ = ("_at_s", "_level")

    def __init__(self) -> None:
        self._level = float(BURST_BYTES)
        self._at_s: float | None = None

    def pass_time(self, now_s: float) -> None:
        """Add the bytes earned since the last call. now_s: any clock that only goes forward."""
        if self._at_s is not None and now_s > self._at_s:
            self._level = min(BURST_BYTES, self._level + (now_s - self._at_s) * RATE_BYTES_PER_S)
        self._at_s = now_s

    def sent(self, plain: int, total: int) -> None:
        """Book a datagram of `total` bytes, of which events sent for the first time would need `plain`."""
        self._level = min(BURST_BYTES, self._level + (1 + PER_PLAIN) * plain - total)

    def affords(self, size: int) -> bool:
        """Return whether `size` bytes may be sent in answer to a request."""
        return self._level >= size

    def spares(self, size: int) -> bool:
        """Return whether `size` bytes may be sent unasked, which leaves the reserve untouched."""
        return self._level - RESERVE_BYTES >= size

    def affords_from_s(self, size: int) -> float:
        """Return the instant (s) at which `size` bytes will have been earned; 0.0 if they are there now."""
        if self._at_s is None or self._level >= size:
            return 0.0
        return self._at_s + (size - self._level) / RATE_BYTES_PER_S
