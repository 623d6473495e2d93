"""Live states: the messages that carry a member's live state to members who join later.

Pure. relay/wire/live explains the term. A live state is sent in parts, so that none holds up the messages
behind it for long.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Count, Slot

PART_BYTES = 16 * 1024
"""Approximate limit of the size of one part, bytes: 0.1 s of a slow uplink of 1 Mbit/s."""
PARTS_MAX = 256
"""Greatest number of parts of one live state. A live state of the greatest size (relay/wire/live) fills
about 64."""
PIECES_MAX = 4096
ENDED_MAX = 1024

Pieces = Annotated[list[tuple[bytes, tuple[bytes, ...], int, int]], Meta(max_length=PIECES_MAX)]


class LivePart(Struct, tag="live", frozen=True, kw_only=True):
    """One part of a member's live state.

    The relay sends the live states of all members to a newcomer. A member sends its own live state to a relay
    that doesn't know it: to a relay that was started again, and on its return to a room.

    slot: the slot of that member. number, at: the live state includes every event whose room number is at
    most `number` and whose due is at or before the session instant `at`. index: which part it is, from 0.
    last: no part follows. pieces: nodes, buffers and buses, in the order in which they must be built, each as
    the fields of `relay.wire.live.state.Piece`. events: judged events of the slot with numbers up to `number`
    that are due after `at`, as they are sent in datagrams.
    """

    slot: Slot
    number: Count = 0
    at: int = 0
    index: Annotated[int, Meta(ge=0, lt=PARTS_MAX)] = 0
    last: bool = True
    pieces: Pieces = []
    events: Annotated[list[bytes], Meta(max_length=PIECES_MAX)] = []


class Ended(Struct, tag="ended", frozen=True, kw_only=True):
    """The notes of the sender that have ended in its own scsynth since its last such message.

    seqs: the sender's numbers of the events that made them.
    """

    seqs: Annotated[list[Count], Meta(max_length=ENDED_MAX)]


class LiveRequest(Struct, tag="live_request", frozen=True, kw_only=True):
    """A member asks for the live state of a slot again, because it has not come."""

    slot: Slot


FAMILY = Family(up=(LivePart, Ended, LiveRequest), down=(LivePart,))
