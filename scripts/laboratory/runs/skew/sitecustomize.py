"""Skew: makes a bridge's local clock run LAB_SKEW_PPM (ppm) faster than the machine's. Only for clock runs.

Python imports this module at its start if the module's folder is in PYTHONPATH. It changes bridges and no
other program.
"""

import os
import sys
import time


def skew(ppm: float) -> None:
    """Make time.monotonic_ns run `ppm` faster from now on. It is the only clock that a bridge uses as local
    time."""
    true_ns, thousandths = time.monotonic_ns, round(ppm * 1000)
    zero_ns = true_ns()

    def skewed_ns() -> int:
        now_ns = true_ns()
        return now_ns + (now_ns - zero_ns) * thousandths // 10**9

    time.monotonic_ns = skewed_ns


if "bridge.shells.service" in sys.orig_argv:
    skew(float(os.environ["LAB_SKEW_PPM"]))
