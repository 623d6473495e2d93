"""Room clock: keeps a bridge's session time by asking the relay, and handles the consequences of a step.

Pure. When the clock is set in one step, instants that this host computed are converted, so that they stay
where they are in local time.
"""

from collections.abc import Callable

from bridge import notices
from bridge.clocks.clock_client import ClockClient
from bridge.clocks.timebase import Timebase
from bridge.effects import Tell
from bridge.playout.playout import Playout
from bridge.session.arrivals import Arrivals
from bridge.session.connection_status import Standing
from bridge.session.emission import Emission
from bridge.session.states import Event, State
from clock.model import Reading
from relay.wire.frames import Clock


class RoomClock:
    """A bridge's session clock. Events travel once it is set to the room's."""

    def __init__(
        self, clock_client: ClockClient, timebase: Timebase, playout: Playout, emission: Emission,
        arrivals: Arrivals, standing: Standing,
    ) -> None:  # fmt: skip
        self._clock_client = clock_client
        self._timebase = timebase
        self._playout = playout
        self._emission = emission
        self._arrivals = arrivals
        self._standing = standing

    @property
    def next_poll_local_ns(self) -> int:
        """When the relay is asked next (local ns)."""
        return self._clock_client.next_poll_local_ns

    @property
    def rtt_s(self) -> float | None:
        """The round trip to the relay, s; None while the bridge isn't in time."""
        return self._timebase.rtt_s if self._standing.state is State.IN_TIME else None

    def session_at(self, local_ns: int) -> int:
        """Return the session instant of a local one (ns)."""
        return self._timebase.session_at(local_ns)

    def local_at(self, session: int) -> int:
        """Return the local instant (ns) of a session instant."""
        return self._timebase.local_at(session)

    def watch(self, reading: Reading) -> list[Tell]:
        """Check whether the wall clock was set. Return the message to the player, if so."""
        return notices.wall_moved(self._clock_client.watch(reading))

    def relock(self) -> None:
        """Forget the time of the former relay."""
        self._clock_client.relock()

    def restart(self, reading: Reading) -> None:
        """Ask the relay for the time in a burst, because the connection is new."""
        self._clock_client.restart(reading)

    def begin_if_in_time(self, reading: Reading) -> None:
        """If session time is still the room's, let events travel in both directions at once."""
        if self._timebase.in_time:
            self._begin(reading)

    def lock_if_ready(self, reading: Reading) -> list[Tell]:
        """Set the clock by the answers at hand if the rest of the burst seems lost. Return messages to the
        player."""
        return self._follow(self._clock_client.lock_if_ready(reading), reading)

    def answer(self, clock: Clock, received_local_ns: int, reading: Reading) -> list[Tell]:
        """Process an answer of the relay. Return messages to the player. Raises MalformedDatagram."""
        return self._follow(self._clock_client.answer(clock.ntp, received_local_ns, reading), reading)

    def _follow(self, convert: Callable[[int], int] | None, reading: Reading) -> list[Tell]:
        if convert is None:
            return []
        moved = self._playout.convert(convert)
        self._emission.convert(convert)
        self._arrivals.count_from(self._timebase.session_at(reading.local_ns))
        if self._standing.state is State.IN_TIME:
            self._standing.see(Event.CLOCK_SET)
        else:
            self._begin(reading)
        return [notices.clock_set(self._timebase.error_bound_s, moved)]

    def _begin(self, reading: Reading) -> None:
        """Send waiting events and accept early ones, because the bridge is now in the room and in time."""
        self._standing.see(Event.CLOCK_SET)
        self._emission.begin(reading)
        self._arrivals.begin(reading)
