"""A bridge whose wall clock can be set: time.time_ns is off by what a file says, in ns.

Python imports this by itself where this folder is in PYTHONPATH. libfaketime, which does it for scsynth,
breaks Python's time.sleep where it leaves the monotonic clock alone.
"""

import mmap
import os
import struct
import sys
import time

if "bridge.service" in sys.orig_argv:
    with open(os.environ["SETCLOCK_FILE"], "rb") as file:
        _offset = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    _true_ns = time.time_ns
    time.time_ns = lambda: int(_true_ns() + struct.unpack("<q", _offset[:8])[0])
