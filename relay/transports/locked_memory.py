"""Locked memory: keeps a process with tight deadlines from standing still because of its own memory.

A shell. Two things can stop a process for tens of milliseconds, however high its priority. One is a full
garbage collection over all imported modules (13 to 120 ms, measured). The other: the kernel has dropped the
process's code from memory, and reads it from the disk again. jackd locks its memory to prevent the second.
"""

import ctypes
import gc
import sys

# Values of linux/mman.h on all architectures but alpha, powerpc and sparc. There the call fails without
# effect.
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def stay_in_memory() -> bool:
    """Exempt all present objects from garbage collection, and lock the process's memory. Return whether the
    memory is locked.

    Locking needs Linux and permission: RLIMIT_MEMLOCK, which audio users often have for jackd as "memlock
    unlimited".
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
