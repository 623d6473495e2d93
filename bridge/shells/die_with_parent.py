"""Death with the parent: ends a child process when its parent ends, whatever kills the parent.

A shell. On Linux the kernel does this. On other systems nothing happens, and the parent must end its
children.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(sent: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to send the signal `sent` to this process when its parent ends.

    It can be used as `preexec_fn` of a new process.
    """
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        if os.getppid() != parent:  # it ended just before the request
            os.kill(os.getpid(), sent)
