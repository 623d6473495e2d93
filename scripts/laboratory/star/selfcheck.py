"""Self-check: sends numbered datagrams through a star and compares their arrivals with the decision log.

Delay is measured from outside, from a reading of the clock before sending to the kernel's receive timestamp.
It is compared with the delay that the model decided. The difference contains the time in which the emulator
wakes up, reads and writes. Datagrams are sent at even intervals of the emulation's own clock, up and down
alternately.
"""

import contextlib
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rehearsal.rigs.recorder import ANCILLARY_BYTES, read_ancillary, stamping

from laboratory.star.decisionlog import UP, WAYS, Log, read_log
from laboratory.star.emulator import PRIORITY, Ending
from laboratory.star.namespaces import set_timer_slack
from laboratory.star.star import Star
from laboratory.star.wayreport import ERROR_MS_P99_MAX, WayReport, report
from relay.netmodel.impairment import Leg

MEMBER = "anna"
PORT = 7707
SIZE = 64
"""Bytes of each IP datagram: few, so that even a slow line isn't full."""
HEADERS = 28
START_S = 0.3
"""Start of sending, in seconds of the emulation. It is the same in each run, so outages and bursts are
too."""
QUIET_S = 1.5
"""If no datagram arrives for this time (s), no more are expected: it is longer than any way's delay here."""
DRAIN_S = 0.005
NUMBER = struct.Struct("!I")

