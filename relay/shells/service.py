"""The relay's shell: sockets, tasks and the clock around `relay.hub.hub`.

It owns one TLS listener and one UDP socket on the same port. Session time is this process's monotonic clock,
set by the wall clock once at start. Later steps of the wall clock don't change it.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never, cast

import platformdirs

from clock import sources
from clock.model import ns_from_ticks, ticks_from_ns
from relay.effects import CloseControl, Effect, SendControl, SendDatagram
from relay.hub.admission import connection_refused, not_understood
from relay.hub.hub import RelayHub
from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.room.facets.standard import standard
from relay.shells.event_log import EventLog
from relay.shells.ntp_check import check_forever
from relay.shells.tls_identity import TlsIdentity
from relay.transports import tls
from relay.transports.garbage import Garbage
from relay.transports.locked_memory import stay_in_memory
from relay.transports.logs import on_fault
from relay.transports.tls import ControlStream
from relay.transports.udp import DRAIN_MAX, DatagramSocket, Received
from relay.wire import control
from relay.wire.endpoint import Address, StreamAddress, network_of
from relay.wire.errors import LocalError, MalformedControl
from relay.wire.observers import Observers
from relay.wire.sequence import Judged, Scheme
from relay.wire.timetag import from_unix_ns
from relay.wire.version import COMPILED

log = logging.getLogger(__name__)

PORT_TRIES = 20
"""How many attempts are made to find a port number that is free over both TCP and UDP, if port 0 was asked
for."""

FIRST_WORD_S = 10.0
"""A new connection is closed if no valid message comes on it within this time, s."""
ASKED_S = 10.0
"""A connection that hasn't become a member's or a prober's is closed this long after its first message, s. As
a rule it only asks for statistics."""

WAKE_AGAIN_S = 0.05
"""Delay (s) of the next attempt after a wake-up that raised an exception."""

EVENT_LOG = "the event log"


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The options of `jamrelay serve`. ntp_server: if None, the clock isn't checked. event_log: if None, no
    log is written."""

    host: str
    port: int
    policy: LeadPolicy
    limits: HubLimits
    software: str
    ntp_server: str | None = None
    event_log: Path | None = None
    repair: bool = True
    scheme: Scheme = Scheme.JUDGED


class SessionTime:
    """The relay's clock, which defines session time."""

    def __init__(self) -> None:
        reading = sources.read()
        self._local_ns = reading.local_ns
        self._session = from_unix_ns(reading.wall_ns)

    def at(self, local_ns: int) -> int:
        """Return the session timetag of an instant of the monotonic clock, ns."""
        return self._session + ticks_from_ns(local_ns - self._local_ns)

    def now(self) -> int:
        """Return the present session timetag."""
        return self.at(time.monotonic_ns())


