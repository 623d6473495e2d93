"""Rooms: the open rooms of one relay, and their members by channel and by connection.

Pure.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from relay.due_work import DueWork, Rounds
from relay.room.channel import Channel
from relay.room.facet import FacetKind
from relay.room.room import Room
from relay.room.seat import Seat
from relay.wire.sequence import Scheme


class Seated(NamedTuple):
    """A connected member: its room, its seat in that room, and its channel."""

    room: Room
    seat: Seat
    channel: Channel


class Rooms:
    """The rooms of one relay."""

    def __init__(
        self,
        kinds: Iterable[FacetKind],
        *,
        entropy: Callable[[int], bytes],
        work: DueWork,
        begin: int,
        repair: bool,
        scheme: Scheme,
    ) -> None:
        """kinds: the kinds of facets that every room gets. begin: the session instant from which the rooms'
        rounds are counted."""
        self.open: dict[str, Room] = {}
        self.by_channel: dict[int, Seated] = {}
        self.by_connection: dict[int, Seated] = {}
        self._kinds = tuple(kinds)
        self._entropy = entropy
        self._work = work
        self._begin = begin
        self._repair = repair
        self._scheme = scheme
        self._made = 0

    def new(self, name: str, now: int) -> Room:
        """Return a new room without members. The room counts as open only after a member is connected. now:
        session ticks."""
        rounds = Rounds(self._made, self._begin, now)
        self._made += 1
        return Room(
            name,
            self._entropy(16),
            self._kinds,
            repair=self._repair,
            scheme=self._scheme,
            work=self._work,
            rounds=rounds,
        )

    def connected(self, room: Room, seat: Seat, channel: Channel) -> None:
        """Record that a bridge is connected and uses this seat. The room counts as open from then on."""
        self.open[room.name] = room
        seat.channel, seat.left_at = channel, None
        self.by_channel[channel.number] = self.by_connection[channel.connection] = Seated(room, seat, channel)

    def disconnected(self, seat: Seat, channel: Channel, now: int) -> None:
        """Record that the bridge of a seat has disconnected. The seat stays. now: session ticks."""
        seat.channel, seat.left_at = None, now
        self.by_channel.pop(channel.number, None)
        self.by_connection.pop(channel.connection, None)
