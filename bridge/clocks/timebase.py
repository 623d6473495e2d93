"""Timebase: converts this host's clocks to session time, and session time to wall-clock timetags.

Pure. Session time begins with the first reading of the wall clock and runs on with the local clock, until it
is first set by a relay. So a player who plays alone needs no other rules.
"""

from collections.abc import Callable

from bridge.clocks.monotone_map import MonotoneMap
from clock.discipline import SessionClock
from clock.model import Reading, local_from_wall, ns_from_ticks, ticks_from_ns, wall_from_local
from relay.wire.timetag import from_unix_ns, to_unix_ns


class Timebase:
    """Converts between local instants (ns), wall-clock timetags and session timetags."""

    def __init__(self, first: Reading) -> None:
        self.clock = SessionClock()
        self._home_local_ns = first.local_ns
        self._home_session = from_unix_ns(first.wall_ns)
        self._to_session = MonotoneMap()
        self._to_wall = MonotoneMap()
        self._era = self.era

    @property
    def era(self) -> int:
        """A number that changes whenever session time is set in one step; -1 before it is first set."""
        return self.clock.era if self.clock.locked else -1

    @property
    def in_time(self) -> bool:
        """Whether session time is the relay's. Until then dues from the relay mean nothing here."""
        return self.clock.locked and not self.clock.relocking

    @property
    def rtt_s(self) -> float:
        """The shortest of the recent round trips to the relay, s."""
        return self.clock.rtt_s

    @property
    def error_bound_s(self) -> float:
        """The greatest possible difference (s) between session time here and at the relay."""
        return self.clock.error_bound_s

    def session_at(self, local_ns: int) -> int:
        """Return the session timetag of a local instant (ns)."""
        if self.clock.locked:
            return self.clock.session_from_local(local_ns)
        return self._home_session + ticks_from_ns(local_ns - self._home_local_ns)

    def local_at(self, session: int) -> int:
        """Return the local instant (ns) of a session timetag."""
        if self.clock.locked:
            return self.clock.local_from_session(session)
        return self._home_local_at(session)

    def local_at_in_this_era(self) -> Callable[[int], int]:
        """Return a function that converts like `local_at` does now, even after session time is set in one
        step."""
        return self.clock.local_from_session_in_this_era() if self.clock.locked else self._home_local_at

    def session_of_wall(self, wall_timetag: int, reading: Reading) -> int:
        """Return a wall-clock timetag of Sonic Pi in session time. Equal timetags stay equal, and their order
        is kept."""
        self._notice_step()
        local_ns = local_from_wall(to_unix_ns(wall_timetag), reading)
        return self._to_session.map(wall_timetag, self.session_at(local_ns))

    def wall_of_session(self, session: int, reading: Reading) -> int:
        """Return a session instant as a wall-clock timetag for scsynth.

        Equal instants stay equal, and their order is kept.
        """
        self._notice_step()
        wall_ns = wall_from_local(self.local_at(session), reading)
        return self._to_wall.map(session, from_unix_ns(wall_ns))

    def stamps(
        self, emitted_local_ns: int, wall_timetag: int | None, reading: Reading
    ) -> tuple[int, int | None]:
        """Return two session timetags for a message of Sonic Pi: that of its emission, and that of its
        bundle.

        emitted_local_ns: the emission by the local clock. wall_timetag: the bundle's timetag by the wall
        clock. For a bare message it is None, and so is the second result.
        """
        emitted = self.session_at(emitted_local_ns)
        return emitted, None if wall_timetag is None else self.session_of_wall(wall_timetag, reading)

    def named(self) -> dict[str, int]:
        """Return how many steps of a clock were seen, by name, for the statistics."""
        return {"wall_steps": self._to_wall.steps + self._to_session.steps}

    def _home_local_at(self, session: int) -> int:
        return self._home_local_ns + ns_from_ticks(session - self._home_session)

    def _notice_step(self) -> None:
        if self.era != self._era:
            self._era = self.era
            self._to_session.clear()
            self._to_wall.clear()