class RelayService:
    """A relay with its sockets and its clock, as one process runs it."""

    def __init__(self, settings: RelaySettings, identity: TlsIdentity) -> None:
        self._settings = settings
        self._identity = identity
        self._time = SessionTime()
        self._event_log = EventLog(settings.event_log) if settings.event_log is not None else None
        self._verdicts: list[tuple[str, Judged]] = []
        self._observers = Observers()
        self.hub = RelayHub(
            facets=standard(settings.policy, self._verdicts if self._event_log is not None else None),
            limits=settings.limits,
            entropy=os.urandom,
            now=self._time.now(),
            software=settings.software,
            repair=settings.repair,
            scheme=settings.scheme,
        )
        self.hub.figures.off = self._observers.off
        self._socket = DatagramSocket(self._on_datagrams)
        self.hub.figures.udp_counts = partial(self._socket.counts.named, "udp")
        self._streams: dict[int, ControlStream] = {}
        self._networks: Counter[str] = Counter()
        """The number of open connections from each network (see `network_of`)."""
        self._connections = 0
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.Handle | None = None
        self._server: tls.ControlServer | None = None
        self._ntp: asyncio.Task[None] | None = None
        self._garbage = Garbage(time.monotonic())

    @property
    def port(self) -> int:
        """The port that the relay listens on, TCP and UDP."""
        return self._socket.port

    async def start(self) -> None:
        """Open the sockets and start the timer. Raises LocalError if the port is taken."""
        for tries_left in reversed(range(PORT_TRIES)):
            self._server = await tls.serve(
                self._settings.host, self._settings.port, self._identity, self._on_stream
            )
            try:
                self._socket.bind(self._settings.host, self._server.port)
                break
            except LocalError:
                await self._server.close()
                if self._settings.port or not tries_left:
                    raise
        if self._settings.ntp_server is not None:
            checking = check_forever(self._settings.ntp_server, self._time.now, self._on_ntp)
            self._ntp = asyncio.create_task(self._observers.attend("the check of the clock", checking))
        self._wake()

    async def stop(self) -> None:
        """Close everything. The members then play on alone."""
        for handle in (self._timer, self._settling):
            if handle is not None:
                handle.cancel()
        if self._ntp is not None:
            self._ntp.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ntp
        if self._server is not None:
            await self._server.close()
        self._socket.close()
        self._look_on()
        if self._event_log is not None:
            self._observers.tell(EVENT_LOG, self._event_log.close)

    def _on_ntp(self, offset_ms: float) -> None:
        self.hub.figures.ntp_offset_ms = offset_ms

    async def _on_stream(self, stream: ControlStream) -> None:
        network = network_of(stream.peer.host)
        refused = connection_refused(self._networks[network], len(self._streams))
        if refused is not None:
            if not stream.carries_events:
                stream.send(control.encode(refused))
            return
        self._connections += 1
        connection = self._connections
        self._streams[connection] = stream
        self._networks[network] += 1
        try:
            # A silent connection, or one that only asks, doesn't keep a place that others want.
            async with asyncio.timeout(FIRST_WORD_S) as patience:
                if stream.carries_events:
                    await self._carry(stream, StreamAddress(connection), patience)
                else:
                    await self._converse(stream, connection, patience)
        except TimeoutError:
            log.info("stream closed peer=%s reason=no-member", stream.peer)
        finally:
            del self._streams[connection]
            self._networks -= Counter([network])  # also drops networks with no connection left
            now = self._time.now()
            self._do(self.hub.control_closed(connection, now))
            self._settle(now)

    async def _converse(self, stream: ControlStream, connection: int, patience: asyncio.Timeout) -> None:
        """Receive control messages until the connection ends or a message is malformed.

        patience: the time limit of the connection. It is lifted for members and probers.
        """
        asked = False
        while (payload := await stream.receive()) is not None:
            try:
                message = self.hub.codec.decode_up(payload)
            except MalformedControl as error:
                stream.send(control.encode(not_understood(payload, error)))
                return
            now = self._time.now()
            self._do(self.hub.receive_control(connection, message, now, host=stream.peer.host))
            self._settle(now)
            if self.hub.serves(connection):
                patience.reschedule(None)
            elif not asked:
                patience.reschedule(asyncio.get_running_loop().time() + ASKED_S)
            asked = True

    async def _carry(self, stream: ControlStream, address: StreamAddress, patience: asyncio.Timeout) -> None:
        """Receive sealed datagrams over TLS, and process them like datagrams over UDP. If the first datagram
        is refused, the stream is closed.

        patience: the time limit for the first datagram. It is lifted when that datagram has come.
        """
        taken = 0
        while (payload := await stream.receive()) is not None:
            refused = self.hub.figures.datagrams_refused
            now = self._time.now()
            self._do(self.hub.receive_datagram(payload, address, received=now, now=now))
            if not taken and self.hub.figures.datagrams_refused > refused:
                log.info("stream closed peer=%s reason=no-member", stream.peer)
                return
            patience.reschedule(None)
            taken += 1
            self._settle_soon()
            if taken % DRAIN_MAX == 0:  # receiving buffered payloads never yields to other tasks by itself
                await asyncio.sleep(0)

    def _on_datagrams(self, datagrams: list[Received]) -> None:
        for datagram in datagrams:
            effects = self.hub.receive_datagram(
                datagram.payload,
                datagram.source,
                received=self._time.at(datagram.received_local_ns),
                now=self._time.now(),
            )
            self._do(effects)
        self._settle(self._time.now())

    def _wake(self) -> None:
        now = self._time.now()
        try:
            self._do(self.hub.wake(now))
            self._settle(now)
            self._garbage.tend(time.monotonic(), quiet=not self.hub.plays(now))
        except Exception:
            # A fault in one room must not stop the timer, and with it the heartbeats of all rooms.
            log.exception("our fault")
            self._timer = asyncio.get_running_loop().call_later(WAKE_AGAIN_S, self._wake)

    def _settle_soon(self) -> None:
        """Plan one `_settle` in the event loop's next turn, for all that is received until then."""
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_soon(self._settle_now)

    def _settle_now(self) -> None:
        self._settling = None
        self._settle(self._time.now())

    def _settle(self, now: int) -> None:
        """Send the waiting datagrams, and set the timer for the next wake-up. now: session ticks."""
        self._do(self.hub.flush(now))
        if self._timer is not None:
            self._timer.cancel()
        delay_s = max(0, ns_from_ticks(self.hub.next_wakeup() - self._time.now())) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)
        self._look_on()

    def _look_on(self) -> None:
        """Pass the verdicts to the event log. Called after all datagrams were sent, so that no music waits
        for it."""
        if self._event_log is not None and self._verdicts:
            verdicts = self._verdicts.copy()
            self._verdicts.clear()
            self._observers.tell(EVENT_LOG, partial(self._event_log.write, verdicts))

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendDatagram(StreamAddress(connection), payload):
                    stream = self._streams.get(connection)
                    if stream is not None:
                        stream.offer(payload)
                case SendDatagram(to, payload):
                    self._socket.send(payload, cast(Address, to))
                case SendControl(connection, message):
                    stream = self._streams.get(connection)
                    if stream is not None:
                        stream.send(control.encode(message))
                case CloseControl(connection):
                    stream = self._streams.get(connection)
                    if stream is not None:
                        # Datagrams that wait on an events stream are of no use to anybody now.
                        (stream.abort if stream.carries_events else stream.close)()
                case _:
                    assert_never(effect)


async def run(
    settings: RelaySettings,
    identity: TlsIdentity,
    on_ready: Callable[[RelayService], None],
    stop: asyncio.Event,
) -> None:
    """Run a relay until `stop` is set. `on_ready` is called when the port is open."""
    asyncio.get_running_loop().set_exception_handler(on_fault)
    service = RelayService(settings, identity)
    await service.start()
    log.info("core=%s memory_locked=%s", "compiled" if COMPILED else "python", stay_in_memory())
    try:
        on_ready(service)
        await stop.wait()
    finally:
        await service.stop()


def default_data_dir() -> Path:
    """Return the folder in which the relay keeps its key on this system."""
    return platformdirs.user_data_path("jamrelay", appauthor=False)
