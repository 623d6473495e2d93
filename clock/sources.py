"""Readings of this host's clocks. The only file in `clock` that isn't pure."""

import time

from clock.model import Reading, local_from_wall, wall_from_local

__all__ = ["Reading", "local_from_wall", "read", "wall_from_local"]

TRIES = 4
"""Attempts at a tight reading. Being scheduled away between two readings is rare, four times in a row hardly
happens."""
TIGHT_NS = 500
"""A gap as small as this (ns) ends the attempts: another one would hardly be better."""


def read() -> Reading:
    """Return the monotonic and the wall clock as of one instant (ns).

    The wall clock is read between two readings of the monotonic clock and matched with their middle. The
    first attempt within `TIGHT_NS` counts, else the tightest of `TRIES`. The error is at most half the gap.
    """
    tightest_ns, local_ns, wall_ns = 1 << 62, 0, 0
    for _ in range(TRIES):
        before_ns = time.monotonic_ns()
        between_ns = time.time_ns()
        apart_ns = time.monotonic_ns() - before_ns
        if apart_ns < tightest_ns:
            tightest_ns, local_ns, wall_ns = apart_ns, before_ns + apart_ns // 2, between_ns
            if apart_ns <= TIGHT_NS:
                break
    return Reading(local_ns, wall_ns)
