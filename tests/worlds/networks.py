"""Small networks for virtual jams, each with one trouble."""

from dataclasses import replace

from relay.netmodel.impairment import Jitter, JitterKind, Leg, Spikes, Way


def _jittery(delay_ms: float, mean_ms: float) -> Way:
    """Return a way that delays each datagram at random, so that datagrams overtake each other.

    A queue keeps their order and is easier for the protocol.
    """
    return Way(delay_ms=delay_ms, jitter=Jitter(JitterKind.EXPONENTIAL, mean_ms), fifo=False)


NETWORKS: dict[str, Leg] = {
    "studio-lan": Leg.both(_jittery(0.3, 0.1)),
    "hotel-wifi": Leg.both(_jittery(12.0, 4.0)),
    "asymmetric-20-80": Leg(_jittery(20.0, 1.0), _jittery(80.0, 1.0)),
    "wifi-spikes": Leg.both(
        Way(
            delay_ms=8.0,
            jitter=Jitter(JitterKind.EXPONENTIAL, 1.0),
            spikes=Spikes(every_s=1.7, height_ms=25.0),
        )
    ),
    "lossy-2-percent": Leg.both(replace(_jittery(10.0, 1.0), loss=0.02)),
    "reordering": Leg.both(replace(_jittery(10.0, 1.0), reorder=0.2)),
    "duplicating": Leg.both(replace(_jittery(10.0, 1.0), duplicate=0.3)),
}
"""Networks that a lead of 0.2 s must be good enough for, by name. Each has one trouble."""
