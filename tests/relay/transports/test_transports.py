"""The TLS connection, alone and with UDP on the same port, on real loopback sockets.

Time limits only end a test that hangs.
"""

import asyncio
import re
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from relay.shells.tls_identity import TlsIdentity, load_or_create
from relay.transports.addresses import dial, endpoint_of, listening_place
from relay.transports.pins import KnownRelays, Trust
from relay.transports.tls import (
    BUFFERED_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    ControlServer,
    ControlStream,
    client_context,
    connect,
    serve,
)
from relay.transports.udp import DatagramSocket, Received
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError, MalformedControl

LIMIT_S = 10.0

T = TypeVar("T")

Handler = Callable[[ControlStream], Awaitable[None]]
Start = Callable[[Handler], Awaitable[Endpoint]]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TlsIdentity:
    return load_or_create(tmp_path_factory.mktemp("relay"))


@pytest.fixture
def pins(tmp_path: Path) -> KnownRelays:
    return KnownRelays(tmp_path / "known_relays")


@pytest.fixture
async def start(identity: TlsIdentity) -> AsyncIterator[Start]:
    servers: list[ControlServer] = []

    async def start_one(handler: Handler) -> Endpoint:
        servers.append(await serve("127.0.0.1", 0, identity, handler, handshake_timeout_s=0.2))
        return Endpoint("127.0.0.1", servers[-1].port)

    yield start_one
    for server in servers:
        await server.close()


async def echo(stream: ControlStream) -> None:
    while (payload := await stream.receive()) is not None:
        stream.send(payload)


async def soon(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, LIMIT_S)


def datagrams_into(queue: "asyncio.Queue[Received]") -> DatagramSocket:
    return DatagramSocket(lambda batch: [queue.put_nowait(received) for received in batch] and None)


async def hang_up(stream: ControlStream) -> None:
    stream.close()
    await soon(stream.closed())


@asynccontextmanager
async def other_service(greeting: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    """Run a server that is no relay, for one connection; yield its address.

    The server sends `greeting`, reads until the end, and sends nothing else.
    """
    finished = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(greeting)
            await reader.read()
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
        finished.set()

    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context) as server:
        yield Endpoint(*server.sockets[0].getsockname())
        await soon(finished.wait())


async def test_payloads_arrive_whole_and_in_order(start: Start, pins: KnownRelays) -> None:
    stream = await connect(await start(echo), pins=pins)
    payloads = [b"", b"hello", bytes(PAYLOAD_BYTES_MAX), b"after"]
    assert all(stream.send(payload) for payload in payloads)
    assert [await soon(stream.receive()) for _ in payloads] == payloads
    await hang_up(stream)


async def test_end_of_the_stream_is_none_for_the_other_side(start: Start, pins: KnownRelays) -> None:
    async def say_one_thing(stream: ControlStream) -> None:
        stream.send(b"bye")

    stream = await connect(await start(say_one_thing), pins=pins)
    assert await soon(stream.receive()) == b"bye"
    assert await soon(stream.receive()) is None
    await hang_up(stream)
    assert not stream.send(b"anybody?")


async def test_relay_is_new_first_and_known_afterwards(
    start: Start, pins: KnownRelays, identity: TlsIdentity
) -> None:
    endpoint = await start(echo)
    for trust in (Trust.NEW, Trust.KNOWN):
        stream = await connect(endpoint, pins=pins)
        assert (stream.trust, stream.fingerprint) == (trust, identity.fingerprint)
        assert stream.peer == endpoint
        await hang_up(stream)


async def test_other_relay_than_before_is_told_and_hears_nothing(
    start: Start, pins: KnownRelays, identity: TlsIdentity
) -> None:
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def listen(stream: ControlStream) -> None:
        heard.put_nowait(await stream.receive())

    endpoint = await start(listen)
    with pytest.raises(LocalError, match="another key than the relay did a moment ago"):
        await connect(endpoint, pins=None, expected_fingerprint="SHA256:somebody-else")
    pins.check(endpoint, "SHA256:from-before")
    with pytest.raises(LocalError, match="not the relay you used before"):
        await connect(endpoint, pins=pins)
    assert [await soon(heard.get()) for _ in range(2)] == [None, None]


async def test_oversized_payload_is_the_peers_fault_and_ends_the_stream(start: Start) -> None:
    caught: asyncio.Queue[str] = asyncio.Queue()

    async def listen(stream: ControlStream) -> None:
        try:
            await stream.receive()
        except MalformedControl as error:
            caught.put_nowait(str(error))
            raise

    endpoint = await start(listen)
    reader, writer = await asyncio.open_connection(
        endpoint.host, endpoint.port, ssl=client_context(), server_hostname=""
    )
    writer.write(struct.pack(">I", PAYLOAD_BYTES_MAX + 1))
    assert f"{PAYLOAD_BYTES_MAX + 1} bytes" in await soon(caught.get())
    with pytest.raises((asyncio.IncompleteReadError, OSError)):
        await soon(reader.readexactly(1))
    writer.transport.abort()


async def test_peer_that_reads_nothing_is_closed_and_memory_stays_bounded(
    start: Start, pins: KnownRelays
) -> None:
    outcome: asyncio.Queue[tuple[int, str | None]] = asyncio.Queue()

    async def flood(stream: ControlStream) -> None:
        waiting = 0
        while stream.send(bytes(PAYLOAD_BYTES_MAX)):
            transport = stream._writer.transport
            waiting = max(waiting, transport.get_write_buffer_size())
            await asyncio.sleep(0)
        outcome.put_nowait((waiting, stream.closed_because))

    stream = await connect(await start(flood), pins=pins)
    waiting, because = await soon(outcome.get())
    assert waiting <= BUFFERED_BYTES_MAX + (1 << 16), "TLS adds a little to what it encrypts"
    assert because is not None
    assert because.startswith("too slow")
    stream.abort()


