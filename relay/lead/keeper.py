"""Lead keeper: the lead D and shift S of a room, and when they change.

Pure. Instants are session timetags, durations ticks.

D follows the need of events. It rises at once, since nobody hears D while S is 0. It falls only after a
shorter D has sufficed for a while.

S is audible, so it is as small as possible: all but one ordinary note in a thousand keep their own time. It
rises in one step if many notes would be moved otherwise, else by a ramp. It falls by a ramp, or at once if
nobody plays.

Every change begins CHANGE_AHEAD in the future, so that bridges learn of it in time. Only a rise of D while
nobody plays begins at once, so that the next notes have it. A change of S concerns only timetags after the
last one judged.

After a change of S the next one waits for SETTLE. If S rose, D meanwhile rises only as far as it moves hardly
any note or, if that is more, as far as the plain paths need.

Invariants, with an instant of emission a and a timetag tau: 0 <= S <= D at every instant; a + D(a) and tau +
S(tau) never decrease.
"""

from dataclasses import dataclass
from enum import Enum
from math import ceil, floor

from relay.lead.note_headroom import Headrooms
from relay.wire.sequence import Ramp, Timing
from relay.wire.timetag import seconds, ticks

LEAD_START = ticks(0.200)
LEAD_MAX = ticks(1.0)

STEP_S = 0.005
"""Leads are whole multiples of this, s."""
RESERVE = ticks(0.005)
"""A change goes beyond the need by this, so that the next slightly worse moment needs no other change."""
LOWER_BY = ticks(0.010)
LOWER_BY_SHARE = 0.10
LOWER_AFTER = ticks(60.0)
"""How long a shorter lead must have sufficed before the lead falls. The same goes for the shift."""
LOWER_AFTER_YOUNG, YOUNG_S = ticks(20.0), 60
"""LOWER_AFTER_YOUNG replaces LOWER_AFTER for the shift of a room with fewer than YOUNG_S seconds of music.
There an accident looks like a property of the network. Its effect must be gone within the next minute, ramp
down included."""
LEARNING = ticks(600.0)
LOWER_EVENTS, LOWER_EVENTS_LATER = 2_000, 10_000
"""How many events must have fitted a shorter lead before the lead falls while S = 0. LOWER_EVENTS holds for
the first ten minutes after events first showed a need, LOWER_EVENTS_LATER after that.

While S = 0 hardly anybody hears the lead, and a steady one is better than a variable one. Take a member that
plays one note a second, and an effect that hits one event in 600. It would raise the lead every quarter of an
hour, and a minute without it would lower the lead again. If three members play one note a second each, the
lead falls only after 10,000 events.
"""
FEW_EVENTS = 3_000
"""With fewer events than this in ten minutes, the greatest need decides when the lead may fall. It is not
left out as an accident, since among 10,000 events others would need as much."""
GRAIN = ticks(0.001)
"""Tolerance of comparisons, since a millisecond is no whole number of ticks."""
SHIFT_STEP_S = 0.020
"""Shifts are whole multiples of this (s). Each rise of the shift is an audible jump. So it is better to raise
it slightly too far now than to raise it again a minute later."""
ROUNDING = 1e-6
"""Tolerance when a duration is rounded to steps, in steps. A millisecond is no whole number of ticks."""
RAMP = 0.02
"""By how much the tempo differs while the shift ramps, as a ratio. Nobody hears that as another speed."""
MOVED_SHARE = 0.01
"""Share of notes (0 to 1). If more notes than this would be moved, one step of the shift is better than a
ramp."""
CHANGE_AHEAD = ticks(1.0)
FALL_SETTLE = ticks(2.0)
"""Least time between the end of a fall of the lead and its next change. Events that were emitted during the
fall and are judged only now must find the same fall. Events that are judged even later are re-timed under any
lead."""
SETTLE = ticks(10.0)
"""Time between two changes of S, ticks. The earlier value of S is kept for this time too. Events that are
judged even later are re-timed under any value."""


