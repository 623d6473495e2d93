"""Admission: decides whether a bridge may enter a room, and in which slot.

Pure, and without effects. `relay.hub.reception` carries the decision out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from relay.limits import CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS, HubLimits
from relay.room.room import RESERVED_FOR, Room
from relay.room.seat import Seat
from relay.wire.control import Hello, Refused, protocol_of
from relay.wire.counted_nouns import counted
from relay.wire.errors import MalformedControl
from relay.wire.names import cleaned
from relay.wire.timetag import seconds
from relay.wire.version import PROTOCOL_VERSION, other_version

FIRST_SLOT = 1


@dataclass(frozen=True, slots=True)
class Admitted:
    """The decision that a bridge may enter a room, and the slot that it gets there.

    room: None if no such room is open, so that the bridge would open it. seat: the seat that the bridge
    claims by its ticket; None if it would get a new seat.
    """

    room_name: str
    room: Room | None
    seat: Seat | None
    slot: int


def decide(hello: Hello, rooms: Mapping[str, Room], limits: HubLimits) -> Admitted | Refused:
    """Return the slot that a bridge may have, or the refusal that it gets. hello: the bridge's first
    message. rooms: the open rooms, by name."""
    if hello.protocol != PROTOCOL_VERSION:
        return Refused(reason="protocol", text=other_version(hello.protocol), final=True)
    room_name = cleaned(hello.room)
    if not room_name:
        text = "a room's name needs a letter, a digit or a sign: this one has none that can be shown"
        return Refused(reason="room-name", text=text, final=True)
    room = rooms.get(room_name)
    if room is None:
        if len(rooms) >= limits.rooms_max:
            return Refused(reason="rooms-full", text=_no_room_more(room_name, len(rooms)))
        return Admitted(room_name, None, None, hello.slot_wanted or FIRST_SLOT)
    seat = room.seat_of(hello.ticket) if hello.epoch == room.epoch else None
    slot = room.free_slot(hello.slot_wanted, limits.members_max) if seat is None else seat.slot
    if slot is None:
        return Refused(reason="room-full", text=_full(room))
    return Admitted(room_name, room, seat, slot)


def connection_refused(of_address: int, in_all: int) -> Refused | None:
    """Return the refusal of a new connection if too many are open already; None if it may stay.

    of_address: number of open connections from the same address. in_all: number of all open connections.
    """
    if of_address >= CONNECTIONS_PER_ADDRESS:
        text = f"this relay serves {CONNECTIONS_PER_ADDRESS} connections of one address at once; end some"
    elif in_all >= CONNECTIONS_MAX:
        text = f"this relay serves {CONNECTIONS_MAX} connections at once; try again later"
    else:
        return None
    return Refused(reason="connections", text=text)


def not_understood(payload: bytes, error: MalformedControl) -> Refused:
    """Return the answer to a control message that can't be decoded. If the payload names another protocol
    version, the answer says which side is older."""
    theirs = protocol_of(payload)
    if theirs is not None and theirs != PROTOCOL_VERSION:
        return Refused(reason="protocol", text=other_version(theirs), final=True)
    return Refused(reason="malformed", text=f"not understood: {error}", final=True)


def _no_room_more(room_name: str, rooms: int) -> str:
    return (
        f"room {room_name} can't be opened: this relay has {counted(rooms, 'room')} open, as many as it may; "
        "join one of them (jamrelay stats names them), or ask the relay's owner for more (--rooms-max)"
    )


def _full(room: Room) -> str:
    text = f"room {room.name} is full ({len(room.seats)} of {len(room.seats)})"
    away = sum(not seat.present for seat in room.seats.values())
    if away:
        text += f", {away} of them away: a place is kept for {seconds(RESERVED_FOR) / 60:.0f} minutes"
    return (
        f"{text}; join another room (--room NAME), or ask the relay's owner for more places (--members-max)"
    )
