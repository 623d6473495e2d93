"""Lead: which lead D and shift S a room has, and when they change.

Pure; instants are session timetags, durations ticks. D follows what events need: up at once, since nobody
hears it while S is 0; down only when less has done for a while. S is heard, so it is the least with which
all but one ordinary note in a thousand keep their own time: up in one step where many notes would be moved
otherwise, else by a ramp; down by a ramp, or at once where nobody plays.
Every change begins CHANGE_AHEAD ahead, so that bridges know of it before they need it; but a rise of D while
nobody plays begins at once: what is played next shall have it. S changes only behind the last timetag that
was judged. After a rise of S no second one for SETTLE: until then D stays where no note is moved, or where
every plain way fits if that is more.
Invariants: 0 <= S <= D at every instant; a + D(a) and tau + S(tau) never decrease.
"""

from dataclasses import dataclass
from enum import Enum
from math import ceil, floor

from relay.lead.note_headroom import Headrooms
from relay.wire.sequence import Timing, Was
from relay.wire.timetag import seconds, ticks

LEAD_START = ticks(0.200)
LEAD_MAX = ticks(1.0)

STEP_S = 0.005
"""Leads are whole multiples of it."""
RESERVE = ticks(0.005)
"""What a change takes beyond what is needed, so that the next moment that is a little worse changes nothing.
"""
LOWER_BY = ticks(0.010)
LOWER_BY_SHARE = 0.10
LOWER_AFTER = ticks(60.0)
"""Less must have done for so long before the lead comes down."""
LOWER_AFTER_YOUNG, YOUNG_S = ticks(20.0), 60
"""The shift of a room with less than a minute of music: an accident looks like its network, and what it did
must be gone within the next minute, the ramp down included."""
LEARNING = ticks(600.0)
LOWER_EVENTS, LOWER_EVENTS_LATER = 2_000, 10_000
"""And for so many events while S is 0, within ten minutes of the first that told and later: hardly anybody
hears the lead then, and steady beats variable. Where one note a second is played, what happens to one in 600
would raise the lead every quarter of an hour, and a minute without it lower it; three members who play one
each come down only when 10,000 have told."""
FEW_EVENTS = 3_000
"""In ten minutes. With so few the greatest need counts for coming down: of 10,000 more would need as much."""
GRAIN = ticks(0.001)
"""Ticks are no round number of milliseconds."""
SHIFT_STEP_S = 0.020
"""Every rise is a jump that people hear: better a little more now than again in a minute."""
ROUNDING = 1e-6
"""Of a step: ticks are no round number of milliseconds."""
RAMP = 0.02
"""Of tempo: what no ear takes for another speed."""
MOVED_SHARE = 0.01
"""Of notes: so many moved ones are worse than one step."""
CHANGE_AHEAD = ticks(1.0)
FALL_SETTLE = ticks(2.0)
"""After the lead's fall and before its next change: what was emitted during the fall and is judged only now
must find the same fall. What is judged later still is re-timed whatever held."""
SETTLE = ticks(10.0)
"""Between two changes of S, and for as long as it is told what something was: what is judged that late is
re-timed whatever held."""


class Caution(Enum):
    """How safe a room plays: which of ten minutes' worst moments its lead must be good for."""

    QUICK = "quick"
    BALANCED = "balanced"
    SAFE = "safe"

    def rank(self, blocks: int) -> int:
        """Return which of the greatest needs counts, 1 being the greatest, of so many blocks' worst ones.

        The third of sixty blocks is about one event in 10,000 at 60 a second. The first counts for nobody:
        one episode is an accident.
        """
        if self is Caution.SAFE:
            return 2
        if self is Caution.QUICK:
            return 6 if blocks >= YOUNG_BLOCKS else 2
        return 3 if blocks >= YOUNG_BLOCKS else 2

    def settled_rank(self, blocks: int, events: int) -> int:
        """Return the same for coming down while nobody hears the lead: one episode is left out at most, and
        none where ten minutes have few events. A quick room is quick both ways."""
        return (
            self.rank(blocks)
            if self is Caution.QUICK
            else 1
            if events < FEW_EVENTS or self is Caution.SAFE
            else 2
        )

    @property
    def lead_min(self) -> int:
        """The least lead, in ticks. Below 0.15 s nobody hears a difference, since no ordinary note is moved
        (tried with Sonic Pi 3.2 and 4.5), and what the network doesn't need of it helps hosts that stand
        still; a quick room wants it for a shorter schedule-ahead, a safe one gives more."""
        return {"quick": ticks(0.040), "balanced": ticks(0.150), "safe": ticks(0.250)}[self.value]

    @property
    def reserve(self) -> float:
        """Factor on what events needed."""
        return 1.2 if self is Caution.SAFE else 1.0


YOUNG_BLOCKS = 30


