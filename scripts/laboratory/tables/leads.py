"""Lead table: the final lead of rooms that tune it themselves, on each network, in virtual time.

Pure. The table also has the least sufficient lead, which is known only afterwards (hindsight). It is the
greatest true time that any event took until a bridge had it, plus the release advance and the uncertainty of
the clocks. Nobody can know this lead beforehand. A lead fixed to today's value would be too short tomorrow.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from laboratory.runs.campaign import Job, folderless
from laboratory.runs.points import Point, legs_of, names_of
from laboratory.runs.tallying import TalliedNote
from laboratory.virtual.host import ADVANCE_S
from laboratory.virtual.net import DOWN
from laboratory.virtual.stage import RUN_OUT_S, VirtualStage
from laboratory.virtual.tally import events_of
from relay.lead.keeper import Safety
from relay.netmodel.networks import PROFILES
from relay.room.facets.lead import Lead
from relay.wire.timetag import TICKS_PER_S

MEMBERS = 3
EVENTS_PER_S = 10.0
SECONDS = 180.0
AHEAD_MS = 500.0
STEP_S = 1.0
CLEAN = "delay=15,jitter=3,kind=lognormal,hold=20,loss=0.1%"
"""The network of the envelope's first row, with a round trip time of 30 ms."""
BLOAT_AT_S, BLOAT_S, BLOAT_MS = 60.0, 3.0, 350.0


@dataclass(frozen=True, slots=True)
class LeadTrial:
    """One line of the table.

    bloat: True if a long queue (bufferbloat) fills one member's way down once, for BLOAT_S. safeties: the
    values of --profile to try.
    """

    name: str
    network: str
    bloat: bool = False
    seconds: float = SECONDS
    events_per_s: float = EVENTS_PER_S
    safeties: tuple[Safety, ...] = tuple(Safety)


TRIALS = (
    LeadTrial("RTT 30, jitter 3, loss 0.1 %", CLEAN),
    LeadTrial("the same, 3 s of bufferbloat at one member", CLEAN, bloat=True),
    LeadTrial("RTT 60, jitter 15, loss 5 %", "delay=30,jitter=15,loss=5%"),
    LeadTrial("RTT 100, jitter 10, loss 10 %", "delay=50,jitter=10,loss=10%"),
    LeadTrial("one member RTT 200, the others 20", "delay=10,jitter=1 | ben=delay=100,jitter=3"),
    LeadTrial("fibre, a quiet hour", "fibre", seconds=3600.0, events_per_s=1.0, safeties=(Safety.BALANCED,)),
    *(LeadTrial(name, name) for name in PROFILES),
)
"""The trials of the table: some networks of the envelope, and all named networks."""


@dataclass(frozen=True, slots=True)
class LeadOutcome:
    """The findings of one run. hindsight_ms: the least sufficient lead, known afterwards."""

    trial: str
    safety: str
    lead_ms: float
    shift_ms: float
    hindsight_ms: float
    events: int
    retimed: int
    missed: int
    """Number of events that were missing or late at any member."""
    changes_per_min: float
    """Changes of lead or shift per minute."""
    last_change_s: float
    """Time (s) from the beginning of the music to the last change of lead or shift; 0 if there was none."""
    shift_ms_max: float
    margin_ms_min: dict[str, float] = field(default_factory=dict)
    """Member -> least margin (ms) of any event at its scsynth; > 0 is early."""


