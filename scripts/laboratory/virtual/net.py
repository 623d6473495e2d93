"""Net: computes the arrival of datagrams and control messages over a member's leg, in virtual time.

Pure. It uses the project's one model of a bad network (relay/netmodel/impairment.py). The same seed and
member give the same random numbers.
"""

from collections.abc import Callable

from relay.netmodel.impairment import Impairment, Way

IP_UDP_BYTES = 28
"""Header bytes of a datagram. The model counts the bytes of the whole IP datagram (IPv4, no options)."""
CONTROL_EXTRA_S = 0.002
"""Extra delay (s) of a control message: TLS over TCP takes a little longer than a bare datagram."""
CONTROL_PATIENCE_S = 60.0
"""Longest time (s) for which TCP is modelled as sending again. Then a control message arrives even over a
dead way."""

UP, DOWN = 0, 1

Meddler = Callable[[str, int, float], float | None]
"""A function of (member, direction, true instant in s). It returns the seconds to add to a datagram's delay;
None loses the datagram."""


class Passage:
    """One direction of a member's leg, with the state of its model. name: seeds its random numbers."""

    def __init__(self, way: Way, *, seed: int, name: str) -> None:
        self.bytes = 0
        """IP bytes of all datagrams sent in this direction, lost ones included."""
        self._impairment = Impairment(way, seed=seed, name=name)
        self._delay_s = way.delay_ms / 1e3
        self._control_s = 0.0

    def arrivals_s(self, at_s: float, payload_bytes: int) -> tuple[float, ...]:
        """Return the true instants (s) at which a datagram sent at `at_s` arrives: none, one, or two."""
        size = payload_bytes + IP_UDP_BYTES
        self.bytes += size
        return self._impairment.decide(at_s, size).arrivals_s

    def control_arrival_s(self, at_s: float) -> float:
        """Return the true instant (s) at which a control message sent at `at_s` arrives.

        Control messages arrive in order and are never lost, but bursts of loss and outages delay them. TCP is
        modelled simply, as a sender that tries again all the time: the study is about the events' datagrams.
        """
        best_s = self._impairment.best_arrival_s(at_s, at_s + CONTROL_PATIENCE_S)
        arrival_s = at_s + CONTROL_PATIENCE_S if best_s is None else best_s
        self._control_s = max(arrival_s, at_s + self._delay_s, self._control_s - CONTROL_EXTRA_S)
        self._control_s += CONTROL_EXTRA_S
        return self._control_s
