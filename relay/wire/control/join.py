"""Joining and leaving: the first message of a bridge, the relay's answers to it, and the last message.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import ChannelNumber, Channels, Count, Key, Name, Slot, Software, Ticks, Token
from relay.wire.control.room import Member, require_timing
from relay.wire.sequence import Ramp, Scheme

FirstSeq = Annotated[int, Meta(ge=1, le=2**31)]
"""First sequence number of a member's events. The limit is half the range of an event's u32, so that a member
can't use up its slot's numbers by starting at the greatest."""


class Hello(Struct, tag="hello", frozen=True, kw_only=True):
    """The first message of a bridge.

    outs, ins: number of output and input channels of its Sonic Pi's sound card.
    ticket: claims the slot that the bridge had before in the same epoch; None on a first visit.
    epoch: the epoch of the relay in which the ticket was given; None without a ticket.
    slot_wanted: the slot that the bridge had in another epoch and would like again; None: any slot.
    next_seq: the lowest sequence number of its own events that the bridge may still send.
    release_advance: how long before its due an event must be released to the bridge's scsynth, ticks.
    ask_only: whether the bridge only asks if it would be admitted, and gets no slot. The answer is Admission
    or Refused.
    """

    protocol: int
    software: Software
    room: Name
    name: Name
    outs: Channels = 16
    ins: Channels = 16
    ticket: Token | None = None
    slot_wanted: Slot | None = None
    epoch: Token | None = None
    next_seq: FirstSeq = 1
    release_advance: Ticks = 0
    ask_only: bool = False


class Welcome(Struct, tag="welcome", frozen=True, kw_only=True):
    """The relay's answer to a Hello: the bridge has a slot.

    ticket: with it the bridge can claim the slot again after a broken connection. key_up, key_down: the keys
    for sealed datagrams of each direction, new for every connection. number: room number of the last event so
    far. next_seq: the sequence number that the relay expects of the bridge's next event. resumed: whether the
    bridge has got its earlier slot by its ticket. lead, shift, lead_was, shift_was, horizon, repair, scheme:
    as in Settings.
    """

    slot: Slot
    name: Name
    ticket: Token
    epoch: Token
    channel: ChannelNumber
    key_up: Key
    key_down: Key
    number: Count
    next_seq: Count
    resumed: bool
    lead: Ticks
    shift: Ticks
    lead_was: Ramp | None = None
    shift_was: Ramp | None = None
    horizon: Ticks
    repair: bool = True
    scheme: Scheme = Scheme.JUDGED
    members: list[Member]

    def __post_init__(self) -> None:
        require_timing(self.lead, self.shift, self.lead_was, self.shift_was)


class Admission(Struct, tag="admission", frozen=True, kw_only=True):
    """The relay's answer to a Hello with `ask_only`: it would admit the bridge now. members: the room's
    roster."""

    room: Name
    members: list[Member]


class Refused(Struct, tag="refused", frozen=True, kw_only=True):
    """The relay's refusal of a request.

    reason: a word for programs. text: a sentence for people. final: whether repeating the request is useless.
    """

    reason: str
    text: str
    final: bool = False


class Leave(Struct, tag="leave", frozen=True):
    """The last message of a member that leaves for good. The relay then resets its slot and frees the
    slot."""


FAMILY = Family(up=(Hello, Leave), down=(Welcome, Admission, Refused))
