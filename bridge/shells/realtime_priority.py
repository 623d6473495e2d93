"""Priority: a bridge is part of the audio path and must not wait behind a compiler or a booting Sonic Pi.

A shell. Real-time scheduling where the system allows it (root, or the audio group's usual limits), below
what jackd and scsynth use for their audio threads; else as nice as allowed; else as it is.
"""

import contextlib
import os
import sys

REALTIME_PRIORITY = 2
"""Of 1 to 99. jackd runs its clients at 5 and itself at 10 by default: sound comes first."""
NICENESS = -10


def raise_priority() -> str:
    """Raise this process's priority; return in a word what could be had."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            # Round robin among equals, and no child inherits it.
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(REALTIME_PRIORITY))
            return "realtime"
    with contextlib.suppress(OSError):
        return f"nice {os.nice(NICENESS)}"
    return "ordinary"
