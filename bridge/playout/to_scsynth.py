"""To scsynth: the datagrams that are to be sent to this host's scsynth, in order.

Pure.
"""

from bridge.clocks.timebase import Timebase
from clock.model import Reading
from relay.wire.osc import bundle
from relay.wire.timetag import IMMEDIATELY


class Outgoing:
    """Collects the datagrams for scsynth."""

    def __init__(self, timebase: Timebase) -> None:
        self._timebase = timebase
        self._datagrams: list[bytes] = []

    def add(self, messages: list[bytes]) -> None:
        """Add each message as a datagram of its own. scsynth runs it on arrival."""
        self._datagrams += messages

    def add_as_one(self, messages: list[bytes]) -> None:
        """Add messages as one datagram. scsynth runs them on arrival, with nothing between them."""
        self._datagrams.append(messages[0] if len(messages) == 1 else bundle(IMMEDIATELY, *messages))

    def add_at(self, due: int, messages: list[bytes], reading: Reading) -> None:
        """Add messages as one bundle. scsynth runs them together at the session instant `due`."""
        self._datagrams.append(bundle(self._timebase.wall_of_session(due, reading), *messages))

    def add_each_at(self, due: int, messages: list[bytes], reading: Reading) -> None:
        """Add each message as a bundle of its own. scsynth runs them in this order at the session instant
        `due`."""
        for message in messages:
            self.add_at(due, [message], reading)

    def drain(self) -> list[bytes]:
        """Remove and return the datagrams, in order."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams
