"""Reception: who may come in, which slot they get, what they are told, and how they go.

Pure. A ticket is 16 random bytes that claim a slot again; keys are fresh at every Hello.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay.due_work import DueWork
from relay.effects import CloseControl, Effect, SendControl, close_stream, refuse
from relay.hub.channel_keys import ChannelKeys, draw_keys
from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.room.channel import Channel
from relay.room.room import RESERVED_FOR, Room, Seat
from relay.wire import control
from relay.wire.counted import counted
from relay.wire.errors import MalformedControl
from relay.wire.meaning import Meaning
from relay.wire.names import clean_name, cleaned
from relay.wire.recovery import MAX_MISSING
from relay.wire.sequence import Judged, Scheme
from relay.wire.timetag import TICKS_PER_S, seconds
from relay.wire.version import PROTOCOL_VERSION, other_version


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a bridge would sit. room: None if it would open it. seat: None if it would get a new one."""

    room_name: str
    room: Room | None
    seat: Seat | None


class Reception:
    """Admits bridges to the rooms of a hub, and sees them off."""

    def __init__(
        self,
        *,
        rooms: dict[str, Room],
        channels: dict[int, tuple[Room, Seat, Channel]],
        policy: LeadPolicy,
        limits: HubLimits,
        entropy: Callable[[int], bytes],
        work: DueWork,
        begin: int,
        verdicts: list[tuple[str, Judged]] | None = None,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
    ) -> None:
        """work, begin: of every room."""
        self._rooms = rooms
        self._opened = 0
        self._work = work
        self._begin = begin
        self._repair = repair
        self._scheme = scheme
        self._channels = channels
        self._policy = policy
        self._limits = limits
        self._entropy = entropy
        self._verdicts = verdicts
        self._seats: dict[int, tuple[Room, Seat, Channel]] = {}

    def seat_of(self, connection: int) -> tuple[Room, Seat, Channel] | None:
        """Return room, seat and channel of a connection that said Hello."""
        return self._seats.get(connection)

    def hello(self, connection: int, hello: control.Hello, now: int) -> list[Effect]:
        """Admit a bridge, or say why not."""
        if connection in self._seats:
            text = "this connection has said Hello before"
            return refuse(connection, control.Refused(reason="second-hello", text=text, final=True))
        answer = self._answer(hello)
        if isinstance(answer, control.Refused):
            return refuse(connection, answer)
        if hello.ask_only:
            members = answer.room.members() if answer.room is not None else []
            admission = control.Admission(room=answer.room_name, members=members)
            return [SendControl(connection, admission), CloseControl(connection)]
        room_name, room, seat = answer.room_name, answer.room, answer.seat
        if room is None:
            room = Room(
                room_name,
                self._entropy(16),
                self._policy,
                self._verdicts,
                repair=self._repair,
                scheme=self._scheme,
                work=self._work,
                turn=self._opened,
                begin=self._begin,
                now=now,
            )
            self._opened += 1
        effects: list[Effect] = []
        resumed = seat is not None
        if seat is None:
            slot = room.free_slot(hello.slot_wanted, self._limits.members_max)
            assert slot is not None, "a place was free a moment ago"
            name = room.unique_name(clean_name(hello.name))
            seat = Seat(slot, name, self._entropy(16), hello.outs, hello.ins, hello.release_advance)
            room.judge.forget(slot)
            room.seats[slot] = seat
        elif seat.channel is not None:
            effects += self.drop(room, seat, now)
        self._rooms[room_name] = room
        seat.outs, seat.ins, seat.release_advance = hello.outs, hello.ins, hello.release_advance
        room.publish(room.judge.skip_to(seat.slot, hello.next_seq, now, was_in=resumed), now)
        keys = self._open_channel(connection, room, seat, hello.next_seq, now, came_back=resumed)
        room.stir(seat.slot)
        tuned = room.tune_horizon(now)
        # First of all: a bridge can make nothing of anything before its Welcome.
        effects.append(SendControl(connection, self._welcome(room, seat, keys, resumed=resumed)))
        if tuned:
            effects += self.settings(room)
        effects += self.roster(room)
        for other in room.seats.values():
            returning = other is seat and seat.silenced
            if not len(other.foundation) or (other.silenced and not returning):
                continue
            message = _foundation(room, other)
            audience = [channel.connection for _, channel in room.channels()] if returning else [connection]
            effects += [SendControl(listener, message) for listener in audience]
        seat.silenced = False
        return effects

    def _answer(self, hello: control.Hello) -> "_Place | control.Refused":
        """Decide on a bridge: the place that it would have, or why there is none."""
        if hello.protocol != PROTOCOL_VERSION:
            return control.Refused(reason="protocol", text=other_version(hello.protocol), final=True)
        room_name = cleaned(hello.room)
        if not room_name:
            text = "a room's name needs a letter, a digit or a sign: this one has none that can be shown"
            return control.Refused(reason="room-name", text=text, final=True)
        room = self._rooms.get(room_name)
        if room is None and len(self._rooms) >= self._limits.rooms_max:
            text = (
                f"room {room_name} can't be opened: this relay has {counted(len(self._rooms), 'room')} open, "
                "as many as it may; join one of them (jamrelay stats names them), or ask the relay's owner "
                "for more (--rooms-max)"
            )
            return control.Refused(reason="rooms-full", text=text)
        seat = _seat_by_ticket(room, hello) if room is not None else None
        if room is not None and seat is None and room.free_slot(None, self._limits.members_max) is None:
            return control.Refused(reason="room-full", text=_full(room))
        return _Place(room_name, room, seat)

    def foundation(self, room: Room, seat: Seat, message: control.Foundation) -> list[Effect]:
        """Take in what a member's Sonic Pi built before this epoch; if it is news, tell all others the whole.

        What is told as of an event holds all up to it: somebody may lack an event of it still.
        """
        guard, at = room.judge.guard(seat.slot), room.judge.last_due
        messages = [one for one in message.messages if guard.passes(Meaning(one), at)]
        # Nothing of it is an event of this epoch: what is, counts for more.
        values = [(0, one) for _, one in message.values if guard.passes(Meaning(one), at)]
        fresh, refused = seat.foundation.learn(messages, values, 0)
        seat.refused += refused + len(message.messages + message.values) - len(messages + values)
        if not fresh:
            return []
        news = _foundation(room, seat)
        return [
            SendControl(channel.connection, news) for other, channel in room.channels() if other is not seat
        ]

    def put_out(self, room: Room, seat: Seat, text: str, now: int) -> list[Effect]:
        """See off a member that does what no member may, and say why."""
        assert seat.channel is not None, "who isn't in can't be put out"
        refused = control.Refused(reason="flood", text=text, final=True)
        return [SendControl(seat.channel.connection, refused), *self.leave(room, seat, now)]

    def leave(self, room: Room, seat: Seat, now: int) -> list[Effect]:
        """See off a member that goes for good."""
        effects = self.drop(room, seat, now)
        room.remove(seat, now)
        return effects + self.roster(room)

    def closed(self, connection: int, now: int) -> list[Effect]:
        """Note the end of a connection; the seat stays reserved for its ticket."""
        found = self._seats.get(connection)
        if found is None:
            return []
        room, seat, channel = found
        self.drop(room, seat, now)
        return [*close_stream(channel.address), *self.roster(room)]

    def drop(self, room: Room, seat: Seat, now: int) -> list[Effect]:
        """Take the channel from a seat and close its connection."""
        channel = seat.channel
        if channel is None:
            return []
        seat.channel = None
        seat.left_at = now
        room.stir(seat.slot)
        self._channels.pop(channel.number, None)
        self._seats.pop(channel.connection, None)
        return [CloseControl(channel.connection), *close_stream(channel.address)]

    def roster(self, room: Room) -> list[Effect]:
        """Return the effects that tell everybody in `room` who is in."""
        message = control.Roster(members=room.members())
        return [SendControl(channel.connection, message) for _, channel in room.channels()]

    def settings(self, room: Room) -> list[Effect]:
        """Return the effects that tell everybody in `room` its lead, shift and horizon."""
        message = control.Settings(**_settings(room))
        return [SendControl(channel.connection, message) for _, channel in room.channels()]

    def tune(self, room: Room, now: int) -> list[Effect]:
        """Set the room's lead, shift and horizon to what its events need; return who is told what."""
        tuned = room.tune(now)
        effects: list[Effect] = [
            SendControl(channel.connection, control.Notice(text=tuned.words[seat.slot]))
            for seat, channel in room.channels()
            if seat.slot in tuned.words
        ]
        return [*self.settings(room), *effects] if tuned.changed else effects

    def _open_channel(
        self, connection: int, room: Room, seat: Seat, first_seq: int, now: int, *, came_back: bool
    ) -> ChannelKeys:
        keys = draw_keys(self._entropy, self._channels)
        channel = Channel(
            keys.number,
            connection,
            keys.sealer(),
            keys.opener(),
            joined_at=now,
            heard_at=now,
            fetch=room.ring.get,
            repair=room.repair,
            came_back=came_back,
        )
        _expect(channel, room.judge.wanted(seat.slot, first_seq), room.judge.next_seq(seat.slot), now)
        channel.outbox.ahead_s = seat.release_advance / TICKS_PER_S
        if seat.last_report is not None:
            channel.outbox.rtt_s = seat.last_report.rtt_ms / 1e3
        seat.channel, seat.left_at = channel, None
        self._channels[keys.number] = self._seats[connection] = (room, seat, channel)
        return keys

    def _welcome(self, room: Room, seat: Seat, keys: ChannelKeys, *, resumed: bool) -> control.Welcome:
        return control.Welcome(
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
            **_settings(room),
        )


