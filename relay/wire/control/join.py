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
"""Half of what fits an event's u32, so that a member can't use up the numbers of its slot in one step."""


class Hello(Struct, tag="hello", frozen=True, kw_only=True):
    """The first message of a bridge.

    ticket: claims a slot that the bridge had in this `epoch`. slot_wanted: the slot that it had in another
    epoch, if it can have it. next_seq: the lowest number of its own that it may still send. release_advance:
    how long before a due its scsynth needs an event. ask_only: nobody is let in; the answer is Admission, or
    Refused as ever.
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
    """The relay's answer to Hello: the bridge has a slot. The keys are fresh, and of this connection only.

    number: the room's last number so far. next_seq: the sender's number that is expected next in this slot.
    resumed: this ticket had the slot in this epoch. lead to scheme: as in Settings.
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
    """The relay's answer to a Hello that only asks: the bridge would be admitted now. members: the roster."""

    room: Name
    members: list[Member]


class Refused(Struct, tag="refused", frozen=True, kw_only=True):
    """The relay refuses a request.

    reason: a word for programs. text: for people. final: repeating the request is no use.
    """

    reason: str
    text: str
    final: bool = False


class Leave(Struct, tag="leave", frozen=True):
    """The last message of a member that goes for good: its slot is reset and free again."""


FAMILY = Family(up=(Hello, Leave), down=(Welcome, Admission, Refused))
