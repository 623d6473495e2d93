"""The UDP socket for events, on real loopback sockets. Time limits only end a test that hangs."""

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import closing
from typing import TypeVar

import pytest

from clock.sources import Reading
from relay.transports import udp
from relay.transports.udp import DRAIN_MAX, DatagramSocket, Received, received_local_ns
from relay.wire.datagram import MAX_DATAGRAM_BYTES

LIMIT_S = 10.0

T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, LIMIT_S)


def datagrams_into(queue: "asyncio.Queue[Received]") -> DatagramSocket:
    return DatagramSocket(lambda batch: [queue.put_nowait(received) for received in batch] and None)


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield sock


async def test_what_waits_is_handed_over_together_and_in_gulps(sender: socket.socket) -> None:
    batches: list[list[bytes]] = []
    everything = asyncio.Event()

    def take(batch: list[Received]) -> None:
        batches.append([received.payload for received in batch])
        if sum(map(len, batches)) == DRAIN_MAX + 10:
            everything.set()

    sock = DatagramSocket(take)
    sock.bind("127.0.0.1")
    sent = [b"%d" % number for number in range(DRAIN_MAX + 10)]
    for payload in sent:
        sender.sendto(payload, ("127.0.0.1", sock.port))
    await soon(everything.wait())
    sock.close()
    assert batches == [sent[:DRAIN_MAX], sent[DRAIN_MAX:]]
    assert sock.counts.received == len(sent)


async def test_answer_goes_back_to_where_a_datagram_came_from(sender: socket.socket) -> None:
    sock = DatagramSocket(
        lambda batch: [sock.send(b"re: " + one.payload, one.source) for one in batch] and None
    )
    sock.bind()  # every address: an IPv4 peer of an IPv6 socket is answered, too
    sender.setblocking(False)
    await asyncio.get_running_loop().sock_sendto(sender, b"note", ("127.0.0.1", sock.port))
    assert await soon(asyncio.get_running_loop().sock_recv(sender, 100)) == b"re: note"
    assert sock.counts.sent == 1
    sock.close()


@pytest.mark.skipif(sys.platform != "linux", reason="kernel receive timestamps are read on Linux alone")
async def test_receive_instant_is_the_kernels_and_not_that_of_reading(sender: socket.socket) -> None:
    came: asyncio.Queue[Received] = asyncio.Queue()
    sock = datagrams_into(came)
    sock.bind("127.0.0.1")
    before_ns = time.monotonic_ns()
    sender.sendto(b"note", ("127.0.0.1", sock.port))  # on loopback it has arrived when this returns
    after_ns = time.monotonic_ns()
    while time.monotonic_ns() < after_ns + 50_000_000:
        pass  # the loop is kept busy, as by a slow callback
    received = await soon(came.get())
    sock.close()
    slack_ns = 1_000_000  # for a step of the wall clock by NTP's slew and a preempted reading
    assert before_ns - slack_ns <= received.received_local_ns <= after_ns + slack_ns


@pytest.mark.parametrize(
    ("stamp_ns", "local_ns"),
    [
        (4_900, 900),
        (5_000, 1_000),
        (None, 1_000),
        (5_001, 1_000),
        (5_000 - udp.STAMP_AGE_NS_MAX, 1_000 - udp.STAMP_AGE_NS_MAX),
        (4_999 - udp.STAMP_AGE_NS_MAX, 1_000),
    ],
    ids=["waited", "just now", "no stamp", "wall stepped back", "oldest", "wall stepped on"],
)
def test_kernel_stamp_becomes_a_local_instant(stamp_ns: int | None, local_ns: int) -> None:
    now = Reading(local_ns=1_000, wall_ns=5_000)
    assert received_local_ns(stamp_ns, now) == local_ns


async def test_sending_never_raises_and_failures_are_counted() -> None:
    sock = DatagramSocket(lambda batch: None)
    sock.bind("127.0.0.1")
    port = sock.port
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as gone:
        gone.bind(("127.0.0.1", 0))
        nobody = gone.getsockname()
    for _ in range(3):
        sock.send(b"note", nobody)
    sock.send(b"note", ("255.255.255.255", 9))
    sock.send(bytes(70_000), ("127.0.0.1", port))
    assert (sock.counts.sent, sock.counts.send_errors) == (3, 2)
    sock.close()
    sock.close()
    sock.send(b"note", ("127.0.0.1", port))
    assert sock.counts.send_errors == 3


async def test_datagram_that_is_too_long_is_dropped_and_counted(sender: socket.socket) -> None:
    came: asyncio.Queue[Received] = asyncio.Queue()
    sock = datagrams_into(came)
    sock.bind("127.0.0.1")
    for length in (MAX_DATAGRAM_BYTES + 1, 5000, MAX_DATAGRAM_BYTES):
        sender.sendto(bytes(length), ("127.0.0.1", sock.port))
    assert len((await soon(came.get())).payload) == MAX_DATAGRAM_BYTES
    assert (sock.counts.oversized, sock.counts.received) == (2, 1)
    sock.close()
