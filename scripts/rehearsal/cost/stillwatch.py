"""Still-watch: reports the moments at which the whole machine stood still, by sleeps that last too long.

    stillwatch.py       prints a line for each standstill: its start and its end, in ns since 1970

A virtual machine stands still while its host gives its processors to others. No program in it can be in time
then, and only one that sleeps can notice the standstill. This program has a higher priority than everything
but sound (jackd and its clients). Standard library only.
"""

import contextlib
import gc
import os
import time
from collections.abc import Iterator

TICK_S = 0.005
STALL_NS = 20_000_000
"""Shortest standstill (ns) that is reported: about half of the 45 ms that a bridge has for delays of its
host."""
PRIORITY = 3
"""Real-time priority: above the bridges (2), below jackd and its clients."""


def naps() -> Iterator[tuple[int, int] | None]:
    """Sleep for TICK_S again and again. After each sleep yield None, or (start, end) in Unix ns if it was too
    long.

    Too long is more than STALL_NS longer than TICK_S.
    """
    while True:
        asleep_ns = time.time_ns()
        time.sleep(TICK_S)
        awake_ns = time.time_ns()
        yield (asleep_ns, awake_ns) if awake_ns - asleep_ns > TICK_S * 1e9 + STALL_NS else None


def main() -> None:
    """Print standstills until the parent process has ended."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    gc.disable()
    parent = os.getppid()
    for stall in naps():
        if stall:
            print(*stall, flush=True)
        if os.getppid() != parent:
            return


if __name__ == "__main__":
    main()
