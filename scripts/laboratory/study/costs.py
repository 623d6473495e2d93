"""Costs: estimates the time that the study's points take on this machine. Pure."""

from collections.abc import Iterable

from laboratory.runs.points import Point
from laboratory.study.plan import NETLAB_JOBS, SpreadPoint, netlab_points, spread_points, virtual_points

VIRTUAL_SPEED = 6.3
"""Seconds of virtual time per second of real time, for 3 members at 20 events/s each.

Measured over the whole study, with two runs at a time on two processors that share a core.
"""
VIRTUAL_WARM_UP_S = 6.0
SPREAD_SPEED = 25.0
"""VIRTUAL_SPEED's counterpart for runs of `laboratory.virtual.spread`, with 3 members at 2 events/s each."""
NETLAB_OVERHEAD_S = 20.5
"""Time (s) that a netlab run takes in addition to its measured window.

It is spent on starting all programs, setting the clocks, ending the programs and reading the recordings. The
figure is the mean of 120 runs, two at a time.
"""
GENUINE_OVERHEAD_S = 25.0
"""NETLAB_OVERHEAD_S's counterpart for a genuine run, which also boots and ends three genuine Sonic Pis."""
VIRTUAL_BUDGET_S = 70 * 60.0
NETLAB_BUDGET_S = 46 * 60.0
"""Real time (s) that the netlab part may take, with two runs at a time."""


def cost_s(made: Point) -> float:
    """Estimate the time (s) that one run of a point takes if another runs beside it."""
    if made.where == "genuine":
        return GENUINE_OVERHEAD_S + made.seconds
    if made.where == "netlab":
        return NETLAB_OVERHEAD_S + made.seconds
    load = (made.members / 3) ** 2 * (made.events_per_s / 20)
    return (VIRTUAL_WARM_UP_S + made.seconds) * (0.45 + 0.55 * load) / VIRTUAL_SPEED


def spread_cost_s(made: SpreadPoint) -> float:
    """Estimate the time (s) that an hour of clocks takes to compute if another run goes on beside it."""
    return made.seconds / SPREAD_SPEED


def total_s(points: Iterable[Point]) -> float:
    """Estimate the time (s) that all runs of some points take one after the other."""
    return sum(cost_s(made) * len(made.seeds) for made in points)


def estimates_s() -> tuple[float, float]:
    """Estimate the time (s) of the study's parts, (netlab, virtual), with NETLAB_JOBS runs at a time."""
    clocks_s = sum(spread_cost_s(hour) for hour in spread_points())
    return total_s(netlab_points()) / NETLAB_JOBS, (total_s(virtual_points()) + clocks_s) / NETLAB_JOBS
