"""Traffic of a virtual jam: a datagram of Sonic Pi, with instants counted from the start of the
performance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """One datagram of Sonic Pi.

    at_s: when it is sent, in s after the start. ahead: ticks from the start to its timetag; None: no timetag.
    """

    at_s: float
    datagram: bytes
    ahead: int | None

    def stamped(self, start: int) -> bytes:
        """Return the datagram with the timetag that it has if the performance starts at the wall timetag
        `start`."""
        if self.ahead is None:
            return self.datagram
        return self.datagram[:8] + (start + self.ahead).to_bytes(8) + self.datagram[16:]
