"""Probing: a prober's first message, the relay's answer, and the relay's reports on arrivals.

Pure.
"""

from typing import Annotated

from msgspec import Meta, Struct

from relay.wire.control.family import Family
from relay.wire.control.fields import ChannelNumber, Count, Key, Software

RATE_MAX = 100.0
"""Greatest number of datagrams a second in each direction. It is five times as many as a busy Sonic Pi
sends."""
SECONDS_MAX = 600.0
"""Longest measurement, s. Ten minutes are enough to see how a path usually behaves."""
ARRIVALS_MAX = 1024
"""Greatest number of arrivals in one report. Even a burst of delayed probes brings fewer in a second."""


class ProbeHello(Struct, tag="probe_hello", frozen=True, kw_only=True):
    """The first message of a prober, which measures its path and joins no room.

    rate: datagrams a second. seconds: duration of the measurement, s.
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
    """The relay's report, once a second, on the probes that reached it since its last report.

    arrivals: (number of the probe, session instant of its arrival), in the order of arrival. A number is
    reported once. A probe whose number is in no report was lost on the uplink.
    """

    arrivals: Annotated[list[tuple[Count, int]], Meta(max_length=ARRIVALS_MAX)]


FAMILY = Family(up=(ProbeHello,), down=(ProbeWelcome, ProbeReport))