Stamps = dict[int, list[int]]
"""Number of each datagram -> the arrivals of all its copies (ns of CLOCK_REALTIME)."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The report on a way, with what was measured from outside.

    error_ms: (p50, p99, worst) of the datagrams' delay beyond the decided one.
    """

    report: WayReport
    error_ms: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The findings of one self-check."""

    ways: list[Measured]
    rate: float
    """Datagrams sent a second, both directions together."""
    cpu_share: float
    """Share of one processor that the emulator used."""
    ending: Ending

    @property
    def is_ok(self) -> bool:
        """True if every way was as asked for, and in time."""
        return all(way.report.is_ok for way in self.ways)


def check(
    leg: Leg,
    *,
    seed: int,
    rate: float,
    seconds: float,
    realtime: bool = True,
    tick: Callable[[float], None] = lambda _: None,
) -> SelfCheck:
    """Send for `seconds` at `rate` (datagrams a second, both directions together) and return the findings.

    tick: called a few times a second with the seconds done so far. Raises NetlabError.
    """
    with tempfile.TemporaryDirectory(prefix="netlab-") as folder:
        path = Path(folder) / "decisions.log"
        with (
            Star({MEMBER: leg}, seed=seed, log=path, realtime=realtime, awake=realtime) as star,
            _in_front(realtime),
        ):
            sent, came = _converse(star, rate, seconds, tick)
        log = read_log(path)
    assert star.ending is not None
    measured = []
    for one, way in zip(report(log, even=True), WAYS, strict=True):
        errors_ms = compare(log, way, sent[way], came[way], one.faults) or [0.0]
        p50, p99, worst = map(float, np.percentile(errors_ms, [50, 99, 100]))
        if p99 >= ERROR_MS_P99_MAX:
            one.lateness.append(f"seen from outside, 1 in 100 was {p99:.2f} ms later than decided")
        measured.append(Measured(one, (p50, p99, worst)))
    if star.unlogged:
        measured[0].report.faults.append(f"the kernel dropped {star.unlogged} datagrams beside the emulator")
    span_s = max((times[-1] for times in sent.values()), default=0) - min(t[0] for t in sent.values())
    count = sum(map(len, sent.values()))
    return SelfCheck(measured, count / (span_s / 1e9), star.ending.cpu_s / star.ending.seconds, star.ending)


def compare(log: Log, way: str, sent_ns: list[int], came_ns: Stamps, faults: list[str]) -> list[float]:
    """Return each arrival's delay (ms) beyond the decided one; append contradictions to the log to `faults`.

    sent_ns: the send time of each datagram, by number. The n-th datagram sent is the n-th in the log.
    came_ns: arrivals by number.
    """
    decisions = log.decisions(MEMBER, way)
    if len(decisions) != len(sent_ns):
        faults.append(f"{len(sent_ns)} were sent, but the emulator saw {len(decisions)}")
        return []
    errors_ms: list[float] = []
    astray = 0
    for number, (decision, at_ns) in enumerate(zip(decisions, sent_ns, strict=True)):
        stamps = sorted(came_ns.get(number, ()))
        if len(stamps) != len(decision.arrivals_s):
            astray += 1
            continue
        for stamp_ns, arrival_s in zip(stamps, sorted(decision.arrivals_s), strict=True):
            errors_ms.append((stamp_ns - at_ns) / 1e6 - (arrival_s - decision.at_s) * 1e3)
    if astray:
        faults.append(f"{astray} did not arrive as often as decided")
    return errors_ms


def _converse(
    star: Star, rate: float, seconds: float, tick: Callable[[float], None]
) -> tuple[dict[str, list[int]], dict[str, Stamps]]:
    """Send datagrams up and down alternately. Return (send times in ns, Stamps), both by way."""
    assert star.ready is not None
    member, relay = _socket(star, MEMBER), _socket(star, None)
    ends = ((member, (star.relay_address, PORT)), (relay, (star.member(MEMBER).address, PORT)))
    sent: dict[str, list[int]] = {way: [] for way in WAYS}
    came: dict[str, Stamps] = {way: {} for way in WAYS}
    receivers = {WAYS[UP]: relay, WAYS[1 - UP]: member}
    count = round(rate * seconds)
    start_s = star.ready.zero_monotonic_ns / 1e9 + START_S
    padding = bytes(SIZE - HEADERS - NUMBER.size)
    drained_s = ticked_s = 0.0
    with member, relay:
        for turn in range(count):
            due_s = start_s + turn / rate
            now_s = time.monotonic()
            if now_s - drained_s > DRAIN_S:
                _drain(receivers, came)
                drained_s = now_s
            if now_s - ticked_s > 0.25:
                star.check()
                tick(turn / rate)
                ticked_s = now_s
            if (left_s := due_s - time.monotonic()) > 0:
                time.sleep(left_s)
            sock, to = ends[turn % 2]
            times_ns = sent[WAYS[turn % 2]]
            payload = NUMBER.pack(len(times_ns)) + padding
            times_ns.append(time.time_ns())
            sock.sendto(payload, to)
        quiet_from_s = time.monotonic()
        while time.monotonic() - quiet_from_s < QUIET_S:
            if _drain(receivers, came):
                quiet_from_s = time.monotonic()
            time.sleep(DRAIN_S)
    return sent, came


def _socket(star: Star, name: str | None) -> socket.socket:
    host = star.relay if name is None else star.member(name)
    return stamping(host.socket(), PORT, host.address)


def _drain(receivers: dict[str, socket.socket], came: dict[str, Stamps]) -> int:
    count = 0
    for way, sock in receivers.items():
        stamps = came[way]
        while True:
            try:
                payload, ancillary, _, _ = sock.recvmsg(SIZE, ANCILLARY_BYTES)
            except BlockingIOError:
                break
            (number,) = NUMBER.unpack_from(payload)
            stamps.setdefault(number, []).append(read_ancillary(ancillary)[0])
            count += 1
    return count


@contextlib.contextmanager
def _in_front(realtime: bool) -> Iterator[None]:
    """Give this thread real-time priority, below the emulator's. So delays of this thread don't count as the
    emulator's."""
    was = os.sched_getscheduler(0), os.sched_getparam(0)
    if realtime:
        set_timer_slack(1)
        with contextlib.suppress(OSError):
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(PRIORITY // 2))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, *was)
