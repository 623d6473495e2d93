"""Digests: messages that find the events by which members differ.

Pure. If the members' reports on a second have different digests, the relay asks for the digest of each event
of that second, and the bridges answer.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Count, Digest


class DigestRequest(Struct, tag="digest_request", frozen=True, kw_only=True):
    """The relay asks for the digest of each event of a second in which members differ.

    second: seconds of session time (due >> 32 of its events).
    """

    second: int


class DigestDetail(Struct, tag="digest_detail", frozen=True, kw_only=True):
    """A bridge's answer to DigestRequest, about one second of session time.

    events: (room number, digest) of each event of that second, in the order in which scsynth executes them.
    late: room numbers of the events that were handed to scsynth too late, including events that came after
    the report on that second.
    """

    second: int
    events: Annotated[list[tuple[Count, Digest]], Meta(max_length=4096)]
    late: Annotated[list[Count], Meta(max_length=4096)] = []


FAMILY = Family(up=(DigestDetail,), down=(DigestRequest,))
