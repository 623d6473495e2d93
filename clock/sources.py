"""Reads this host's clocks. It is the only file in `clock` that isn't pure."""

import time

from clock.model import Reading, local_from_wall, wall_from_local

__all__ = ["Reading", "local_from_wall", "read", "wall_from_local"]

TRIES = 4
"""Greatest number of attempts to read both clocks close together. The kernel seldom interrupts the process
between two readings, and hardly ever four times in a row."""
TIGHT_NS = 500
"""If the two readings of the monotonic clock are at most this far apart (ns), no further attempt follows.
Another attempt would hardly be better."""


def read() -> Reading:
    """Return what the monotonic clock and the wall clock show at one instant (ns).

    The wall clock is read between two readings of the monotonic clock. Its value is assigned to the middle of
    the two, so the error is at most half the gap between them. Attempts end at the first gap of at most
    `TIGHT_NS`, or after `TRIES`. The attempt with the smallest gap is used.
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
