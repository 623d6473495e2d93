"""Sealed traffic of many rooms for one relay, as bridges would send it, and the delays of its verdicts.

Every member sends Hello over TLS, and then events of 196 bytes at random instants, stamped half a second
ahead. It also sends heartbeats (every 250 ms, and 15 and 90 ms after an event), four clock requests a second
and a report once a second. Only the first member of each room opens the datagrams that it receives. No member
asks for a lost datagram again. So an event counts as missing if the kernel dropped its verdict.
"""

import asyncio
import heapq
import random
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.rigs.recorder import ANCILLARY_BYTES, open_socket, read_ancillary
from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer, peek_channel
from relay.wire.endpoint import Endpoint
from relay.wire.osc import encode
from relay.wire.sequence import Flag, Judged, Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, from_unix_ns, ticks
from relay.wire.version import PROTOCOL_VERSION

AHEAD = ticks(0.5)
BEAT_EVERY_S = 0.25
BEATS_AFTER_S = (0.015, 0.090)
REPORT_AFTER_S = 0.5
PAYLOAD = encode("/s_new", "sonic-pi-beep", 1001, 0, 4, *(("note", 60.0) * 8))
WARM_S = 5.0
"""Time (s) of playing before the measurement. In a room of four at 20 events/s the first 300 events all
travel three times (see `relay.wire.loss`)."""
GRAIN_S = 0.001
"""Shortest pause (s) between two bursts of sending. Events due within a pause are sent together, so that many
rooms don't keep the sender busy."""
NTP_REQUEST = b"\x23" + bytes(39)
"""First bytes of an NTP request (version 4, client). The instant of sending follows them."""


@dataclass(slots=True)
class _Member:
    welcome: control.Welcome
    stream: tls.ControlStream
    sealer: Sealer
    sock: socket.socket
    room: int
    seq: int = 0


@dataclass(slots=True)
class Load:
    """The result of a load.

    sent: events. missing: events whose verdict never came. retimed: events that the relay re-timed.
    delays_ms: from the sending of an event until the kernel received its verdict, at one member of each room.
    cpu_percent: of the relay or broker, as a share of one core.
    """

    sent: int = 0
    missing: int = 0
    retimed: int = 0
    delays_ms: list[float] = field(default_factory=list)
    cpu_percent: float = 0.0


