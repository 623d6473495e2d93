"""Spread: how far apart the members of a room hear one event, over an hour and more of virtual time.

Pure. Members' crystals are evenly spread over +-50 ppm: if nobody kept their clocks together, the outermost
would drift apart by 0.36 s in an hour. What is measured is the true instant of each event's timetag at each
scsynth: the clocks, the slewing, the conversions and the paths' asymmetry are all in it, sound cards aren't.
"""

import statistics
from collections.abc import Callable

import msgspec

from laboratory.points import Point, legs_of
from laboratory.tallying import quantile
from laboratory.virtual.run import ClockWatch
from laboratory.virtual.stage import RUN_OUT_S, Stage, spread_ppm
from laboratory.virtual.tally import Event, events_of

MINUTE_S = 60.0
RUN_IN_S = 0.0
"""The first minutes, in which the clocks find each other's rate, are part of what is shown."""


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """One minute of the hour. Spread: greatest difference between members for one event, us."""

    from_s: float
    """Since the music began."""
    events: int
    bad: int
    spread_us_p50: float | None
    spread_us_p99: float | None
    spread_us_max: float | None
    clock_error_us: dict[str, float]
    """Median by member; > 0: its session clock is ahead of the relay's."""
    clock_error_us_max: float | None
    """Greatest of any member, without its sign."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """What an hour showed."""

    network: str
    members: int
    seconds: float
    events_per_s: float
    """Of each member."""
    lead_ms: float
    ahead_ms: float
    seed: int
    rate_ppm: dict[str, float]
    """Of each member's crystal."""
    events: int
    bad: int
    """Missing, late, out of order, different, re-timed or moved at any member."""
    spread_us_p50: float | None
    spread_us_p99: float | None
    spread_us_max: float | None
    action_to_sound_ms_p50: float | None
    clock_error_us_p99: float | None
    minutes: list[Minute]


def measure(
    network: str,
    *,
    members: int = 3,
    seconds: float = 3600.0,
    events_per_s: float = 2.0,
    lead_ms: float = 200.0,
    ahead_ms: float = 500.0,
    seed: int = 1,
    on_time: Callable[[float], None] | None = None,
) -> Spread:
    """Return the spread over a network (text for `legs_of`). on_time: told the share that is done.

    Raises LocalError for a network that nobody can read.
    """
    legs = legs_of(Point("spread", "spread", 0.0, "virtual", network, members=members))
    stage = Stage(legs, seed=seed, lead_ms=lead_ms)
    start_s = stage.warm_up()
    end_s = stage.perform(
        start_s=start_s, events_per_s=events_per_s, seconds=seconds, ahead_ms=ahead_ms, run_in_s=RUN_IN_S
    )
    watch = ClockWatch(stage.jam, end_s)
    watch.start(start_s)
    last_s = end_s + max(ahead_ms, lead_ms) / 1e3 + RUN_OUT_S
    now_s = start_s
    while now_s < last_s:
        now_s = min(now_s + 10.0, last_s)
        stage.jam.run(now_s)
        if on_time is not None:
            on_time(now_s / last_s)
    events = events_of(stage, lead_ms=lead_ms)
    spreads = _spreads_us(events)
    errors_us = sorted(abs(error) / 1e3 for errors in watch.errors_ns.values() for _, error in errors)
    waits_ms = sorted(
        ((one.timetag_ns or 0) - event.at_ns) / 1e6 for event in events for one in event.held.values()
    )
    return Spread(
        network=network,
        members=members,
        seconds=seconds,
        events_per_s=events_per_s,
        lead_ms=lead_ms,
        ahead_ms=ahead_ms,
        seed=seed,
        rate_ppm={name: spread_ppm(index, members) for index, name in enumerate(legs)},
        events=len(events),
        bad=sum(event.bad for event in events),
        spread_us_p50=quantile(spreads, 0.50),
        spread_us_p99=quantile(spreads, 0.99),
        spread_us_max=spreads[-1] if spreads else None,
        action_to_sound_ms_p50=quantile(waits_ms, 0.50),
        clock_error_us_p99=quantile(errors_us, 0.99),
        minutes=minutes_of(events, watch.errors_ns, start_s),
    )


def minutes_of(
    events: list[Event], errors_ns: dict[str, list[tuple[int, int]]], start_s: float
) -> list[Minute]:
    """Return what each minute showed. errors_ns: (true instant, error) by member, as in ClockWatch."""

    def minute(at_ns: int) -> int:
        return int((at_ns / 1e9 - start_s) // MINUTE_S)

    played: dict[int, list[Event]] = {}
    for event in events:
        played.setdefault(minute(event.at_ns), []).append(event)
    errors: dict[int, dict[str, list[float]]] = {}
    for name, samples in errors_ns.items():
        for at_ns, error_ns in samples:
            errors.setdefault(minute(at_ns), {}).setdefault(name, []).append(error_ns / 1e3)
    return [_minute(index, played[index], errors.get(index, {})) for index in sorted(played)]


def _minute(index: int, events: list[Event], errors_us: dict[str, list[float]]) -> Minute:
    spreads = _spreads_us(events)
    return Minute(
        from_s=index * MINUTE_S,
        events=len(events),
        bad=sum(event.bad for event in events),
        spread_us_p50=quantile(spreads, 0.50),
        spread_us_p99=quantile(spreads, 0.99),
        spread_us_max=spreads[-1] if spreads else None,
        clock_error_us={name: statistics.median(samples) for name, samples in errors_us.items()},
        clock_error_us_max=max((abs(one) for samples in errors_us.values() for one in samples), default=None),
    )


def _spreads_us(events: list[Event]) -> list[float]:
    return sorted(event.spread_ns / 1e3 for event in events if event.spread_ns is not None)
