"""Gives a bridge a bad local clock, which runs LAB_SKEW_PPM faster than the machine's. For clock runs alone.

Python imports this module by itself if its folder is in PYTHONPATH. It changes bridges and no other program.
"""

import os
import sys
import time


def skew(ppm: float) -> None:
    """Let time.monotonic_ns run `ppm` faster, from now on. A bridge takes local time from no other clock."""
    true_ns, thousandths = time.monotonic_ns, round(ppm * 1000)
    zero_ns = true_ns()

    def skewed_ns() -> int:
        now_ns = true_ns()
        return now_ns + (now_ns - zero_ns) * thousandths // 10**9

    time.monotonic_ns = skewed_ns


if "bridge.shells.service" in sys.orig_argv:
    skew(float(os.environ["LAB_SKEW_PPM"]))
