"""Control messages between relay and bridge over TLS, one module for each family.

Pure. This module lists all families of the protocol, and decodes their messages. A facet of a room may add a
family of its own; the hub then uses a codec that includes it.
"""

from typing import cast

from relay.wire.control import digests, join, live, not_heard, probe, report, room, stats, stock
from relay.wire.control.digests import DigestDetail, DigestRequest
from relay.wire.control.family import Codec, Family, encode, protocol_of
from relay.wire.control.join import Admission, Hello, Leave, Refused, Welcome
from relay.wire.control.live import Ended, LivePart, LiveRequest
from relay.wire.control.not_heard import NotHeard, Unheard
from relay.wire.control.probe import ProbeHello, ProbeReport, ProbeWelcome
from relay.wire.control.report import Report
from relay.wire.control.room import Member, Notice, Roster, Settings
from relay.wire.control.stats import StatsRequest
from relay.wire.control.stock import Chosen, Chunk, Give, Holdings, NoDonor, StockNews, Want
from relay.wire.stats import Stats

__all__ = [
    "Admission",
    "Chosen",
    "Chunk",
    "Codec",
    "DigestDetail",
    "DigestRequest",
    "Ended",
    "Family",
    "Give",
    "Hello",
    "Holdings",
    "Leave",
    "LivePart",
    "LiveRequest",
    "Member",
    "NoDonor",
    "NotHeard",
    "Notice",
    "ProbeHello",
    "ProbeReport",
    "ProbeWelcome",
    "Refused",
    "Report",
    "Roster",
    "Settings",
    "StatsRequest",
    "StockNews",
    "Unheard",
    "Want",
    "Welcome",
    "encode",
    "protocol_of",
]

FAMILIES = tuple(one.FAMILY for one in (join, room, live, report, not_heard, stock, digests, stats, probe))

Up = (
    Hello
    | LivePart
    | Ended
    | LiveRequest
    | Report
    | NotHeard
    | Holdings
    | Want
    | Chunk
    | DigestDetail
    | Leave
    | StatsRequest
    | ProbeHello
)
Down = (
    Welcome
    | Admission
    | Refused
    | Roster
    | Settings
    | Notice
    | LivePart
    | StockNews
    | DigestRequest
    | Stats
    | ProbeWelcome
    | ProbeReport
)
"""All messages of the families, for the type checker."""

_codec = Codec(FAMILIES)


def decode_up(data: bytes) -> Up:
    """Return the message that a bridge has sent. Raises MalformedControl if it can't be decoded."""
    return cast(Up, _codec.decode_up(data))


def decode_down(data: bytes) -> Down:
    """Return the message that a relay has sent. Raises MalformedControl if it can't be decoded."""
    return cast(Down, _codec.decode_down(data))
