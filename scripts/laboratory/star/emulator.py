"""The emulator: reads datagrams from TUN devices, asks the model for their fate, and executes it in time.

A star is a relay in the middle and members around it, each in a network namespace of its own. The members
send to the relay ("up") and the relay to the members ("down"). Any other datagram has no route and is only
counted.

The emulator is a process of its own, under SCHED_FIFO if allowed. Its main thread moves the datagrams;
another thread writes the log. The main thread waits in one call only, for datagrams to read or to write.
`star` starts the emulator with the devices' descriptors and writes a plan to its stdin, which stays open. The
emulator ends at SIGTERM, or when its stdin ends, which happens even if the star's process is killed. Then it
kills every process left in the star's namespaces.
"""

import contextlib
import gc
import heapq
import math
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import msgspec

from laboratory.runs.oracle import way_name
from laboratory.star import namespaces
from laboratory.star.decisionlog import (
    DOWN,
    FATES,
    NEVER,
    ROW,
    UP,
    WAYS,
    Header,
    header_line,
)
from relay.netmodel.impairment import Decision, Impairment, Leg

PRIORITY = 20
"""Priority under SCHED_FIFO: above the programs on the network, below the kernel's own threads (50)."""
DATAGRAM_BYTES = 65_536
AT_ONCE = 32
"""Number of datagrams to read from one device before due datagrams are written."""
IDLE_S = 0.2
FLUSH_ROWS = 1_000
ROWS_AT_ONCE = 32
ROWS_TAKE_S = 0.000_1
"""Time (s) that making ROWS_AT_ONCE rows of the log takes. Rows are made if no datagram is due within it.

After a blocked way drains, hundreds of datagrams are due at one instant, and rows would delay them. If more
than FINISHED_MAX datagrams wait for their rows, some rows are made in any case.
"""
FINISHED_MAX = 50_000
FLUSH_S = 0.5
TIMER_SLACK_NS = 1
IPV4_MIN_BYTES = 20

FATE_NUMBERS = {fate: number for number, fate in enumerate(FATES)}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The star's instructions to the emulator. relay_tun, tuns: descriptors of the devices, which it
    inherits."""

    seed: int
    relay_address: str
    relay_tun: int
    names: list[str]
    addresses: list[str]
    tuns: list[int]
    legs: list[Leg]
    inodes: list[int]
    """Inodes of the namespaces. The emulator kills all processes in them at its end."""
    log: str | None
    realtime: bool


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The emulator's first message: the readings (ns) of the two clocks at its second 0."""

    zero_monotonic_ns: int
    zero_realtime_ns: int
    realtime: bool


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The emulator's last message, with its counts. cpu_s: its CPU time. seconds: length of the emulation."""

    datagrams: int
    """Number of datagrams whose fate was decided."""
    no_route: int
    """Number of datagrams between members, to unknown addresses, or not IPv4."""
    refused: int
    """Number of due datagrams that a device refused, because its interface was down."""
    in_flight: int
    """Number of datagrams that were not yet due at the end."""
    cpu_s: float
    seconds: float


class LogWriter:
    """Writes the decision log in a thread of its own, so that a slow disk delays no datagram."""

    def __init__(self, path: str, header: Header) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (closed by close)
        self._file.write(header_line(header))
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def write(self, rows: bytes) -> None:
        """Pass whole rows to the thread, and return at once."""
        self._queue.put(rows)

    def close(self) -> None:
        """Wait until all rows are written, and close the file."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()

    def _work(self) -> None:
        while (rows := self._queue.get()) is not None:
            self._file.write(rows)


@dataclass(slots=True, eq=False)
class Direction:
    """One direction of one leg. decide: the model's function. out_fd: the device to write to."""

    leg: int
    way: int
    decide: Callable[[float, int], Decision]
    out_fd: int


