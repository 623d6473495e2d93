"""The readings of this host's clocks: the only file in `clock` that is not pure."""

import time

from clock.model import Reading, local_from_wall, wall_from_local

__all__ = ["Reading", "local_from_wall", "read", "wall_from_local"]

TRIES = 4
"""Being scheduled away between two readings is rare; twice in a row on four tries hardly happens.
Four tries cost about 1 µs."""


def read() -> Reading:
    """Return the monotonic and the wall clock as of one instant (ns).

    The wall clock is read between two readings of the monotonic one and set against their middle;
    the tightest of a few tries counts, so the two disagree by half that gap at most (some 50 ns).
    """
    tightest_ns: int | None = None
    best = Reading(0, 0)
    for _ in range(TRIES):
        before_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        if tightest_ns is None or after_ns - before_ns < tightest_ns:
            tightest_ns = after_ns - before_ns
            best = Reading(before_ns + tightest_ns // 2, wall_ns)
    return best
