"""Foundations: the message with a member's foundation. Both bridges and relays send it.

Pure. The term is explained in relay/wire/foundation.py.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Count, Slot

Payloads = Annotated[list[bytes], Meta(max_length=4096)]


class Foundation(Struct, tag="foundation", frozen=True, kw_only=True):
    """The foundation of a member, as OSC messages in that member's own ids.

    The foundation is the nodes that its Sonic Pi made at its start and never frees, the buffers that it has
    loaded, and the values set on those nodes since. The relay sends it to members who join later. The member
    sends it to a relay that was restarted (a new epoch).

    slot: the member's. number: room number of the last event that it includes. messages: the commands that
    make the nodes and buffers. values: pairs (due, /n_set command). due: a session timetag, or 0 if it has
    passed.
    """

    slot: Slot
    number: Count = 0
    messages: Payloads
    values: Annotated[list[tuple[int, bytes]], Meta(max_length=4096)] = []


FAMILY = Family(up=(Foundation,), down=(Foundation,))
