"""Study plan: the points of the study. Pure.

Two parts answer different questions. *virtual* shows the effect of the jam's rules on a network: relay and
bridges in virtual time, exact clocks, hundreds of points. *netlab* shows the effect of TCP, and whether the
virtual results hold: real processes, sockets and kernels over an emulated network, in real time.

Every experiment changes one thing against one base: three members, 20 events a second each, 0.5 s
schedule-ahead, the initial lead of 200 ms, and 30 ms of round trip between each member and the relay. An
experiment has the same name and the same x in both parts, so their results can be compared.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from laboratory.runs.points import Point, mode_of
from relay.wire.sequence import Scheme

BASE_RTT_MS = 30
BASE_LEAD_MS = 200.0
"""Lead (ms) of the base: a room's initial lead, kept fixed.

The lead bounds how far ahead the relay closes a room's sequence (relay/lead/room_tuning.py), so a longer lead
means more re-timing. Only one experiment of the study varies the lead.
"""
BASE_AHEAD_MS = 500.0
"""Schedule-ahead (ms) of the base: Sonic Pi's own."""
BASE_SERIES = "loss"
"""Name of the series whose point at x = 0 is the base."""
HOLD_MS = 20
"""Time (ms) for which jitter keeps a drawn value. Real jitter comes from queues, so it is alike for datagrams
close in time."""

RTTS_MS = (10, 100, 200, 300, 350, 375, 400, 425, 450, 500)
JITTERS_MS = (0, 5, 10, 20, 40, 60, 80, 120, 160)
LOSSES = (0, 0.1, 0.5, 1, 2, 5, 10, 15, 20, 30)
BURSTS = (0, 1, 2, 5, 10, 20)
GRID_RTTS_MS = (100, 200, 300, 400)
GRID_LOSSES = (0, 1, 5, 10, 20)
ALONE = (
    "delay=15,reorder=10%,reorder_ms=30",
    "delay=15,duplicate=10%",
    "delay=15,rate=128,queue=300",
    "delay=15,spikes=5,spike=80",
    "delay=15,spikes=5,spike=300",
    "delay=15,outage=15-15.2",
    "delay=15,outage=15-16",
    "asymmetric-20-80",
)
"""Networks with one impairment each, at one value. Outages lie within the measured window."""
SIZES = (3, 5, 8, 16)
SIZE_NETWORKS = ("hotel-wifi", "delay=15,loss=2%")
PROFILE_NAMES = (
    "studio-lan", "research", "fibre", "cable", "dsl", "hotel-wifi", "wifi-spikes", "mobile", "bufferbloat",
    "intercontinental", "jepsen-48",
)  # fmt: skip
AHEAD_NETWORKS = (
    "studio-lan", "research", "fibre", "cable", "dsl", "hotel-wifi", "wifi-spikes", "mobile",
    "intercontinental",
)  # fmt: skip
AHEADS_MS = (40, 60, 80, 100, 150, 200, 300, 400, 500, 700)
LEADS_MS = (100, 200, 300, 400, 480)
"""Leads (ms) to try. All are below BASE_AHEAD_MS, so they don't change the due."""
OTHER_LEAD_MS = 400.0
"""Lead (ms) to try with real processes, for comparison with the base's."""
SPARSE_PER_S = 2.0
SPARSE_SECONDS = 250.0
"""Length (s) of runs with SPARSE_PER_S events a second: as many events as in 25 s of the base."""

BY_TIMESTAMPS = "timestamps "
"""Prefix of the series whose rooms go by timestamps. The series to compare with follows it."""
TIMESTAMPS_AT: dict[str, tuple[float, ...]] = {
    "delay": (100, 200, 300, 350, 400, 450, 500),
    "jitter": (10, 20, 40, 60, 80, 120, 160),
    "loss": (0, 1, 2, 5, 10, 15, 20, 30),
    "bursts": (1, 2, 5, 10, 20),
}

