"""Digests: request and answer about the per-event digests of a second in which members differ.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Count, Digest


class DigestRequest(Struct, tag="digest_request", frozen=True, kw_only=True):
    """The relay asks for the per-event digests of a second in which members differ."""

    second: int


class DigestDetail(Struct, tag="digest_detail", frozen=True, kw_only=True):
    """The answer: (number, digest) of each event of that second, in scsynth's order.

    late: those of them that were handed over too late, also after the second was reported.
    """

    second: int
    events: Annotated[list[tuple[Count, Digest]], Meta(max_length=4096)]
    late: Annotated[list[Count], Meta(max_length=4096)] = []


FAMILY = Family(up=(DigestDetail,), down=(DigestRequest,))
