"""Steps of the wall clock, found by comparing two readings.

Pure. Wall time moves against local time for two reasons. Either the wall clock was set, or the host slept
(Linux stops the monotonic clock meanwhile). It also moves while NTP slews the wall clock, but by at most 500
ppm.
"""

from clock.model import Reading


def step_of_wall(previous: Reading, current: Reading) -> int:
    """Return by how many ns the wall clock advanced more than the local clock between two readings.

    > 0: the wall clock was set forward, or the host slept while its local clock stood still. < 0: it was set
    back.
    """
    return (current.wall_ns - previous.wall_ns) - (current.local_ns - previous.local_ns)
