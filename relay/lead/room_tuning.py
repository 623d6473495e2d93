"""Room tuning: computes lead, shift and horizon of a room from the delays of its events and paths.

Pure. Instants are session timetags, durations ticks. The plain delay of a path is the delay of its
heartbeats, which are never repaired.

The horizon H is the least time from a verdict to its due. H is the time in which nine of ten events reach
the slowest member after the verdict. H includes time for repair only if the lead has room for it beside the
uplink delay. The rest of the lead is for the uplink.

The room doesn't wait for a member whose plain path there and back exceeds the longest lead: its delays count
neither as sender nor as receiver. Such a member gets a notice. So does a member whose events repeatedly
exceed the longest lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.lead.delivery_times import DeliveryTimes, Peak, ranked
from relay.lead.keeper import Demand, LeadKeeper, LeadPolicy
from relay.lead.note_headroom import Headrooms
from relay.wire.counted_nouns import counted
from relay.wire.sequence import Flag, Judged, Stamped
from relay.wire.timetag import ms, ticks

TUNE_EVERY = ticks(1.0)
BLOCKS_MIN = 3
"""Least number of blocks with events (half a minute of music) from which delays of events decide. With fewer
blocks the plain delays of the paths are the better guess."""
H_MARGIN = ticks(0.010)
H_MIN = ticks(0.020)
H_SLACK = ticks(0.010)
"""The lead must exceed H by at least this. Otherwise every event would be re-timed."""
H_GRAIN = ticks(0.010)
"""H falls only by more than this, so that fewer changes are published. It rises by any amount."""
DOWN_BLOCKS = 12
"""How many of the last blocks decide on H: two minutes. A downlink that has become longer raises H as soon
as three blocks show it."""
REPAIR_MIN = ticks(0.045)
"""Least time that the repair of a loss takes. The gap is noticed, the event is asked for 5 ms later, and it
is sent again."""
REPAIR_PER_RTT = 1.2
REPAIRS = 2
"""How many repairs of one event the first lead allows for. An event may be lost on both hops, or twice on one
hop."""
UNMOVED = ticks(0.450)
"""A lead that moves no ordinary note. Sonic Pi emits notes 0.5 s ahead, less the time that it computes. That
leaves about 0.48 s, seldom less than 0.46 s."""
UNCERTAIN_MAX = ticks(0.050)
ADVANCE_MAX = ticks(0.400)
"""The greatest release advance that counts. No sound driver needs more. So a member that claims more doesn't
make the room wait."""
SILENT_AFTER = ticks(2.0)
BEYOND_BLOCKS = 3
"""A member gets a notice if it delayed events beyond the longest lead in at least this many blocks of the
last ten minutes."""
TELL_EVERY = ticks(600.0)
BACK_AT_SHARE = 0.9
"""Share of the longest lead (0 to 1). If a member was too far away, the room waits for it again as soon as
the plain delay of its path is below this share."""


@dataclass(frozen=True, slots=True)
class Path:
    """The state of a member's path. Durations are ticks. Delays are those of heartbeats, which are never
    repaired.

    advance: the member's release advance. up_, down_: percentiles of the delay to and from the relay. lossy:
    whether frames are lost now and then, so that the path needs repair. uncertain: how far the member's clock
    may be off, beyond the error that the delays contain.
    """

    slot: int
    name: str
    advance: int
    up_p50: int
    up_p90: int
    down_p50: int
    down_p99: int
    lossy: bool = False
    uncertain: int = 0


@dataclass(slots=True)
class Tuned:
    """The result of tuning. changed: whether lead, shift or horizon changed, so that the members must be sent
    the new values. words: by slot, notices to members."""

    changed: bool = False
    words: dict[int, str] = field(default_factory=dict)


class RoomTuning:
    """Adjusts the lead, shift and horizon of one room to the needs of its events."""

    def __init__(self, policy: LeadPolicy) -> None:
        self.keeper = LeadKeeper(policy)
        self.needs = DeliveryTimes(policy.most)
        self.headrooms = Headrooms()
        self.horizon = H_MIN
        self.why: Peak | None = None
        """The measured need that decides the lead; None before there is enough data."""
        self._tuned_at = 0
        self._told_at: dict[int, int] = {}
        self._waited: set[int] = set()
        self._too_far: set[int] = set()
        """Slots of the members whose paths are so long that the room doesn't wait for them."""

    def verdict(self, stamped: Stamped, judged: Judged) -> None:
        """Record an event and its verdict."""
        if Flag.SILENCED not in judged.flags:
            self.needs.judged(judged)
            self.headrooms.judged(stamped, judged.judged)

    def forget(self, slot: int) -> None:
        """Forget the member that had `slot`."""
        self.needs.forget(slot)
        self._told_at.pop(slot, None)
        self._too_far.discard(slot)

    def tune(self, paths: Sequence[Path], last_due: int, now: int) -> Tuned:
        """Adjust lead, shift and horizon to the connected members, at most once in TUNE_EVERY.

        paths: those of the connected members. last_due: the latest due of any judged event, session ticks.
        now: session ticks.
        """
        if not self.is_due(now):
            return Tuned()
        self._tuned_at = now
        waited = self._waited_for(paths)
        self._too_far = {path.slot for path in paths} - {path.slot for path in waited}
        before, self._waited = self._waited, {path.slot for path in waited}
        if before - self._waited:
            self.keeper.ease()
        silent = now > max(last_due, self.headrooms.last_emitted + SILENT_AFTER)
        changed = self.keeper.tune(self._demand(waited), self.headrooms, now, silent=silent)
        changed |= self.set_horizon(paths, now)
        return Tuned(changed, self._words(paths, now))

    def is_due(self, now: int) -> bool:
        """Return whether `tune` would do anything at the session instant `now`."""
        return now >= self._tuned_at + TUNE_EVERY

    def set_horizon(self, paths: Sequence[Path], now: int) -> bool:
        """Adjust the horizon H to the connected members. Return whether H changed. A small fall is left
        out."""
        timing = self.keeper.timing
        lead = min(timing.lead, timing.lead_at(now))
        wanted = max(H_MIN, min(self._wanted_horizon(self._waited_for(paths), lead), lead - H_SLACK))
        too_long = self.horizon > max(H_MIN, lead - H_SLACK)
        changed = wanted > self.horizon or wanted < self.horizon - H_GRAIN or too_long
        if changed:
            self.horizon = wanted
        return changed

    def member_need(self, slot: int, advance: int) -> tuple[int, int]:
        """Return (up, down): how long events take on the member's path, in ticks; 0 if there is no data.

        up: for the member's own events, to the relay. down: for all events, from the relay to the member,
        plus its release advance. advance: that release advance, ticks.
        """
        up = self._ranked(self.needs.sender_peaks(slot))
        down = self._ranked(self.needs.down_peaks(slot))
        return (up.need if up else 0, down.need + min(advance, ADVANCE_MAX) if down else 0)

    def _waited_for(self, paths: Sequence[Path]) -> list[Path]:
        """Return the members that the room waits for. Between any two of them the plain delay by way of the
        relay is within the longest lead."""
        waited = list(paths)
        while waited:
            up, down = max(waited, key=lambda path: path.up_p50), max(waited, key=_plain_down)
            back = bool({up.slot, down.slot} & self._too_far)
            if up.up_p50 + _plain_down(down) <= (BACK_AT_SHARE if back else 1.0) * self._most:
                break
            waited.remove(max(up, down, key=lambda path: (path.slot in self._too_far, _there_and_back(path))))
        return waited

    def _demand(self, waited: Sequence[Path]) -> Demand:
        advances = {path.slot: _advance(path) for path in waited}
        strays = {path.slot: min(path.uncertain, UNCERTAIN_MAX) for path in waited}
        peaks = self.needs.peaks(advances, strays)
        self.why = self._ranked(peaks) if len(peaks) >= BLOCKS_MIN else None
        need = settled = None
        if self.why is not None:
            rank = self.keeper.policy.safety.settled_rank(len(peaks), self.needs.events)
            lowest, horizon = ranked(peaks, rank), self._wanted_horizon(waited, 0)
            need = max(self.why.need, self._up(waited) + horizon)
            settled = max(need, lowest.need if lowest else 0, self._up(waited, rank) + horizon)
        usual = max(map(self._plain_up, waited), default=0) + self._wanted_horizon(waited, 0)
        return Demand(need, self._plain(waited), min(usual, self._most), settled, self.needs.judged_count)

    def _plain(self, waited: Sequence[Path]) -> int:
        """Return the lead (ticks) for members who have hardly played, from the plain delays of their paths; 0
        if there are no such members.

        While too few events of the room have been measured, time for repairs is added. It is time for two
        repairs, or less if the lead would otherwise move ordinary notes. If a path is lossy, it is time for
        at least one repair.
        """
        starts = [path for path in waited if self.needs.blocks_of(path.slot) < BLOCKS_MIN]
        if not starts:
            return 0
        plain = max(map(self._plain_up, starts)) + max(path.down_p50 + _advance(path) for path in waited)
        if self.why is not None:
            return plain
        repair = max(REPAIR_MIN, *(round(REPAIR_PER_RTT * (path.up_p50 + path.down_p50)) for path in waited))
        certain = plain + (repair if any(path.lossy for path in waited) else 0)
        low = self.headrooms.low()
        unmoved = UNMOVED if low is None else min(UNMOVED, low)
        # A safe room applies its reserve to this result.
        unmoved = round(unmoved / self.keeper.policy.safety.reserve)
        return max(certain, min(plain + REPAIRS * repair, unmoved))

    def _wanted_horizon(self, waited: Sequence[Path], lead: int) -> int:
        """Return the horizon that these members want: the time (ticks) from the verdict on an event until all
        of them have it.

        The plain delay counts in full. Time beyond the plain delay counts only as far as `lead` has room for
        it beside the uplink need.
        """
        room = lead - self._up(waited)
        return max((max(_plain_down(path), min(self._tail(path), room)) for path in waited), default=0)

    def _up(self, waited: Sequence[Path], rank: int | None = None) -> int:
        """Return the time (ticks) in which events reach the relay, whichever of these members sends them.

        rank: which of the greatest needs counts; None: the rank of the room's profile.
        """
        peaks = self.needs.up_peaks(path.slot for path in waited)
        peak = self._ranked(peaks) if rank is None else ranked(peaks, rank)
        return max(peak.need if peak else 0, max(map(self._plain_up, waited), default=0))

    def _plain_up(self, path: Path) -> int:
        """Return the 90th percentile of the uplink delay of heartbeats. If it exceeds the longest time that
        the room waits, return the median instead."""
        return path.up_p90 if path.up_p90 <= self._most else path.up_p50

    def _tail(self, path: Path) -> int:
        """Return the horizon (ticks) with which nine of ten events reach this member in time."""
        tails = sorted(self.needs.down_tails(path.slot, DOWN_BLOCKS))
        down = tails[int(0.75 * len(tails))] if len(tails) >= BLOCKS_MIN else path.down_p99
        return down + _advance(path) + H_MARGIN

    def _ranked(self, peaks: Sequence[Peak]) -> Peak | None:
        return ranked(peaks, self.keeper.policy.safety.rank(len(peaks)))

    @property
    def _most(self) -> int:
        return self.keeper.policy.most

    def _words(self, paths: Sequence[Path], now: int) -> dict[int, str]:
        words: dict[int, str] = {}
        for path in paths:
            beyond, too_far = self.needs.beyond(path.slot), path.slot in self._too_far
            if not too_far and len(beyond) < BEYOND_BLOCKS:
                continue
            if now < self._told_at.get(path.slot, -TELL_EVERY) + TELL_EVERY:
                continue
            self._told_at[path.slot] = now
            plain = _there_and_back(path) if too_far else None
            words[path.slot] = beyond_words(self._most, plain, sum(beyond))
        return words


def beyond_words(most: int, plain: int | None, events: int) -> str:
    """Return the notice to a member whose delays are too long. It says that the room doesn't wait for the
    member, or doesn't wait for some of its events.

    most: the longest time that the room waits, ticks. plain: the plain delay of the member's path there and
    back, ticks, if that is the reason; else None. events: how many events took longer than `most`.
    """
    longest = f"the {ms(most):.0f} ms that this room waits for at most (jamrelay serve --lead-max-ms)"
    if plain is not None:
        return (
            f"your path takes {ms(plain):.0f} ms there and back, with the others' more than {longest}: "
            "you hear the others late, and they hear you re-timed"
        )
    late = f"{counted(events, 'event')} took longer on your path than {longest}"
    return f"{late}: what takes so long comes late, or not at all"


def _advance(path: Path) -> int:
    return min(path.advance, ADVANCE_MAX)


def _plain_down(path: Path) -> int:
    return path.down_p50 + _advance(path) + H_MARGIN


def _there_and_back(path: Path) -> int:
    return path.up_p50 + _plain_down(path)
