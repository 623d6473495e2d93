"""Staying in memory: what a process in real time must not wait for.

A shell. Two things stop a process for tens of milliseconds at times, however high its priority: a full
garbage collection of all that was imported (13 to 120 ms, measured), and code that the kernel has put out of
memory and must read from the disk again. jackd locks its memory for the same reason.
"""

import ctypes
import gc
import sys

# linux/mman.h, on all architectures but alpha, powerpc and sparc, where the call fails and all is as before.
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def stay_in_memory() -> bool:
    """Keep what there is now out of later collections, and in memory what is used; return whether that is so.

    Locking needs Linux and the right to (RLIMIT_MEMLOCK, as jackd does: "memlock unlimited" for audio users).
    """
    gc.collect()
    gc.freeze()
    if sys.platform != "linux":
        return False
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)
    except (OSError, AttributeError):
        return False
