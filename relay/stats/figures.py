"""Figures of a relay as a whole, which the statistics show beside those of its rooms.

Pure.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relay.room.room import Room
from relay.wire.stats import ProbeStats, RoomStats, Stats
from relay.wire.timetag import TICKS_PER_S


@dataclass(slots=True)
class RelayFigures:
    """The figures of one relay as a whole. Its hub and its shell keep them up to date.

    software: name and version. started_at: session instant of the relay's start. ntp_offset_ms: how far the
    NTP server is ahead of the relay's clock, ms; < 0 if it is behind; None before it has answered. off: names
    of the observers that have failed and are switched off. udp_counts: returns the counts of the shell's UDP
    socket.
    """

    software: str
    started_at: int
    datagrams_in: int = 0
    datagrams_refused: int = 0
    ntp_offset_ms: float | None = None
    off: list[str] = field(default_factory=list)
    udp_counts: Callable[[], dict[str, int]] = dict

    def stats(self, asked: Iterable[Room], rooms: list[RoomStats], probes: ProbeStats, now: int) -> Stats:
        """Return the answer to a request for statistics.

        asked: the requested rooms. rooms: the statistics of those that fit in one answer. now: session ticks.
        """
        return Stats(
            software=self.software,
            uptime_s=(now - self.started_at) / TICKS_PER_S,
            members=sum(seat.present for room in asked for seat in room.seats.values()),
            rooms=rooms,
            datagrams_in=self.datagrams_in,
            datagrams_refused=self.datagrams_refused,
            ntp_offset_ms=self.ntp_offset_ms,
            off=self.off,
            udp=self.udp_counts(),
            probes=probes,
        )
