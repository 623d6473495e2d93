"""Finds steps of the wall clock by comparing two readings.

Pure. Wall time moves against local time if the wall clock is set. It also moves if the host sleeps, since
Linux stops the monotonic clock meanwhile. NTP moves it too when it slews the wall clock, but by at most 500
ppm.
"""

from clock.model import Reading


def step_of_wall(previous: Reading, current: Reading) -> int:
    """Return by how many ns the wall clock advanced more than the local clock between two readings.

    > 0: the wall clock was set forward, or the host slept. < 0: the wall clock was set back.
    """
    return (current.wall_ns - previous.wall_ns) - (current.local_ns - previous.local_ns)
