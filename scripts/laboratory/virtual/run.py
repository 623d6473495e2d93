"""Virtual runs: run one point of the laboratory's matrix in virtual time, and return a row of results.

Pure: the same point and seed give the same row. Three things are not modelled: TCP, timers that fire late,
and a busy machine. `bytes_up` counts the events' datagrams, not the control connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clock.model import ns_from_ticks
from laboratory.runs.oracle import Oracle
from laboratory.runs.points import Point, legs_of
from laboratory.runs.rows import Row, asked
from laboratory.runs.tallying import figures, plain_bytes
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.stage import RUN_OUT_S, VirtualStage
from laboratory.virtual.tally import events_of
from relay.netmodel.impairment import Leg
from relay.wire.quantile import quantile

CLOCK_EVERY_S = 0.1


@dataclass(slots=True)
class ClockWatch:
    """Samples the errors of members' session clocks against the relay's, every CLOCK_EVERY_S until `until_s`
    (true s)."""

    jam: Jam
    until_s: float
    errors_ns: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Member -> (true instant in ns, error in ns) while its clock is locked. Error > 0: its clock is
    ahead."""

    def start(self, at_s: float) -> None:
        """Take samples from the true instant `at_s` on."""
        self.jam.at_s(at_s, self._sample)

    def _sample(self) -> None:
        now_ns = self.jam.now_ns
        for name, member in self.jam.members.items():
            error_ns = clock_error_ns(self.jam, member)
            if error_ns is not None:
                self.errors_ns.setdefault(name, []).append((now_ns, error_ns))
        if now_ns < self.until_s * 1e9:
            self.jam.at(now_ns + round(CLOCK_EVERY_S * 1e9), self._sample)


def clock_error_ns(jam: Jam, member: Member) -> int | None:
    """Return how far (ns) a member's session clock is ahead of the relay's; None while it isn't locked."""
    timebase = member.timebase
    if timebase is None or not timebase.clock.locked:
        return None
    return ns_from_ticks(timebase.session_at(member.local_ns(jam.now_ns)) - jam.now)


def run(point: Point, seed: int) -> Row:
    """Run a point once in virtual time, and return the row.

    Raises ValueError for a transport other than UDP, and LocalError for a network that can't be parsed.
    """
    return run_over(legs_of(point), point, seed)


def run_over(legs: Mapping[str, Leg], point: Point, seed: int) -> Row:
    """Run a point once over `legs` (by member) in place of its own network, and return the row."""
    if point.transport != "udp":
        raise ValueError(
            f"point {point.name}: transport {point.transport} in virtual time, expected udp: "
            'TCP isn\'t modelled there, so use where="netlab"'
        )
    stage = VirtualStage(
        legs,
        seed=seed,
        lead_ms=point.lead_ms,
        shift_auto=point.shift_auto,
        repair=point.repair,
        scheme=point.scheme,
    )
    start_s = stage.warm_up()
    end_s = stage.perform(
        start_s=start_s,
        events_per_s=point.events_per_s,
        seconds=point.seconds,
        ahead_ms=point.ahead_ms,
    )
    watch = ClockWatch(stage.jam, end_s)
    watch.start(end_s - point.seconds)
    stage.jam.run(end_s + point.due_ms / 1e3 + RUN_OUT_S)
    events = events_of(stage, lead_ms=point.lead_ms or 0.0)
    ended = stage.jam.stats()
    oracle = Oracle(legs, seed=seed)
    doomed = [bool(oracle.out_of_reach(event.emission())) for event in events]
    clock_errors_us = sorted(abs(error) / 1e3 for errors in watch.errors_ns.values() for _, error in errors)
    return Row(
        **asked(point, seed),
        unavoidable=sum(doomed),
        doomed_but_good=sum(lost and not event.bad for lost, event in zip(doomed, events, strict=True)),
        disturbed=0,
        disturbed_bad=0,
        clock_error_us_p99=quantile(clock_errors_us, 0.99),
        lead_ms_last=ended.lead_ms,
        shift_ms_last=ended.shift_ms,
        bytes_up=sum(member.up.bytes for member in stage.members),
        bytes_plain=plain_bytes(note.emission.message for note in stage.notes),
        **figures(events),
    )