class Traffic:
    """The members of all rooms of one relay, and their traffic."""

    def __init__(self, port: int, *, rooms: int, members: int, events_per_s: float, spread_s: float) -> None:
        """Set the size of the traffic. members: in each room. events_per_s: of each member.

        spread_s: part of each second (s) over which the reports of a room are spread, by slot.
        """
        self._port = port
        self._rooms, self._seats = rooms, members
        self._rate, self._spread_s = events_per_s, spread_s
        self._random = random.Random(1)
        self._members: list[_Member] = []
        self._readers: dict[int, tuple[_Member, Opener]] = {}
        self._sent_ns: dict[tuple[int, int, int], int] = {}
        self._ways: list[list[tuple[int, int]]] = [[] for _ in range(rooms)]
        self._load = Load()
        self._counts = False

    async def run(self, folder: Path, seconds: float, pid: int) -> Load:
        """Let all members join and play for WARM_S and `seconds`. Return what was measured in those
        `seconds`.

        pid: process id of the relay. folder: where the relay's pinned key is kept.
        """
        with open_socket() as read, open_socket() as unread:
            for sock in (read, unread):
                sock.connect(("127.0.0.1", self._port))
            drains = [
                asyncio.create_task(_drain(one.stream)) for one in await self._join(folder, read, unread)
            ]
            asyncio.get_running_loop().add_reader(read, self._receive, read)
            await self._play(WARM_S)
            self._counts = True
            before_ns, began = cpu_ns(pid), time.monotonic()
            await self._play(seconds)
            self._counts = False
            self._load.cpu_percent = (cpu_ns(pid) - before_ns) / 1e7 / (time.monotonic() - began)
            await asyncio.sleep(1.0)
            asyncio.get_running_loop().remove_reader(read)
            self._load.missing = self._load.sent - len(self._load.delays_ms)
            for task in drains:
                task.cancel()
            for member in self._members:
                member.stream.abort()
            return self._load

    async def _join(self, folder: Path, read: socket.socket, unread: socket.socket) -> list[_Member]:
        beaten_s = time.monotonic()
        for room in range(self._rooms):
            for seat in range(self._seats):
                if time.monotonic() > beaten_s + 1.0:  # without heartbeats the relay counts members as gone
                    beaten_s = time.monotonic()
                    for member in self._members:
                        self._act(member, "beat", 0.0)
                stream = await tls.connect(
                    Endpoint("127.0.0.1", self._port), pins=KnownRelays(folder / "pins")
                )
                hello = control.Hello(
                    protocol=PROTOCOL_VERSION, software="bench", room=f"room {room}", name=f"m{seat}",
                    next_seq=1, release_advance=ticks(0.02),
                )  # fmt: skip
                stream.send(control.encode(hello))
                welcome = control.decode_down(await stream.receive() or b"")
                assert isinstance(welcome, control.Welcome), welcome
                sealer = Sealer(welcome.key_up, welcome.channel)
                member = _Member(welcome, stream, sealer, unread if seat else read, room)
                self._members.append(member)
                if not seat:
                    self._readers[welcome.channel] = member, Opener(welcome.key_down, welcome.channel)
        return self._members

    async def _play(self, seconds: float) -> None:
        now_s = time.monotonic()
        end_s = now_s + seconds
        planned: list[tuple[float, int, str]] = []
        for at, member in enumerate(self._members):
            planned.append((now_s + self._random.random() * BEAT_EVERY_S, at, "beat"))
            planned.append((now_s + self._until_report(member), at, "report"))
            if self._rate:
                planned.append((now_s + self._random.expovariate(self._rate), at, "event"))
        heapq.heapify(planned)
        while planned[0][0] < end_s:
            # Sleep even when behind, so that received datagrams are read.
            await asyncio.sleep(max(GRAIN_S, planned[0][0] - time.monotonic()))
            until_s = time.monotonic()
            while planned[0][0] <= until_s:
                at_s, at, what = heapq.heappop(planned)
                for later in self._act(self._members[at], what, at_s):
                    heapq.heappush(planned, (later[0], at, later[1]))

    def _act(self, member: _Member, what: str, at_s: float) -> list[tuple[float, str]]:
        now_ns = time.time_ns()
        now = from_unix_ns(now_ns)
        if what == "report":
            self._report(member, now)
            return [(at_s + 1.0, "report")]
        if what == "event":
            member.seq += 1
            event = Stamped(member.seq, now, now + AHEAD, Kind.TIMED, PAYLOAD)
            if self._counts:
                self._sent_ns[member.room, member.welcome.slot, member.seq] = now_ns
                self._load.sent += 1
            member.sock.send(member.sealer.seal(frames.encode(event)))
            after = [(at_s + after_s, "beat after") for after_s in BEATS_AFTER_S]
            return [*after, (at_s + self._random.expovariate(self._rate), "event")]
        parts = frames.encode(frames.BeatUp(member.seq, 0, now))
        if what == "beat":
            parts += frames.encode(frames.Clock(NTP_REQUEST + now.to_bytes(8)))
        member.sock.send(member.sealer.seal(parts))
        return [(at_s + BEAT_EVERY_S, "beat")] if what == "beat" else []

    def _report(self, member: _Member, now: int) -> None:
        # All reports of a room give the delays of the same events: only one member opens datagrams.
        ways = self._ways[member.room][-control.report.WAYS_MAX :]
        if member.welcome.slot == self._seats:
            self._ways[member.room] = []
        second = now // TICKS_PER_S - 1
        report = control.Report(second=second, whole=False, events=0, digest=bytes(16), ways_down=ways)
        member.stream.send(control.encode(report))

    def _until_report(self, member: _Member) -> float:
        at_s = REPORT_AFTER_S + self._spread_s * member.welcome.slot / 32
        return (at_s - time.time()) % 1.0

    def _receive(self, sock: socket.socket) -> None:
        while True:
            try:
                payload, ancillary, _, _ = sock.recvmsg(2048, ANCILLARY_BYTES)
            except BlockingIOError:
                return
            came_ns = read_ancillary(ancillary)[0]
            found = self._readers.get(peek_channel(payload))
            if found is None:
                continue
            member, opener = found
            for frame in frames.decode(opener.open(payload)):
                if not isinstance(frame, Judged):
                    continue
                self._ways[member.room].append((frame.number, 5))
                sent_ns = self._sent_ns.pop((member.room, frame.slot, frame.seq), None)
                if sent_ns is not None:
                    self._load.delays_ms.append((came_ns - sent_ns) / 1e6)
                    self._load.retimed += Flag.RETIMED in frame.flags


def cpu_ns(pid: int) -> int:
    """Return the CPU time (ns) that a process has used so far. Source: clock_getcpuclockid(3), Linux."""
    return time.clock_gettime_ns(~pid << 3 | 2)


async def _drain(stream: tls.ControlStream) -> None:
    while await stream.receive() is not None:
        pass