def run(
    trial: LeadTrial, *, safety: Safety = Safety.BALANCED, seconds: float | None = None, seed: int = 1,
    members: int = MEMBERS, ahead_ms: float = AHEAD_MS,
) -> LeadOutcome:  # fmt: skip
    """Let a room play over the trial's network in virtual time, and return the findings.

    seconds: length of the music; None: that of the trial. ahead_ms: schedule-ahead of the players.
    """
    seconds = trial.seconds if seconds is None else seconds
    legs = legs_of(Point("lead", "lead", 0.0, "virtual", trial.network, members=members))
    stage = VirtualStage(legs, seed=seed, lead_ms=None, shift_auto=True, safety=safety)
    start_s = stage.warm_up()
    if trial.bloat:
        stage.jam.wires.meddle = _bloat(names_of(members)[-1], start_s + BLOAT_AT_S)
    end_s = stage.perform(
        start_s=start_s, events_per_s=trial.events_per_s, seconds=seconds, ahead_ms=ahead_ms, run_in_s=0.0
    )
    keeper = stage.jam.relay.hub.rooms["main"].facet(Lead).tuning.keeper
    changes, now_s = [start_s], start_s
    shift_max = 0
    while now_s < end_s + ahead_ms / 1e3 + RUN_OUT_S:
        before = keeper.timing
        now_s += STEP_S
        stage.jam.run(now_s)
        if (before.lead, before.shift) != (keeper.timing.lead, keeper.timing.shift):
            changes.append(now_s)
        shift_max = max(shift_max, keeper.timing.shift)
    events = events_of(stage, lead_ms=_ms(keeper.timing.lead))
    return LeadOutcome(
        trial=trial.name,
        safety=safety.value,
        lead_ms=_ms(keeper.timing.lead),
        shift_ms=_ms(keeper.timing.shift),
        hindsight_ms=hindsight_ms(stage, events),
        events=len(events),
        retimed=sum(event.retimed for event in events),
        missed=sum(bool(event.missing or event.late) for event in events),
        changes_per_min=(len(changes) - 1) / (seconds / 60.0),
        last_change_s=changes[-1] - start_s,
        shift_ms_max=_ms(shift_max),
        margin_ms_min=_margins_ms(events),
    )


def hindsight_ms(stage: VirtualStage, events: Iterable[TalliedNote]) -> float:
    """Return the least lead (ms) with which all events that arrived are in time at all members."""
    greatest_ns = 0
    for event in events:
        for member in stage.members if event.verdict is not None else ():
            local_ns = member.arrived_ns.get(event.verdict.number) if event.verdict is not None else None
            if local_ns is not None:
                greatest_ns = max(greatest_ns, member.true_ns(local_ns) - event.at_ns)
    strays = sorted(path.uncertain for path in stage.jam.relay.hub.rooms["main"].facet(Lead).paths())
    return greatest_ns / 1e6 + ADVANCE_S * 1e3 + _ms(sum(strays[-2:]))


def jobs() -> list[Job]:
    """Return a job for each trial and each of its profiles. Its result is a LeadOutcome."""
    return [
        Job(
            f"{trial.name}, {safety.value}",
            trial.seconds / 10.0,
            partial(folderless, partial(run, trial, safety=safety)),
        )
        for trial in TRIALS
        for safety in trial.safeties
    ]


def _bloat(name: str, from_s: float) -> Callable[[str, int, float], float | None]:
    """Return a Meddler (virtual/net.py) that acts like a long queue in a router (bufferbloat).

    From `from_s` on (true s), the delay of the member's way down rises, stays high, and falls again.
    """

    def meddle(member: str, direction: int, at_s: float) -> float:
        if member != name or direction != DOWN:
            return 0.0
        into_s = min(at_s - from_s, from_s + BLOAT_S - at_s)
        return BLOAT_MS / 1e3 * min(1.0, into_s / 0.4) if into_s > 0 else 0.0

    return meddle


def _margins_ms(events: Iterable[TalliedNote]) -> dict[str, float]:
    least: dict[str, float] = {}
    for event in events:
        for name, handed in event.held.items():
            if handed.timetag_ns is not None:
                margin_ms = (handed.timetag_ns - handed.at_ns) / 1e6
                least[name] = min(margin_ms, least.get(name, margin_ms))
    return least


def _ms(duration: int) -> float:
    return duration / TICKS_PER_S * 1e3
