"""Ways of a virtual jam: the fate of a datagram, and of a control message, on a member's leg.

Pure, by the one model of a bad network (relay/netmodel/impairment.py). The same seed and member give the same
dice.
"""

from collections.abc import Callable

from relay.netmodel.impairment import Impairment, Way

IP_UDP_BYTES = 28
"""Header bytes: the model counts bytes of the IP datagram (IPv4, no options)."""
CONTROL_EXTRA_S = 0.002
"""Extra delay (s) of a control message: TLS over TCP takes a little longer than a bare datagram."""
CONTROL_PATIENCE_S = 60.0
"""TCP tries again and again. A way that is dead for longer than this (s) delivers everything at its end."""

UP, DOWN = 0, 1

Meddler = Callable[[str, int, float], float | None]
"""(member, direction, instant) -> seconds to add to a datagram's delay, None to lose it."""


class Passage:
    """One direction of a member's leg, at work."""

    def __init__(self, way: Way, *, seed: int, name: str) -> None:
        self.bytes = 0
        """IP bytes of all datagrams that entered, the lost ones included."""
        self._impairment = Impairment(way, seed=seed, name=name)
        self._delay_s = way.delay_ms / 1e3
        self._control_s = 0.0

    def arrivals_s(self, at_s: float, payload_bytes: int) -> tuple[float, ...]:
        """Return when a datagram sent at `at_s` arrives: never, once, or twice."""
        size = payload_bytes + IP_UDP_BYTES
        self.bytes += size
        return self._impairment.decide(at_s, size).arrivals_s

    def control_arrival_s(self, at_s: float) -> float:
        """Return when a control message arrives: in order, never lost, but stopped by bursts and outages.

        A persistent sender stands for TCP; the events' own way is the one that is studied here.
        """
        best_s = self._impairment.best_arrival_s(at_s, at_s + CONTROL_PATIENCE_S)
        arrival_s = at_s + CONTROL_PATIENCE_S if best_s is None else best_s
        self._control_s = max(arrival_s, at_s + self._delay_s, self._control_s - CONTROL_EXTRA_S)
        self._control_s += CONTROL_EXTRA_S
        return self._control_s
