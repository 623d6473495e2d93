"""Room tuning: lead, shift and horizon of a room, derived from its events and paths.

Pure. Instants are session timetags, durations ticks.

The horizon H is the least time from a verdict to its due. It is the time that the slowest member needs to
get an event after its verdict, for all but one event in ten, repair included. Time for repair alone counts
only as far as it fits into the lead beside the uplink delay. The rest of the lead is for the uplink.

A member whose plain path there and back exceeds the longest lead is not waited for, neither as sender nor
as receiver. It gets a message, as does one whose events repeatedly exceed the longest lead.
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
"""Half a minute of music. With less of it the plain paths are the better guess."""
H_MARGIN = ticks(0.010)
H_MIN = ticks(0.020)
H_SLACK = ticks(0.010)
"""The lead must exceed H by this, or every event would be re-timed."""
H_GRAIN = ticks(0.010)
"""H rises at once, but falls only by more than this, to publish fewer changes."""
DOWN_BLOCKS = 12
"""Two minutes. A longer downlink is believed once three blocks show it."""
REPAIR_MIN = ticks(0.045)
"""Least cost of a loss: it is noticed, asked for 5 ms later, and sent again."""
REPAIR_PER_RTT = 1.2
REPAIRS = 2
"""An event may be lost on both hops, or twice on one."""
UNMOVED = ticks(0.450)
"""A lead that moves no ordinary note. Sonic Pi emits notes 0.5 s ahead less its computing time; 0.48 s are
left, seldom less than 0.46."""
UNCERTAIN_MAX = ticks(0.050)
ADVANCE_MAX = ticks(0.400)
"""No sound driver needs more, so a member can't make the room wait by claiming more."""
SILENT_AFTER = ticks(2.0)
BEYOND_BLOCKS = 3
"""In ten minutes this many blocks with such events cause a message to the member."""
TELL_EVERY = ticks(600.0)
BACK_AT_SHARE = 0.9
"""Share of the longest lead. A member that was too far away is waited for again below it."""


@dataclass(frozen=True, slots=True)
class Path:
    """The state of a member's path, in ticks. Delays are those of heartbeats, which nothing repairs.

    advance: its release advance. uncertain: how far its clock may be off beyond what the delays contain.
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
    """The result of tuning. changed: members must be notified. words: messages for some members, by slot."""

    changed: bool = False
    words: dict[int, str] = field(default_factory=dict)


class RoomTuning:
    """The lead, shift and horizon of one room, adjusted to its events' needs."""

    def __init__(self, policy: LeadPolicy) -> None:
        self.keeper = LeadKeeper(policy)
        self.needs = DeliveryTimes(policy.most)
        self.headrooms = Headrooms()
        self.horizon = H_MIN
        self.why: Peak | None = None
        """The peak that determines the lead; None before there is data."""
        self._tuned_at = 0
        self._told_at: dict[int, int] = {}
        self._waited: set[int] = set()
        self._too_far: set[int] = set()
        """Slots that are not waited for."""

    def verdict(self, stamped: Stamped, judged: Judged) -> None:
        """Note an event and the verdict on it."""
        if Flag.SILENCED not in judged.flags:
            self.needs.judged(judged)
            self.headrooms.judged(stamped, judged.judged)

    def forget(self, slot: int) -> None:
        """Forget the member that had `slot`."""
        self.needs.forget(slot)
        self._told_at.pop(slot, None)
        self._too_far.discard(slot)

    def tune(self, paths: Sequence[Path], last_due: int, now: int) -> Tuned:
        """Adjust lead, shift and horizon to the present members, at most once in TUNE_EVERY.

        last_due, now: session ticks.
        """
        if now < self._tuned_at + TUNE_EVERY:
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

    def set_horizon(self, paths: Sequence[Path], now: int) -> bool:
        """Adjust H to the present members. Return whether it changed enough to be published."""
        timing = self.keeper.timing
        lead = min(timing.lead, timing.lead_at(now))
        wanted = max(H_MIN, min(self._wanted_horizon(self._waited_for(paths), lead), lead - H_SLACK))
        too_long = self.horizon > max(H_MIN, lead - H_SLACK)
        changed = wanted > self.horizon or wanted < self.horizon - H_GRAIN or too_long
        if changed:
            self.horizon = wanted
        return changed

    def member_need(self, slot: int, advance: int) -> tuple[int, int]:
        """Return (need of a member's events to the relay, need of all events from the relay to it), ticks.

        advance: the member's release advance, ticks; the second includes it. 0 stands for no data.
        """
        up = self._ranked(self.needs.sender_peaks(slot))
        down = self._ranked(self.needs.down_peaks(slot))
        return (up.need if up else 0, down.need + min(advance, ADVANCE_MAX) if down else 0)

    def _waited_for(self, paths: Sequence[Path]) -> list[Path]:
        """Return the members of which any two have plain paths that together fit the longest lead."""
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
        """Return the lead (ticks) for members that haven't played yet.

        While no other events have been measured either, repairs are added: two as far as that moves no
        ordinary note, and at least one if events were lost.
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
        """Return the time (ticks) that a verdict needs before its due.

        The plain delay counts in full, the rest only as far as `lead` allows.
        """
        room = lead - self._up(waited)
        return max((max(_plain_down(path), min(self._tail(path), room)) for path in waited), default=0)

    def _up(self, waited: Sequence[Path], rank: int | None = None) -> int:
        """Return the uplink need of events, whoever sends them. rank: None is the profile's own."""
        peaks = self.needs.up_peaks(path.slot for path in waited)
        peak = self._ranked(peaks) if rank is None else ranked(peaks, rank)
        return max(peak.need if peak else 0, max(map(self._plain_up, waited), default=0))

    def _plain_up(self, path: Path) -> int:
        """Return the 90th percentile of heartbeats' uplink delay, or the median if that exceeds `most`."""
        return path.up_p90 if path.up_p90 <= self._most else path.up_p50

    def _tail(self, path: Path) -> int:
        """Return the H that this member needs for all but one event in ten."""
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
    """Return the message that tells a member why the room doesn't wait for it.

    most: ticks. plain: ticks of its path there and back, if that is the reason; else None.
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
