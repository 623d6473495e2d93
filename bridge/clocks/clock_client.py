"""Clock client: asks the relay for the time, and sets session time by its answers.

Pure. If the wall clock moved against the local one, either somebody set it, or the host slept while its local
clock stood still. The client can't tell these apart, so it asks the relay in a burst, and the answers decide.
If only the wall clock was set, nothing more is needed, because every conversion reads it anew.
"""

from collections.abc import Callable

from bridge.clocks.timebase import Timebase
from clock.discipline import SessionClock
from clock.errors import BadSample
from clock.exchange import client_request, parse_answer
from clock.model import Reading
from clock.schedule import Poller
from clock.wallcheck import step_of_wall
from relay.wire import frames
from relay.wire.errors import MalformedDatagram

STEP_OF_WALL_NS = 20_000_000
"""The wall clock has jumped if it moves by more than this (ns) against the local one between two readings.
Readings are at most a quarter of a second apart, and slewing moves a clock by 0.1 ms in that time."""


class ClockClient:
    """The time requests of one session to the relay, and the answers."""

    def __init__(self, timebase: Timebase, reading: Reading) -> None:
        self._timebase = timebase
        self._poller = Poller(reading.local_ns)
        self._seen = reading

    def watch(self, reading: Reading) -> float:
        """Compare wall and local clock with the previous reading. If the wall clock jumped, ask the relay in
        a burst.

        Returns the jump (s; > 0: forward, or the host slept); 0.0 if there was none.
        """
        moved_ns = step_of_wall(self._seen, reading)
        self._seen = reading
        if abs(moved_ns) <= STEP_OF_WALL_NS:
            return 0.0
        self._poller.restart_burst(reading.local_ns)
        return moved_ns / 1e9

    @property
    def next_poll_local_ns(self) -> int:
        """The local instant (ns) of the next request to the relay."""
        return self._poller.next_poll_local_ns

    def restart(self, reading: Reading) -> None:
        """Ask the relay in a burst again, because the connection is new."""
        self._poller.restart_burst(reading.local_ns)

    def relock(self) -> None:
        """Forget the time of the former relay, so that the next burst sets session time in one step."""
        if self._timebase.clock.locked:
            self._timebase.clock.relock()

    def request(self, reading: Reading) -> bytes | None:
        """Return the frame of a clock request; None if none is due. The caller must send it at once."""
        if self._poller.next_poll_local_ns > reading.local_ns:
            return None
        return frames.encode(frames.Clock(client_request(self._poller.sent(reading.local_ns))))

    def answer(self, ntp: bytes, received_local_ns: int, reading: Reading) -> Callable[[int], int] | None:
        """Process the relay's answer to a clock request. If it sets session time in one step, return a
        conversion.

        The conversion maps an old session instant to the new one at the same local instant. Apply it to
        instants that this host computed; dues from the relay stay as they are. None is returned if there was
        no step.

        ntp: the answer in NTP format. received_local_ns: when it was received. Raises MalformedDatagram.
        """
        try:
            answer = parse_answer(ntp)
        except BadSample as error:
            raise MalformedDatagram(str(error)) from None
        sent_local_ns = self._poller.answered(answer.origin, reading.local_ns)
        if sent_local_ns is None:
            return None
        return self._watched(
            lambda clock: clock.add_exchange(
                t1_local_ns=sent_local_ns,
                t2_session=answer.receive,
                t3_session=answer.transmit,
                t4_local_ns=received_local_ns,
                now_local_ns=reading.local_ns,
            )
        )

    def lock_if_ready(self, reading: Reading) -> Callable[[int], int] | None:
        """Set session time by the answers at hand, if the other answers of the burst seem lost.

        Returns a conversion or None, as `answer` does.
        """
        return self._watched(lambda clock: clock.lock_if_ready(reading.local_ns))

    def _watched(self, act: Callable[[SessionClock], object]) -> Callable[[int], int] | None:
        timebase = self._timebase
        era, local_at = timebase.era, timebase.local_at_in_this_era()
        act(timebase.clock)
        if timebase.era == era:
            return None
        return lambda instant: timebase.session_at(local_at(instant))
