"""Length-prefixed payloads over TLS 1.3; the relay is identified by its pinned certificate.

A shell. A connection carries either control messages or sealed datagrams, as the handshake (ALPN) states.
Sealed datagrams, with the events, use it where UDP is blocked. Framing: length (u32, big-endian), then the
payload. Bounds: PAYLOAD_BYTES_MAX for a payload, BUFFERED_BYTES_MAX waiting for a slow peer, TIMEOUT_S for a
handshake. No certificate authority signs a relay's certificate. Instead a bridge checks the relay's
fingerprint right after the handshake, before it sends a payload.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from relay.transports.addresses import dial, endpoint_of, listening_place
from relay.transports.pins import KnownRelays, Trust, fingerprint_of
from relay.wire.datagram import MAX_DATAGRAM_BYTES
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError, MalformedControl

log = logging.getLogger(__name__)

ALPN = "jamrelay"
"""Name of the protocol of a connection with control messages. Both sides state it in the handshake. So a
bridge never takes a web server for a relay."""

EVENTS_ALPN = "jamrelay-events"
"""Name of the protocol of a connection whose payloads are sealed datagrams, in both directions."""

PAYLOAD_BYTES_MAX = 1 << 20
BUFFERED_BYTES_MAX = 4 << 20
"""Greatest number of bytes that wait for a peer to read them. If a peer leaves more unread, its connection is
closed, since that peer would be minutes behind."""

TIMEOUT_S = 3.0
"""Longest wait (s) for TCP to connect, and again for the TLS handshake to finish. In this time TCP makes at
most three retries if its first segment is lost."""

_LENGTH_BYTES = 4

DATAGRAMS_WAITING_MAX = 64 << 10
"""Greatest number of unsent bytes on a stream of sealed datagrams. Further datagrams are dropped, as with
UDP. These bytes are some seconds of music; events that wait longer are useless."""

_NOTSENT_LOWAT = 16 << 10
"""Greatest number of unsent bytes that the kernel takes for a stream of sealed datagrams. Further bytes wait
in this process, where DATAGRAMS_WAITING_MAX limits them."""

# These make TCP notice a vanished peer. By itself TCP takes hours while nothing is sent (the first three
# options), and a quarter of an hour while something is (the last, in ms). Both ends notice far sooner that
# nothing comes on any way (bridge/session/silent_udp.py, relay/room/room.py). The limits are generous:
# with a fifth of all segments lost a connection stands still for 12 s every few minutes although events still
# pass, and closing it would discard their keys.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 11, "TCP_USER_TIMEOUT": 120_000}


class Credentials(Protocol):
    """A relay's private key and certificate, as PEM files. `relay.shells.tls_identity.TlsIdentity` is one."""

    @property
    def cert_path(self) -> Path: ...
    @property
    def key_path(self) -> Path: ...


def server_context(identity: Credentials) -> ssl.SSLContext:
    """Return the relay's TLS settings. Raises LocalError if its key and certificate can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # every connection has a handshake, hence keys, of its own
    context.set_alpn_protocols([ALPN, EVENTS_ALPN])
    try:
        context.load_cert_chain(identity.cert_path, identity.key_path)
    except OSError as error:  # ssl.SSLError is one
        raise LocalError(f"cannot use the relay's identity in {identity.cert_path.parent}: {error}") from None
    return context


def client_context(alpn: str = ALPN) -> ssl.SSLContext:
    """Return a bridge's TLS settings. They don't verify the relay, so the caller must check its
    fingerprint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    return context


