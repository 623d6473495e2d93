"""Statistics: the request for them, which anybody may send, and the relay's answer.

Pure.
"""

from msgspec import Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import Name
from relay.wire.stats import Stats


class StatsRequest(Struct, tag="stats_request", frozen=True, kw_only=True):
    """A request for the statistics of one room; of all rooms if `room` is None."""

    room: Name | None = None


FAMILY = Family(up=(StatsRequest,), down=(Stats,))