class Safety(Enum):
    """How safe a room plays: which of the worst moments of ten minutes its lead must cover."""

    QUICK = "quick"
    BALANCED = "balanced"
    SAFE = "safe"

    def rank(self, blocks: int) -> int:
        """Return which of the greatest needs the lead must cover: 1 for the greatest, 2 for the next, and so
        on.

        blocks: number of blocks with a need. At 60 events a second, about one event in 10,000 needs more than
        the third greatest of sixty blocks. Rank 1 is never used, since one episode is an accident.
        """
        if self is Safety.SAFE:
            return 2
        if self is Safety.QUICK:
            return 6 if blocks >= YOUNG_BLOCKS else 2
        return 3 if blocks >= YOUNG_BLOCKS else 2

    def settled_rank(self, blocks: int, events: int) -> int:
        """Return the rank of the need below which the lead doesn't fall while nobody hears it. Ranks are
        those of `rank`.

        At most one episode is left out. None is left out if ten minutes have few events, or if the room is
        safe. A quick room falls by the same rank as it rises. blocks: as for `rank`. events: number of events
        in the kept blocks, which are ten minutes.
        """
        return (
            self.rank(blocks)
            if self is Safety.QUICK
            else 1
            if events < FEW_EVENTS or self is Safety.SAFE
            else 2
        )

    @property
    def lead_min(self) -> int:
        """The shortest lead that a room chooses, ticks.

        Nobody hears whether a lead is 0.15 s or less, since neither moves an ordinary note (tried with Sonic
        Pi 3.2 and 4.5). The part of a lead that the network doesn't need helps hosts that stand still. A
        quick room prefers a shorter schedule-ahead; a safe room wants more.
        """
        return {"quick": ticks(0.040), "balanced": ticks(0.150), "safe": ticks(0.250)}[self.value]

    @property
    def reserve(self) -> float:
        """Factor by which the measured need of events is multiplied."""
        return 1.2 if self is Safety.SAFE else 1.0


YOUNG_BLOCKS = 30


@dataclass(frozen=True, slots=True)
class LeadPolicy:
    """The settings of a relay for its rooms' leads.

    lead, shift: fixed values, ticks; None: tuned automatically. lead_max: longest lead that tuning chooses,
    ticks. Raises LocalError if the shift exceeds the lead.
    """

    lead: int | None = None
    shift: int | None = None
    safety: Safety = Safety.BALANCED
    lead_max: int = LEAD_MAX

    def __post_init__(self) -> None:
        self.first()

    @property
    def most(self) -> int:
        """The longest time that the room waits for an event, ticks."""
        return max(self.lead_max, self.lead or 0)

    def first(self) -> Timing:
        """Return the timing of a new room."""
        shift = self.shift or 0
        if self.lead is not None:
            return Timing(self.lead, shift)
        return Timing(max(min(max(LEAD_START, self.safety.lead_min), self.lead_max), shift), shift)


@dataclass(frozen=True, slots=True)
class Demand:
    """The leads that a room needs for various reasons, in ticks.

    need: for its events, release advance included; None before there is data. path: for members that have
    hardly played, by their plain paths. usual: for nearly every event, whoever plays. settled: the least
    value to which the lead may fall, at least `need`; None: `need` itself. events: number of events with data
    so far.
    """

    need: int | None
    path: int
    usual: int = 0
    settled: int | None = None
    events: int = 0