@dataclass(frozen=True, slots=True)
class LeadPolicy:
    """What a relay was told about its rooms' leads. lead, shift: fixed, None where they tune themselves.

    Raises LocalError where the shift is over the lead.
    """

    lead: int | None = None
    shift: int | None = None
    caution: Caution = Caution.BALANCED
    lead_max: int = LEAD_MAX

    def __post_init__(self) -> None:
        self.first()

    @property
    def most(self) -> int:
        """How long an event is waited for at most, in ticks."""
        return max(self.lead_max, self.lead or 0)

    def first(self) -> Timing:
        """Return what a room begins with."""
        shift = self.shift or 0
        if self.lead is not None:
            return Timing(self.lead, shift)
        return Timing(max(min(max(LEAD_START, self.caution.lead_min), self.lead_max), shift), shift)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a room asks for, in ticks.

    need: what events need, release advance included; None before they have told. path: what the plain paths
    of those ask for who have not played yet. usual: what nearly every event needs, whoever plays. settled:
    below which the lead doesn't come down, at least `need`; None: as `need`. events: how many have told so
    far.
    """

    need: int | None
    path: int
    usual: int = 0
    settled: int | None = None
    events: int = 0


class LeadKeeper:
    """Keeps lead and shift of one room."""

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
        """Note that somebody is waited for no more: what the lead was for may be gone for good."""
        self._eased = True

    def tune(self, demand: Demand, notes: Headrooms, now: int, *, silent: bool) -> bool:
        """Take note of what is asked for; return whether lead or shift change. Call it about once a second.

        silent: nobody has played for a while and nothing is due.
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
            # Up to what notes have only where that is worth it: it wobbles.
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
        """Let the lead come down if less has done for long enough."""
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
                if not heard and less > self.policy.caution.lead_min:
                    less = self._with_reserve(less, notes)
                if less < lead:
                    self._set_lead(less, now, lead - less)

    def _is_heard(self, now: int) -> bool:
        """Tell whether the lead is why S is what it is, so that all music is later for it."""
        return self.policy.shift is None and max(self.timing.shift, self.timing.shift_at(now)) > 0

    def _events_to_lower(self, demand: Demand, now: int) -> int:
        """Return for how many events less must have done."""
        if self._eased or demand.need is None or self.policy.caution is Caution.QUICK:
            return 0
        return LOWER_EVENTS if self._learnt_at is None or now < self._learnt_at else LOWER_EVENTS_LATER

    def _needed_lead(self, need: int | None, demand: Demand, notes: Headrooms) -> int:
        policy = self.policy
        wanted = _round_up(round(max(need or 0, demand.path) * policy.caution.reserve), STEP_S)
        wanted = max(wanted, policy.caution.lead_min if need is not None else policy.first().lead)
        limit = self._limit(notes)
        return min(wanted, policy.lead_max, policy.lead_max if limit is None else limit)

    def _limit(self, notes: Headrooms) -> int | None:
        """Return the longest lead that is asked for where the shift is fixed: a longer one would move the
        notes instead. None if there is no such limit."""
        low = notes.low()
        if self.policy.shift is None or low is None:
            return None
        return max(_round_down(self.policy.shift + low + GRAIN - RESERVE, STEP_S), LEAD_START)

    def _most_unmoved(self, notes: Headrooms, now: int) -> int | None:
        """Return the longest lead that moves no ordinary note, as far as it is the lead that must give way:
        where the shift is fixed, or 0 as yet. None where it is not, or before there were notes."""
        low = notes.low()
        if low is None or self._is_heard(now):
            return None
        return low if self.policy.shift is None else max(self.policy.shift + low, LEAD_START)

    def _with_reserve(self, wanted: int, notes: Headrooms) -> int:
        """Return a lead a little longer than wanted, as far as that moves no note."""
        low = notes.low()
        if low is None:
            return wanted
        # No more shift than the lead that is wanted needs: S comes in coarser steps.
        shift = min(self.timing.shift, max(0, _round_up(wanted - low, SHIFT_STEP_S)))
        most = min(_round_down(shift + low, STEP_S), self.policy.lead_max)
        return max(wanted, min(_round_up(wanted + RESERVE, STEP_S), most))

    def _reach(self, wanted: int, demand: Demand, notes: Headrooms, now: int) -> int:
        """Return how far the lead may rise now: so soon after a rise of S no further than notes have, or than
        nearly every event needs. To move all notes is worse than what a few events lack for ten seconds;
        where most would lack it, or S is coming down, to be moved alike is better than to be late."""
        low, was = notes.low(), _still(self.timing.shift_was, now)
        if low is None or was is None or was.value > self.timing.shift:
            return self.policy.lead_max
        shift = min(self.timing.shift, self.timing.shift_at(now))
        if notes.share_below(wanted - shift) <= MOVED_SHARE:
            return self.policy.lead_max
        return max(_round_down(shift + low, STEP_S), _round_up(demand.usual, STEP_S), LEAD_START)

    def _shift_was_over(self, lead: int, now: int) -> bool:
        """Tell whether S was greater than this lead so lately that what S was must still be told."""
        was = _still(self.timing.shift_was, now)
        return was is not None and was.value > lead

    def _set_lead(self, lead: int, now: int, lasting: int, ahead: int = CHANGE_AHEAD) -> None:
        timing, since = self.timing, now + max(1, ahead)
        was = Was(timing.lead, since, since + lasting)
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
            # By what the lead could be: where notes have little, both come down only step by step.
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
        was = Was(timing.shift, since, since + lasting)
        self.timing = Timing(timing.lead, shift, _still(timing.lead_was, now), was)


def _still(was: Was | None, now: int) -> Was | None:
    """What something was, unless nothing of that time can come any more."""
    return was if was is not None and now < was.until + SETTLE else None


def _worth_it(less: int, than: int) -> bool:
    """Tell whether something is worth lowering."""
    return less < than - max(LOWER_BY, round(LOWER_BY_SHARE * than))


def _round_down(duration: int, step_s: float) -> int:
    return ticks(floor(seconds(duration) / step_s + ROUNDING) * step_s)


def _round_up(duration: int, step_s: float) -> int:
    return ticks(ceil(seconds(duration) / step_s - ROUNDING) * step_s)
