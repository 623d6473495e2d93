"""A UDP socket behind an emulated bad network, on real loopback. Time limits only end a test that hangs."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from relay.netmodel.impairment import Bursts, Fate, Jitter, JitterKind, Leg, Way
from relay.transports import impaired
from relay.transports.impaired import ImpairedSocket, parse_leg
from relay.transports.udp import DatagramSocket, Received
from relay.wire.endpoint import Endpoint

LIMIT_S = 10.0

T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, LIMIT_S)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    """Yield an ordinary UDP socket as the peer, which a test reads directly."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


class Taken:
    """Collects the datagrams that a socket receives, and waits for a given number of them."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._wanted = 0
        self._enough = asyncio.Event()

    def take(self, batch: list[Received]) -> None:
        self.received += batch
        if len(self.received) >= self._wanted:
            self._enough.set()

    async def wait_for(self, n: int) -> list[bytes]:
        self._wanted = n
        if len(self.received) >= n:
            self._enough.set()
        await soon(self._enough.wait())
        return [one.payload for one in self.received]


def impaired_socket(
    leg: Leg, take: Callable[[list[Received]], None] = lambda _: None, seed: int = 1
) -> ImpairedSocket:
    sock = ImpairedSocket(take, leg, seed=seed)
    sock.bind("127.0.0.1")
    return sock


async def read(peer: socket.socket, n: int) -> list[bytes]:
    loop = asyncio.get_running_loop()
    return [await soon(loop.sock_recv(peer, 2000)) for _ in range(n)]


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_it_has_the_public_face_of_the_socket_it_stands_for() -> None:
    assert public(ImpairedSocket) >= public(DatagramSocket)


async def test_without_impairment_all_goes_at_once_and_in_order(peer: socket.socket) -> None:
    taken = Taken()
    sock = impaired_socket(parse_leg("loopback"), taken.take)
    sent = [b"%d" % number for number in range(50)]
    for payload in sent:
        sock.send(payload, peer.getsockname())
    assert sock.counts.sent == 50
    assert await read(peer, 50) == sent
    for payload in sent:
        peer.sendto(payload, ("127.0.0.1", sock.port))
    assert await taken.wait_for(50) == sent
    assert sock.fates[Fate.PASSED] == 100
    sock.close()


async def test_what_is_sent_is_late_and_in_order(peer: socket.socket) -> None:
    sock = impaired_socket(Leg(up=Way(delay_ms=200.0), down=Way()))
    begun_s = time.monotonic()
    for number in range(20):
        sock.send(b"%d" % number, peer.getsockname())
    assert sock.counts.sent == 0
    assert await read(peer, 20) == [b"%d" % number for number in range(20)]
    assert time.monotonic() - begun_s >= 0.200
    sock.close()


async def test_what_comes_late_says_when_it_would_have_come(peer: socket.socket) -> None:
    late = Taken()
    sock = impaired_socket(Leg(up=Way(), down=Way(delay_ms=40.0)), late.take)
    begun_ns = time.monotonic_ns()
    peer.sendto(b"x", ("127.0.0.1", sock.port))
    await late.wait_for(1)
    assert late.received[0].received_local_ns - begun_ns >= 40_000_000
    assert late.received[0].received_local_ns <= time.monotonic_ns()
    assert late.received[0].source == peer.getsockname()
    sock.close()


async def test_losses_follow_the_seed(peer: socket.socket) -> None:
    async def lost(seed: int) -> list[bytes]:
        taken = Taken()
        sock = impaired_socket(Leg(up=Way(), down=Way(loss=0.5)), taken.take, seed)
        for number in range(200):
            peer.sendto(b"%d" % number, ("127.0.0.1", sock.port))
        while sum(sock.fates.values()) < 200:
            await soon(asyncio.sleep(0))
        sock.close()
        assert sock.counts.received == 200
        assert sock.fates[Fate.LOST] == 200 - len(taken.received)
        return [one.payload for one in taken.received]

    first = await lost(1)
    assert first == await lost(1)
    assert first != await lost(2)
    assert 60 < len(first) < 140


async def test_duplicates_come_twice_and_bursts_not_at_all(peer: socket.socket) -> None:
    taken = Taken()
    twice = impaired_socket(Leg(up=Way(), down=Way(duplicate=1.0)), taken.take)
    peer.sendto(b"x", ("127.0.0.1", twice.port))
    assert await taken.wait_for(2) == [b"x", b"x"]
    twice.close()
    dead = impaired_socket(Leg(up=Way(bursts=Bursts(0.999999, 1e6)), down=Way()))
    dead.send(b"x", peer.getsockname())
    assert (dead.fates[Fate.BURST], dead.counts.sent) == (1, 0)
    dead.close()


async def test_jitter_without_fifo_reorders_what_is_handed_over(peer: socket.socket) -> None:
    taken = Taken()
    way = Way(delay_ms=20.0, jitter=Jitter(JitterKind.UNIFORM, 10.0), fifo=False)
    sock = impaired_socket(Leg(up=Way(), down=way), taken.take)
    for number in range(60):  # one gulp
        peer.sendto(b"%03d" % number, ("127.0.0.1", sock.port))
    payloads = await taken.wait_for(60)
    assert payloads != sorted(payloads)
    assert set(payloads) == {b"%03d" % number for number in range(60)}
    instants = [one.received_local_ns for one in taken.received]
    assert instants == sorted(instants)
    sock.close()


async def test_the_model_is_told_the_ip_datagrams_size(peer: socket.socket) -> None:
    # At 100 bit/s, 28 bytes of headers and 72 of ours take 8 s: the queue has room for a second, no third.
    sock = impaired_socket(Leg(up=Way(rate_kbps=0.1, queue_ms=14_000.0), down=Way()))
    for _ in range(3):
        sock.send(bytes(72), peer.getsockname())
    assert (sock.fates[Fate.PASSED], sock.fates[Fate.QUEUE_FULL]) == (2, 1)
    sock.close()


async def test_closing_loses_what_is_on_its_way_and_may_be_done_twice(peer: socket.socket) -> None:
    sock = impaired_socket(Leg.both(Way(delay_ms=20.0)))
    sock.send(b"x", peer.getsockname())
    sock.close()
    sock.close()
    sock.send(b"y", peer.getsockname())
    await asyncio.sleep(0.05)
    assert sock.counts.send_errors == 0
    with pytest.raises(BlockingIOError):
        peer.recv(100)


async def test_what_would_pass_the_bound_is_dropped(
    peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impaired, "HELD_MAX", 3)
    sock = impaired_socket(Leg(up=Way(delay_ms=200.0), down=Way()))
    for number in range(5):
        sock.send(b"%d" % number, peer.getsockname())
    assert await read(peer, 3) == [b"0", b"1", b"2"]
    sock.close()


async def test_it_adopts_and_resolves_as_the_plain_socket_does(peer: socket.socket) -> None:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    sock = ImpairedSocket(lambda _: None, parse_leg("loopback"), seed=1)
    sock.adopt(bound)
    assert sock.port == bound.getsockname()[1]
    to = await sock.resolve(Endpoint("127.0.0.1", peer.getsockname()[1]))
    sock.send(b"x", to)
    assert await read(peer, 1) == [b"x"]
    sock.close()
