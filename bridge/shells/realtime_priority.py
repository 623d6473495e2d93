"""Real-time priority: raises a bridge's priority, so that it doesn't wait behind a compiler or a booting
Sonic Pi.

A shell. A bridge is part of the audio path. It gets real-time scheduling if the system allows it (root, or
the audio group's usual limits), below the audio threads of jackd and scsynth. Otherwise it gets the best
niceness allowed, or stays as it is.
"""

import contextlib
import os
import sys

REALTIME_PRIORITY = 2
"""The priority that a bridge asks for, of 1 to 99. It is below jackd's, so sound comes first: by default
jackd runs its clients at 5 and itself at 10."""
NICENESS = -10


def raise_priority() -> str:
    """Raise this process's priority. Return what it is now: "realtime", "nice N" or "ordinary"."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            # Round robin among equals. Children don't inherit it.
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(REALTIME_PRIORITY))
            return "realtime"
    with contextlib.suppress(OSError):
        return f"nice {os.nice(NICENESS)}"
    return "ordinary"
