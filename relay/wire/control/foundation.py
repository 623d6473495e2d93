"""Foundations: the message with a member's foundation, sent in both directions.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Count, Slot

Payloads = Annotated[list[bytes], Meta(max_length=4096)]


class Foundation(Struct, tag="foundation", frozen=True, kw_only=True):
    """The foundation of a member: OSC messages in that member's own ids.

    It holds the nodes that its Sonic Pi built at its start and never frees, the buffers that it has loaded,
    and the values that were set on those nodes since. The relay tells it to those who join later; the member
    tells it to a relay that has forgotten it (a new epoch).
    number: all events of the room up to it are in it. values: (due, /n_set); a due of 0 is over.
    """

    slot: Slot
    number: Count = 0
    messages: Payloads
    values: Annotated[list[tuple[int, bytes]], Meta(max_length=4096)] = []


FAMILY = Family(up=(Foundation,), down=(Foundation,))
