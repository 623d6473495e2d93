"""Sealed path: datagrams to and from the relay, under the keys of the present connection.

Pure. What no key of the present connection has sealed is refused.
"""

from bridge.clocks.clock_client import Timekeeper
from bridge.effects import SendDatagram
from clock.model import Reading
from relay.wire import frames
from relay.wire.control import Welcome
from relay.wire.datagram import Opener, Sealer
from relay.wire.errors import MalformedDatagram
from relay.wire.outbox import RTT_GUESS_S, Outbox


class SealedPath:
    """The path for datagrams of one connection after the other; between two there is none."""

    def __init__(self, outbox: Outbox, timekeeper: Timekeeper) -> None:
        """outbox: holds what leaves, but for the questions of the clock."""
        self.refused = 0
        """Datagrams and frames that no relay sends here."""
        self._outbox = outbox
        self._timekeeper = timekeeper
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None

    def named(self) -> dict[str, int]:
        """Return what was refused by name, for the statistics."""
        return {"datagrams_refused": self.refused}

    def open(self, welcome: Welcome) -> None:
        """Use the keys of a connection."""
        self._sealer = Sealer(welcome.key_up, welcome.channel)
        self._opener = Opener(welcome.key_down, welcome.channel)

    def close(self) -> None:
        """The connection is no more; what waits never leaves."""
        self._sealer = self._opener = None
        self._outbox.clear()

    def reckon_with(self, rtt_s: float | None) -> None:
        """Time repeats by a round trip (s); None if it isn't known."""
        self._outbox.rtt_s = RTT_GUESS_S if rtt_s is None else rtt_s

    def next_wakeup_s(self) -> float | None:
        """Return the local instant (s) at which something is to leave, None if nothing waits."""
        return self._outbox.next_wakeup_s()

    def receive(self, payload: bytes) -> list[frames.Frame]:
        """Return the frames of a datagram from the relay's address. Raises MalformedDatagram."""
        if self._opener is None:
            raise MalformedDatagram("a datagram while there is no connection")
        return frames.decode(self._opener.open(payload))

    def flush(self, reading: Reading) -> list[SendDatagram]:
        """Return the datagrams that leave now, a question of the clock among them if it is time for one."""
        if self._sealer is None:
            return []
        texts, request = self._outbox.flush(reading.local_s), self._timekeeper.request(reading)
        if request is not None:
            self._outbox.pay(len(request), reading.local_s)
            texts.append(request)
        return [SendDatagram(self._sealer.seal(text)) for text in texts]
