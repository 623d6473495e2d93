"""Member frames: processes the frames in a member's sealed datagrams.

Pure. `now` and `received` are session timetags.
"""

from clock.exchange import is_client_request, server_answer
from relay.effects import Effect, SendDatagram
from relay.hub.rooms import Seated
from relay.limits import EVENTS_PER_S, STRUCTURE_PER_S
from relay.wire import control, frames
from relay.wire.errors import MalformedDatagram, Refused
from relay.wire.sequence import Stamped
from relay.wire.timetag import TICKS_PER_S

FLOOD = control.Refused(
    reason="flood",
    text=f"more than {EVENTS_PER_S + STRUCTURE_PER_S} groups, FX, frees and settings a second came from "
    "you, for longer than any Sonic Pi sends so many: the others hear nothing of you any more; stop what "
    "sends them, and join anew",
    final=True,
)


class Flood(Exception):
    """Raised if a member sends more groups, FX, frees and settings a second than any Sonic Pi can. The caller
    must remove the member from the room, with the refusal FLOOD."""


def take_in(frame: frames.Frame, member: Seated, *, received: int, now: int) -> list[Effect]:
    """Process one frame of a member. Return the effects to carry out at once.

    received: session instant at which the frame's datagram arrived in the kernel. now: session ticks. Raises
    RemoteError if the frame is malformed or refused. Raises Flood if the member must be removed.
    """
    room, seat, channel = member
    match frame:
        case Stamped():
            is_new = channel.up.saw(frame.seq, now / TICKS_PER_S)
            if is_new and not room.submit(seat, channel, frame, now):
                raise Flood
        case frames.BeatUp():
            channel.beat_came(frame, now)
            seat.ways.beat(received - frame.sent, now)
            channel.outbox.known_to_have(frame.complete_number, now / TICKS_PER_S)
            channel.up.announce(frame.last_seq, now / TICKS_PER_S)
        case frames.Nack():
            newest = room.judge.number
            kept = range(newest - len(room.ring) + 1, newest + 1)
            channel.outbox.answer(frame.ranges, kept, now / TICKS_PER_S)
        case frames.Clock():
            return _clock_answer(frame, member, received=received, now=now)
        case _:
            raise MalformedDatagram(f"{type(frame).__name__} on a member's channel: a bridge never says that")
    return []


def _clock_answer(frame: frames.Clock, member: Seated, *, received: int, now: int) -> list[Effect]:
    channel = member.channel
    if not is_client_request(frame.ntp):
        raise MalformedDatagram("a clock frame that is no NTP request")
    assert channel.address is not None, "the question came from somewhere"
    encoded = frames.encode(frames.Clock(server_answer(frame.ntp, receive=received, transmit=now)))
    if not channel.outbox.pay(len(encoded), now / TICKS_PER_S):
        raise Refused("rate", "more questions of the clock than the way back may carry answers")
    return [SendDatagram(channel.address, channel.sealer.seal(encoded))]
