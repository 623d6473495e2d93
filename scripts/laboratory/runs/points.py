"""Point: one place in the laboratory's matrix, which is a network and the settings tried on it.

The module also reads the legs of a point's members from the text of the network.
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
"""Names of members, in the order of their joining; a point with n members has the first n."""

WHERES = ("virtual", "netlab", "genuine", "inprocess")
TRANSPORTS = ("udp", "tls-cubic", "tls-bbr")


@dataclass(frozen=True, slots=True)
class Cut:
    """A period in which a member isn't counted: its network is down, and then it gets time to recover.

    from_s, to_s: seconds of the emulation. Events that the member plays or hears in this period aren't
    counted. Events among the others are.
    """

    member: str
    from_s: float
    to_s: float

    def __str__(self) -> str:
        return f"{self.member} {self.from_s:g}-{self.to_s:g}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the cut that a text such as "ben 60-63" describes; None for an empty text. Raises
        ValueError."""
        if not text:
            return None
        member, period = text.split()
        from_s, to_s = map(float, period.split("-"))
        return cls(member, from_s, to_s)


@dataclass(frozen=True, slots=True)
class Point:
    """A network and settings, to be run once for every seed.

    `due_ms` is the time from an event's emission to its due. `lead_ms` is the room's fixed lead; None: the
    lead tunes itself. The shift is 0 unless `shift_auto` lets it tune itself too.
    """

    name: str
    """Unique. The same name means the same point for ever, because rows are found again by (name, seed)."""
    series: str
    """The experiment of the point, e.g. "loss". A series and a mode (`mode_of`) make one curve."""
    x: float
    """The point's place on that curve, in the unit of the experiment."""
    where: str
    network: str
    """Text for `legs_of`: a network for all members, then "| ben=NETWORK" for each member that has another
    one."""
    transport: str = "udp"
    repair: bool = True
    scheme: Scheme = Scheme.JUDGED
    """How the members stay coherent: by the relay's verdicts, or by timestamps alone."""
    lead_ms: float | None = 200.0
    shift_auto: bool = False
    ahead_ms: float = 500.0
    members: int = 3
    events_per_s: float = 20.0
    """Events a second of each member."""
    seconds: float = 30.0
    """Length of the measured window (s). Warming up comes before it and isn't counted."""
    seeds: tuple[int, ...] = (1, 2, 3)
    cut: str = ""
    """Text of a Cut: a member that is cut off for a while, and not counted then. Only netlab can cut a member
    off."""

    @property
    def due_ms(self) -> float:
        """Time (ms) from emission to due if nothing is moved. A lead that tunes itself counts as below
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
    """The fields, common to Point and Row, that say how events travelled."""

    @property
    def transport(self) -> str: ...
    @property
    def repair(self) -> bool: ...


MODES = ("udp-plain", "udp-repair", "tls-cubic", "tls-bbr")


def mode_of(sending: Sending) -> str:
    """Return how events travel, one of MODES. Over TLS the flag `repair` has no meaning: TCP repairs by
    itself."""
    if sending.transport == "udp":
        return "udp-repair" if sending.repair else "udp-plain"
    return sending.transport


def names_of(members: int) -> tuple[str, ...]:
    """Return the names of the members of a room of that size."""
    return MEMBERS[:members]


def legs_of(point: Point) -> dict[str, Leg]:
    """Return every member's leg, in the order of `names_of`. Raises LocalError, in words."""
    return legs_over(point.network, names_of(point.members))


def legs_over(network: str, names: Sequence[str]) -> dict[str, Leg]:
    """Return each member's leg, by name. Raises LocalError, in words.

    "hotel-wifi" gives the same leg to all. "fibre | ben=delay=80,jitter=5 | carla=mobile" gives fibre to all
    but ben and carla.
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