def _expect(channel: Channel, wanted: list[int], next_seq: int, now: int) -> None:
    """Let a channel expect what is new, and what was given up of late and may be sent again after all."""
    missing = set(wanted[-MAX_MISSING:])
    first = max(min(missing, default=next_seq), next_seq - MAX_MISSING)
    channel.up.expect(first)
    for seq in range(first, next_seq):
        if seq not in missing:
            channel.up.saw(seq, now / TICKS_PER_S)


def _settings(room: Room) -> dict[str, Any]:
    """Return the fields that Settings and Welcome share."""
    timing = room.judge.timing
    return {
        "lead": timing.lead,
        "shift": timing.shift,
        "lead_was": timing.lead_was,
        "shift_was": timing.shift_was,
        "horizon": room.judge.horizon,
        "repair": room.repair,
        "scheme": room.judge.scheme,
    }


def _full(room: Room) -> str:
    text = f"room {room.name} is full ({len(room.seats)} of {len(room.seats)})"
    away = sum(not seat.present for seat in room.seats.values())
    if away:
        text += f", {away} of them away: a place is kept for {seconds(RESERVED_FOR) / 60:.0f} minutes"
    return (
        f"{text}; join another room (--room NAME), or ask the relay's owner for more places (--members-max)"
    )


def _foundation(room: Room, seat: Seat) -> control.Foundation:
    """Return what is told of a seat's foundation, as of the room's last event."""
    told, number = seat.foundation.told(), room.judge.number
    return control.Foundation(slot=seat.slot, number=number, messages=told.messages, values=told.values)


def _seat_by_ticket(room: Room, hello: control.Hello) -> Seat | None:
    if hello.ticket is None or hello.epoch != room.epoch:
        return None
    return next((seat for seat in room.seats.values() if seat.ticket == hello.ticket), None)


def not_understood(payload: bytes, error: MalformedControl) -> control.Refused:
    """Return the answer to a control message that can't be read, as a first word of another version may."""
    theirs = control.protocol_of(payload)
    if theirs is not None and theirs != PROTOCOL_VERSION:
        return control.Refused(reason="protocol", text=other_version(theirs), final=True)
    return control.Refused(reason="malformed", text=f"not understood: {error}", final=True)
