"""Reception: seats admitted bridges, sends them the state of the room, and removes them.

Pure. A ticket is 16 random bytes with which a bridge claims its slot again. Each Hello gets fresh keys.
"""

from collections.abc import Callable

import msgspec

from relay.effects import CloseControl, Effect, SendControl, close_stream, refuse
from relay.hub.admission import Admitted, decide
from relay.hub.channel_keys import ChannelKeys, draw_keys
from relay.hub.rooms import Rooms
from relay.limits import HubLimits
from relay.room.channel import Channel
from relay.room.room import AWAY_GRACE, RESERVED_FOR, SILENCE, Room
from relay.room.seat import Seat
from relay.wire.control import Admission, Hello, Refused, Welcome
from relay.wire.names import clean_name
from relay.wire.recovery import MAX_MISSING
from relay.wire.timetag import TICKS_PER_S

TICKET_BYTES = 16


class Reception:
    """Seats bridges in the rooms of one relay, and removes them."""

    def __init__(self, rooms: Rooms, limits: HubLimits, entropy: Callable[[int], bytes]) -> None:
        self._rooms = rooms
        self._limits = limits
        self._entropy = entropy

    def hello(self, connection: int, hello: Hello, now: int) -> list[Effect]:
        """Admit a bridge, or refuse it with the reason. A Hello with `ask_only` gets no seat; its answer only
        says whether the bridge would be admitted."""
        if connection in self._rooms.by_connection:
            text = "this connection has said Hello before"
            return refuse(connection, Refused(reason="second-hello", text=text, final=True))
        decision = decide(hello, self._rooms.open, self._limits)
        if isinstance(decision, Refused):
            return refuse(connection, decision)
        if hello.ask_only:
            members = decision.room.members() if decision.room is not None else []
            admission = Admission(room=decision.room_name, members=members)
            return [SendControl(connection, admission), CloseControl(connection)]
        return self._let_in(connection, hello, decision, now)

    def leave(self, room: Room, seat: Seat, now: int) -> list[Effect]:
        """Remove a member that leaves for good, and send the others the new roster."""
        effects = self._drop(room, seat, now)
        room.remove(seat, now)
        return effects + room.roster()

    def put_out(self, room: Room, seat: Seat, refused: Refused, now: int) -> list[Effect]:
        """Remove a member that breaks the limits, and send it the reason (`refused`)."""
        return [*room.tell(seat, refused), *self.leave(room, seat, now)]

    def closed(self, connection: int, now: int) -> list[Effect]:
        """Handle the end of a connection. If it was a member's, its seat stays reserved, and the member can
        claim the seat by its ticket."""
        seated = self._rooms.by_connection.get(connection)
        if seated is None:
            return []
        self._drop(seated.room, seated.seat, now)
        return [*close_stream(seated.channel.address), *seated.room.roster()]

    def keep_house(self, room: Room, now: int) -> list[Effect]:
        """Disconnect and silence members that send nothing. Silence members that stay disconnected, and
        remove them later. Close the room if it has no seats left."""
        effects: list[Effect] = []
        for seat in list(room.seats.values()):
            if seat.channel is not None:
                if now - seat.channel.heard_at > SILENCE:
                    effects += self._drop(room, seat, now)
                    room.silence(seat, now)
                    effects += room.roster()
            elif seat.left_at is not None:
                if not seat.silenced and now - seat.left_at > AWAY_GRACE:
                    room.silence(seat, now)
                if now - seat.left_at > RESERVED_FOR:
                    room.remove(seat, now)
                    effects += room.roster()
        if not room.seats:
            del self._rooms.open[room.name]
        return effects

    def _let_in(self, connection: int, hello: Hello, admitted: Admitted, now: int) -> list[Effect]:
        """Seat an admitted bridge: send it the state of the room, and send all members the new roster."""
        room = admitted.room or self._rooms.new(admitted.room_name, now)
        effects: list[Effect] = []
        seat, resumed = admitted.seat, admitted.seat is not None
        if seat is None:
            name, ticket = room.unique_name(clean_name(hello.name)), self._entropy(TICKET_BYTES)
            seat = Seat(admitted.slot, name, ticket, hello.outs, hello.ins, hello.release_advance)
            room.take(seat)
        else:
            effects += self._drop(room, seat, now)
        seat.outs, seat.ins, seat.release_advance = hello.outs, hello.ins, hello.release_advance
        room.publish(room.judge.skip_to(seat.slot, hello.next_seq, now, was_in=resumed), now)
        keys = draw_keys(self._entropy, self._rooms.by_channel)
        channel = _channel(keys, connection, room, seat, hello.next_seq, now, came_back=resumed)
        self._rooms.connected(room, seat, channel)
        room.stir(seat.slot)
        for facet in room.facets.values():
            facet.joined(seat, now)
        # The Welcome comes first, since a bridge can't use any other message before it.
        effects.append(SendControl(connection, _welcome(room, seat, keys, resumed=resumed)))
        effects += [*room.settings_news(), *room.roster()]
        for facet in room.facets.values():
            effects += facet.newcomer(seat)
        seat.silenced = False
        room.stir_round()
        return effects

    def _drop(self, room: Room, seat: Seat, now: int) -> list[Effect]:
        """Disconnect the member of a seat, if it is connected. The seat itself stays."""
        channel = seat.channel
        if channel is None:
            return []
        self._rooms.disconnected(seat, channel, now)
        room.stir(seat.slot)
        return [CloseControl(channel.connection), *close_stream(channel.address)]


def _channel(
    keys: ChannelKeys, connection: int, room: Room, seat: Seat, first_seq: int, now: int, *, came_back: bool
) -> Channel:
    """Return a new channel for a seat.

    The channel expects the bridge's next sequence numbers. It also expects older numbers that the judge has
    given up but would still accept.
    """
    channel = Channel(
        keys.number,
        connection,
        keys.sealer(),
        keys.opener(),
        heard_at=now,
        fetch=room.ring.get,
        repair=room.repair,
        came_back=came_back,
    )
    next_seq = room.judge.next_seq(seat.slot)
    missing = set(room.judge.wanted(seat.slot, first_seq)[-MAX_MISSING:])
    first = max(min(missing, default=next_seq), next_seq - MAX_MISSING)
    channel.up.expect(first)
    for seq in range(first, next_seq):
        if seq not in missing:
            channel.up.saw(seq, now / TICKS_PER_S)
    channel.outbox.ahead_s = seat.release_advance / TICKS_PER_S
    if seat.told.last is not None:
        channel.outbox.rtt_s = seat.told.last.rtt_ms / 1e3
    return channel


def _welcome(room: Room, seat: Seat, keys: ChannelKeys, *, resumed: bool) -> Welcome:
    return Welcome(
        slot=seat.slot,
        name=seat.name,
        ticket=seat.ticket,
        epoch=room.epoch,
        channel=keys.number,
        key_up=keys.key_up,
        key_down=keys.key_down,
        number=room.judge.number,
        next_seq=room.judge.next_seq(seat.slot),
        resumed=resumed,
        members=room.members(),
        **msgspec.structs.asdict(room.settings()),
    )