BY_ITSELF = "auto "
"""Prefix of the series whose lead and shift tune themselves. The series to compare with follows it."""
BY_ITSELF_AT: dict[str, tuple[float, ...]] = {
    "delay": (100, 200, 300, 400, 450),
    "jitter": (10, 20, 40, 80),
    "loss": (0, 5, 10, 20, 30),
    "bursts": (1, 2, 5, 10),
}
BY_ITSELF_SECONDS = 100.0
"""Length (s) of runs whose lead tunes itself, long enough for a lead to fall.

The lead begins at 200 ms and may fall after a minute and a half of music.
"""

SPREAD_NETWORKS = (
    "fibre",
    "hotel-wifi",
    "fibre | ben=mobile | carla=hotel-wifi",
    "delay=15 | ben=up:delay=15;down:delay=35",
)
SPREAD_HOUR_S = 3600.0
SPREAD_EVENTS_PER_S = 2.0
"""Events a second of each member in runs of an hour in which clocks are watched."""

NETLAB_SECONDS = 25.0
"""Length (s) of netlab's measured window. A point's three runs have 4,500 events with it.

If none of them is bad, the share of bad events is shown to be below 1 in 1,000.
"""
NETLAB_SEEDS = (1, 2, 3)
NETLAB_JOBS = 2


@dataclass(frozen=True, slots=True)
class SpreadPoint:
    """An hour of virtual time to watch the clocks of three members with rate errors of -50, 0 and +50 ppm."""

    network: str
    seconds: float = SPREAD_HOUR_S
    seed: int = 1


def point(where: str, series: str, x: float, network: str, mode: str, **more: Any) -> Point:
    """Make a point named "where/series/mode/x". more: fields of Point that differ from the base's."""
    usual: dict[str, Any] = {
        "lead_ms": BASE_LEAD_MS, "ahead_ms": BASE_AHEAD_MS, "seconds": 25.0, "seeds": (1, 2, 3, 4),
    }  # fmt: skip
    made = Point(
        name=f"{where}/{series}/{mode}/{x:g}", series=series, x=x, where=where, network=network,
        transport="udp" if mode.startswith("udp") else mode, repair=mode == "udp-repair",
        **usual | more,
    )  # fmt: skip
    assert mode_of(made) == mode
    return made


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment that changes one condition.

    series: name in points and files. what: name of the condition within a sentence. unit: of x, with a space
    in front.
    """

    series: str
    title: str
    what: str
    unit: str
    label: str
    """Label of the x axis in the experiment's figure."""
    base_x: float = 0.0
    """The x at which the experiment's network is the base's."""


SWEEPS = (
    Experiment(
        "delay", "Delay", "round trip to the relay", " ms",
        "round trip between each member and the relay, ms", base_x=BASE_RTT_MS,
    ),
    Experiment(
        "jitter", "Jitter", "jitter", " ms",
        f"mean jitter on each way (lognormal, a new draw every {HOLD_MS} ms), ms",
    ),
    Experiment("loss", "Loss, each datagram for itself", "loss", " %", "loss on each way, %"),
    Experiment(
        "bursts", "Loss in bursts of 80 ms", "loss in bursts", " %",
        "share of the time that is lost, each way, %",
    ),
)  # fmt: skip

# -- networks: one thing changed -------------------------------------------------------------------------


def delay(rtt_ms: float = BASE_RTT_MS) -> str:
    return f"delay={rtt_ms / 2:g}"


def loss(percent: float, rtt_ms: float = BASE_RTT_MS) -> str:
    return delay(rtt_ms) + (f",loss={percent:g}%" if percent else "")


def jitter(mean_ms: float, kind: str = "lognormal") -> str:
    return delay() + (f",jitter={mean_ms:g},kind={kind},hold={HOLD_MS}" if mean_ms else "")


def bursts(percent: float) -> str:
    return delay() + (f",bursts={percent:g}%,burst=80" if percent else "")


SWEPT: dict[str, Callable[[float], str]] = {
    "delay": delay, "jitter": jitter, "loss": loss, "bursts": bursts,
}  # fmt: skip
"""Series of an experiment -> the function that returns its network at an x."""