class LeadKeeper:
    """Keeps the lead and shift of one room."""

    def __init__(self, policy: LeadPolicy) -> None:
        self.policy = policy
        self.timing = policy.first()
        self.changes = 0
        self._less_since: int | None = None
        self._less_need = 0
        self._less_events = 0
        self._learnt_at: int | None = None
        self._eased = False
        self._less_shift_since: int | None = None
        self._less_shift_need = 0

    def ease(self) -> None:
        """Note that the room no longer waits for some member. The reason for the present lead may be gone for
        good, so the lead may fall sooner."""
        self._eased = True

    def tune(self, demand: Demand, notes: Headrooms, now: int, *, silent: bool) -> bool:
        """Adjust lead and shift to what the room needs. Return whether either changed. Call it about once a
        second.

        notes: how far ahead of their timetags the room's notes are emitted. now: session ticks. silent:
        nobody has played for a while and nothing is due.
        """
        before = self.timing
        needed = self.policy.lead
        if self._learnt_at is None and demand.need is not None:
            self._learnt_at = now + LEARNING
        if needed is None:
            needed = self._needed_lead(demand.need, demand, notes)
            self._tune_lead(needed, demand, notes, now, silent=silent)
        if self.policy.shift is None:
            self._tune_shift(needed, notes, now, silent=silent)
        changed = self.timing != before
        self.changes += changed
        return changed

    def _tune_lead(self, needed: int, demand: Demand, notes: Headrooms, now: int, *, silent: bool) -> None:
        wanted = max(needed, self.timing.shift, self.timing.shift_at(now))
        lead, was = self.timing.lead, self.timing.lead_was
        if was is not None and now < was.until + (
            max(FALL_SETTLE, lead + CHANGE_AHEAD) if was.until > was.since else 0
        ):
            return
        if self._shift_was_over(lead, now):
            return
        if wanted > lead:
            self._less_since, self._eased = None, False
            reach = min(self._with_reserve(wanted, notes), self._reach(wanted, demand, notes, now))
            # Up to the notes' headroom only if it is worth it, since that varies.
            limit = self._limit(notes)
            if reach > lead and (limit is None or wanted < limit or wanted >= lead + LOWER_BY):
                self._set_lead(reach, now, 0, ahead=0 if silent else CHANGE_AHEAD)
        elif (most := self._most_unmoved(notes, now)) is not None and lead > most + GRAIN:
            self._less_since = None
            fixed = self.policy.shift is not None
            less = max(wanted, min(lead, _round_down(most - RESERVE if fixed else most, STEP_S)))
            if less < lead:
                self._set_lead(less, now, lead - less)
        else:
            self._lower(needed, wanted, demand, notes, now)

    def _lower(self, needed: int, wanted: int, demand: Demand, notes: Headrooms, now: int) -> None:
        """Lower the lead if a shorter one has sufficed for long enough."""
        lead, heard = self.timing.lead, self._is_heard(now)
        if not heard and demand.settled is not None:
            needed = max(needed, self._needed_lead(demand.settled, demand, notes))
            wanted = max(wanted, needed)
        if wanted >= lead or not _worth_it(needed, lead):
            self._less_since = None
        elif self._less_since is None:
            self._less_since, self._less_need, self._less_events = now, wanted, demand.events
        else:
            self._less_need = max(self._less_need, wanted)
            told = demand.events - self._less_events >= self._events_to_lower(demand, now)
            if (told or heard) and now - self._less_since >= LOWER_AFTER:
                self._less_since, self._eased = None, False
                less = self._less_need
                if not heard and less > self.policy.safety.lead_min:
                    less = self._with_reserve(less, notes)
                if less < lead:
                    self._set_lead(less, now, lead - less)

    def _is_heard(self, now: int) -> bool:
        """Return whether S is tuned and above 0. All music is then delayed because of the lead."""
        return self.policy.shift is None and max(self.timing.shift, self.timing.shift_at(now)) > 0

    def _events_to_lower(self, demand: Demand, now: int) -> int:
        """Return for how many events a shorter lead must have been long enough before the lead falls."""
        if self._eased or demand.need is None or self.policy.safety is Safety.QUICK:
            return 0
        return LOWER_EVENTS if self._learnt_at is None or now < self._learnt_at else LOWER_EVENTS_LATER

    def _needed_lead(self, need: int | None, demand: Demand, notes: Headrooms) -> int:
        policy = self.policy
        wanted = _round_up(round(max(need or 0, demand.path) * policy.safety.reserve), STEP_S)
        wanted = max(wanted, policy.safety.lead_min if need is not None else policy.first().lead)
        limit = self._limit(notes)
        return min(wanted, policy.lead_max, policy.lead_max if limit is None else limit)

    def _limit(self, notes: Headrooms) -> int | None:
        """Return the longest lead to choose while the shift is fixed. None if the shift is tuned, or before
        there are enough notes.

        A longer lead would move notes, since the shift can't rise.
        """
        low = notes.low()
        if self.policy.shift is None or low is None:
            return None
        return max(_round_down(self.policy.shift + low + GRAIN - RESERVE, STEP_S), LEAD_START)

    def _most_unmoved(self, notes: Headrooms, now: int) -> int | None:
        """Return the longest lead that moves no ordinary note. None if the lead needn't be shortened to that.

        It must be if the shift is fixed, or tuned and still 0. The result is also None before there are
        enough notes.
        """
        low = notes.low()
        if low is None or self._is_heard(now):
            return None
        return low if self.policy.shift is None else max(self.policy.shift + low, LEAD_START)

    def _with_reserve(self, wanted: int, notes: Headrooms) -> int:
        """Return a lead slightly longer than `wanted`, as far as that moves no note."""
        low = notes.low()
        if low is None:
            return wanted
        # No more shift than the wanted lead needs, since S has coarser steps.
        shift = min(self.timing.shift, max(0, _round_up(wanted - low, SHIFT_STEP_S)))
        most = min(_round_down(shift + low, STEP_S), self.policy.lead_max)
        return max(wanted, min(_round_up(wanted + RESERVE, STEP_S), most))

    def _reach(self, wanted: int, demand: Demand, notes: Headrooms, now: int) -> int:
        """Return how far the lead may rise now: as a rule to the longest lead allowed.

        Soon after a rise of S, the limit is the longest lead that moves no note or, if that is more, the need
        of nearly every event. For moving all notes is worse than ten seconds in which a few events are late.
        If most events would be late, moving all alike is better. There is no such limit if hardly any note
        would be moved, or if S is falling.
        """
        low, was = notes.low(), _still(self.timing.shift_was, now)
        if low is None or was is None or was.value > self.timing.shift:
            return self.policy.lead_max
        shift = min(self.timing.shift, self.timing.shift_at(now))
        if notes.share_below(wanted - shift) <= MOVED_SHARE:
            return self.policy.lead_max
        return max(_round_down(shift + low, STEP_S), _round_up(demand.usual, STEP_S), LEAD_START)

    def _shift_was_over(self, lead: int, now: int) -> bool:
        """Return whether S was greater than this lead so recently that the old S must still be published."""
        was = _still(self.timing.shift_was, now)
        return was is not None and was.value > lead

    def _set_lead(self, lead: int, now: int, lasting: int, ahead: int = CHANGE_AHEAD) -> None:
        timing, since = self.timing, now + max(1, ahead)
        was = Ramp(timing.lead, since, since + lasting)
        self.timing = Timing(lead, timing.shift, was, _still(timing.shift_was, now))

    def _tune_shift(self, needed: int, notes: Headrooms, now: int, *, silent: bool) -> None:
        low = notes.low()
        shift = self.timing.shift
        if low is None or _still(self.timing.shift_was, now) is not None:
            return
        wanted = min(max(0, _round_up(self.timing.lead - low, SHIFT_STEP_S)), self.timing.lead)
        if wanted > shift:
            self._less_shift_since = None
            stepped = notes.share_below(self.timing.lead - shift) > MOVED_SHARE
            self._set_shift(wanted, notes, now, 0 if stepped else round((wanted - shift) / RAMP))
        elif wanted == shift or not _worth_it(needed - low, shift):
            # By the lead that would be possible. Where headroom is small, both fall only step by step.
            self._less_shift_since = None
        else:
            if self._less_shift_since is None:
                self._less_shift_since, self._less_shift_need = now, wanted
            self._less_shift_need = max(self._less_shift_need, wanted)
            patience = LOWER_AFTER if notes.seconds >= YOUNG_S else LOWER_AFTER_YOUNG
            if now - self._less_shift_since >= patience:
                self._less_shift_since = None
                by = shift - self._less_shift_need
                self._set_shift(self._less_shift_need, notes, now, round(by / (1.0 if silent else RAMP)))

    def _set_shift(self, shift: int, notes: Headrooms, now: int, lasting: int) -> None:
        timing, since = self.timing, max(now + CHANGE_AHEAD, notes.last_timetag) + 1
        was = Ramp(timing.shift, since, since + lasting)
        self.timing = Timing(timing.lead, shift, _still(timing.lead_was, now), was)


def _still(ramp: Ramp | None, now: int) -> Ramp | None:
    """Return the earlier course of a lead or shift. None if there is none, or if no event of that time can
    come any more."""
    return ramp if ramp is not None and now < ramp.until + SETTLE else None


def _worth_it(less: int, than: int) -> bool:
    """Return whether `less` is so much shorter than `than` that a fall is worth it."""
    return less < than - max(LOWER_BY, round(LOWER_BY_SHARE * than))


def _round_down(duration: int, step_s: float) -> int:
    return ticks(floor(seconds(duration) / step_s + ROUNDING) * step_s)


def _round_up(duration: int, step_s: float) -> int:
    return ticks(ceil(seconds(duration) / step_s - ROUNDING) * step_s)
