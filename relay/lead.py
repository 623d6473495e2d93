"""Lead: which lead D and shift S a room has, and when they change.

Pure; instants are session timetags, durations ticks. D follows what events need: up at once, since nobody
hears it while S is 0; down only when less has done for a while. S is heard, so it is the least with which
all but one ordinary note in a thousand keep their own time: up in one step where many notes would be moved
otherwise, else by a ramp; down by a ramp, or at once where nobody plays.
Every change begins CHANGE_AHEAD ahead, so that bridges know of it before they need it, and S changes only
behind the last timetag that was judged.
Invariants: 0 <= S <= D at every instant; a + D(a) and tau + S(tau) never decrease.
"""

from dataclasses import dataclass
from enum import Enum

from relay.headroom import Headrooms
from relay.wire.sequence import Timing, Was
from relay.wire.timetag import ticks

LEAD_START = ticks(0.200)
LEAD_MIN = ticks(0.100)
"""Less would spare nobody anything, and a host that stands still for a moment needs some of it."""
LEAD_MAX = ticks(1.0)

STEP = ticks(0.005)
"""Leads are whole multiples of it."""
LOWER_BY = ticks(0.010)
LOWER_BY_SHARE = 0.10
LOWER_AFTER = ticks(60.0)
"""Less must have done for so long before the lead comes down."""
SHIFT_STEP = ticks(0.010)
RAMP = 0.02
"""Of tempo: what no ear takes for another speed."""
MOVED_SHARE = 0.01
"""Of notes: so many moved ones are worse than one step."""
CHANGE_AHEAD = ticks(1.0)
SETTLE = ticks(10.0)
"""Between two changes of S: what is judged that late is re-timed whatever S was."""


class Caution(Enum):
    """How safe a room plays: which of ten minutes' worst moments its lead must be good for."""

    QUICK = "quick"
    BALANCED = "balanced"
    SAFE = "safe"

    def rank(self, blocks: int) -> int:
        """Return which of the greatest needs counts, 1 being the greatest, of so many blocks' worst ones.

        The third of sixty blocks is about one event in 10,000 at 60 a second, and blind to one episode.
        """
        if self is Caution.SAFE:
            return 1
        if self is Caution.QUICK:
            return 6 if blocks >= YOUNG_BLOCKS else 2
        return 3 if blocks >= YOUNG_BLOCKS else 2

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

    def first(self) -> Timing:
        """Return what a room begins with."""
        shift = self.shift or 0
        lead = max(min(LEAD_START, self.lead_max), shift) if self.lead is None else self.lead
        return Timing(lead, shift)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a room asks for, in ticks.

    need: what events need, release advance included; None before they have told. path: what the plain paths
    of those ask for who have not played yet.
    """

    need: int | None
    path: int


class LeadKeeper:
    """Keeps lead and shift of one room."""

    def __init__(self, policy: LeadPolicy) -> None:
        self.policy = policy
        self.timing = policy.first()
        self.changes = 0
        self._less_since: int | None = None
        self._less_need = 0
        self._less_shift_since: int | None = None

    def tune(self, demand: Demand, notes: Headrooms, now: int, *, silent: bool) -> bool:
        """Take note of what is asked for; return whether lead or shift change. Call it about once a second.

        silent: nobody has played for a while and nothing is due.
        """
        before = self.timing
        if self.policy.lead is None:
            self._tune_lead(demand, notes, now)
        if self.policy.shift is None:
            self._tune_shift(notes, now, silent=silent)
        changed = self.timing != before
        self.changes += changed
        return changed

    def _tune_lead(self, demand: Demand, notes: Headrooms, now: int) -> None:
        wanted = self._wanted_lead(demand, notes, now)
        lead, was = self.timing.lead, self.timing.lead_was
        if was is not None and now < was.until:
            return
        if wanted > lead:
            self._less_since = None
            self._set_lead(wanted, now + CHANGE_AHEAD, now + CHANGE_AHEAD)
        elif wanted >= lead - max(LOWER_BY, round(LOWER_BY_SHARE * lead)):
            self._less_since = None
        elif self._less_since is None:
            self._less_since, self._less_need = now, wanted
        else:
            self._less_need = max(self._less_need, wanted)
            if now - self._less_since >= LOWER_AFTER:
                self._less_since = None
                start = now + CHANGE_AHEAD
                self._set_lead(self._less_need, start, start + lead - self._less_need)

    def _wanted_lead(self, demand: Demand, notes: Headrooms, now: int) -> int:
        policy = self.policy
        wanted = _round_up(round(max(demand.need or 0, demand.path) * policy.caution.reserve), STEP)
        wanted = max(wanted, LEAD_MIN if demand.need is not None else policy.first().lead)
        wanted = min(wanted, policy.lead_max)
        low = notes.low()
        if policy.shift is not None and low is not None:
            # With a shift that is fixed, a longer lead would move the notes instead.
            wanted = min(wanted, max(policy.shift + low, LEAD_START))
        return max(wanted, self.timing.shift, self.timing.shift_at(now))

    def _set_lead(self, lead: int, since: int, until: int) -> None:
        timing = self.timing
        self.timing = Timing(lead, timing.shift, Was(timing.lead, since, until), timing.shift_was)

    def _tune_shift(self, notes: Headrooms, now: int, *, silent: bool) -> None:
        low = notes.low()
        shift, was = self.timing.shift, self.timing.shift_was
        if low is None or (was is not None and now < was.until + SETTLE):
            return
        wanted = min(max(0, _round_up(self.timing.lead - low, SHIFT_STEP)), self.timing.lead)
        start = max(now + CHANGE_AHEAD, notes.last_timetag) + 1
        if wanted > shift:
            self._less_shift_since = None
            stepped = notes.share_below(self.timing.lead - shift) > MOVED_SHARE
            self._set_shift(wanted, start, start if stepped else start + round((wanted - shift) / RAMP))
        elif wanted >= shift - max(LOWER_BY, round(LOWER_BY_SHARE * shift)):
            self._less_shift_since = None
        elif self._less_shift_since is None:
            self._less_shift_since = now
        elif now - self._less_shift_since >= LOWER_AFTER:
            self._less_shift_since = None
            pace = 1.0 if silent else RAMP
            self._set_shift(wanted, start, start + round((shift - wanted) / pace))

    def _set_shift(self, shift: int, since: int, until: int) -> None:
        timing = self.timing
        self.timing = Timing(timing.lead, shift, timing.lead_was, Was(timing.shift, since, until))


def _round_up(duration: int, step: int) -> int:
    return -(-duration // step) * step