async def test_garbage_and_silence_are_dropped_and_the_next_bridge_gets_in(
    start: Start, pins: KnownRelays
) -> None:
    endpoint = await start(echo)
    silent_reader, silent = await asyncio.open_connection(endpoint.host, endpoint.port)
    reader, garbage = await asyncio.open_connection(endpoint.host, endpoint.port)
    garbage.write(b"GET / HTTP/1.0\r\n\r\n")
    for stream_reader in (reader, silent_reader):
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await soon(stream_reader.readexactly(1000))
    for writer in (silent, garbage):
        writer.transport.abort()
    stream = await connect(endpoint, pins=pins)
    stream.send(b"hello")
    assert await soon(stream.receive()) == b"hello"
    await hang_up(stream)


async def test_failing_handler_ends_its_own_stream_alone(
    start: Start, pins: KnownRelays, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_on_request(stream: ControlStream) -> None:
        while (payload := await stream.receive()) is not None:
            if payload == b"fail":
                raise RuntimeError("our own mistake")
            stream.send(payload)

    endpoint = await start(fail_on_request)
    doomed, other = [await connect(endpoint, pins=pins) for _ in range(2)]
    doomed.send(b"fail")
    assert await soon(doomed.receive()) is None
    assert "our own mistake" in caplog.text
    other.send(b"still here")
    assert await soon(other.receive()) == b"still here"
    await hang_up(doomed)
    await hang_up(other)


async def test_stopping_the_server_ends_every_stream(identity: TlsIdentity, pins: KnownRelays) -> None:
    server = await serve("127.0.0.1", 0, identity, echo)
    endpoint = Endpoint("127.0.0.1", server.port)
    stream = await connect(endpoint, pins=pins)
    stream.send(b"in")
    await soon(stream.receive())
    await soon(server.close())
    assert await soon(stream.receive()) is None
    await hang_up(stream)
    with pytest.raises(LocalError, match="refused the connection; is `jamrelay serve` running there"):
        await connect(endpoint, pins=pins)


async def test_name_that_nobody_has_is_told() -> None:
    with pytest.raises(LocalError, match=r"^no such host: relay\.invalid$"):
        await connect(Endpoint("relay.invalid"), pins=KnownRelays(Path("unused")), timeout_s=LIMIT_S)


async def test_refusal_is_told_although_the_name_has_two_addresses(pins: KnownRelays) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(LocalError, match=f"localhost:{port} refused the connection"):
        await connect(Endpoint("localhost", port), pins=pins)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux leaves a full backlog unanswered")
async def test_silence_over_tcp_is_told_with_the_port_to_open(pins: KnownRelays) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as full:
        endpoint = Endpoint(*full.getsockname())
        with closing(await dial(endpoint)):
            text = f"no answer from {endpoint} over TCP in 0.1 s; is TCP {endpoint.port} open on the relay"
            with pytest.raises(LocalError, match=re.escape(text)):
                await connect(endpoint, pins=pins, timeout_s=0.1)


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b""], ids=["ssh", "silent"])
async def test_other_service_is_told_from_a_relay(greeting: bytes, pins: KnownRelays) -> None:
    async with other_service(greeting) as endpoint:
        with pytest.raises(LocalError, match=r"answered, but not with TLS 1\.3: is that a jamrelay"):
            await connect(endpoint, pins=pins, timeout_s=0.2)


async def test_web_server_is_told_from_a_relay_and_not_noted(
    identity: TlsIdentity, pins: KnownRelays, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert_path, identity.key_path)
    context.set_alpn_protocols(["http/1.1"])
    async with other_service(b"", context) as endpoint:
        with pytest.raises(LocalError, match="answered with TLS, but not as a jamrelay"):
            await connect(endpoint, pins=pins)
    assert not (tmp_path / "known_relays").exists()


async def test_both_planes_share_a_port_and_both_families(identity: TlsIdentity, pins: KnownRelays) -> None:
    server = await serve("", 0, identity, echo)
    received: asyncio.Queue[Received] = asyncio.Queue()
    relay, bridge = datagrams_into(received), datagrams_into(asyncio.Queue())
    relay.bind("", server.port)
    bridge.bind()
    assert relay.port == server.port
    hosts = ["127.0.0.1", "::1"] if listening_place("")[2] else ["127.0.0.1"]
    for host in hosts:
        stream = await connect(Endpoint(host, server.port), pins=pins)
        assert stream.peer == Endpoint(host, server.port)
        bridge.send(host.encode(), await bridge.resolve(stream.peer))
        came = await soon(received.get())
        assert came.payload == host.encode()
        assert endpoint_of(came.source) == Endpoint(host, bridge.port)
        await hang_up(stream)
    bridge.close()
    relay.close()
    await server.close()


async def test_taken_port_is_told(identity: TlsIdentity) -> None:
    server = await serve("127.0.0.1", 0, identity, echo)
    with pytest.raises(
        LocalError, match=rf"cannot listen on TCP 127\.0\.0\.1:{server.port}: .*another relay"
    ):
        await serve("127.0.0.1", server.port, identity, echo)
    await server.close()
    first, second = datagrams_into(asyncio.Queue()), datagrams_into(asyncio.Queue())
    first.bind("127.0.0.1")
    with pytest.raises(LocalError, match=rf"cannot listen on UDP 127\.0\.0\.1:{first.port}: .*another relay"):
        second.bind("127.0.0.1", first.port)
    first.close()
    with pytest.raises(LocalError, match="expected an address of this machine"):
        second.bind("relay.invalid")
