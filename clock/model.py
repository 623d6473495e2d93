"""Readings and lines: conversions between local time, wall time and session time.

Pure. All arithmetic is in integers, so the only error of a conversion is its last rounding.

*Local* is this host's monotonic clock, ns. *Wall* is its Unix time, ns. *Session* is the room's time, a
64-bit NTP timetag: (seconds since 1900) << 32 | fraction. A tick is 2**-32 s, 0.23 ns.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

NS_PER_S = 1_000_000_000

PPT_PER_UNIT = 10**12
"""The unit of rates: they are whole numbers of parts per 10**12 (ppt). Rounding a rate by 0.5 ppt makes an
error of 2 ns in an hour."""

LINES_KEPT = 1_200
"""Greatest number of lines that a timeline keeps. At two lines a second they cover the last ten minutes.
Earlier instants are converted by the oldest line."""


def ticks_from_ns(duration_ns: int) -> int:
    """Return a duration in ns as ticks (2**-32 s), rounded to the nearest."""
    return ((duration_ns << 32) + NS_PER_S // 2) // NS_PER_S


def ns_from_ticks(duration: int) -> int:
    """Return a duration in ticks (2**-32 s) as ns, rounded to the nearest."""
    return (duration * NS_PER_S + (1 << 31)) >> 32


@dataclass(frozen=True, slots=True)
class Reading:
    """The times that both clocks of this host showed at one instant.

    local_ns: the monotonic clock, ns. wall_ns: Unix time, ns.
    """

    local_ns: int
    wall_ns: int

    @property
    def local_s(self) -> float:
        """The monotonic clock, s. Timers use it, since steps of session time don't change it."""
        return self.local_ns / 1e9


def wall_from_local(local_ns: int, reading: Reading) -> int:
    """Return the Unix time (ns) of a local instant (ns). reading: a recent reading of both clocks."""
    return reading.wall_ns + (local_ns - reading.local_ns)


def local_from_wall(wall_ns: int, reading: Reading) -> int:
    """Return the local instant (ns) of a Unix time (ns). reading: a recent reading of both clocks."""
    return reading.local_ns + (wall_ns - reading.wall_ns)


@dataclass(frozen=True, slots=True)
class Line:
    """Session time as a linear function of local time. At the local instant local_ns it is `session`.

    rate_ppt: how much faster than the local clock it runs, in parts per 10**12; < 0: slower.
    """

    local_ns: int
    session: int
    rate_ppt: int

    def session_at(self, local_ns: int) -> int:
        """Return the session timetag of a local instant (ns), rounded down to a tick."""
        return self.session + ((local_ns - self.local_ns) * self._ticks()) // _NS_TIMES_PPT

    def local_at(self, session: int) -> int:
        """Return the local instant (ns) of a session timetag, rounded to the nearest."""
        per = self._ticks()
        return self.local_ns + ((session - self.session) * _NS_TIMES_PPT + per // 2) // per

    def _ticks(self) -> int:
        """Return how many ticks session time advances in 10**21 ns of local time."""
        return (PPT_PER_UNIT + self.rate_ppt) << 32


_NS_TIMES_PPT = NS_PER_S * PPT_PER_UNIT


class Timeline:
    """Session time as a continuous, strictly increasing function of local time, made of straight lines.

    At a bend another line begins. A new bend changes only later instants, so the conversion of a past instant
    never changes. Bound: `LINES_KEPT` lines.
    """

    def __init__(self, line: Line) -> None:
        self._lines = deque([line], maxlen=LINES_KEPT)
        self._bent_at_ns = line.local_ns

    @property
    def bent_at_ns(self) -> int:
        """The local instant (ns) of the last bend. Conversions of earlier instants are final."""
        return self._bent_at_ns

    def session_at(self, local_ns: int) -> int:
        """Return the session timetag of a local instant (ns). `local_at` converts the timetag back to that
        instant."""
        return self._lines[self._index_by_local(local_ns)].session_at(local_ns)

    def local_at(self, session: int) -> int:
        """Return the local instant (ns) of a session timetag, rounded to the nearest."""
        index = bisect_right(self._lines, session, key=lambda line: line.session) - 1
        return self._lines[max(index, 0)].local_at(session)

    def bend(self, at_local_ns: int, *, slewed_ppt: int, for_ns: int, rate_ppt: int) -> None:
        """Change the rate of session time: to slewed_ppt for the duration for_ns (local ns), then to
        rate_ppt.

        at_local_ns: local instant (ns) of the change. If it is before the last bend, the change happens at
        that bend, so that the past never changes. Rates: as for `Line`.
        """
        at_ns = max(at_local_ns, self._bent_at_ns)
        session = self.session_at(at_ns)
        while self._lines and self._lines[-1].local_ns >= at_ns:
            self._lines.pop()
        slewing = Line(at_ns, session, slewed_ppt)
        if for_ns > 0:
            self._lines.append(slewing)
            until_ns = at_ns + for_ns
            self._lines.append(Line(until_ns, slewing.session_at(until_ns), rate_ppt))
        else:
            self._lines.append(Line(at_ns, session, rate_ppt))
        self._bent_at_ns = at_ns

    def _index_by_local(self, local_ns: int) -> int:
        return max(bisect_right(self._lines, local_ns, key=lambda line: line.local_ns) - 1, 0)
