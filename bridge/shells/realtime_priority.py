"""Real-time priority: a bridge is part of the audio path and must not wait behind a compiler or a booting
Sonic Pi.

A shell. It uses real-time scheduling if the system allows it (root, or the audio group's usual limits), below
the priorities of jackd's and scsynth's audio threads. Otherwise it is as nice as allowed, or unchanged.
"""

import contextlib
import os
import sys

REALTIME_PRIORITY = 2
"""The priority that a bridge asks for, of 1 to 99. By default jackd runs its clients at 5 and itself at 10,
so sound comes first."""
NICENESS = -10


def raise_priority() -> str:
    """Raise this process's priority. Return the result in a word: realtime, nice N, or ordinary."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            # Round robin among equals. Children don't inherit it.
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(REALTIME_PRIORITY))
            return "realtime"
    with contextlib.suppress(OSError):
        return f"nice {os.nice(NICENESS)}"
    return "ordinary"
