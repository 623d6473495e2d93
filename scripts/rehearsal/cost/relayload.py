"""Sealed traffic of many rooms for one relay, as bridges would send it, and the delays of its verdicts.

Every member sends Hello over TLS, and then events of 196 bytes at random instants, stamped half a second
ahead. It also sends heartbeats (every 250 ms, and 15 and 90 ms after an event), four clock requests a second
and a report once a second. The first member of each room judges: see `rehearsal.cost.relaymember`. The
datagrams of the others are read and counted. All members answer NACKs. Nothing wakes this process when a
datagram comes; it reads its sockets in every turn, so that the sender isn't delayed by wake-ups.
"""

import asyncio
import heapq
import random
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.cost.relaymember import NACK_SIZES, Member
from rehearsal.rigs.recorder import ANCILLARY_BYTES, open_socket, read_ancillary
from relay.transports import tls
from relay.transports.pins import KnownRelays
from relay.wire import control
from relay.wire.datagram import MAX_DATAGRAM_BYTES, peek_channel
from relay.wire.endpoint import Endpoint
from relay.wire.sequence import Flag, Judged
from relay.wire.timetag import TICKS_PER_S, from_unix_ns, ticks
from relay.wire.version import PROTOCOL_VERSION

BEAT_EVERY_S = 0.25
BEATS_AFTER_S = (0.015, 0.090)
REPORT_AFTER_S = 0.5
WARM_S = 8.0
"""Time (s) of playing before anything is measured. In a room of four at 20 events/s the first 300 events all
travel three times, which takes four seconds: see `relay.wire.loss`. In the other four seconds a busy relay
catches up."""
END_S = 3.0
"""Longest time (s) after the end of playing to wait for missing events."""
GRAIN_S = 0.001
"""Shortest pause (s) between two bursts of sending. Events due within a pause are sent together, so that many
rooms don't keep the sender busy."""
ASK_EVERY_S = 0.005

SO_MEMINFO = 55
"""Linux's name for a socket's figures, nine u32 of which the last counts dropped datagrams."""
_MEMINFO = struct.Struct("9I")


@dataclass(slots=True)
class Load:
    """The result of a load.

    sent: events. missing: events that a judge still lacks at the end, although it asked for them. retimed:
    events that the relay re-timed. asked: events that the judges had to ask for. dropped: datagrams that the
    bench's own sockets dropped. others_share: datagrams that came to a member that doesn't judge, as a share
    of those that came to a judge; 0.0 in a room of one. delays_ms: from the sending of an event until the
    kernel had its verdict, at the judges. bench_percent: CPU time of the bench itself, % of a core.
    """

    sent: int = 0
    missing: int = 0
    retimed: int = 0
    asked: int = 0
    dropped: int = 0
    others_share: float = 0.0
    delays_ms: list[float] = field(default_factory=list)
    cpu_percent: float = 0.0
    bench_percent: float = 0.0


