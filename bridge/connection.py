"""Connection: the two paths to a relay, control over TLS, and events over UDP or TLS of their own.

A shell. They stand and fall together: when either TLS connection ends, both do, and the bridge opens anew.
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
from relay.transports.udp import DatagramSocket, Received
from relay.wire import control
from relay.wire.endpoint import Address, Endpoint
from relay.wire.errors import LocalError, MalformedControl

log = logging.getLogger(__name__)

FAREWELL_S = 0.5
"""How long the last word may take to leave."""


class Connection:
    """The paths to the relay at `endpoint`; may be opened again and again."""

    def __init__(
        self,
        endpoint: Endpoint,
        pins: KnownRelays,
        on_datagrams: Callable[[list[Received]], None],
        *,
        over_tls: bool,
        impair: str | None = None,
    ) -> None:
        """over_tls: events travel over TLS rather than UDP. What comes is handed to `on_datagrams`.

        impair: a bad network to meet on purpose, over UDP (relay/profiles.py says how it is written).
        """
        self._endpoint = endpoint
        self._pins = pins
        self._on_datagrams = on_datagrams
        self._over_tls = over_tls
        self._control: ControlStream | None = None
        self._events: ControlStream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._datagrams: DatagramSocket | ImpairedSocket = DatagramSocket(on_datagrams)
        if impair is not None:
            seed = int.from_bytes(os.urandom(4))
            self._datagrams = ImpairedSocket(on_datagrams, parse_leg(impair), seed=seed)
            log.info("datagrams meet a bad network on purpose impair=%s seed=%d", impair, seed)
        self._relay: Address | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a control connection, as far as is known."""
        return self._control is not None

    def bind(self) -> None:
        """Take a UDP port, the same for every connection."""
        if not self._over_tls:
            self._datagrams.bind()

    async def open(self) -> None:
        """Connect. Raises LocalError in words for the player."""
        stream = await tls.connect(self._endpoint, pins=self._pins)
        try:
            if self._over_tls:
                self._events = await tls.connect(self._endpoint, pins=self._pins, events=True)
                self._reader = asyncio.create_task(self._read(self._events, stream))
            else:
                self._relay = await self._datagrams.resolve(Endpoint(stream.peer.host, self._endpoint.port))
        except BaseException:
            stream.abort()
            raise
        self._control = stream

    def say(self, message: control.Up) -> None:
        """Send a control message; without a connection it is lost."""
        if self._control is not None:
            self._control.send(control.encode(message))

    async def hear(self) -> control.Down | None:
        """Return what the relay says next, None once the connection has ended. Raises MalformedControl."""
        if self._control is None:
            return None
        payload = await self._control.receive()
        return None if payload is None else control.decode_down(payload)

    async def welcome(self, hello: control.Hello) -> control.Welcome:
        """Connect, say `hello` and return the answer. Raises LocalError, MalformedControl."""
        await self.open()
        self.say(hello)
        answer = await self.hear()
        if isinstance(answer, control.Welcome):
            return answer
        if answer is None:
            raise LocalError("the relay closed the connection without a Welcome")
        if isinstance(answer, control.Refused):
            raise LocalError(f"the relay says: {answer.text}")
        raise LocalError(f"the relay says {type(answer).__name__} where a Welcome was expected")

    def send(self, datagram: bytes) -> None:
        """Send a sealed datagram."""
        if self._events is not None:
            self._events.send(datagram)
        elif self._relay is not None:
            self._datagrams.send(datagram, self._relay)

    def abort(self) -> None:
        """Close both paths at once; what is unsent is lost."""
        for stream in (self._control, self._events):
            if stream is not None:
                stream.abort()
        if self._reader is not None:
            self._reader.cancel()
        self._control = self._events = self._reader = None

    async def close(self) -> None:
        """Close for good and in good order: what was said last still leaves."""
        stream = self._control
        if stream is not None:
            stream.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stream.closed(), FAREWELL_S)
        self.abort()
        self._datagrams.close()

    async def _read(self, events: ControlStream, stream: ControlStream) -> None:
        """Hand on the datagrams that come over TLS; their end is the end of the connection beside them."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(MalformedControl):
            while (payload := await events.receive()) is not None:
                received = Received(payload, ("", 0), received_local_ns=sources.read().local_ns)
                # As a callback of the loop, so that a fault in it is seen as one from a socket is.
                loop.call_soon(self._on_datagrams, [received])
        log.debug("= the events connection ended because=%s", events.closed_because)
        stream.abort()
