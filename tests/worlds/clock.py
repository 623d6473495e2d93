"""A relay's clock, a bridge's clock and the path between them, in virtual time with a seeded Random."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import log
from random import Random

from clock.discipline import Adjustment, SessionClock
from clock.model import NS_PER_S, ns_from_ticks, ticks_from_ns
from clock.schedule import Poller
from relay.netmodel.impairment import LOGNORMAL_SIGMA

EPOCH = 3_990_000_000 << 32  # some time in 2026, as a timetag
BOOTED_NS = 86_400 * NS_PER_S  # the local clock at the start: up for a day

Delay = Callable[[Random], float]


def loopback(random: Random) -> float:
    """Return a random one-way delay (s) of a loopback interface, 20 to 40 µs."""
    return random.uniform(20e-6, 40e-6)


def jittered(base_s: float, mean_s: float) -> Delay:
    """Return a source of one-way delays: `base_s` plus an exponential wait with mean `mean_s`."""
    return lambda random: base_s + random.expovariate(1 / mean_s)


def queued(base_s: float, mean_s: float) -> Delay:
    """Return a source of one-way delays: `base_s` plus a lognormal wait with mean `mean_s`.

    The wait is hardly ever near 0. relay.netmodel.impairment has the same distribution.
    """
    mu = log(mean_s) - LOGNORMAL_SIGMA**2 / 2
    return lambda random: base_s + random.lognormvariate(mu, LOGNORMAL_SIGMA)


@dataclass
class World:
    """A bridge that learns the relay's clock over a random path.

    The bridge's local clock is exact. drift: how much faster the relay's clock runs, as a fraction. steps:
    second -> by how many seconds the relay's clock jumps. loss: the probability that a datagram is lost.
    """

    seed: int
    up: Delay = loopback
    down: Delay = loopback
    drift: float = 0.0
    loss: float = 0.0
    steps: dict[float, float] = field(default_factory=dict)  # at second: session jumps by seconds
    clock: SessionClock = field(default_factory=SessionClock)
    adjustments: list[tuple[float, Adjustment]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.poller = Poller(BOOTED_NS)
        self.now_ns = BOOTED_NS

    def true_session(self, local_ns: int) -> int:
        since_ns = local_ns - BOOTED_NS
        stepped = sum(by for at, by in self.steps.items() if since_ns >= at * NS_PER_S)
        return EPOCH + ticks_from_ns(since_ns + round(since_ns * self.drift) + round(stepped * NS_PER_S))

    def exchange(self, t1_ns: int) -> tuple[int, int, int, int] | None:
        """Return (t1, t2, t3, t4) of a request sent at t1, or None if request or answer was lost.

        t1, t4: local ns. t2, t3: session ticks.
        """
        up_ns, down_ns = (round(delay(self.random) * NS_PER_S) for delay in (self.up, self.down))
        served_ns = round(self.random.uniform(5e-6, 50e-6) * NS_PER_S)
        if self.random.random() < self.loss or self.random.random() < self.loss:
            return None
        t2_at, t3_at = t1_ns + up_ns, t1_ns + up_ns + served_ns
        return t1_ns, self.true_session(t2_at), self.true_session(t3_at), t3_at + down_ns

    def run(self, until_s: float) -> Iterator[float]:
        """Poll the relay until second `until_s`. Yield the current second after each exchange that arrived.

        Exchanges arrive in the order in which they were sent.
        """
        while self.poller.next_poll_local_ns < BOOTED_NS + until_s * NS_PER_S:
            t1_ns = self.poller.next_poll_local_ns
            cookie = self.poller.sent(t1_ns)
            times = self.exchange(t1_ns)
            if times is None:
                self.now_ns = t1_ns
                if self.clock.lock_if_ready(t1_ns) is not Adjustment.HELD:
                    yield self.second()
                continue
            _, t2, t3, t4_ns = times
            assert self.poller.answered(cookie, t4_ns) == t1_ns
            self.now_ns = max(self.now_ns, t4_ns)
            done = self.clock.add_exchange(
                t1_local_ns=t1_ns, t2_session=t2, t3_session=t3, t4_local_ns=t4_ns, now_local_ns=self.now_ns
            )
            self.adjustments.append((self.second(), done))
            yield self.second()

    def second(self) -> float:
        return (self.now_ns - BOOTED_NS) / NS_PER_S

    def error_s(self, after_s: float = 0.0) -> float:
        """Return how far (s) the bridge's session clock is ahead of the relay's, `after_s` from now."""
        at_ns = self.now_ns + round(after_s * NS_PER_S)
        return ns_from_ticks(self.clock.session_from_local(at_ns) - self.true_session(at_ns)) / NS_PER_S


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