@dataclass(slots=True, eq=False)
class Flight:
    """One datagram under way, perhaps with a copy.

    written_s: instants (s of the emulation) at which the datagram and its copy were written; NEVER until
    then.
    """

    ways: Direction
    decision: Decision
    data: bytes
    written_s: list[float]

    def row(self) -> bytes:
        """Return the datagram's row for the log, with all that is known so far."""
        decision = self.decision
        first, copy, *_ = *decision.arrivals_s, NEVER, NEVER
        written, copy_written, *_ = *self.written_s, NEVER, NEVER
        ways, data = self.ways, self.data
        return ROW.pack(
            ways.leg, ways.way, data[9], FATE_NUMBERS[decision.fate], len(data), decision.index, 0,
            decision.at_s, first, copy, written, copy_written,
        )  # fmt: skip


Heap = list[tuple[float, int, Flight, int]]
"""The future arrivals: (due in s of the emulation, serial number, flight, 0 for the datagram or 1 for its
copy)."""


class Emulator:
    """The emulator's loop. Its code is flat, because microseconds count here."""

    def __init__(self, plan: Plan, zero_ns: int, log: LogWriter | None) -> None:
        self._zero_ns = zero_ns
        self._log = log
        self._rows: list[bytes] = []
        self._finished: deque[Flight] = deque()
        self._flush_at_s = FLUSH_S
        self._heap: Heap = []
        self._serial = 0
        self._ups: dict[int, Direction] = {}
        self._downs: dict[bytes, Direction] = {}
        for number, (name, address, tun, leg) in enumerate(
            zip(plan.names, plan.addresses, plan.tuns, plan.legs, strict=True)
        ):
            up = Impairment(leg.up, seed=plan.seed, name=way_name(name, WAYS[UP]))
            down = Impairment(leg.down, seed=plan.seed, name=way_name(name, WAYS[DOWN]))
            self._ups[tun] = Direction(number, UP, up.decide, plan.relay_tun)
            self._downs[socket.inet_aton(address)] = Direction(number, DOWN, down.decide, tun)
        self._relay_tun = plan.relay_tun
        self._relay_address = socket.inet_aton(plan.relay_address)
        self.datagrams = self.no_route = self.refused = self.in_flight = 0
        self.stopped = False

    def run(self, lifeline: int) -> None:
        """Move datagrams until the descriptor `lifeline` ends or a signal sets `stopped`. Then log the
        datagrams under way."""
        descriptors = [self._relay_tun, *self._ups, lifeline]
        while not self.stopped:
            left_s = self._left_s()
            waiting = self._finished or self._rows
            if waiting and (left_s > ROWS_TAKE_S or len(self._finished) > FINISHED_MAX):
                self._make_rows(ROWS_AT_ONCE)
                left_s = 0.0 if self._finished else self._left_s()
            for fd in select.select(descriptors, (), (), max(left_s, 0.0))[0]:
                if fd == lifeline:
                    self.stopped = not os.read(lifeline, 64)
                else:
                    self._read(fd)
                    self._write_due()
            self._write_due()
        self._end()

    def _left_s(self) -> float:
        return min(self._heap[0][0] - self._now_s(), IDLE_S) if self._heap else IDLE_S

    def _now_s(self) -> float:
        return (time.monotonic_ns() - self._zero_ns) / 1e9

    def _read(self, fd: int) -> None:
        up = self._ups.get(fd)
        for _ in range(AT_ONCE):
            try:
                data = os.read(fd, DATAGRAM_BYTES)
            except BlockingIOError:
                return
            at_s = self._now_s()
            direction = None
            if len(data) >= IPV4_MIN_BYTES and data[0] >> 4 == 4:
                to = data[16:20]
                if up is None:
                    direction = self._downs.get(to)
                elif to == self._relay_address:
                    direction = up
            if direction is None:
                self.no_route += 1
                continue
            self.datagrams += 1
            decision = direction.decide(at_s, len(data))
            flight = Flight(direction, decision, data, [NEVER] * len(decision.arrivals_s))
            if not decision.arrivals_s:
                self._finish(flight)
            for number, arrival_s in enumerate(decision.arrivals_s):
                self._serial += 1
                heapq.heappush(self._heap, (arrival_s, self._serial, flight, number))

    def _write_due(self) -> None:
        heap, write, clock_ns, zero_ns = self._heap, os.write, time.monotonic_ns, self._zero_ns
        now_s = (clock_ns() - zero_ns) / 1e9
        while heap and heap[0][0] <= now_s:
            _, _, flight, number = heapq.heappop(heap)
            try:
                write(flight.ways.out_fd, flight.data)
            except OSError:
                self.refused += 1
            now_s = (clock_ns() - zero_ns) / 1e9
            written_s = flight.written_s
            written_s[number] = now_s
            if len(written_s) == 1 or not any(map(math.isnan, written_s)):
                self._finish(flight)

    def _finish(self, flight: Flight) -> None:
        if self._log is not None:
            self._finished.append(flight)

    def _make_rows(self, count: int) -> None:
        for _ in range(min(count, len(self._finished))):
            self._rows.append(self._finished.popleft().row())
        if len(self._rows) >= FLUSH_ROWS or self._now_s() >= self._flush_at_s:
            self._flush()

    def _flush(self) -> None:
        assert self._log is not None
        self._log.write(b"".join(self._rows))
        self._rows.clear()
        self._flush_at_s = self._now_s() + FLUSH_S

    def _end(self) -> None:
        left = {id(flight): flight for _, _, flight, _ in self._heap}
        self.in_flight = len(left)
        for flight in left.values():
            self._finish(flight)
        if self._log is not None:
            self._make_rows(len(self._finished))
            self._flush()


