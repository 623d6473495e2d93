"""Handlers: the hub's treatment of each type of control message, as one table.

Pure. A row names the callers that may send the type, its rate limit, and the function that processes it. A
facet of a room adds rows of its own. `Handlers._unexpected` deals with a message whose type has no row, or
whose caller may not send it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Any

from msgspec import Struct

from relay.effects import Effect, SendControl, refuse
from relay.hub.path_probes import Probing
from relay.hub.rooms import Rooms, Seated
from relay.limits import STATS_BURST, STATS_PER_S, AddressBuckets
from relay.room.facet import FacetKind, TakeIn
from relay.wire.control import Refused


class Caller(Flag):
    """The kind of the connection on which a message comes."""

    STRANGER = auto()
    """A connection that is neither a member's nor a prober's so far."""
    MEMBER = auto()
    PROBER = auto()
    ANYBODY = STRANGER | MEMBER | PROBER


class Bucket(Enum):
    """The rate limit under which a type of message falls."""

    NONE = auto()
    MEMBER = auto()
    """One limit for all messages of these types from one member. A message beyond it is ignored, and counted
    as refused at the member."""
    STATISTICS = auto()
    """One limit for all messages of these types from one address. A message beyond it is answered with
    Refused."""


@dataclass(frozen=True, slots=True)
class Call:
    """One control message, and where it came from.

    message: of the type that the row is for. host: the address that the message came from. now: session
    ticks. seated: the member whose connection it came on; None if that connection is no member's.
    """

    connection: int
    message: Any
    host: str
    now: int
    seated: Seated | None

    @property
    def member(self) -> Seated:
        """The member that sent the message. Only for rows that are open to members alone."""
        assert self.seated is not None, "the table lets only members through"
        return self.seated


@dataclass(frozen=True, slots=True)
class Handler:
    """A row of the table, for one type of message. callers: the kinds of connection that may send it. bucket:
    its rate limit. run: processes one message and returns the effects."""

    callers: Caller
    bucket: Bucket
    run: Callable[[Call], list[Effect]]


UNKNOWN = Handler(Caller(0), Bucket.MEMBER, lambda call: [])
"""The row for all types without a row of their own. Nobody may send them."""


class Handlers:
    """The table of handlers. For each message it checks the rate limit and the kind of the connection."""

    def __init__(
        self,
        rows: Mapping[type[Struct], Handler],
        kinds: Iterable[FacetKind],
        rooms: Rooms,
        probing: Probing,
    ) -> None:
        """rows: the hub's own rows. kinds: the kinds of facets that every room has; each adds its rows."""
        self._rows = dict(rows)
        for kind in kinds:
            self._rows |= {
                one: Handler(Caller.MEMBER, Bucket.MEMBER, _facets_own(kind, take_in))
                for one, take_in in kind.handlers.items()
            }
        self._rooms = rooms
        self._probing = probing
        self._statistics = AddressBuckets(STATS_PER_S, STATS_BURST)

    def receive(self, connection: int, message: Struct, now: int, *, host: str) -> list[Effect]:
        """Process one control message. Return its effects. now: session ticks. host: the address that it came
        from."""
        call = Call(connection, message, host, now, self._rooms.by_connection.get(connection))
        handler = self._rows.get(type(message), UNKNOWN)
        beyond = self._beyond(handler.bucket, call)
        if beyond is not None:
            return beyond
        caller = self._caller(call)
        return handler.run(call) if caller in handler.callers else self._unexpected(caller, call)

    def _caller(self, call: Call) -> Caller:
        if call.seated is not None:
            return Caller.MEMBER
        return Caller.PROBER if self._probing.serves(call.connection) else Caller.STRANGER

    def _beyond(self, bucket: Bucket, call: Call) -> list[Effect] | None:
        """Count a message against its rate limit. Return the effects of exceeding the limit; None if the
        message is within it."""
        if bucket is Bucket.MEMBER and call.seated is not None:
            room, seat, channel = call.seated
            room.stir(seat.slot)
            if not channel.controls.take(call.now):
                seat.refused += 1
                return []
        elif bucket is Bucket.STATISTICS and not self._statistics.take(call.host, call.now):
            return too_often(call)
        return None

    def _unexpected(self, caller: Caller, call: Call) -> list[Effect]:
        """Return the effects of a message from a caller that may not send it."""
        name = type(call.message).__name__
        if caller is Caller.MEMBER:
            call.member.seat.refused += 1
            return []
        if caller is Caller.PROBER:
            text = f"{name} from a prober: it has nothing more to say"
            return refuse(call.connection, Refused(reason="second-hello", text=text, final=True))
        text = f"{name} before Hello: say Hello first"
        return refuse(call.connection, Refused(reason="no-hello", text=text, final=True))


def too_often(call: Call) -> list[Effect]:
    """Return the answer to a request for statistics beyond the rate limit."""
    text = f"this relay gives you statistics {STATS_PER_S} times a second at most: try again soon"
    return [SendControl(call.connection, Refused(reason="rate", text=text))]


def _facets_own(kind: FacetKind, take_in: TakeIn) -> Callable[[Call], list[Effect]]:
    """Return a function that passes a member's message to the facet of this kind in the member's room."""

    def run(call: Call) -> list[Effect]:
        room, seat, _ = call.member
        effects = take_in(room.facets[kind], seat, call.message, call.now)
        room.stir_round()
        return effects

    return run