class Traffic:
    """The members of all rooms of one relay, and their traffic."""

    def __init__(self, port: int, *, rooms: int, members: int, events_per_s: float, spread_s: float) -> None:
        """Set the size of the traffic. members: number in each room. events_per_s: rate of each member.

        spread_s: part of each second (s) over which the reports of a room are spread, by slot.
        """
        self._port = port
        self._rooms, self._seats = rooms, members
        self._rate, self._spread_s = events_per_s, spread_s
        self._random = random.Random(1)
        self._members: list[Member] = []
        self._judges: list[Member] = []
        self._by_channel: dict[int, Member] = {}
        self._sent_ns: dict[tuple[int, int, int], int] = {}
        """When each counted event was sent (Unix ns), by room, slot and sequence number, until its verdict
        comes."""
        self._ways: list[list[tuple[int, int]]] = [[] for _ in range(rooms)]
        self._load = Load()
        self._counts = False
        self._came = [0, 0]
        """Datagrams that came to the judges, and to the others."""
        self._ask_at_s = 0.0

    async def run(self, folder: Path, seconds: float, pid: int) -> Load:
        """Let all members join and play for WARM_S and `seconds`. Return what was measured in those
        `seconds`.

        pid: process id of the relay. folder: where the relay's pinned key is kept.
        """
        with open_socket() as judging, open_socket() as counting:
            self._judging, self._counting = judging, counting
            for sock in (judging, counting):
                sock.connect(("127.0.0.1", self._port))
            await self._join(folder)
            drains = [asyncio.create_task(_drain(one.stream)) for one in self._members]
            await self._play(WARM_S, self._rate)
            self._counts, self._came = True, [0, 0]
            asked = self._asked()
            before_ns, own_s, began_s = cpu_ns(pid), time.process_time(), time.monotonic()
            await self._play(seconds, self._rate)
            self._counts = False
            passed_s = time.monotonic() - began_s
            self._load.cpu_percent = (cpu_ns(pid) - before_ns) / 1e7 / passed_s
            self._load.bench_percent = 100 * (time.process_time() - own_s) / passed_s
            await self._run_out()
            self._load.missing, self._load.asked = len(self._sent_ns), self._asked() - asked
            self._load.dropped = dropped(judging) + dropped(counting)
            others = self._rooms * (self._seats - 1)
            if others and self._came[0]:
                self._load.others_share = self._came[1] / others / (self._came[0] / self._rooms)
            for task in drains:
                task.cancel()
            for member in self._members:
                member.stream.abort()
            return self._load

    async def _join(self, folder: Path) -> None:
        beaten_s = time.monotonic()
        for room in range(self._rooms):
            for seat in range(self._seats):
                if time.monotonic() > beaten_s + 1.0:  # without heartbeats the relay counts members as gone
                    beaten_s = time.monotonic()
                    for member in self._members:
                        self._act(member, "beat", 0.0)
                    self._receive(beaten_s)
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
                member = Member(room, welcome, stream)
                self._members.append(member)
                self._by_channel[welcome.channel] = member
                if not seat:
                    self._judges.append(member)

    async def _play(self, seconds: float, events_per_s: float) -> None:
        now_s = time.monotonic()
        end_s = now_s + seconds
        planned: list[tuple[float, int, str]] = []
        for at, member in enumerate(self._members):
            planned.append((now_s + self._random.random() * BEAT_EVERY_S, at, "beat"))
            planned.append((now_s + self._until_report(member), at, "report"))
            if events_per_s:
                planned.append((now_s + self._random.expovariate(events_per_s), at, "event"))
        heapq.heapify(planned)
        while planned[0][0] < end_s:
            # Sleep even when behind, so that control messages are read.
            await asyncio.sleep(max(GRAIN_S, planned[0][0] - time.monotonic()))
            until_s = time.monotonic()
            self._receive(until_s)
            while planned[0][0] <= until_s:
                at_s, at, what = heapq.heappop(planned)
                for later in self._act(self._members[at], what, at_s):
                    heapq.heappush(planned, (later[0], at, later[1]))

    async def _run_out(self) -> None:
        """Let all members live on without playing until nothing is missing, for END_S at most."""
        end_s = time.monotonic() + END_S
        await self._play(0.5, 0.0)
        while self._sent_ns and time.monotonic() < end_s:
            await self._play(0.1, 0.0)

    def _act(self, member: Member, what: str, at_s: float) -> list[tuple[float, str]]:
        now_ns = time.time_ns()
        now = from_unix_ns(now_ns)
        if what == "report":
            self._report(member, now)
            return [(at_s + 1.0, "report")]
        if what == "event":
            datagram = member.event(now, at_s)
            if self._counts:
                self._sent_ns[member.room, member.welcome.slot, member.seq] = now_ns
                self._load.sent += 1
            self._send(member, datagram)
            after = [(at_s + after_s, "beat after") for after_s in BEATS_AFTER_S]
            return [*after, (at_s + self._random.expovariate(self._rate), "event")]
        # The others say that they have what their judge has, as on a path that loses nothing.
        complete_number = self._judges[member.room].gaps.contiguous
        self._send(member, member.beat(complete_number, now, asks_clock=what == "beat"))
        return [(at_s + BEAT_EVERY_S, "beat")] if what == "beat" else []

    def _send(self, member: Member, datagram: bytes) -> None:
        judges = member is self._judges[member.room]
        (self._judging if judges else self._counting).send(datagram)

    def _report(self, member: Member, now: int) -> None:
        # All reports of a room give the delays of the same events: only one member opens datagrams.
        ways = self._ways[member.room][-control.report.WAYS_MAX :]
        if member.welcome.slot == self._seats:
            self._ways[member.room] = []
        second = now // TICKS_PER_S - 1
        report = control.Report(second=second, whole=False, events=0, digest=bytes(16), ways_down=ways)
        member.stream.send(control.encode(report))

    def _until_report(self, member: Member) -> float:
        at_s = REPORT_AFTER_S + self._spread_s * member.welcome.slot / 32
        return (at_s - time.time()) % 1.0

    def _receive(self, now_s: float) -> None:
        """Read what has come to both sockets, and ask for what is missing."""
        self._judge(now_s)
        self._count(now_s)
        if now_s >= self._ask_at_s:
            self._ask_at_s = now_s + ASK_EVERY_S
            for member in self._judges:
                for datagram in member.asks(now_s):
                    self._send(member, datagram)

    def _judge(self, now_s: float) -> None:
        sock = self._judging
        while True:
            try:
                datagram, ancillary, _, _ = sock.recvmsg(MAX_DATAGRAM_BYTES, ANCILLARY_BYTES)
            except BlockingIOError:
                return
            member = self._by_channel[peek_channel(datagram)]
            self._came[0] += 1
            events, answers = member.open(datagram, now_s)
            for answer in answers:
                self._send(member, answer)
            if events:
                came_ns = read_ancillary(ancillary)[0]
                for event in events:
                    self._note(member, event, came_ns)

    def _note(self, member: Member, event: Judged, came_ns: int) -> None:
        self._ways[member.room].append((event.number, 5))
        sent_ns = self._sent_ns.pop((member.room, event.slot, event.seq), None)
        if sent_ns is not None:
            self._load.delays_ms.append((came_ns - sent_ns) / 1e6)
            self._load.retimed += Flag.RETIMED in event.flags

    def _count(self, now_s: float) -> None:
        sock, buffer = self._counting, bytearray(MAX_DATAGRAM_BYTES)
        while True:
            try:
                size = sock.recv_into(buffer)
            except BlockingIOError:
                return
            self._came[1] += 1
            if size in NACK_SIZES:
                datagram = bytes(buffer[:size])
                member = self._by_channel[peek_channel(datagram)]
                for answer in member.open(datagram, now_s)[1]:
                    self._send(member, answer)

    def _asked(self) -> int:
        return sum(member.gaps.counts.lost for member in self._judges)


def dropped(sock: socket.socket) -> int:
    """Return how many datagrams a socket has dropped since it was made, because its buffer was full."""
    return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size))[-1])


def cpu_ns(pid: int) -> int:
    """Return the CPU time (ns) that a process has used so far. Source: clock_getcpuclockid(3), Linux."""
    return time.clock_gettime_ns(~pid << 3 | 2)


async def _drain(stream: tls.ControlStream) -> None:
    while await stream.receive() is not None:
        pass
