"""Sealed path: encrypted datagrams to and from the relay, under the keys of the present connection.

Pure. Datagrams that aren't sealed with a key of the present connection are refused.
"""

from bridge.clocks.clock_client import ClockClient
from bridge.effects import SendDatagram
from clock.model import Reading
from relay.wire import frames
from relay.wire.control import Welcome
from relay.wire.datagram import Opener, Sealer
from relay.wire.errors import MalformedDatagram
from relay.wire.outbox import RTT_GUESS_S, Outbox


class SealedPath:
    """The path for encrypted datagrams, on one connection after another. Between connections there is no
    path."""

    def __init__(self, outbox: Outbox, clock_client: ClockClient) -> None:
        """outbox: holds the frames that are to be sent, except clock requests."""
        self.refused = 0
        """Number of refused datagrams and frames. No relay would send them here."""
        self._outbox = outbox
        self._clock_client = clock_client
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None

    def named(self) -> dict[str, int]:
        """Return the number of refused datagrams and frames, by name, for the statistics."""
        return {"datagrams_refused": self.refused}

    def open(self, welcome: Welcome) -> None:
        """Begin to use the keys that the Welcome of a new connection brings."""
        self._sealer = Sealer(welcome.key_up, welcome.channel)
        self._opener = Opener(welcome.key_down, welcome.channel)

    def close(self) -> None:
        """Note that the connection ended. Frames that wait are dropped."""
        self._sealer = self._opener = None
        self._outbox.clear()

    def reckon_with(self, rtt_s: float | None) -> None:
        """Set the round trip to the relay (s), by which repeats are timed; None if it is unknown."""
        self._outbox.rtt_s = RTT_GUESS_S if rtt_s is None else rtt_s

    def next_wakeup_s(self) -> float | None:
        """Return the local instant (s) at which the next frame is sent; None if none waits."""
        return self._outbox.next_wakeup_s()

    def receive(self, payload: bytes) -> list[frames.Frame]:
        """Decrypt a datagram that came from the relay's address. Return its frames. Raises
        MalformedDatagram."""
        if self._opener is None:
            raise MalformedDatagram("a datagram while there is no connection")
        return frames.decode(self._opener.open(payload))

    def flush(self, reading: Reading) -> list[SendDatagram]:
        """Return the datagrams to send now. They contain a clock request if one is due."""
        if self._sealer is None:
            return []
        texts, request = self._outbox.flush(reading.local_s), self._clock_client.request(reading)
        if request is not None:
            self._outbox.pay(len(request), reading.local_s)
            texts.append(request)
        return [SendDatagram(self._sealer.seal(text)) for text in texts]
