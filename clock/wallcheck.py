"""Steps of the wall clock, found by comparing two readings.

Pure. Two things show as wall time moving against local time: somebody set the wall clock, or the host slept
(Linux stops the monotonic clock meanwhile). A slewed wall clock moves too, by at most 500 ppm.
"""

from clock.model import Reading


def step_of_wall(previous: Reading, current: Reading) -> int:
    """Return by how many ns the wall clock moved against the local one between two readings.

    > 0: the wall clock was set forward, or the host slept while its local clock stood still.
    """
    return (current.wall_ns - previous.wall_ns) - (current.local_ns - previous.local_ns)
