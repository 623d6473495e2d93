"""Connection: a bridge's two paths to the relay, one for control messages and one for events.

A shell. Control messages travel over TLS; events travel over UDP or a TLS connection of their own. When
either TLS connection ends, the other is ended too, and the bridge connects anew.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable

from clock import sources
from relay.transports import tls
from relay.transports.impaired import ImpairedSocket, parse_leg
from relay.transports.pins import KnownRelays
from relay.transports.tls import ControlStream
from relay.transports.udp import DRAIN_MAX, DatagramSocket, Received
from relay.wire import control
from relay.wire.carrier import Carrier
from relay.wire.endpoint import Address, Endpoint
from relay.wire.errors import LocalError, MalformedControl

log = logging.getLogger(__name__)

FAREWELL_S = 0.5
"""How long the last messages may take to be sent, s."""


class Connection:
    """The two paths to the relay at `endpoint`. It may be opened repeatedly.

    If events travel over TLS, their connection is opened after the relay's Welcome, to the same host that the
    control connection reached. The bridge has its ticket by then, so it keeps its place if this fails.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        pins: KnownRelays,
        on_datagrams: Callable[[list[Received]], None],
        *,
        carrier: Carrier,
        impair: str | None = None,
    ) -> None:
        """Prepare the paths. pins: known relays' fingerprints. carrier: the transport of the events.

        on_datagrams: the function that gets the datagrams from the relay. impair: a bad network to emulate
        over UDP, in the form of relay/netmodel/networks.py.
        """
        self._endpoint = endpoint
        self._pins = pins
        self._on_datagrams = on_datagrams
        self._carrier = carrier
        self._control: ControlStream | None = None
        self._events: ControlStream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._datagrams: DatagramSocket | ImpairedSocket = DatagramSocket(self._take_in)
        if impair is not None:
            seed = int.from_bytes(os.urandom(4))
            try:
                self._datagrams = ImpairedSocket(self._take_in, parse_leg(impair), seed=seed)
                log.info("datagrams meet a bad network on purpose impair=%s seed=%d", impair, seed)
            except LocalError as error:  # a trace that is gone by now; the music matters more
                log.warning("no bad network on purpose: %s", error)
        self._relay: Address | None = None

        self.carried = False
        """Whether a datagram has come since the connection was opened."""
        self._trouble: LocalError | None = None
        """Why this side has ended the connection. `hear` raises it once."""

    @property
    def is_open(self) -> bool:
        """Whether there is a control connection, as far as is known."""
        return self._control is not None

    def named(self) -> dict[str, int]:
        """Return the counts of the UDP socket, by name, for the statistics."""
        return self._datagrams.counts.named("udp")

    def bind(self) -> None:
        """Bind a UDP port, which all later connections use. Does nothing if events travel over TLS."""
        if not self._carrier.reliable:
            self._datagrams.bind()

    async def open(self) -> None:
        """Connect to the relay. Raises LocalError, in words for the player."""
        stream = await tls.connect(self._endpoint, pins=self._pins)
        try:
            if not self._carrier.reliable:
                self._relay = await self._datagrams.resolve(Endpoint(stream.peer.host, self._endpoint.port))
        except BaseException:
            stream.abort()
            raise
        self._control = stream
        self.carried, self._trouble = False, None

    def say(self, message: control.Up) -> None:
        """Send a control message. Without a connection it is lost."""
        if self._control is not None:
            self._control.send(control.encode(message))

    async def hear(self) -> control.Down | None:
        """Return the relay's next control message; None if the connection has ended.

        Raises MalformedControl. Raises LocalError, in words for the player, if no connection for events could
        be opened.
        """
        if self._control is None:
            return None
        payload = await self._control.receive()
        if payload is None:
            if self._trouble is not None:
                raise self._trouble
            return None
        message = control.decode_down(payload)
        if self._carrier.reliable and self._events is None and isinstance(message, control.Welcome):
            await self._open_events(self._control)
        return message

    async def _open_events(self, stream: ControlStream) -> None:
        """Open the TLS connection for events. If that fails, end the control connection too."""
        try:
            # The host that answered, because a name may stand for several.
            beside = Endpoint(stream.peer.host, self._endpoint.port)
            events = await tls.connect(
                beside, pins=None, expected_fingerprint=stream.fingerprint, events=True
            )
        except LocalError as error:
            self._trouble = LocalError(f"no connection for events: {error}")
            stream.abort()
            return
        if self._control is not stream:  # ended meanwhile
            events.abort()
            return
        self._events = events
        self._reader = asyncio.create_task(self._read(events, stream))

    async def welcome(self, hello: control.Hello) -> control.Welcome | control.Refused:
        """Connect, send `hello` and return the relay's answer.

        Raises LocalError if no answer comes, MalformedControl if it can't be decoded.
        """
        await self.open()
        self.say(hello)
        answer = await self.hear()
        if isinstance(answer, control.Welcome | control.Refused):
            return answer
        if answer is None:
            raise LocalError("the relay closed the connection without a Welcome")
        raise LocalError(f"the relay says {type(answer).__name__} where a Welcome was expected")

    def send(self, datagram: bytes) -> None:
        """Send a sealed datagram on the path for events."""
        if self._events is not None:
            self._events.offer(datagram)
        elif self._relay is not None:
            self._datagrams.send(datagram, self._relay)

    def abort(self) -> None:
        """Close both paths at once. Unsent messages are lost."""
        for stream in (self._control, self._events):
            if stream is not None:
                stream.abort()
        if self._reader is not None:
            self._reader.cancel()
        self._control = self._events = self._reader = None

    async def close(self) -> None:
        """Close for good. Earlier messages are still delivered, if that takes no longer than
        FAREWELL_S."""
        stream = self._control
        if stream is not None:
            stream.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stream.closed(), FAREWELL_S)
        self.abort()
        self._datagrams.close()

    def _take_in(self, received: list[Received]) -> None:
        self.carried = True
        self._on_datagrams(received)

    async def _read(self, events: ControlStream, stream: ControlStream) -> None:
        """Pass on the datagrams that come over TLS. When the events connection ends, end the control
        connection too."""
        loop = asyncio.get_running_loop()
        waiting: list[Received] = []

        def hand_on() -> None:
            received = waiting.copy()
            waiting.clear()
            self._take_in(received)

        with contextlib.suppress(MalformedControl):
            while (payload := await events.receive()) is not None:
                if not waiting:
                    # As a callback of the loop, so that a fault in it is reported like one of a socket, and
                    # once for all that has come.
                    loop.call_soon(hand_on)
                waiting.append(Received(payload, ("", 0), received_local_ns=sources.read().local_ns))
                if len(waiting) >= DRAIN_MAX:
                    await asyncio.sleep(0)
        log.debug("= the events connection ended because=%s", events.closed_because)
        stream.abort()
