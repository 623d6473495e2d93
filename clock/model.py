"""Readings and lines: how the local clock relates to wall time and to session time.

Pure. All arithmetic is in integers, so a conversion is off by its last rounding only.

*Local* is this host's monotonic clock, ns. *Wall* is its Unix time, ns. *Session* is the room's time, a
64-bit NTP timetag: seconds since 1900 << 32 | fraction. A tick is 2**-32 s, 0.23 ns.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

NS_PER_S = 1_000_000_000

PPT_PER_UNIT = 10**12
"""Rates are whole parts per 10**12 (ppt). Rounding by 0.5 ppt costs 2 ns in an hour."""

LINES_KEPT = 1_200
"""At two lines a second these cover the last ten minutes. Older instants are extrapolated."""


def ticks_from_ns(duration_ns: int) -> int:
    """Return a duration in ns as ticks (2**-32 s), rounded to the nearest."""
    return ((duration_ns << 32) + NS_PER_S // 2) // NS_PER_S


def ns_from_ticks(duration: int) -> int:
    """Return a duration in ticks (2**-32 s) as ns, rounded to the nearest."""
    return (duration * NS_PER_S + (1 << 31)) >> 32


@dataclass(frozen=True, slots=True)
class Reading:
    """One simultaneous reading of both clocks of this host: monotonic ns and Unix ns."""

    local_ns: int
    wall_ns: int

    @property
    def local_s(self) -> float:
        """The monotonic clock, s. Timers use it, since no step of session time moves it."""
        return self.local_ns / 1e9


def wall_from_local(local_ns: int, reading: Reading) -> int:
    """Return the Unix time (ns) of a local instant (ns), by a fresh reading of both clocks."""
    return reading.wall_ns + (local_ns - reading.local_ns)


def local_from_wall(wall_ns: int, reading: Reading) -> int:
    """Return the local instant (ns) of a Unix time (ns), by a fresh reading of both clocks."""
    return reading.local_ns + (wall_ns - reading.wall_ns)


@dataclass(frozen=True, slots=True)
class Line:
    """Session time as a straight function of local time, from `local_ns` on.

    `rate_ppt` > 0: session time runs faster than the local clock (parts per 10**12).
    """

    local_ns: int
    session: int
    rate_ppt: int

    def session_at(self, local_ns: int) -> int:
        """Return the timetag of a local instant, rounded down to a tick."""
        return self.session + ((local_ns - self.local_ns) * self._ticks()) // _NS_TIMES_PPT

    def local_at(self, session: int) -> int:
        """Return the local instant of a timetag, rounded to the nearest ns."""
        per = self._ticks()
        return self.local_ns + ((session - self.session) * _NS_TIMES_PPT + per // 2) // per

    def _ticks(self) -> int:
        """Return ticks in 10**21 ns."""
        return (PPT_PER_UNIT + self.rate_ppt) << 32


_NS_TIMES_PPT = NS_PER_S * PPT_PER_UNIT


class Timeline:
    """Session time as a continuous, strictly increasing function of local time, made of straight lines.

    A bend changes only later instants, so a conversion of a past instant never changes.
    Bound: `LINES_KEPT` lines.
    """

    def __init__(self, line: Line) -> None:
        self._lines = deque([line], maxlen=LINES_KEPT)
        self._bent_at_ns = line.local_ns

    @property
    def bent_at_ns(self) -> int:
        """The local instant (ns) of the last bend. Conversions of earlier instants no longer change."""
        return self._bent_at_ns

    def session_at(self, local_ns: int) -> int:
        """Return the timetag of a local instant (ns). `local_at` turns it back into the same instant."""
        return self._lines[self._index_by_local(local_ns)].session_at(local_ns)

    def local_at(self, session: int) -> int:
        """Return the local instant of a timetag, rounded to the nearest ns."""
        index = bisect_right(self._lines, session, key=lambda line: line.session) - 1
        return self._lines[max(index, 0)].local_at(session)

    def bend(self, at_local_ns: int, *, slewed_ppt: int, for_ns: int, rate_ppt: int) -> None:
        """Run at `slewed_ppt` from a local instant (ns) on, for `for_ns`, then at `rate_ppt`.

        An instant before the last bend is moved to that bend, so that the past is never rewritten.
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
