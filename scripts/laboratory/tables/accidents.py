"""Table of accidents: how a room's lead and shift change when a network stands still for some seconds.

Pure, in virtual time. Datagrams sent to or by a member during the standstill arrive in order at its end. A
run has three accidents, MINUTE_S apart. It gives two lines of the table: after one accident, and after three
within ten minutes.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from laboratory.runs.campaign import Job, folderless
from laboratory.runs.points import Point, legs_of, names_of
from laboratory.runs.runs import ROOT
from laboratory.tables import leads
from laboratory.tables.leads import CLEAN
from laboratory.tables.pages import render
from laboratory.virtual.net import Meddler
from laboratory.virtual.stage import RUN_OUT_S, VirtualStage
from relay.lead.delivery_times import BLOCK
from relay.lead.keeper import Safety
from relay.room.facets.lead import Lead
from relay.wire.timetag import TICKS_PER_S

TEXT = ROOT / "docs" / "LEADS.md"
STALLS_S = (1.0, 2.0, 5.0)
AGES_S = (10.0, 60.0, 600.0)
"""Ages of the room at the first accident, in seconds of music."""
MEMBERS, EVENTS_PER_S, AHEAD_MS = 3, 10.0, 480.0
"""Members, events per second of each, and their schedule-ahead (ms). Fewer events might hide a lead that
rises.

At ce49f94 the lead followed the last 256 heartbeats. Busier rooms have more heartbeats, so a standstill is a
greater share of the last 256. One standstill of 2 s, 70 s after the start, gave a lead of 645 ms at 10 events
a second and changed nothing at 4.
"""
ACCIDENTS, MINUTE_S = 3, 60.0
FRESH_S = 30.0
STEP_S = 1.0
COST_S = 0.05
"""Approximate time (s) for computing one second of music."""


@dataclass(frozen=True, slots=True)
class AccidentTrial:
    """One kind of accident.

    stall_s: how long the network stands still. age_s: age of the room at the first accident, in seconds of
    music. members: number of members whose network stands still. safety: the room's profile.
    """

    stall_s: float
    age_s: float
    members: int
    safety: Safety


@dataclass(frozen=True, slots=True)
class AccidentOutcome:
    """The effect of one or several accidents on (lead, shift), in ms.

    before: at the start of the first accident. most: the greatest of each in the minute after the start of
    the last accident. later: at the end of that minute.
    """

    trial: AccidentTrial
    accidents: int
    before: tuple[int, int]
    most: tuple[int, int]
    later: tuple[int, int]

    @property
    def may_rise(self) -> bool:
        """True if lead and shift are allowed to rise after so many accidents.

        That takes ACCIDENTS accidents, or more if the room's profile waits for more bad moments.
        """
        age_s = self.trial.age_s + (self.accidents - 1) * MINUTE_S
        rank = self.trial.safety.rank(int(age_s * TICKS_PER_S / BLOCK))
        return self.accidents >= max(rank, ACCIDENTS)

    @property
    def verdict(self) -> str:
        """The rule for lead and shift that applied, and whether it held, in words."""
        rose = any(most > before for most, before in zip(self.most, self.before, strict=True))
        if not rose:
            return "holds: nothing rose"
        if self.may_rise:
            return "holds: weather, may rise"
        back = all(later <= before for later, before in zip(self.later, self.before, strict=True))
        if self.trial.age_s < FRESH_S and back:
            return "holds: fresh, back within a minute"
        return "BROKEN"

    @property
    def holds(self) -> bool:
        """True if lead and shift kept the rule."""
        return self.verdict.startswith("holds")


TRIALS = tuple(
    AccidentTrial(stall_s, age_s, members, safety)
    for age_s in AGES_S
    for members in (1, 2)
    for stall_s in STALLS_S
    for safety in Safety
)


def run(
    trial: AccidentTrial, *, accidents: int = ACCIDENTS, seed: int = 1, network: str = CLEAN
) -> list[AccidentOutcome]:
    """Run accidents in virtual time. Return the effect of the first accident, and of all of them together.

    network: the network of all members, as text. It stands still at the last `trial.members` members.
    """
    legs = legs_of(Point("accident", "lead", 0.0, "virtual", network, members=MEMBERS))
    stage = VirtualStage(legs, seed=seed, lead_ms=None, shift_auto=True, safety=trial.safety)
    start_s = stage.warm_up()
    first_s = start_s + trial.age_s
    instants_s = [first_s + index * MINUTE_S for index in range(accidents)]
    stage.jam.wires.meddle = stalled(
        names_of(MEMBERS)[-trial.members :], [(at_s, at_s + trial.stall_s) for at_s in instants_s]
    )
    end_s = instants_s[-1] + MINUTE_S
    stage.perform(
        start_s=start_s, events_per_s=EVENTS_PER_S, seconds=end_s - start_s + RUN_OUT_S, ahead_ms=AHEAD_MS,
        run_in_s=0.0,
    )  # fmt: skip
    before = _at(stage, first_s)
    outcomes = []
    for count, at_s in enumerate(instants_s, start=1):
        most, now_s = _at(stage, at_s), at_s
        while now_s < at_s + MINUTE_S - STEP_S / 2.0:
            now_s += STEP_S
            lead_ms, shift_ms = _at(stage, now_s)
            most = max(most[0], lead_ms), max(most[1], shift_ms)
        if count in (1, accidents):
            outcomes.append(AccidentOutcome(trial, count, before, most, _at(stage, now_s)))
    return outcomes


def stalled(names: Iterable[str], periods_s: Sequence[tuple[float, float]]) -> Meddler:
    """Return a Meddler (virtual/net.py) that stops these members' networks, up and down, in each period.

    periods_s: (from, to), true instants in s.
    """
    stricken = set(names)

    def meddle(member: str, direction: int, at_s: float) -> float:
        if member not in stricken:
            return 0.0
        return max((to_s - at_s for from_s, to_s in periods_s if from_s <= at_s < to_s), default=0.0)

    return meddle


def jobs() -> list[Job]:
    """Return a job for each trial. Its result is a list of AccidentOutcomes."""
    return [
        Job(
            f"{trial.stall_s:g} s, room of {trial.age_s:g} s, {trial.members} members, {trial.safety.value}",
            (trial.age_s + ACCIDENTS * MINUTE_S) * COST_S,
            partial(folderless, partial(run, trial)),
        )
        for trial in TRIALS
    ]


def page(outcomes: Sequence[leads.LeadOutcome], stricken: Iterable[AccidentOutcome], commit: str) -> str:
    """Return the text of docs/LEADS.md: the lead table, and below it the table of accidents.

    outcomes, stricken: the results for the two tables. commit: of the code that was run.
    """
    ordered = sorted(stricken, key=lambda one: (one.trial.age_s, one.accidents))
    broken = sum(not one.holds for one in ordered)
    return render(
        "leads", leads=leads, accidents=sys.modules[__name__], outcomes=outcomes, stricken=ordered,
        broken=broken, commit=commit,
    )  # fmt: skip


def _at(stage: VirtualStage, true_s: float) -> tuple[int, int]:
    """Run the jam until a true instant (s). Return its lead and shift (ms) at that instant."""
    stage.jam.run(true_s)
    timing = stage.jam.relay.hub.rooms["main"].facet(Lead).tuning.keeper.timing
    return round(timing.lead / TICKS_PER_S * 1e3), round(timing.shift / TICKS_PER_S * 1e3)
