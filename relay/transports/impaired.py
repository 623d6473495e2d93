"""UDP socket behind an emulated bad network: its datagrams are lost, delayed or duplicated.

A shell around DatagramSocket with the same public methods. With it people can try a bad network where no
network namespaces can be made: `jambridge join --impair hotel-wifi`. The `up` model decides about datagrams
sent, the `down` model about datagrams received. Datagrams leave within about 1 ms of the instant that the
model gives (asyncio's timers). A received datagram carries the exact instant that the model gives, even if it
is handed over later. Bound: HELD_MAX datagrams in each direction. Further ones are dropped, as by a router
whose queue is full.
"""

import asyncio
import heapq
import socket
import time
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from relay.netmodel.impairment import Decision, Fate, Impairment, Leg
from relay.netmodel.networks import (
    parse_leg as parse_leg,  # so that a bridge, which knows no core of ours, can ask
)
from relay.transports.udp import DatagramSocket, Received, SocketCounts
from relay.wire.datagram import MAX_DATAGRAM_BYTES
from relay.wire.endpoint import Address, Endpoint

_T = TypeVar("_T")

HELD_MAX = 20_000
"""Greatest number of datagrams held in each direction: those of two seconds at 10,000 datagrams a second."""

HEADERS_IPV4 = 28
HEADERS_IPV6 = 48
"""Bytes of the IPv6 and UDP headers. Headers are added to each payload because the model counts whole IP
datagrams."""


class ImpairedSocket:
    """A DatagramSocket behind an emulated network. The network is a leg: one model for each direction."""

    def __init__(
        self,
        on_datagrams: Callable[[list[Received]], None],
        leg: Leg,
        *,
        seed: int,
        name: str = "here",
        longest: int = MAX_DATAGRAM_BYTES,
    ) -> None:
        """on_datagrams, longest: as for DatagramSocket. leg: the network. seed, name: determine the model's
        decisions. With the same seed and name the model decides the same again."""
        self._up = Impairment(leg.up, seed=seed, name=f"{name}/up")
        self._down = Impairment(leg.down, seed=seed, name=f"{name}/down")
        self._inner = DatagramSocket(self._receive, longest=longest)
        self._outbox: _Held[tuple[bytes, Address]] = _Held(self._send_all)
        self._inbox: _Held[Received] = _Held(on_datagrams)
        self._start_ns = 0
        self._down_at_s = 0.0
        self.fates: dict[Fate, int] = dict.fromkeys(Fate, 0)
        """Number of datagrams by fate, both directions together."""

    @property
    def counts(self) -> SocketCounts:
        """The counts of the real socket behind the emulation."""
        return self._inner.counts

    @property
    def port(self) -> int:
        """The UDP port that the socket is bound to."""
        return self._inner.port

    def bind(self, host: str = "", port: int = 0) -> None:
        """Bind like DatagramSocket.bind, and start the emulation's time at 0."""
        self._start_ns = time.monotonic_ns()
        self._inner.bind(host, port)

    def adopt(self, sock: socket.socket) -> None:
        """Receive on a bound socket, like DatagramSocket.adopt, and start the emulation's time at 0."""
        self._start_ns = time.monotonic_ns()
        self._inner.adopt(sock)

    async def resolve(self, endpoint: Endpoint) -> Address:
        """Return the address by which this socket reaches an endpoint. Raises LocalError if there is none."""
        return await self._inner.resolve(endpoint)

    def send(self, payload: bytes, to: Address) -> None:
        """Send a datagram never, once or twice, at the instants that the model decides. Failures are counted,
        never raised."""
        decision = self._up.decide((time.monotonic_ns() - self._start_ns) / 1e9, _bytes_on_wire(payload, to))
        self._count(decision)
        for arrival_s in decision.arrivals_s:
            self._outbox.put(self._due_ns(arrival_s), (payload, to))
        self._outbox.settle()

    def close(self) -> None:
        """Close the socket. Datagrams that the emulation still holds are lost. Closing twice does nothing."""
        self._outbox.close()
        self._inbox.close()
        self._inner.close()

    def _receive(self, batch: list[Received]) -> None:
        for one in batch:
            # The wall clock's corrections can move the kernel's stamps back; the model's time must not go
            # back.
            at_s = max(self._down_at_s, (one.received_local_ns - self._start_ns) / 1e9)
            self._down_at_s = at_s
            decision = self._down.decide(at_s, _bytes_on_wire(one.payload, one.source))
            self._count(decision)
            for arrival_s in decision.arrivals_s:
                moved = one._replace(received_local_ns=self._due_ns(arrival_s))
                self._inbox.put(moved.received_local_ns, moved)
        self._inbox.settle()

    def _send_all(self, due: list[tuple[bytes, Address]]) -> None:
        for payload, to in due:
            self._inner.send(payload, to)

    def _due_ns(self, arrival_s: float) -> int:
        return self._start_ns + round(arrival_s * 1e9)

    def _count(self, decision: Decision) -> None:
        self.fates[decision.fate] += 1


class _Held(Generic[_T]):
    """Holds the datagrams of one direction, and releases each at its instant.

    Datagrams with the same instant are released in the order in which they were put in.
    """

    def __init__(self, let_go: Callable[[list[_T]], None]) -> None:
        self._let_go = let_go
        self._heap: list[tuple[int, int, _T]] = []
        self._number = count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def put(self, due_ns: int, item: _T) -> None:
        """Hold an item until the instant `due_ns` (ns of time.monotonic_ns()). `settle` must be called
        afterwards."""
        if len(self._heap) < HELD_MAX and not self._closed:
            heapq.heappush(self._heap, (due_ns, next(self._number), item))

    def settle(self) -> None:
        """Pass all items that are due to the receiver in one call. Set the timer for the others."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = time.monotonic_ns()
        due: list[_T] = []
        while self._heap and self._heap[0][0] <= now_ns:
            due.append(heapq.heappop(self._heap)[2])
        if self._heap:
            wait_s = (self._heap[0][0] - now_ns) / 1e9
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.settle)
        if due:
            self._let_go(due)

    def close(self) -> None:
        """Drop the held items and stop the timer."""
        self._closed = True
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _bytes_on_wire(payload: bytes, peer: Address) -> int:
    host = peer[0]
    ipv6 = ":" in host and not host.startswith("::ffff:")
    return len(payload) + (HEADERS_IPV6 if ipv6 else HEADERS_IPV4)
