"""Probing: a prober's first message, the relay's answer, and the reports on arrivals.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import ChannelNumber, Count, Key, Software

RATE_MAX = 100.0
"""Datagrams a second, each way: five times those of a busy Sonic Pi, which a path has to carry."""
SECONDS_MAX = 600.0
"""Ten minutes: long enough to see a path's habits, short enough that nobody is measured for ever."""
ARRIVALS_MAX = 1024
"""Arrivals in one report: as many as a second can bring, bursts included."""


class ProbeHello(Struct, tag="probe_hello", frozen=True, kw_only=True):
    """The first message of a prober, which measures its path and joins no room.

    rate: datagrams a second. seconds: how long it measures.
    """

    protocol: int
    software: Software
    rate: Annotated[float, Meta(gt=0, le=RATE_MAX)]
    seconds: Annotated[float, Meta(gt=0, le=SECONDS_MAX)]


class ProbeWelcome(Struct, tag="probe_welcome", frozen=True, kw_only=True):
    """The relay's answer to ProbeHello: a sealed channel, with keys of this connection only."""

    channel: ChannelNumber
    key_up: Key
    key_down: Key


class ProbeReport(Struct, tag="probe_report", frozen=True, kw_only=True):
    """The probes that reached the relay since the report before; sent once a second.

    arrivals: (number, session instant of arrival) in the order of arrival, each number once. A number that no
    report names was lost on the way up.
    """

    arrivals: Annotated[list[tuple[Count, int]], Meta(max_length=ARRIVALS_MAX)]


FAMILY = Family(up=(ProbeHello,), down=(ProbeWelcome, ProbeReport))
