"""Spread: how far apart in time the members of a room hear one event, over an hour and more of virtual time.

Pure. The rate errors of members' clocks are evenly spread over +-50 ppm. Without correction the outermost
clocks would drift apart by 0.36 s in an hour. An event's instant at a member is the true instant of its
timetag at that member's scsynth. It is affected by the clocks, the slewing, the conversions and the paths'
asymmetry, but not by sound cards.
"""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from laboratory.runs.points import Point, legs_of
from laboratory.runs.rows import WHOLE, Minute
from laboratory.runs.tallying import TalliedNote, figures
from laboratory.study.plan import BASE_AHEAD_MS, BASE_LEAD_MS, SPREAD_EVENTS_PER_S, SpreadPoint
from laboratory.virtual.run import ClockWatch
from laboratory.virtual.stage import RUN_OUT_S, VirtualStage, spread_ppm
from laboratory.virtual.tally import events_of
from relay.wire.quantile import quantile

MINUTE_S = 60.0
MEMBERS = 3

Errors = Mapping[str, Sequence[tuple[int, int]]]
"""Member -> (true instant in ns, error in ns). Error > 0: its session clock is ahead of the relay's (see
ClockWatch)."""


def play(hour: SpreadPoint) -> tuple[list[TalliedNote], Errors, float]:
    """Play for `hour.seconds` of virtual time. Return the events, the clocks' errors, and the true start (s)
    of the music.

    The music starts while the clocks still measure each other's rate. Raises LocalError for a network that
    can't be parsed.
    """
    legs = legs_of(Point("spread", "spread", 0.0, "virtual", hour.network, members=MEMBERS))
    stage = VirtualStage(legs, seed=hour.seed, lead_ms=BASE_LEAD_MS)
    start_s = stage.warm_up()
    end_s = stage.perform(
        start_s=start_s, events_per_s=SPREAD_EVENTS_PER_S, seconds=hour.seconds, ahead_ms=BASE_AHEAD_MS,
        run_in_s=0.0,
    )  # fmt: skip
    watch = ClockWatch(stage.jam, end_s)
    watch.start(start_s)
    stage.jam.run(end_s + BASE_AHEAD_MS / 1e3 + RUN_OUT_S)
    return events_of(stage, lead_ms=BASE_LEAD_MS), watch.errors_ns, start_s


def minutes_of(
    hour: SpreadPoint, events: Sequence[TalliedNote], errors_ns: Errors, start_s: float
) -> list[Minute]:
    """Return the figures of the whole hour, followed by those of each minute in which somebody played.

    start_s: the true instant of the start of the music.
    """

    def minute_of(at_ns: int) -> int:
        return int((at_ns / 1e9 - start_s) // MINUTE_S)

    played: dict[int, list[TalliedNote]] = defaultdict(list)
    for event in events:
        played[minute_of(event.at_ns)].append(event)
    errors: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, samples in errors_ns.items():
        for at_ns, error_ns in samples:
            errors[minute_of(at_ns)][name].append(error_ns / 1e3)
    sizes_us = sorted(abs(error_ns) / 1e3 for samples in errors_ns.values() for _, error_ns in samples)
    medians = {
        index: [abs(statistics.median(of_member)) for of_member in by_name.values()]
        for index, by_name in errors.items()
    }
    return [
        minute(hour, WHOLE, events, quantile(sizes_us, 0.99)),
        *(minute(hour, at, played[at], max(medians.get(at, ()), default=None)) for at in sorted(played)),
    ]


def minute(hour: SpreadPoint, index: int, events: Sequence[TalliedNote], error_us: float | None) -> Minute:
    """Return the figures of one minute, or of the whole hour if `index` is WHOLE.

    events: those of that time. error_us: the clocks' error (us) in that time.
    """
    found = figures(events)
    until_s = hour.seconds if index == WHOLE else min((index + 1) * MINUTE_S, hour.seconds)
    apart_ppm = spread_ppm(MEMBERS - 1, MEMBERS) - spread_ppm(0, MEMBERS)
    return Minute(
        network=hour.network, seed=hour.seed, seconds=hour.seconds, minute=index, events=len(events),
        bad=found["bad"], spread_us_p50=found["spread_us_p50"], spread_us_p99=found["spread_us_p99"],
        spread_us_max=max((one.spread_ns / 1e3 for one in events if one.spread_ns is not None), default=None),
        clock_error_us=error_us, free_us=apart_ppm * until_s,
        action_to_sound_ms_p50=found["action_to_sound_ms_p50"] if index == WHOLE else None,
    )  # fmt: skip
