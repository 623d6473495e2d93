"""Still-watch: writes down when this machine stood still: a sleeper above all but sound that woke up late.

    stillwatch.py       a line a stall on stdout: from when to when, ns since 1970

A virtual machine whose host gives its processors to others for a while stands still as a whole. Nothing in it
can be in time then, and only a sleeper notices it. Standard library only.
"""

import contextlib
import gc
import os
import time

TICK_S = 0.005
STALL_NS = 20_000_000
"""A bridge has 45 ms in hand for its host's own delays; half of that is worth writing down."""
PRIORITY = 3
"""Above the bridges (2), below jackd and its clients."""


def main() -> None:
    """Watch until the parent is gone."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    gc.disable()
    parent = os.getppid()
    while os.getppid() == parent:
        asleep_ns = time.time_ns()
        time.sleep(TICK_S)
        awake_ns = time.time_ns()
        if awake_ns - asleep_ns > TICK_S * 1e9 + STALL_NS:
            print(asleep_ns, awake_ns, flush=True)


if __name__ == "__main__":
    main()