def main() -> int:
    """Read the plan from stdin, write Ready to stdout, work until stdin ends or SIGTERM comes, and write
    Ending."""
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        line = b""
        while not line.endswith(b"\n"):
            part = stdin.read(65_536)
            if not part:
                raise SystemExit("emulator: no plan on stdin; it is started by laboratory.star.star")
            line += part
    plan = msgspec.json.decode(line, type=Plan)
    realtime = plan.realtime and run_in_real_time()
    zero_ns, wall_ns = readings()
    ready = Ready(zero_monotonic_ns=zero_ns, zero_realtime_ns=wall_ns, realtime=realtime)
    log = None
    if plan.log is not None:
        header = Header(
            version=metadata.version("jamrelay"),
            seed=plan.seed,
            names=plan.names,
            legs=plan.legs,
            zero_monotonic_ns=zero_ns,
            zero_realtime_ns=wall_ns,
            realtime=realtime,
        )
        log = LogWriter(plan.log, header)
    emulator = Emulator(plan, zero_ns, log)

    def stop(*_: object) -> None:
        emulator.stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the star's to hear
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing in the loop makes cycles
    say(ready)
    cpu_s = time.process_time()
    try:
        emulator.run(lifeline=0)
    finally:
        namespaces.end_processes_in(set(plan.inodes))
        if log is not None:
            log.close()
        say(
            Ending(
                datagrams=emulator.datagrams,
                no_route=emulator.no_route,
                refused=emulator.refused,
                in_flight=emulator.in_flight,
                cpu_s=time.process_time() - cpu_s,
                seconds=(time.monotonic_ns() - zero_ns) / 1e9,
            )
        )
    return 0


def readings() -> tuple[int, int]:
    """Return (CLOCK_MONOTONIC, CLOCK_REALTIME) in ns at one instant. The fastest of ten readings is used."""
    best = (1 << 62, 0, 0)
    for _ in range(10):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        best = min(best, (after - before, (before + after) // 2, wall))
    return best[1], best[2]


def run_in_real_time() -> bool:
    """Ask the kernel for SCHED_FIFO and exact timers. Return True if SCHED_FIFO was granted."""
    namespaces.set_timer_slack(TIMER_SLACK_NS)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
        return True
    return False


def say(word: msgspec.Struct) -> None:
    with contextlib.suppress(OSError):  # nobody may be left to hear it
        os.write(1, msgspec.json.encode(word) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
