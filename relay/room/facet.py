"""Facet: one feature of a room. FacetKind: all that a hub needs to add a feature to each of its rooms.

Pure; instants are session timetags. A room calls all of its facets, in order, and names none of them. So a
feature is added as one more facet, without an edit of room, hub or reception.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from relay.effects import Effect
from relay.room.seat import Seat
from relay.room.why import Why
from relay.wire.control import Family, Report
from relay.wire.sequence import Judged, Stamped


class Facet:
    """One feature of one room. Each method is called when something happens in the room, and does nothing by
    default."""

    findings = 0
    """How often this facet has found something that statistics must show at once."""

    def joined(self, seat: Seat, now: int) -> None:
        """Note that a bridge is connected for `seat`. Its Welcome is written after this call."""

    def newcomer(self, seat: Seat) -> list[Effect]:
        """Return the messages to a bridge that was just welcomed, and to the others about it.

        If `seat.silenced`, the others have freed the member's sound, and must learn that it is back.
        """
        return []

    def left(self, slot: int) -> None:
        """Forget the member that had `slot`. The slot is free, and its next owner is somebody else."""

    def came(self, seat: Seat, event: Stamped, now: int) -> None:
        """Note that an event arrived. Called only if the event's delay shows that of the path
        (`Channel.tells_its_way`). The verdict may follow much later."""

    def never_came(self, slot: int, events: int, now: int) -> None:
        """Note that `events` events of `slot` were asked for and never came."""

    def judged(self, stamped: Stamped, event: Judged) -> None:
        """Note the verdict on an event, before it is sent to anybody."""

    def unheard(self, slot: int, why: Why, events: int, now: int) -> None:
        """Note that `events` events of `slot` get no verdict, so that nobody else hears them."""

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Note judged events, after they were put into the ring for repair and into every outbox."""

    def report(self, seat: Seat, report: Report, now: int) -> None:
        """Process a member's report on one second."""

    def wake(self, now: int) -> list[Effect]:
        """Do the work that is due. Called in each of the room's rounds, four a second."""
        return []

    def next_wakeup(self) -> int | None:
        """Return the instant at which `wake` must be called, if it can't wait for the next round; else None.

        Called after each wake, after a message of the facet's own, and when somebody joins or leaves.
        """
        return None

    def stats(self) -> dict[str, Any]:
        """Return figures of the room, by name. A figure named like a field of RoomStats becomes that field.
        All others go into RoomStats.facets."""
        return {}

    def member_stats(self, seat: Seat) -> dict[str, Any]:
        """Return figures of one member, by the names of fields of MemberStats."""
        return {}


@dataclass(frozen=True, slots=True)
class Hooks:
    """The facets' methods that are called for every event. Each tuple has them only of those facets that
    override the method."""

    came: tuple[Callable[[Seat, Stamped, int], None], ...]
    judged: tuple[Callable[[Stamped, Judged], None], ...]
    published: tuple[Callable[[Sequence[Judged], int], None], ...]


def hooks(facets: Iterable[Facet]) -> Hooks:
    """Return the facets' hooks, in the order of the facets."""
    facets = tuple(facets)
    return Hooks(
        tuple(one.came for one in facets if type(one).came is not Facet.came),
        tuple(one.judged for one in facets if type(one).judged is not Facet.judged),
        tuple(one.published for one in facets if type(one).published is not Facet.published),
    )


TakeIn = Callable[[Any, Seat, Any, int], list[Effect]]
"""A method of a facet that processes a message. Its arguments are the facet, the member's seat, the message,
and `now` in session ticks."""


@dataclass(frozen=True, eq=False, slots=True)
class FacetKind:
    """A kind of facet, as a hub knows it.

    begin: makes the facet of a room, given the room. family: the control messages that the facet adds.
    handlers: by type of message in `family.up`, the method that processes it. Only members may send these
    types, within the rate limit of control messages.
    """

    begin: Callable[[Any], Facet]
    family: Family = field(default_factory=Family)
    handlers: Mapping[type[Struct], TakeIn] = field(default_factory=dict)
