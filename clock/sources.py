"""The readings of this host's clocks: the only file in `clock` that is not pure."""

import time

from clock.model import Reading, local_from_wall, wall_from_local

__all__ = ["Reading", "local_from_wall", "read", "wall_from_local"]

TRIES = 4
"""Being scheduled away between two readings is rare; twice in a row on four tries hardly happens."""
TIGHT_NS = 500
"""No further try after one as tight as this: its error is that of a try that went well."""


def read() -> Reading:
    """Return the monotonic and the wall clock as of one instant (ns).

    The wall clock is read between two readings of the monotonic one and set against their middle;
    the first that is tight counts, or the tightest of a few, so the two disagree by half that gap at most.
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
