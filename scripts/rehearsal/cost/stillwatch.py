"""Still-watch: writes down the moments at which this machine stood still. A sleep that lasts too long shows
one.

    stillwatch.py       prints a line for each standstill: its start and its end, in ns since 1970

A virtual machine stands still as a whole while its host gives its processors to others. Nothing in it can be
in time then, and only a program that sleeps can notice. This one has a higher priority than everything but
sound (jackd and its clients). Standard library only.
"""

import contextlib
import gc
import os
import time
from collections.abc import Iterator

TICK_S = 0.005
STALL_NS = 20_000_000
"""Least standstill (ns) that is written down. A bridge has 45 ms in hand for the delays of its own host; this
is about half of it."""
PRIORITY = 3
"""Real-time priority: above the bridges (2), below jackd and its clients."""


def naps() -> Iterator[tuple[int, int] | None]:
    """Sleep for TICK_S again and again. After each nap yield (from, to) in Unix ns if the nap took more than
    STALL_NS longer, else None."""
    while True:
        asleep_ns = time.time_ns()
        time.sleep(TICK_S)
        awake_ns = time.time_ns()
        yield (asleep_ns, awake_ns) if awake_ns - asleep_ns > TICK_S * 1e9 + STALL_NS else None


def main() -> None:
    """Watch until the parent is gone."""
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
