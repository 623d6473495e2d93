"""Room clock: keeps a bridge's session time by asking the relay, and handles the consequences of a step.

Pure. When session time is set in one step, the instants that this host computed are converted. They then mean
the same local instants as before.
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
    """A bridge's session time. Events travel only after it is set to the room's."""

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
        """The local instant (ns) of the next clock request to the relay."""
        return self._clock_client.next_poll_local_ns

    @property
    def rtt_s(self) -> float | None:
        """The round trip to the relay, s; None while the bridge isn't in time."""
        return self._timebase.rtt_s if self._standing.state is State.IN_TIME else None

    def session_at(self, local_ns: int) -> int:
        """Return the session instant (ticks) of a local instant (ns)."""
        return self._timebase.session_at(local_ns)

    def local_at(self, session: int) -> int:
        """Return the local instant (ns) of a session instant (ticks)."""
        return self._timebase.local_at(session)

    def watch(self, reading: Reading) -> list[Tell]:
        """Check whether somebody set the wall clock. If so, return the message to the player."""
        return notices.wall_moved(self._clock_client.watch(reading))

    def relock(self) -> None:
        """Forget the time of the former relay, so that the next burst of answers sets session time in one
        step."""
        self._clock_client.relock()

    def restart(self, reading: Reading) -> None:
        """Ask the relay for the time in a burst, because the connection is new."""
        self._clock_client.restart(reading)

    def begin_if_in_time(self, reading: Reading) -> None:
        """Let events travel in both directions now, if session time is the room's already."""
        if self._timebase.in_time:
            self._begin(reading)

    def lock_if_ready(self, reading: Reading) -> list[Tell]:
        """Set session time by the answers at hand, if the other answers of the burst seem lost. Return
        messages to the player."""
        return self._follow(self._clock_client.lock_if_ready(reading), reading)

    def answer(self, clock: Clock, received_local_ns: int, reading: Reading) -> list[Tell]:
        """Process the relay's answer to a clock request. Return messages to the player. Raises
        MalformedDatagram.

        received_local_ns: when the answer was received.
        """
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
        """Let events travel in both directions, because the bridge is in the room and in time now."""
        self._standing.see(Event.CLOCK_SET)
        self._emission.begin(reading)
        self._arrivals.begin(reading)
