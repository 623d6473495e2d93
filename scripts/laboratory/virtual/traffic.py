"""Traffic of a virtual jam: one datagram of Sonic Pi, with its instants relative to the performance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """One datagram of Sonic Pi. ahead: its timetag less the start of the recording, in ticks."""

    at_s: float
    datagram: bytes
    ahead: int | None

    def stamped(self, start: int) -> bytes:
        """Return it with its timetag for a performance that starts at the wall timetag `start`."""
        if self.ahead is None:
            return self.datagram
        return self.datagram[:8] + (start + self.ahead).to_bytes(8) + self.datagram[16:]
