"""Handlers: one table with the handler of each type of control message.

Pure. A row of the table names the callers that may send the type, its rate limit, and the function that
processes it. Facets of a room add rows of their own. A message that has no row, or whose caller may not send
it, goes to `Handlers._unexpected`.
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
    """The kind of connection on which a control message comes."""

    STRANGER = auto()
    """A connection that hasn't become a member's or a prober's yet."""
    MEMBER = auto()
    PROBER = auto()
    ANYBODY = STRANGER | MEMBER | PROBER


class Bucket(Enum):
    """The rate limit that applies to a type of control message."""

    NONE = auto()
    MEMBER = auto()
    """One limit for all messages with this bucket from one member. Messages beyond it are ignored, and
    counted as refused."""
    STATISTICS = auto()
    """One limit for all requests for statistics from one address. A request beyond it is answered with
    Refused."""


@dataclass(frozen=True, slots=True)
class Call:
    """One control message, and where it came from.

    message: decoded. host: address of the sender. now: session ticks. seated: the member whose connection it
    came on; None if the connection isn't a member's.
    """

    connection: int
    message: Any
    host: str
    now: int
    seated: Seated | None

    @property
    def member(self) -> Seated:
        """The member that sent the message. Only for types of messages that only members may send."""
        assert self.seated is not None, "the table lets only members through"
        return self.seated


@dataclass(frozen=True, slots=True)
class Handler:
    """A row of the table: how to handle one type of control message.

    callers: the kinds of connection that may send it. bucket: its rate limit. run: processes one message and
    returns the effects.
    """

    callers: Caller
    bucket: Bucket
    run: Callable[[Call], list[Effect]]


UNKNOWN = Handler(Caller(0), Bucket.MEMBER, lambda call: [])
"""The row for every type of message that has no row of its own. No kind of caller may send such a message."""


class Handlers:
    """The table of handlers. It checks each message's rate limit and its caller, and calls the handler."""

    def __init__(
        self,
        rows: Mapping[type[Struct], Handler],
        kinds: Iterable[FacetKind],
        rooms: Rooms,
        probing: Probing,
    ) -> None:
        """rows: the hub's own rows, by type of message. kinds: the kinds of facets that every room has; their
        rows are added."""
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
        """Process one control message, and return the effects. now: session ticks. host: address of the
        sender."""
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
        """Count a message against its rate limit. Return None if it is within the limit, else the effects
        that answer it."""
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
    """Return a handler that passes a member's message to a facet of the member's room. kind: selects the
    facet. take_in: the facet's method for the message."""

    def run(call: Call) -> list[Effect]:
        room, seat, _ = call.member
        effects = take_in(room.facets[kind], seat, call.message, call.now)
        room.stir_round()
        return effects

    return run
