"""Keeping a machine awake while time is measured on it.

A shell. An idle processor halts. A virtual one that halts is given away by its host and comes back late, here
by up to 3 ms (p99.9 of a sleeper above all else: 2.0 to 2.8 ms; with this module 0.2 ms). So each processor
gets something to do that gives way to everything (SCHED_IDLE).

The price: where two processors share a core, as on many hosts, neither runs at its full speed. So use it only
for work that leaves the processors idle most of the time. Jams of real processes, two at a time, are better
off without: with it, a tenth of their events met a moment in which a process with a bridge's priority waited
for 20 ms.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from rehearsal.rigs.recorder import die_with_parent

SPIN = "while True: pass"
AUTOGROUP = "/proc/self/autogroup"
AUTOGROUP_NICE = "19"
"""Autogroup value of the spinners. Where the kernel shares processors between sessions, SCHED_IDLE gives way
only within its own session."""


@contextlib.contextmanager
def kept_awake() -> Iterator[None]:
    """Keep one process spinning on every processor this one may use.

    The processes end with the context, or with the thread that entered it.
    """
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "SCHED_IDLE") else []
    spinning = [spin(processor) for processor in processors]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def spin(processor: int) -> "subprocess.Popen[bytes]":
    def give_way() -> None:
        die_with_parent()
        os.sched_setaffinity(0, {processor})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with contextlib.suppress(OSError), open(AUTOGROUP, "w") as group:
            group.write(AUTOGROUP_NICE)

    command = [sys.executable, "-I", "-S", "-c", SPIN]
    return subprocess.Popen(command, start_new_session=True, preexec_fn=give_way)