def jitter_and_loss(mean_ms: float, percent: float) -> str:
    return f"{jitter(mean_ms)},loss={percent:g}%"


JITTER_WITH_LOSS = (jitter_and_loss(10, 2), jitter_and_loss(20, 2), jitter_and_loss(20, 5))
SPARSE_NETWORKS = (loss(5), bursts(5), "hotel-wifi")
LEAD_NETWORKS = ("hotel-wifi", "mobile", delay(400), jitter(40), loss(10, 100), loss(5))


def loss_series(rtt_ms: float) -> str:
    return "loss" if rtt_ms == BASE_RTT_MS else f"loss at RTT {rtt_ms:g}"


# -- the parts -------------------------------------------------------------------------------------------


def virtual_points() -> list[Point]:
    """Return the points in virtual time. They use UDP only, because TCP isn't modelled there."""
    points: list[Point] = []
    for mode in ("udp-repair", "udp-plain"):
        points += [point("virtual", "delay", x, delay(x), mode) for x in RTTS_MS]
        points += [point("virtual", "jitter", x, jitter(x), mode) for x in JITTERS_MS]
        points += [point("virtual", "loss", x, loss(x), mode) for x in LOSSES]
        points += [point("virtual", "bursts", x, bursts(x), mode) for x in BURSTS]
        points += [point("virtual", f"profile {name}", 0, name, mode) for name in PROFILE_NAMES]
        points += [point("virtual", f"alone {network}", 0, network, mode) for network in ALONE]
    points += timestamp_points()
    points += auto_points()
    for kind in ("normal", "pareto"):
        points += [
            point("virtual", f"{kind} jitter", x, jitter(x, kind), "udp-repair") for x in JITTERS_MS if x
        ]
    for rtt in GRID_RTTS_MS:
        points += [
            point("virtual", loss_series(rtt), x, loss(x, rtt), "udp-repair", seconds=20) for x in GRID_LOSSES
        ]
    for network in JITTER_WITH_LOSS:
        points.append(point("virtual", f"alone {network}", 0, network, "udp-repair"))
    for network in SPARSE_NETWORKS:
        points.append(
            point(
                "virtual", f"sparse {network}", SPARSE_PER_S, network, "udp-repair", seconds=SPARSE_SECONDS,
                seeds=(1, 2, 3), events_per_s=SPARSE_PER_S,
            )
        )  # fmt: skip
    for name in AHEAD_NETWORKS:
        points += [ahead_point("virtual", name, ahead, "udp-repair") for ahead in AHEADS_MS]
    for network in LEAD_NETWORKS:
        points += [lead_point("virtual", network, lead, "udp-repair") for lead in LEADS_MS]
    for network in SIZE_NETWORKS:
        points += [
            point(
                "virtual", f"members {network}", n, network, "udp-repair", members=n, seconds=240 / n**2 + 5
            )
            for n in SIZES
        ]
    return points


def timestamp_points() -> list[Point]:
    """Return points whose rooms go by timestamps. Apart from that they are like points of the sweeps."""
    return [
        point(
            "virtual", BY_TIMESTAMPS + series, x, SWEPT[series](x), "udp-repair", seeds=(1, 2, 3),
            scheme=Scheme.TIMESTAMP,
        )
        for series, tried in TIMESTAMPS_AT.items()
        for x in tried
    ]  # fmt: skip


def auto_points() -> list[Point]:
    """Return points whose lead and shift tune themselves, on networks of the sweeps and all named
    networks."""
    tried = [(series, x, SWEPT[series](x)) for series, xs in BY_ITSELF_AT.items() for x in xs]
    tried += [(f"profile {name}", 0, name) for name in PROFILE_NAMES]
    return [
        point(
            "virtual", BY_ITSELF + series, x, network, "udp-repair", lead_ms=None, shift_auto=True,
            seconds=BY_ITSELF_SECONDS, seeds=(1, 2, 3),
        )
        for series, x, network in tried
    ]  # fmt: skip


