"""Memory of a real-time process, locked so that the process needn't wait for it.

A shell. Two things stop a process for tens of milliseconds at times, however high its priority. One is a
full garbage collection of all imported modules (13 to 120 ms, measured). The other is code that the kernel
has dropped from memory and must read from the disk again. jackd locks its memory for the same reason.
"""

import ctypes
import gc
import sys

# Values of linux/mman.h on all architectures but alpha, powerpc and sparc. There the call fails without
# effect.
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def stay_in_memory() -> bool:
    """Exempt today's objects from garbage collection and lock the memory in use; return whether it is locked.

    Locking needs Linux and permission (RLIMIT_MEMLOCK, as for jackd: "memlock unlimited" for audio users).
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
