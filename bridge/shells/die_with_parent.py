"""Death with the parent: a child process ends when its parent does, whatever kills the parent.

A shell. Linux only. Elsewhere it does nothing, and the parent's own clean-up must suffice.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(sent: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to send `sent` to this process when its parent ends. Usable as preexec_fn."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        if os.getppid() != parent:  # it ended just before the request
            os.kill(os.getpid(), sent)