class ControlStream:
    """One TLS connection between a bridge and a relay. It sends and receives whole payloads, in order."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        fingerprint: str | None = None,
        trust: Trust | None = None,
    ) -> None:
        """reader, writer: of an open TLS connection. fingerprint, trust: the relay's fingerprint, and why it
        is believed; only a bridge sets them."""
        self._reader = reader
        self._writer = writer
        self.fingerprint = fingerprint
        self.trust = trust
        self.peer: Endpoint = endpoint_of(writer.get_extra_info("peername"))
        tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        self.carries_events = tls is not None and tls.selected_alpn_protocol() == EVENTS_ALPN
        """True if this connection's payloads are sealed datagrams; False if they are control messages."""
        if self.carries_events and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT)
        self.closed_because: str | None = None
        """Why this side closed the connection; None if it is open or the peer closed it."""

    def send(self, payload: bytes) -> bool:
        """Send a payload without waiting. Return False if the stream is closed.

        If more than BUFFERED_BYTES_MAX bytes would then wait for the peer, the payload isn't sent, and the
        stream is closed at once.
        """
        assert len(payload) <= PAYLOAD_BYTES_MAX, f"{len(payload)} bytes do not fit in a control payload"
        if self._writer.is_closing():
            return False
        waiting = self._writer.transport.get_write_buffer_size()
        if waiting + _LENGTH_BYTES + len(payload) > BUFFERED_BYTES_MAX:
            log.warning("stream closed peer=%s reason=too-slow waiting_bytes=%d", self.peer, waiting)
            self.abort(f"too slow: {waiting} bytes unread")
            return False
        self._writer.write(len(payload).to_bytes(_LENGTH_BYTES, "big") + payload)
        return True

    def offer(self, datagram: bytes) -> bool:
        """Send a sealed datagram, or drop it if more than DATAGRAMS_WAITING_MAX bytes wait already. Return
        whether it was sent."""
        if self._writer.is_closing():
            return False
        if self._writer.transport.get_write_buffer_size() > DATAGRAMS_WAITING_MAX:
            return False
        return self.send(datagram)

    async def receive(self) -> bytes | None:
        """Return the next payload; None if the connection has ended, whether orderly or broken.

        Raises MalformedControl if the peer announces a payload that is too long: over PAYLOAD_BYTES_MAX, or
        over MAX_DATAGRAM_BYTES for a sealed datagram. The stream is then closed, since the bytes that follow
        can't be split into payloads.
        """
        longest = MAX_DATAGRAM_BYTES if self.carries_events else PAYLOAD_BYTES_MAX
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "big")
            if length > longest:
                self.abort("oversized payload")
                raise MalformedControl(
                    f"{self.peer} announces a payload of {length} bytes: at most {longest} are allowed"
                )
            return await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            return None

    def close(self, because: str = "done") -> None:
        """Close the connection as soon as all sent payloads have left. Closing twice does nothing."""
        if not self._writer.is_closing():
            self.closed_because = because
            self._writer.close()

    def abort(self, because: str = "aborted") -> None:
        """Close the connection at once. Payloads that have not left yet are lost."""
        self.closed_because = self.closed_because or because
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Wait until the connection has ended, after `close` or `abort` was called."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def connect(
    endpoint: Endpoint,
    *,
    pins: KnownRelays | None,
    expected_fingerprint: str | None = None,
    timeout_s: float = TIMEOUT_S,
    events: bool = False,
) -> ControlStream:
    """Return a connection to the relay at `endpoint`, after its fingerprint has been checked.

    pins: the known relays. None: another connection has checked the relay already, and the relay must show
    the same fingerprint again (`expected_fingerprint`). timeout_s: limit for TCP to connect, s, and again for
    the handshake. events: whether the stream carries sealed datagrams instead of control messages. Raises
    LocalError with a text for the player: no such host, no answer, refused, not TLS, no jamrelay, or another
    relay than before.
    """
    try:
        async with asyncio.timeout(timeout_s):
            sock = await dial(endpoint)
    except TimeoutError:
        raise LocalError(
            f"no answer from {endpoint} over TCP in {timeout_s:g} s; "
            f"is TCP {endpoint.port} open on the relay?"
        ) from None
    except ConnectionRefusedError:
        raise LocalError(f"{endpoint} refused the connection; is `jamrelay serve` running there?") from None
    except OSError as error:
        raise LocalError(f"{endpoint} cannot be reached: {error.strerror or error}") from None
    _tune(sock)
    alpn = EVENTS_ALPN if events else ALPN
    try:
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=client_context(alpn), server_hostname="", ssl_handshake_timeout=timeout_s
        )
    except OSError as error:  # covers ssl.SSLError, a reset, and the handshake's timeout
        sock.close()
        log.debug("= no handshake endpoint=%s error=%s", endpoint, error)
        raise LocalError(f"{endpoint} answered, but not with TLS 1.3: is that a jamrelay?") from None
    except BaseException:
        sock.close()
        raise
    try:
        fingerprint = _pinned_fingerprint(endpoint, writer, alpn)
        trust = None
        if pins is not None:
            trust = pins.check(endpoint, fingerprint)
        elif fingerprint != expected_fingerprint:
            raise LocalError(f"{endpoint} shows another key than the relay did a moment ago: {fingerprint}")
    except BaseException:
        writer.transport.abort()
        raise
    return ControlStream(reader, writer, fingerprint=fingerprint, trust=trust)


