"""Point: one element of the laboratory's matrix, a network with the settings to try on it.

The module also parses the members' legs from a network's text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from relay.netmodel.impairment import Leg
from relay.netmodel.networks import parse_leg
from relay.wire.errors import LocalError
from relay.wire.sequence import Scheme

MEMBERS = (
    "anna", "ben", "carla", "dan", "eva", "finn", "greta", "hugo",
    "ida", "jan", "kim", "lea", "max", "nora", "otto", "pia",
)  # fmt: skip
"""Names of members, in the order of joining. A point with n members has the first n."""

WHERES = ("virtual", "netlab", "genuine", "inprocess")
TRANSPORTS = ("udp", "tls-cubic", "tls-bbr")


@dataclass(frozen=True, slots=True)
class Cut:
    """A period in which a member isn't counted: its network is down, and then it gets time to recover.

    from_s, to_s: seconds of the emulation. Events from the member and to the member aren't counted in this
    period. Events among the others are.
    """

    member: str
    from_s: float
    to_s: float

    def __str__(self) -> str:
        return f"{self.member} {self.from_s:g}-{self.to_s:g}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the cut in a text such as "ben 60-63"; None for an empty text. Raises ValueError."""
        if not text:
            return None
        member, period = text.split()
        from_s, to_s = map(float, period.split("-"))
        return cls(member, from_s, to_s)


@dataclass(frozen=True, slots=True)
class Point:
    """A network with settings, to run once for every seed.

    due_ms: time from an event's emission to its due. lead_ms: the room's fixed lead; None: the lead tunes
    itself. shift_auto: True: the shift tunes itself; False: it is 0.
    """

    name: str
    """Unique name. It never changes its meaning, because rows are found by (name, seed)."""
    series: str
    """The point's experiment, such as "loss". The points of a series and a mode (`mode_of`) make one
    curve."""
    x: float
    """The point's place on its curve, in the experiment's unit."""
    where: str
    network: str
    """Text for `legs_of`: a network for all members, then "| ben=NETWORK" for each member with another
    network."""
    transport: str = "udp"
    repair: bool = True
    scheme: Scheme = Scheme.JUDGED
    """How the room gets its dues: from the relay's verdicts, or from timestamps alone."""
    lead_ms: float | None = 200.0
    shift_auto: bool = False
    ahead_ms: float = 500.0
    members: int = 3
    events_per_s: float = 20.0
    """Events a second of each member."""
    seconds: float = 30.0
    """Length (s) of the measured window. The warm-up comes before it and isn't counted."""
    seeds: tuple[int, ...] = (1, 2, 3)
    cut: str = ""
    """Text of a Cut, a member that is cut off and not counted for a while. Only netlab can cut a member
    off."""

    @property
    def due_ms(self) -> float:
        """Time (ms) from emission to due of an event that isn't moved. A self-tuned lead counts as below
        `ahead_ms`."""
        return max(self.ahead_ms, self.lead_ms or 0.0)

    def __post_init__(self) -> None:
        if self.where not in WHERES:
            raise LocalError(
                f"point {self.name}: where is {self.where!r}, expected one of {', '.join(WHERES)}"
            )
        if self.transport not in TRANSPORTS:
            raise LocalError(
                f"point {self.name}: transport is {self.transport!r}, expected one of {', '.join(TRANSPORTS)}"
            )
        if self.cut and self.where != "netlab":
            raise LocalError(f"point {self.name}: a member that is cut off is known in netlab alone")
        if not 1 <= self.members <= len(MEMBERS):
            raise LocalError(f"point {self.name}: {self.members} members, expected 1 to {len(MEMBERS)}")


class Sending(Protocol):
    """The fields of Point and Row that describe how events were sent."""

    @property
    def transport(self) -> str: ...
    @property
    def repair(self) -> bool: ...


MODES = ("udp-plain", "udp-repair", "tls-cubic", "tls-bbr")


def mode_of(sending: Sending) -> str:
    """Return the mode, one of MODES, in which events are sent. Over TLS `repair` doesn't count: TCP repairs
    by itself."""
    if sending.transport == "udp":
        return "udp-repair" if sending.repair else "udp-plain"
    return sending.transport


def names_of(members: int) -> tuple[str, ...]:
    """Return the names of the members of a room with this many members."""
    return MEMBERS[:members]


def legs_of(point: Point) -> dict[str, Leg]:
    """Return every member's leg by name, in the order of `names_of`. Raises LocalError, in words."""
    return legs_over(point.network, names_of(point.members))


def legs_over(network: str, names: Sequence[str]) -> dict[str, Leg]:
    """Return each member's leg by name. Raises LocalError, in words.

    "hotel-wifi" gives the same leg to all. "fibre | ben=delay=80,jitter=5 | carla=mobile" gives fibre to all
    members except ben and carla.
    """
    common, *exceptions = (part.strip() for part in network.split("|"))
    legs = dict.fromkeys(names, parse_leg(common))
    for exception in exceptions:
        name, equals, text = exception.partition("=")
        name = name.strip()
        if not equals or name not in legs:
            raise LocalError(
                f"{exception!r} in {network!r}: expected NAME=NETWORK with NAME one of {', '.join(legs)}"
            )
        legs[name] = parse_leg(text.strip())
    return legs
