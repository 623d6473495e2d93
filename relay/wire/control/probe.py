"""Probing: a prober's first message, the relay's answer, and the reports on arrivals.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import ChannelNumber, Count, Key, Software

RATE_MAX = 100.0
"""Greatest number of datagrams a second in each direction. A busy Sonic Pi sends a fifth of that, and a path
must carry it."""
SECONDS_MAX = 600.0
"""Longest measurement, s. Ten minutes are long enough to see how a path usually behaves, and short enough
that no measurement goes on for ever."""
ARRIVALS_MAX = 1024
"""Greatest number of arrivals in one report. No second brings more, even when delayed probes arrive in a
burst."""


class ProbeHello(Struct, tag="probe_hello", frozen=True, kw_only=True):
    """The first message of a prober, which measures its path and joins no room.

    rate: datagrams a second. seconds: how long it measures, s.
    """

    protocol: int
    software: Software
    rate: Annotated[float, Meta(gt=0, le=RATE_MAX)]
    seconds: Annotated[float, Meta(gt=0, le=SECONDS_MAX)]


class ProbeWelcome(Struct, tag="probe_welcome", frozen=True, kw_only=True):
    """The relay's answer to ProbeHello: the prober may measure over this sealed channel.

    key_up, key_down: the keys of each direction, for this connection only.
    """

    channel: ChannelNumber
    key_up: Key
    key_down: Key


class ProbeReport(Struct, tag="probe_report", frozen=True, kw_only=True):
    """The relay's report on the probes that have reached it since its last report. It is sent once a second.

    arrivals: (number of the probe, session instant of its arrival) in the order of arrival, each number once.
    A probe whose number is in no report was lost on the uplink.
    """

    arrivals: Annotated[list[tuple[Count, int]], Meta(max_length=ARRIVALS_MAX)]


FAMILY = Family(up=(ProbeHello,), down=(ProbeWelcome, ProbeReport))
