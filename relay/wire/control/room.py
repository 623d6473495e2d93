"""The room's own messages: its members, its lead, shift and horizon, and texts for people.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Channels, Count, Name, Slot, Ticks
from relay.wire.errors import LocalError
from relay.wire.sequence import Ramp, Scheme, Timing

MAX_NOTICE = 400
"""Greatest length of a notice, characters. It fills about three lines of a terminal."""


class Member(Struct, frozen=True, kw_only=True):
    """One entry of the roster.

    outs, ins: number of output and input channels of the sound card of the member's Sonic Pi. present:
    whether the member is connected. If it isn't, the relay keeps its slot for it. since: the room's last
    event number when the member took the slot. No event up to that number is of this member.
    """

    slot: Slot
    name: Name
    outs: Channels
    ins: Channels
    present: bool
    since: Count = 0


class Roster(Struct, tag="roster", frozen=True, kw_only=True):
    """The members that have a slot. The relay sends the roster whenever it changes."""

    members: list[Member]


class Settings(Struct, tag="settings", frozen=True, kw_only=True):
    """Lead, shift and horizon H of the room, in ticks. The relay sends them whenever one changes.

    lead_was, shift_was: the last change of lead and shift; None: it never changed. repair: whether members
    and relay ask for missing events. scheme: the rule for dues. Settings are malformed if the shift exceeds
    the lead at any instant.
    """

    lead: Ticks
    shift: Ticks
    lead_was: Ramp | None = None
    shift_was: Ramp | None = None
    horizon: Ticks
    repair: bool = True
    scheme: Scheme = Scheme.JUDGED

    def __post_init__(self) -> None:
        require_timing(self.lead, self.shift, self.lead_was, self.shift_was)


class Notice(Struct, tag="notice", frozen=True, kw_only=True):
    """A text from the relay that the bridge shows to its player."""

    text: Annotated[str, Meta(max_length=MAX_NOTICE)]


def require_timing(lead: int, shift: int, lead_was: Ramp | None, shift_was: Ramp | None) -> None:
    """Raise ValueError, which makes a message malformed, if these lead and shift (ticks) are no valid
    `Timing`."""
    try:
        Timing(lead, shift, lead_was, shift_was)
    except LocalError as error:
        raise ValueError(str(error)) from None


FAMILY = Family(down=(Roster, Settings, Notice))
