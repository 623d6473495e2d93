"""Oracle: tells which events the best possible sender can deliver in time over the same bad network.

Pure. The oracle uses the model and the seed of the run. So it knows the network's bursts, outages, spikes and
replayed losses beforehand. It assumes a sender that repeats an event without end, from its emission on. It
also assumes a relay that passes the event on to all at once, and repeats it without end too. Independent loss
and the jitter of single datagrams never stop such a sender. A burst or an outage stops it only if it lasts
for the whole time left.

An event that even this sender can't deliver is *unavoidable*: with that lead, no repair, transport or code
could have saved it. If a run has fewer bad events than unavoidable ones, the measurement is wrong.

Instants are seconds of the emulation (0 = its start), of one true clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from relay.netmodel.impairment import Impairment, Leg

NEEDED_S = 0.020
"""Least time (s) before its due at which scsynth must be handed an event that counts as in time."""


@dataclass(frozen=True, slots=True)
class Emission:
    """One event as its Sonic Pi sent it. Instants are in seconds of the emulation.

    origin: the member's name, as in the legs. at_s: when the event was sent. due_s: its base due, the due of
    an event that isn't late: max(timetag + shift, at + lead).
    """

    origin: str
    at_s: float
    due_s: float


def base_due_s(at_s: float, timetag_s: float, lead_s: float, shift_s: float = 0.0) -> float:
    """Return the due of a timed event that is in time (all in s). Source: relay/wire/sequence.py."""
    return max(timetag_s + shift_s, at_s + lead_s)


def way_name(member: str, way: str) -> str:
    """Return the name of one direction ("up", "down") of a member's leg. It seeds the model's random
    numbers."""
    return f"{member}/{way}"


class Oracle:
    """Tells which members the best possible sender reaches in time, over the legs of all members."""

    def __init__(self, legs: Mapping[str, Leg], *, seed: int) -> None:
        """legs: by member. legs and seed must be those of the emulation to judge."""
        self._up = {
            name: Impairment(leg.up, seed=seed, name=way_name(name, "up")) for name, leg in legs.items()
        }
        self._down = {
            name: Impairment(leg.down, seed=seed, name=way_name(name, "down")) for name, leg in legs.items()
        }

    def out_of_reach(self, emission: Emission) -> list[str]:
        """Return the members that even the best possible sender can't reach in time; [] if it reaches all.

        The origin is never among them: it gets its own event without a network. Raises KeyError for an
        unknown origin.
        """
        until_s = emission.due_s - NEEDED_S
        others = [name for name in self._down if name != emission.origin]
        at_relay_s = self._up[emission.origin].best_arrival_s(emission.at_s, until_s)
        if at_relay_s is None or at_relay_s > until_s:
            return others
        unserved = []
        for name in others:
            there_s = self._down[name].best_arrival_s(at_relay_s, until_s)
            if there_s is None or there_s > until_s:
                unserved.append(name)
        return unserved


def unavoidable(emissions: Iterable[Emission], legs: Mapping[str, Leg], seed: int) -> list[Emission]:
    """Return the events that even the best possible sender can't deliver to all other members in time."""
    oracle = Oracle(legs, seed=seed)
    return [emission for emission in emissions if oracle.out_of_reach(emission)]
