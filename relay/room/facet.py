"""Facet: one feature of a room. FacetKind: all that a hub needs to add a feature to each of its rooms.

Pure; instants are session timetags. A room calls all of its facets, in order, without knowing what they are.
So a new feature needs no edit of room, hub or reception.
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
    """One feature of one room. The room calls each method when something happens. By default a method does
    nothing."""

    findings = 0
    """How often this facet has found something that the statistics must show at once."""

    def joined(self, seat: Seat, now: int) -> None:
        """Called when a bridge is connected for `seat`, before its Welcome is written."""

    def newcomer(self, seat: Seat) -> list[Effect]:
        """Return the messages to send after a bridge has got its Welcome: those to the bridge, and those to
        the other members about it.

        If `seat.silenced`, the other members have freed the member's nodes while it was away.
        """
        return []

    def left(self, slot: int) -> None:
        """Forget the member that had `slot`. The next owner of the slot is another member."""

    def came(self, seat: Seat, event: Stamped, now: int) -> None:
        """Called when an event arrives, before its verdict. Not called for an event whose delay says nothing
        about the path (see `Channel.tells_its_way`)."""

    def never_came(self, slot: int, events: int, now: int) -> None:
        """Called when the relay gives up on `events` events of `slot`: it asked for them and they never
        arrived."""

    def judged(self, stamped: Stamped, event: Judged) -> None:
        """Called when an event has got its verdict, before the verdict is sent to anybody."""

    def unheard(self, slot: int, why: Why, events: int, now: int) -> None:
        """Called when `events` events of `slot` get no verdict, so that only their own player hears them.
        why: the reason."""

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Called when judged events are in the ring for repair and in every outbox."""

    def report(self, seat: Seat, report: Report, now: int) -> None:
        """Called with a member's report on one second."""

    def wake(self, now: int) -> list[Effect]:
        """Do the work that is due. Called four times a second, and at the instant that `next_wakeup`
        returned."""
        return []

    def next_wakeup(self) -> int | None:
        """Return the instant at which `wake` must be called; None if the next of the four calls a second is
        soon enough.

        Called after each wake, after a message for this facet, and when somebody joins or leaves.
        """
        return None

    def stats(self) -> dict[str, Any]:
        """Return statistics of the room, by name. A figure named like a field of RoomStats becomes that
        field. All others go into RoomStats.facets."""
        return {}

    def member_stats(self, seat: Seat) -> dict[str, Any]:
        """Return statistics of one member, by the names of fields of MemberStats."""
        return {}


@dataclass(frozen=True, slots=True)
class Hooks:
    """The facet methods that are called for every event. A facet that doesn't override a method isn't in its
    tuple."""

    came: tuple[Callable[[Seat, Stamped, int], None], ...]
    judged: tuple[Callable[[Stamped, Judged], None], ...]
    published: tuple[Callable[[Sequence[Judged], int], None], ...]


def hooks(facets: Iterable[Facet]) -> Hooks:
    """Return the hooks of these facets, in the order of the facets."""
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
    types. They count against the rate limit of control messages.
    """

    begin: Callable[[Any], Facet]
    family: Family = field(default_factory=Family)
    handlers: Mapping[type[Struct], TakeIn] = field(default_factory=dict)
