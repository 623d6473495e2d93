"""A path probe and a relay's hub with a random path between them, in virtual time.

Everything travels as encoded bytes. The random numbers are seeded.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from bridge.probe.measurement import Probe
from clock.model import NS_PER_S, ticks_from_ns
from relay.effects import CloseControl, Effect, SendControl, SendDatagram
from relay.hub.hub import RelayHub
from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.room.facets.standard import standard
from relay.wire import control
from relay.wire.timetag import ticks
from relay.wire.trace import Trace
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds.relay import EPOCH

BOOTED_NS = 86_400 * NS_PER_S
"""The prober's local clock (ns) at the start: a host that has been up for a day."""

ADDRESS = ("192.0.2.1", 40_000)
CONTROL_MS = 40.0

Path = Callable[[Random, float], float | None]
"""(random numbers, second since the start) -> the one-way delay (ms) of a datagram; None: it is lost."""


def constant(delay_ms: float) -> Path:
    return lambda random, at_s: delay_ms


def rough(
    least_ms: float, mean_ms: float, loss: float = 0.0, outages: tuple[tuple[float, float], ...] = ()
) -> Path:
    """Return a path with a least delay, an exponential wait, independent loss, and outages.

    mean_ms: mean of the wait. loss: probability. outages: (from, until) in seconds; all datagrams between are
    lost.
    """

    def path(random: Random, at_s: float) -> float | None:
        delay_ms = least_ms + (random.expovariate(1 / mean_ms) if mean_ms else 0.0)
        lost = random.random() < loss or any(since <= at_s < until for since, until in outages)
        return None if lost else delay_ms

    return path


@dataclass
class Truth:
    """What became of one datagram.

    sent_s: seconds after the start, by the prober's clock. delay_ms: one-way; None: the datagram was lost.
    """

    sent_s: float
    delay_ms: float | None


@dataclass
class ProbeWorld:
    """A prober and a relay. The prober's clock is exact; the relay's runs faster by `drift_ppm`."""

    seed: int = 1
    up: Path = field(default_factory=lambda: constant(20.0))
    down: Path = field(default_factory=lambda: constant(20.0))
    rate: float = 50.0
    seconds: float = 10.0
    drift_ppm: float = 0.0
    served_ms: float = 0.0
    """How long (ms) a datagram waits at the relay."""
    late_s: Callable[[Random], float] = lambda random: 0.0
    """Draws, for each wake-up, how late (s) the prober is woken."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.now_ns = BOOTED_NS
        self.hub = RelayHub(
            facets=standard(LeadPolicy(ticks(0.2), 0)),
            limits=HubLimits(rooms_max=4, members_max=4),
            entropy=self.random.randbytes,
            now=EPOCH,
            software="jamrelay test",
        )
        self.ups: list[Truth] = []
        self.downs: list[Truth] = []
        self.closed = False
        self.connected = True
        """Whether the control connection works. While it is False no report reaches the prober."""
        self._order = count()
        self._wakeup: tuple[int | None, int] = (None, 0)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        hello = control.ProbeHello(
            protocol=PROTOCOL_VERSION, software="test", rate=self.rate, seconds=self.seconds
        )
        (effect,) = self.hub.receive_control(1, hello, self.session(), host=ADDRESS[0])
        assert isinstance(effect, SendControl)
        welcome = control.decode_down(control.encode(effect.message))
        assert isinstance(welcome, control.ProbeWelcome)
        self.probe = Probe(welcome, rate=self.rate, seconds=self.seconds, now_local_ns=self.now_ns)

    def session(self) -> int:
        """Return the relay's clock (session ticks) now."""
        since_ns = self.now_ns - BOOTED_NS
        return EPOCH + ticks_from_ns(since_ns + round(since_ns * self.drift_ppm * 1e-6))

    def at_s(self) -> float:
        return (self.now_ns - BOOTED_NS) / NS_PER_S

    def run(self, until_s: float = 1e9) -> None:
        """Let time pass until the probe is finished, or until second `until_s` of the prober's clock."""
        while not self.probe.finished(self.now_ns) and self.at_s() < until_s:
            prober_ns = self._prober_ns()
            relay_ns = self._local(self.hub.next_wakeup())
            first_ns = self._events[0][0] if self._events else prober_ns
            self.now_ns = max(self.now_ns, min(prober_ns, relay_ns, first_ns))
            while self._events and self._events[0][0] <= self.now_ns:
                heapq.heappop(self._events)[2]()
            if relay_ns <= self.now_ns:
                self._do(self.hub.wake(self.session()))
            if prober_ns <= self.now_ns:
                datagram = self.probe.wake(self.now_ns)
                if datagram is not None:
                    self._send_up(datagram)

    def _prober_ns(self) -> int:
        wakeup = self.probe.next_wakeup_ns()
        if wakeup is None:
            return self.now_ns + 50_000_000
        if wakeup != self._wakeup[0]:
            self._wakeup = wakeup, wakeup + round(self.late_s(self.random) * NS_PER_S)
        return max(self._wakeup[1], self.now_ns)

    def trace(self) -> Trace:
        return self.probe.trace({"host": "test"})

    def _local(self, session: int) -> int:
        """Return a local instant (ns) that is at or just after the session instant (ticks)."""
        return BOOTED_NS + int((session - EPOCH) / 2**32 / (1 + self.drift_ppm * 1e-6) * NS_PER_S) + 2

    def _after(self, delay_ms: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now_ns + round(delay_ms * 1e6), next(self._order), act))

    def _send_up(self, datagram: bytes) -> None:
        delay_ms = self.up(self.random, self.at_s())
        self.ups.append(Truth(self.at_s(), delay_ms))
        if delay_ms is not None:
            self._after(delay_ms, lambda: self._arrive_up(datagram))

    def _arrive_up(self, datagram: bytes) -> None:
        received = self.session()
        self._after(self.served_ms, lambda: self._serve(datagram, received))

    def _serve(self, datagram: bytes, received: int) -> None:
        effects = self.hub.receive_datagram(datagram, ADDRESS, received=received, now=self.session())
        self._do(effects)

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendDatagram(to, payload):
                    assert to == ADDRESS
                    delay_ms = self.down(self.random, self.at_s())
                    self.downs.append(Truth(self.at_s(), delay_ms))
                    if delay_ms is not None:
                        self._after(delay_ms, lambda datagram=payload: self._arrive_down(datagram))
                case SendControl(_, message):
                    if self.connected:
                        decoded = control.decode_down(control.encode(message))
                        self._after(CONTROL_MS, lambda report=decoded: self._report(report))
                case CloseControl():
                    self.closed = True

    def _arrive_down(self, datagram: bytes) -> None:
        self.probe.receive_datagram(datagram, received_local_ns=self.now_ns)

    def _report(self, message: control.Down) -> None:
        if self.connected:
            assert isinstance(message, control.ProbeReport)
            self.probe.receive_report(message, now_local_ns=self.now_ns)