def ahead_point(where: str, network: str, ahead_ms: float, mode: str) -> Point:
    """Return a point whose events have exactly `ahead_ms` from emission to due. Its lead is at most half of
    that."""
    return point(
        where, f"ahead {network}", ahead_ms, network, mode, lead_ms=min(BASE_LEAD_MS, ahead_ms / 2),
        ahead_ms=ahead_ms, seeds=(1, 2, 3),
    )  # fmt: skip


def lead_point(where: str, network: str, lead_ms: float, mode: str) -> Point:
    """Return a point over `network` that differs from the base only in the lead and the network.

    The due is the same for all leads up to BASE_AHEAD_MS.
    """
    seconds = NETLAB_SECONDS if where == "netlab" else 25.0
    return point(
        where, f"lead {network}", lead_ms, network, mode, lead_ms=lead_ms, seconds=seconds, seeds=(1, 2, 3)
    )


def netlab_points() -> list[Point]:
    """Return the points with real processes, the most informative first, chosen to fit NETLAB_BUDGET_S.

    Runs of all points are equally long, and are made in this order. If the part is stopped early, the last
    points are missing.
    """
    every = "udp-repair udp-plain tls-cubic tls-bbr"
    first = [
        # experiment, x, network, modes
        ("loss", 0, loss(0), "udp-repair tls-cubic"),
        ("loss", 5, loss(5), every),
        ("profile hotel-wifi", 0, "hotel-wifi", every),
        ("loss", 1, loss(1), "udp-repair udp-plain tls-cubic"),
        ("loss", 10, loss(10), "udp-repair tls-cubic tls-bbr udp-plain"),
        ("loss at RTT 100", 2, loss(2, 100), every),
        ("bursts", 5, bursts(5), every),
    ]
    last = [
        ("delay", 400, delay(400), "udp-repair tls-cubic"),
        ("delay", 300, delay(300), "udp-repair tls-cubic"),
        ("profile mobile", 0, "mobile", "udp-repair udp-plain tls-cubic"),
        ("jitter", 20, jitter(20), "udp-repair tls-cubic"),
    ]

    def made(tried: Iterable[tuple[str, float, str, str]]) -> list[Point]:
        return [
            point("netlab", series, x, network, mode, seconds=NETLAB_SECONDS, seeds=NETLAB_SEEDS)
            for series, x, network, modes in tried
            for mode in modes.split()
        ]

    other_lead = [
        lead_point("netlab", network, OTHER_LEAD_MS, mode)
        for network in ("hotel-wifi", loss(5))
        for mode in ("udp-repair", "tls-cubic", "tls-bbr")
    ]
    return [*made(first), *other_lead, *made(last)]


def spread_points() -> list[SpreadPoint]:
    """Return the hours of virtual time to watch clocks in, one for each network."""
    return [SpreadPoint(network) for network in SPREAD_NETWORKS]


def quick_points() -> list[Point]:
    """Return a small virtual matrix. It is enough to test figures and text, and proves nothing."""
    points = [
        point("virtual", "loss", x, loss(x), mode, seconds=6, seeds=(1, 2))
        for mode in ("udp-repair", "udp-plain")
        for x in (0, 5)
    ]
    by_timestamps = [
        replace(made, seconds=6, seeds=(1, 2)) for made in timestamp_points() if made.network == loss(5)
    ]
    return (
        points
        + by_timestamps
        + [point("virtual", "delay", x, delay(x), "udp-repair", seconds=6, seeds=(1, 2)) for x in (100, 500)]
    )


def quick_spread() -> list[SpreadPoint]:
    """Return two minutes of virtual time to watch clocks in, for the quick study."""
    return [SpreadPoint("fibre", seconds=120.0)]


REPEATED = ("virtual/loss/udp-plain/5", "netlab/loss/udp-plain/5")
"""Names of the points that `scripts/lab repeat` runs by default.

They are cheap, and their shares of bad events are neither 0 nor 1, so a difference would show.
"""
