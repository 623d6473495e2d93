"""Named networks of the virtual jam: what becomes of a datagram on its way, and of a control message.

Seeded, so the same dice give the same network. All delays in seconds, one way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Way:
    """One direction. jitter_s: mean of an exponential tail on top of delay_s, cut at five times that."""

    delay_s: float
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """Share of datagrams that are overtaken: they take `reorder_s` longer."""
    reorder_s: float = 0.012
    spike_every_s: float = 0.0
    """Every so often the way is blocked for spike_s, then all comes at once."""
    spike_s: float = 0.0

    def arrivals_s(self, at_s: float, dice: Random) -> list[float]:
        """Return when a datagram sent at `at_s` arrives: never, once, or twice."""
        if dice.random() < self.loss:
            return []
        delay_s = self.delay_s + min(dice.expovariate(1.0), 5.0) * self.jitter_s
        if dice.random() < self.reorder:
            delay_s += self.reorder_s
        if self.spike_every_s and at_s % self.spike_every_s < self.spike_s:
            delay_s += self.spike_s - at_s % self.spike_every_s
        times = [at_s + delay_s]
        if dice.random() < self.duplicate:
            times.append(at_s + delay_s + 0.003)
        return times


@dataclass(frozen=True, slots=True)
class Network:
    """Both directions between a bridge and the relay."""

    up: Way
    down: Way


def _both(way: Way) -> Network:
    return Network(way, way)


NETWORKS: dict[str, Network] = {
    "studio-lan": _both(Way(0.0003, 0.0001)),
    "hotel-wifi": _both(Way(0.012, 0.004)),
    "asymmetric-20-80": Network(Way(0.020, 0.001), Way(0.080, 0.001)),
    "wifi-spikes": _both(Way(0.008, 0.001, spike_every_s=1.7, spike_s=0.025)),
    "lossy-2-percent": _both(Way(0.010, 0.001, loss=0.02)),
    "reordering": _both(Way(0.010, 0.001, reorder=0.2)),
    "duplicating": _both(Way(0.010, 0.001, duplicate=0.3)),
}

Meddler = Callable[[str, int, float], float | None]
"""(member, direction, instant) -> seconds to add to a datagram's delay, None to lose it."""

UP, DOWN = 0, 1
