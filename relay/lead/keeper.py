"""Lead keeper: holds the lead D and the shift S of a room, and decides when they change.

Pure. Instants are session timetags, durations ticks.

D follows the time that events need. D rises at once, since nobody hears D while S is 0. D falls only after a
shorter D has sufficed for a while.

S is audible, so it is as small as possible: of a thousand ordinary notes it leaves 999 at their own time. S
rises in one step if many notes would be moved otherwise, else by a ramp. S falls by a ramp; if nobody plays,
it falls at once.

A change begins CHANGE_AHEAD in the future, so that bridges learn of it in time. A rise of D while nobody
plays begins at once instead, so that the next notes have it. A change of S applies to timetags after the last
one judged.

After a change, S stays the same for SETTLE. If S rose, D rises only a little during that time: to the
longest D that moves hardly any note, or to the D that nearly every event needs if that is longer.

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
"""A new lead exceeds the measured need by this. Then a slightly worse moment needs no further change."""
LOWER_BY = ticks(0.010)
LOWER_BY_SHARE = 0.10
LOWER_AFTER = ticks(60.0)
"""The lead falls after a shorter lead has sufficed for this time. The shift waits for the same time before
it falls."""
LOWER_AFTER_YOUNG, YOUNG_S = ticks(20.0), 60
"""In a room with fewer than YOUNG_S seconds of music the shift waits LOWER_AFTER_YOUNG before it falls,
instead of LOWER_AFTER. So early an accident looks like a property of the network. Its effect must be gone
within the next minute, including the ramp down."""
LEARNING = ticks(600.0)
LOWER_EVENTS, LOWER_EVENTS_LATER = 2_000, 10_000
"""While S = 0 the lead falls only after a shorter lead has sufficed for this many events. LOWER_EVENTS is
for the first ten minutes after events were first measured, LOWER_EVENTS_LATER for later.

While S = 0 hardly anybody hears the lead, and a steady lead is better than a variable one. Example: a member
plays one note a second, and one event in 600 needs more. Such events raise the lead now and then, and each
minute without one would lower it again. With three members who play one note a second each, 10,000 events
take nearly an hour.
"""
FEW_EVENTS = 3_000
"""With fewer events than this in ten minutes, the greatest need decides how far the lead may fall. It isn't
left out as an accident: among 10,000 events others would need as much."""
GRAIN = ticks(0.001)
"""Tolerance of comparisons, since a millisecond is no whole number of ticks."""
SHIFT_STEP_S = 0.020
"""Shifts are whole multiples of this, s. Each rise of the shift is an audible jump. One rise that is slightly
too large is better than two rises within a minute."""
ROUNDING = 1e-6
"""Tolerance when a duration is rounded to whole steps, as a share of a step. It is needed because a
millisecond is no whole number of ticks."""
RAMP = 0.02
"""By how much the tempo changes while the shift ramps up or down, as a ratio. Nobody hears a change as small
as this."""
MOVED_SHARE = 0.01
"""A share of notes (0 to 1). If more notes would be moved with the present shift, the shift rises in one step
instead of by a ramp."""
CHANGE_AHEAD = ticks(1.0)
FALL_SETTLE = ticks(2.0)
"""Least time between the end of a fall of the lead and the next change of the lead. Events that were emitted
during the fall are judged in this time, by the lead at their emission. Events that are judged even later are
re-timed under any lead."""
SETTLE = ticks(10.0)
"""Time between two changes of S, ticks. The value before a change is kept for this time too. An event from
before a change that is judged after this time is re-timed under any S."""


class Safety(Enum):
    """How safe a room's lead is: how many of the worst moments of ten minutes it may leave out."""

    QUICK = "quick"
    BALANCED = "balanced"
    SAFE = "safe"

    def rank(self, blocks: int) -> int:
        """Return which of the greatest needs the lead must cover: 1 for the greatest, 2 for the next, and so
        on.

        blocks: number of blocks of ten seconds in which a need was measured. At 60 events a second, about one
        event in 10,000 needs more than the third greatest of sixty blocks. Rank 1 is never returned, since a
        single great need is an accident.
        """
        if self is Safety.SAFE:
            return 2
        if self is Safety.QUICK:
            return 6 if blocks >= YOUNG_BLOCKS else 2
        return 3 if blocks >= YOUNG_BLOCKS else 2

    def settled_rank(self, blocks: int, events: int) -> int:
        """Return the rank (as for `rank`) of the need below which the lead doesn't fall while S = 0.

        The result is 2, so that one accident is left out. It is 1 if ten minutes have fewer than FEW_EVENTS
        events, or if the room is safe. In a quick room it is the result of `rank`. blocks: as for `rank`.
        events: number of events in the last ten minutes.
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
        """The shortest lead that tuning chooses, ticks.

        Nobody hears a difference between a lead of 0.15 s and a shorter one: neither moves an ordinary note
        (tried with Sonic Pi 3.2 and 4.5). A lead that is longer than the network needs helps a host that
        stands still for a moment. A quick room has less, so that its schedule-ahead can be shorter. A safe
        room has more.
        """
        return {"quick": ticks(0.040), "balanced": ticks(0.150), "safe": ticks(0.250)}[self.value]

    @property
    def reserve(self) -> float:
        """Factor by which the measured need of events is multiplied to get the lead."""
        return 1.2 if self is Safety.SAFE else 1.0


YOUNG_BLOCKS = 30


@dataclass(frozen=True, slots=True)
class LeadPolicy:
    """The settings of a relay for its rooms' leads and shifts.

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
        """Return the lead and shift of a new room."""
        shift = self.shift or 0
        if self.lead is not None:
            return Timing(self.lead, shift)
        return Timing(max(min(max(LEAD_START, self.safety.lead_min), self.lead_max), shift), shift)


