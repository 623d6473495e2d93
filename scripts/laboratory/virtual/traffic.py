"""Traffic of a virtual jam: one datagram of Sonic Pi, with its instants counted from the start of the
performance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """One datagram of Sonic Pi.

    at_s: when it is sent, counted from the start. ahead: how much later than the start its timetag is, in
    ticks; None: it has no timetag.
    """

    at_s: float
    datagram: bytes
    ahead: int | None

    def stamped(self, start: int) -> bytes:
        """Return the datagram with its timetag set for a performance that starts at the wall timetag
        `start`."""
        if self.ahead is None:
            return self.datagram
        return self.datagram[:8] + (start + self.ahead).to_bytes(8) + self.datagram[16:]
