"""Steps of the wall clock, noticed by comparing two readings.

Pure. A wall clock that is set, and a host that slept (Linux stops the monotonic clock meanwhile), both
show as wall time moving against local time. Being slewed (at most 500 ppm) shows as well, but little.
"""

from clock.model import Reading


def step_of_wall(previous: Reading, current: Reading) -> int:
    """Return by how many ns the wall clock moved against the local one between two readings.

    > 0: the wall clock was set forward, or the host slept with its local clock stopped.
    """
    return (current.wall_ns - previous.wall_ns) - (current.local_ns - previous.local_ns)
