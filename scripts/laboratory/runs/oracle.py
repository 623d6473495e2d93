"""Oracle: the events that the best possible sender could have delivered in time over the same bad network.

Pure. The oracle knows the networks' time lines. It uses the model and the seed of the run, so it meets the
same bursts, outages, spikes and replayed losses. It assumes a sender that repeats an event without end from
its emission on. It also assumes a relay that passes the event on to all at once, and repeats it without end
too. Independent loss and the jitter of single datagrams never stop such a sender. A burst or an outage stops
it only if it lasts for the whole of the time left.

An event that even this sender can't deliver is *unavoidable*: no repair, no transport and no code of ours
could have saved it at that lead. A result with fewer bad events than unavoidable ones shows a fault of the
measurement.

Instants are seconds of the emulation (0 = its start), of one true clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from relay.netmodel.impairment import Impairment, Leg

NEEDED_S = 0.020
"""An event is in time if scsynth is handed it at least this long (s) before its due."""


@dataclass(frozen=True, slots=True)
class Emission:
    """One event as its Sonic Pi sent it. Instants in seconds of the emulation.

    origin: the member's name, as in the legs. at_s: when the event was sent. due_s: the base due, which the
    relay gives to an event that isn't late: max(timetag + shift, at + lead).
    """

    origin: str
    at_s: float
    due_s: float


def base_due_s(at_s: float, timetag_s: float, lead_s: float, shift_s: float = 0.0) -> float:
    """Return the due that the room gives to a timed event that is in time. Source: relay/wire/sequence.py."""
    return max(timetag_s + shift_s, at_s + lead_s)


def way_name(member: str, way: str) -> str:
    """Return the name of one direction ("up", "down") of a member's leg. The model draws its dice by that
    name."""
    return f"{member}/{way}"


class Oracle:
    """Tells which members the best possible sender reaches in time, over the legs of all members."""

    def __init__(self, legs: Mapping[str, Leg], *, seed: int) -> None:
        """legs: by member. legs and seed must be those of the emulation that is judged."""
        self._up = {
            name: Impairment(leg.up, seed=seed, name=way_name(name, "up")) for name, leg in legs.items()
        }
        self._down = {
            name: Impairment(leg.down, seed=seed, name=way_name(name, "down")) for name, leg in legs.items()
        }

    def out_of_reach(self, emission: Emission) -> list[str]:
        """Return the members that no sender could have served in time; [] if all could be served.

        The origin is never among them: it has its own event without any network. Raises KeyError for an
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
    """Return the events that not even the best possible sender delivers to all other members in time."""
    oracle = Oracle(legs, seed=seed)
    return [emission for emission in emissions if oracle.out_of_reach(emission)]