class ControlServer:
    """The relay's listening TCP port, and the streams that it has accepted."""

    def __init__(self, on_stream: Callable[[ControlStream], Awaitable[None]]) -> None:
        self._on_stream = on_stream
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], ControlStream] = {}

    @property
    def port(self) -> int:
        """The TCP port that the server listens on."""
        assert self._server is not None, "not listening"
        return int(self._server.sockets[0].getsockname()[1])

    async def listen(self, sock: socket.socket, context: ssl.SSLContext, handshake_timeout_s: float) -> None:
        """Accept connections on a bound socket.

        handshake_timeout_s: a peer that doesn't finish the handshake within this time (s) is dropped.
        """
        self._server = await asyncio.start_server(
            self._accept, sock=sock, ssl=context, ssl_handshake_timeout=handshake_timeout_s
        )

    async def close(self) -> None:
        """Stop listening, close every stream at once, and wait until their tasks have ended."""
        if self._server is not None:
            self._server.close()
        serving = dict(self._serving)
        for task, stream in serving.items():
            stream.abort("relay stopped")
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for stream in serving.values():
            await stream.closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _tune(writer.get_extra_info("socket"))
        stream = ControlStream(reader, writer)
        task = asyncio.create_task(self._serve(stream))
        self._serving[task] = stream
        task.add_done_callback(self._serving.pop)

    async def _serve(self, stream: ControlStream) -> None:
        try:
            await self._on_stream(stream)
        except MalformedControl as error:
            log.info("stream closed peer=%s reason=malformed detail=%s", stream.peer, error)
        except Exception:
            log.exception("stream closed peer=%s reason=our-fault", stream.peer)
        finally:
            stream.close()


async def serve(
    host: str,
    port: int,
    identity: Credentials,
    on_stream: Callable[[ControlStream], Awaitable[None]],
    *,
    handshake_timeout_s: float = TIMEOUT_S,
) -> ControlServer:
    """Listen for connections, and run `on_stream` as a task for each. A stream is closed when its task
    returns.

    host "" means every address, of both families; port 0 means any free port. An exception of `on_stream`
    ends only its own stream. MalformedControl is logged as the peer's fault, any other exception as ours.
    Raises LocalError if the port is taken or the host isn't an address of this machine.
    """
    context = server_context(identity)
    family, address, dual = listening_place(host)
    try:
        sock = socket.create_server((address, port), family=family, dualstack_ipv6=dual, backlog=128)
    except OSError as error:
        raise LocalError(
            f"cannot listen on TCP {Endpoint(address, port)}: {error.strerror}; "
            "is another relay running, or is the address another machine's?"
        ) from None
    server = ControlServer(on_stream)
    await server.listen(sock, context, handshake_timeout_s)
    return server


def _pinned_fingerprint(endpoint: Endpoint, writer: asyncio.StreamWriter, alpn: str) -> str:
    """Return the fingerprint of the certificate that the relay showed in the handshake.

    Raises LocalError if the peer didn't agree to the protocol `alpn`, since it is no jamrelay then.
    """
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    if tls.selected_alpn_protocol() != alpn:
        raise LocalError(f"{endpoint} answered with TLS, but not as a jamrelay: is the port right?")
    der = tls.getpeercert(binary_form=True)
    assert der is not None, "a TLS 1.3 server always shows a certificate"
    return fingerprint_of(der)


def _tune(sock: socket.socket) -> None:
    """Set options of a TCP socket: send small payloads without delay, and notice a peer that vanished."""
    # The peer may be gone by now. Some systems report that here, and reading reports it anyway.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