@dataclass(frozen=True, slots=True)
class Demand:
    """The leads that a room needs for various reasons, in ticks.

    need: the lead for its events, release advance included; None before there is data. path: the lead for
    members that have hardly played, from the delays of their heartbeats. usual: the lead for nearly every
    event of any member. settled: the least value to which the lead may fall, at least `need`; None: `need`
    itself. events: number of events measured so far.
    """

    need: int | None
    path: int
    usual: int = 0
    settled: int | None = None
    events: int = 0


class LeadKeeper:
    """Holds the lead and the shift of one room, and changes them by `tune`."""

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
        """Let the lead fall sooner. Called when the room stops waiting for some member, because that member
        may be the reason for the present lead."""
        self._eased = True

    def tune(self, demand: Demand, notes: Headrooms, now: int, *, silent: bool) -> bool:
        """Adjust lead and shift to what the room needs. Return whether either changed. Must be called about
        once a second.

        notes: how far ahead of their timetags the room's notes are emitted. now: session ticks. silent:
        whether nobody has played for a while and nothing is due.
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
        """Return whether S is tuned and above 0. If so, the lead is audible: all music is delayed because of
        it."""
        return self.policy.shift is None and max(self.timing.shift, self.timing.shift_at(now)) > 0

    def _events_to_lower(self, demand: Demand, now: int) -> int:
        """Return the number of events for which a shorter lead must suffice before the lead falls."""
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
        """Return the longest lead to choose while the shift is fixed. A longer lead would move notes, since
        the shift can't rise.

        None if the shift is tuned, or before enough notes were measured.
        """
        low = notes.low()
        if self.policy.shift is None or low is None:
            return None
        return max(_round_down(self.policy.shift + low + GRAIN - RESERVE, STEP_S), LEAD_START)

    def _most_unmoved(self, notes: Headrooms, now: int) -> int | None:
        """Return the longest lead that moves no ordinary note; None if that doesn't limit the lead.

        It doesn't while the shift is tuned and above 0, because the lead may then exceed the notes' headroom.
        Nor does it before enough notes were measured.
        """
        low = notes.low()
        if low is None or self._is_heard(now):
            return None
        return low if self.policy.shift is None else max(self.policy.shift + low, LEAD_START)

    def _with_reserve(self, wanted: int, notes: Headrooms) -> int:
        """Return a lead longer than `wanted` by RESERVE, or by less if RESERVE would move notes."""
        low = notes.low()
        if low is None:
            return wanted
        # No more shift than the wanted lead needs, since S has coarser steps.
        shift = min(self.timing.shift, max(0, _round_up(wanted - low, SHIFT_STEP_S)))
        most = min(_round_down(shift + low, STEP_S), self.policy.lead_max)
        return max(wanted, min(_round_up(wanted + RESERVE, STEP_S), most))

    def _reach(self, wanted: int, demand: Demand, notes: Headrooms, now: int) -> int:
        """Return how far the lead may rise now: as a rule to the longest lead allowed.

        Soon after a rise of S the limit is lower: the longest lead that moves no note, or the need of nearly
        every event if that is more. The reason: moving all notes is worse than ten seconds in which a few
        events are late. If most events would be late, moving all notes is better. The lower limit doesn't
        apply if hardly any note would be moved.
        """
        low, was = notes.low(), _still(self.timing.shift_was, now)
        if low is None or was is None or was.value > self.timing.shift:
            return self.policy.lead_max
        shift = min(self.timing.shift, self.timing.shift_at(now))
        if notes.share_below(wanted - shift) <= MOVED_SHARE:
            return self.policy.lead_max
        return max(_round_down(shift + low, STEP_S), _round_up(demand.usual, STEP_S), LEAD_START)

    def _shift_was_over(self, lead: int, now: int) -> bool:
        """Return whether S exceeded this lead so recently that bridges must still be sent the old S."""
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
    """Return the ramp of an earlier lead or shift; None if no event of that time can come any more."""
    return ramp if ramp is not None and now < ramp.until + SETTLE else None


def _worth_it(less: int, than: int) -> bool:
    """Return whether a fall of the lead from `than` to `less` (ticks) is large enough to be made."""
    return less < than - max(LOWER_BY, round(LOWER_BY_SHARE * than))


def _round_down(duration: int, step_s: float) -> int:
    return ticks(floor(seconds(duration) / step_s + ROUNDING) * step_s)


def _round_up(duration: int, step_s: float) -> int:
    return ticks(ceil(seconds(duration) / step_s - ROUNDING) * step_s)
