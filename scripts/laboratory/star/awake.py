"""Awake: keeps the processors from halting while time is measured on this machine.

A shell. An idle processor halts. While a virtual processor halts, its host uses the real one for other
machines, and the virtual one wakes up late. In a measurement, a process with the highest priority woke up 2.0
to 2.8 ms late (p99.9) without this module, and 0.2 ms late with it. So every processor gets a process that
spins and gives way to all others (SCHED_IDLE).

The price: if two processors share a core, as on many hosts, neither runs at its full speed. So use this
module only for work that leaves the processors idle most of the time. Jams of real processes, two at a time,
are better off without it. With it, a tenth of their events met a moment in which a process with a bridge's
priority waited for 20 ms.
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
"""Nice value of the spinning processes' autogroup.

If the kernel shares processors between sessions, SCHED_IDLE gives way only within its own session.
"""


@contextlib.contextmanager
def kept_awake() -> Iterator[None]:
    """Keep one process spinning on every processor that this process may use.

    The spinning processes end with the context, or with the thread that entered it.
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
