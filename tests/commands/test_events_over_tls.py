"""Events over TLS: the same sealed datagrams on a TLS connection of their own, to a real relay on loopback.

Time limits only end a test that hangs.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bridge.shells.connection import Connection
from clock.exchange import client_request, parse_answer
from relay.hub import admission
from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.shells import service
from relay.shells.service import RelayService, RelaySettings
from relay.shells.tls_identity import load_or_create
from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.transports.udp import Received
from relay.wire import control, frames
from relay.wire.carrier import TLS, UDP, Carrier
from relay.wire.datagram import Opener, Sealer
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError
from relay.wire.osc import encode
from relay.wire.sequence import Judged, Kind, Stamped
from relay.wire.stats import Stats
from relay.wire.timetag import ticks
from relay.wire.version import PROTOCOL_VERSION

LIMIT_S = 10.0
HELLO = control.Hello(protocol=PROTOCOL_VERSION, software="test", room="main", name="ada")
NOTE = encode("/s_new", "sonic-pi-beep", 1000, 0, 4)


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[RelayService]:
    settings = RelaySettings(
        host="127.0.0.1", port=0, policy=LeadPolicy(ticks(0.2), 0), limits=HubLimits(), software="test"
    )
    service = RelayService(settings, load_or_create(tmp_path / "relay"))
    await service.start()
    yield service
    await service.stop()


class Guest:
    """A member of the room that is driven by a test. Its events go over TLS or UDP."""

    def __init__(self, relay: RelayService, pins: KnownRelays, *, carrier: Carrier) -> None:
        self.heard: asyncio.Queue[Received] = asyncio.Queue()
        endpoint = Endpoint("127.0.0.1", relay.port)
        self.connection = Connection(
            endpoint,
            pins,
            lambda received: [self.heard.put_nowait(one) for one in received],
            carrier=carrier,
        )
        self.connection.bind()

    async def join(self) -> None:
        self.welcome = await self.connection.welcome(HELLO)
        self.sealer = Sealer(self.welcome.key_up, self.welcome.channel)
        self.opener = Opener(self.welcome.key_down, self.welcome.channel)

    async def hear_all(self) -> str:
        """Read the control connection until it ends; return the error with which it ended, or ""."""
        try:
            while await self.connection.hear() is not None:
                pass
        except LocalError as error:
            return str(error)
        return ""

    def send(self, frame: frames.Frame) -> None:
        self.connection.send(self.sealer.seal(frames.encode(frame)))

    async def expect(self, kind: type) -> frames.Frame:
        while True:
            received = await self.heard.get()
            for frame in frames.decode(self.opener.open(received.payload)):
                if isinstance(frame, kind):
                    return frame

    async def now(self) -> int:
        """Ask the relay for the time and return it (session ticks).

        By this datagram the relay also learns where to send the guest's events.
        """
        self.send(frames.Clock(client_request(1)))
        answer = await self.expect(frames.Clock)
        assert isinstance(answer, frames.Clock)
        return parse_answer(answer.ntp).transmit


@pytest.mark.parametrize("carriers", [(TLS, UDP), (UDP, TLS)])
async def test_an_event_gets_its_verdict_and_reaches_a_member_on_the_other_transport(
    relay: RelayService, tmp_path: Path, carriers: tuple[Carrier, Carrier]
) -> None:
    async with asyncio.timeout(LIMIT_S):
        pins = KnownRelays(tmp_path / "known")
        sender, other = (Guest(relay, pins, carrier=carrier) for carrier in carriers)
        for guest in (sender, other):
            await guest.join()
        await other.now()
        now = await sender.now()
        sender.send(Stamped(1, now, now + ticks(0.5), Kind.TIMED, NOTE))
        for guest in (sender, other):
            judged = await guest.expect(Judged)
            assert isinstance(judged, Judged)
            assert (judged.slot, judged.seq, judged.payload) == (sender.welcome.slot, 1, NOTE)
            assert judged.due == now + ticks(0.5)
        transports = {
            member.slot: member.transport for member in relay.hub.stats("main", now).rooms[0].members
        }
        named = (transports[sender.welcome.slot], transports[other.welcome.slot])
        assert named == tuple(carrier.name for carrier in carriers)
        for guest in (sender, other):
            await guest.connection.close()


async def test_whoever_is_no_member_is_hung_up_on_and_heard_by_nobody(
    relay: RelayService, tmp_path: Path
) -> None:
    async with asyncio.timeout(LIMIT_S):
        endpoint, pins = Endpoint("127.0.0.1", relay.port), KnownRelays(tmp_path / "known")
        stranger = await tls.connect(endpoint, pins=pins, events=True)
        stranger.send(Sealer(bytes(32), 7).seal(frames.encode(frames.BeatUp(0, 0, 1 << 63))))
        assert await stranger.receive() is None
        assert relay.hub.figures.datagrams_refused == 1
        stranger.abort()


async def test_when_the_events_connection_breaks_the_control_connection_ends_too(
    relay: RelayService, tmp_path: Path
) -> None:
    async with asyncio.timeout(LIMIT_S):
        guest = Guest(relay, KnownRelays(tmp_path / "known"), carrier=TLS)
        await guest.join()
        guest.connection.send(b"not a sealed datagram: the relay hangs up")
        while await guest.connection.hear() is not None:
            pass
        await guest.connection.close()


async def test_a_fault_in_taking_in_a_datagram_reaches_the_loop_as_one_from_a_socket_does(
    relay: RelayService, tmp_path: Path
) -> None:
    async with asyncio.timeout(LIMIT_S):
        seen: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.put_nowait(context))
        guest = Guest(relay, KnownRelays(tmp_path / "known"), carrier=TLS)
        guest.connection._on_datagrams = lambda received: 1 // 0  # type: ignore[assignment]  # replaced on purpose
        await guest.join()
        guest.send(frames.Clock(client_request(1)))
        context = await seen.get()
        assert isinstance(context["exception"], ZeroDivisionError)
        assert "handle" in context
        await guest.connection.close()


async def test_a_stream_of_datagrams_ends_with_its_member(relay: RelayService, tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S):
        pins = KnownRelays(tmp_path / "known")
        guest = Guest(relay, pins, carrier=TLS)
        await guest.join()
        await guest.now()
        other = await tls.connect(Endpoint("127.0.0.1", relay.port), pins=pins, events=True)
        other.send(guest.sealer.seal(frames.encode(frames.BeatUp(0, 0, 1 << 63))))
        while await guest.connection.hear() is not None:  # the member has moved on: its old stream is closed
            pass
        while await other.receive() is not None:  # and the new one with the member
            pass
        assert not relay._streams
        await guest.connection.close()
        other.abort()


async def test_a_failing_second_connection_costs_nobody_a_place(
    relay: RelayService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tls.connect

    async def only_control(*args: object, events: bool = False, **options: object) -> tls.ControlStream:
        if events:
            raise LocalError("blocked on the way")
        return await real(*args, **options)  # type: ignore[arg-type]  # passed on untyped

    monkeypatch.setattr(tls, "connect", only_control)
    async with asyncio.timeout(LIMIT_S):
        guest = Guest(relay, KnownRelays(tmp_path / "known"), carrier=TLS)
        await guest.join()  # with its ticket
        said = await guest.hear_all()
        assert said == "no connection for events: blocked on the way"
        assert not guest.connection.carried
        ticket = guest.welcome.ticket
        guest.connection.abort()
        again = await guest.connection.welcome(
            control.Hello(
                protocol=PROTOCOL_VERSION, software="test", room="main", name="ada",
                ticket=ticket, epoch=guest.welcome.epoch,
            )
        )  # fmt: skip
        assert (again.resumed, again.slot) == (True, guest.welcome.slot)
        await guest.connection.close()


async def test_a_datagram_beyond_what_may_wait_is_lost_and_the_stream_lives(
    relay: RelayService, tmp_path: Path
) -> None:
    async with asyncio.timeout(LIMIT_S):
        stream = await tls.connect(
            Endpoint("127.0.0.1", relay.port), pins=KnownRelays(tmp_path / "known"), events=True
        )
        sent = [stream.offer(bytes(1200)) for _ in range(10_000)]
        assert sent[0]
        assert not sent[-1]
        assert stream.closed_because is None
        stream.abort()
        await stream.closed()


async def test_whoever_only_asks_has_an_answer_and_keeps_no_place_however_often_it_asks(
    relay: RelayService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ASKED_S", 0.5)
    async with asyncio.timeout(LIMIT_S):
        pins = KnownRelays(tmp_path / "known")
        member = Guest(relay, pins, carrier=UDP)
        await member.join()
        asker = await tls.connect(Endpoint("127.0.0.1", relay.port), pins=pins)
        answers = 0
        asker.send(control.encode(control.StatsRequest()))
        while (payload := await asker.receive()) is not None:
            answers += isinstance(control.decode_down(payload), Stats)
            asker.send(control.encode(control.StatsRequest()))
        assert answers > 0
        assert [seat.present for seat in relay.hub.rooms["main"].seats.values()] == [True]
        await member.connection.close()


@pytest.mark.parametrize(
    ("protocol", "reason"), [(PROTOCOL_VERSION - 1, "protocol"), (PROTOCOL_VERSION, "malformed")]
)
async def test_a_first_word_that_can_not_be_read_is_told_of_its_version_if_it_is_another(
    relay: RelayService, tmp_path: Path, protocol: int, reason: str
) -> None:
    async with asyncio.timeout(LIMIT_S):
        stream = await tls.connect(Endpoint("127.0.0.1", relay.port), pins=KnownRelays(tmp_path / "known"))
        stream.send(msgspec.msgpack.encode({"type": "hello", "protocol": protocol, "nickname": "ann"}))
        payload = await stream.receive()
        assert payload is not None
        refused = control.decode_down(payload)
        assert isinstance(refused, control.Refused)
        assert (refused.reason, refused.final) == (reason, True)
        assert await stream.receive() is None
        stream.abort()


async def test_one_address_does_not_take_all_places(
    relay: RelayService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "CONNECTIONS_PER_ADDRESS", 2)
    async with asyncio.timeout(LIMIT_S):
        endpoint, pins = Endpoint("127.0.0.1", relay.port), KnownRelays(tmp_path / "known")
        streams = [await tls.connect(endpoint, pins=pins) for _ in range(3)]
        payload = await streams[2].receive()
        assert payload is not None
        refused = control.decode_down(payload)
        assert isinstance(refused, control.Refused)
        assert (refused.reason, refused.final) == ("connections", False)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", relay.port, ssl=tls.client_context(), server_hostname="", local_addr=("127.0.0.2", 0)
        )
        other = tls.ControlStream(reader, writer)
        other.send(control.encode(control.StatsRequest()))
        payload = await other.receive()
        assert payload is not None
        assert isinstance(control.decode_down(payload), Stats)
        for stream in (*streams, other):
            stream.abort()


async def test_whoever_says_nothing_does_not_keep_a_place(
    relay: RelayService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FIRST_WORD_S", 0.05)
    async with asyncio.timeout(LIMIT_S):
        for events in (True, False):
            silent = await tls.connect(
                Endpoint("127.0.0.1", relay.port), pins=KnownRelays(tmp_path / "known"), events=events
            )
            assert await silent.receive() is None
            silent.abort()
