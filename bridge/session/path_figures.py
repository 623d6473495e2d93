"""Path figures: collects the figures of path and clock for a bridge's reports.

Pure.
"""

from bridge.clocks.timebase import Timebase
from bridge.playout.second_reports import PathFigures
from bridge.session.downlink import Downlink
from clock.model import Reading
from relay.wire.timetag import from_unix_ns, seconds

BOUND_MS_UNKNOWN = 1e6
"""Reported as the clock's error bound (ms) while session time isn't set yet, because the bound is infinite
then."""


def path_figures(timebase: Timebase, downlink: Downlink, reading: Reading) -> PathFigures:
    """Return the present figures of the path (from `downlink`) and of the clock (from `timebase`)."""
    clock, counts = timebase.clock, downlink.counts
    ahead = timebase.session_at(reading.local_ns) - from_unix_ns(reading.wall_ns)
    return PathFigures(
        rtt_ms=clock.rtt_s * 1e3,
        jitter_ms=clock.jitter_s * 1e3,
        frames_expected=counts.expected,
        frames_lost=counts.lost,
        clock_offset_ms=seconds(ahead) * 1e3,
        clock_bound_ms=min(clock.error_bound_s * 1e3, BOUND_MS_UNKNOWN),
        clock_rate_ppm=clock.rate_ppm,
        clock_steps=clock.era,
    )
