"""Comparison: did all scsynths of a room get the same events, in the same order, in time?

Pure. The only inputs are the recorders' recordings. Room messages are those about nodes or buffers of a slot
from 1 on (see slots.py). scsynth executes messages in the order of their timetags, and those with equal
timetags in the order of arrival. Timetags are left out when bytes are compared. How far apart the members'
timetags of an event lie is reported and bounded separately.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median_low

from rehearsal.proof.matching import FAR_NS, MatchedEvent, match_bare, match_timed, not_in_order
from rehearsal.proof.slots import slot_of
from rehearsal.rigs.recording import RecordedMessage, Recording

NEEDED_MS = 20.0
"""An event is late unless it reaches scsynth at least this long (ms) before its due. scsynth takes a bundle
up to 17 ms early with jackd at 256 frames, 63 ms at 1024 (measured)."""
CLOCK_BOUND_MS = 5.0
"""Greatest distance (ms) allowed between members' timetags of one event, unless the caller passes another.
Pass the bound that the members' clocks state."""
MATCH_MS = 20.0
"""Two members' messages with equal bytes are the same event if their timetags lie at most this far apart
(ms). Sonic Pi repeats no message faster for one node (measured)."""
NAMED_IN_REPORT = 5


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile: the least value that at least `share` of all don't exceed.

    The definition is relay.wire.quantile's, the code is not. Raises IndexError without values.
    """
    return ordered[max(0, ceil(share * len(ordered) - 1e-9) - 1)]


@dataclass(frozen=True, slots=True)
class Margin:
    """How early one event reached one member's scsynth."""

    due_ns: int
    margin_ms: float
    """Timetag minus arrival; > 0 is early. An event with less than `needed_ms` is late."""
    event: MatchedEvent


@dataclass(frozen=True, slots=True)
class MemberResult:
    """The messages of one member's scsynth, compared with those of all others. Events are named, not only
    counted."""

    member: str
    received: int
    missing: tuple[MatchedEvent, ...]
    """Events that others got and this member didn't."""
    late: tuple[MatchedEvent, ...]
    out_of_order: tuple[MatchedEvent, ...]
    """The fewest events that would have to move to give this member the common order."""
    different: tuple[MatchedEvent, ...]
    """Events with other bytes than most members got."""
    mistimed: tuple[MatchedEvent, ...]
    """Events whose timetag at this member lies further than the clock bound from the median of all members'
    timetags."""
    timetag_spread_us: float
    """Greatest distance (us) between this member's timetag of an event and another member's timetag of it."""
    margins: tuple[Margin, ...] = field(repr=False)
    """The margins of the timed events that this member got, in the order of their dues. Bare messages have no
    margin."""

    @property
    def margin_ms_min(self) -> float:
        return self.margin_ms_at(0.0)

    @property
    def margin_ms_p1(self) -> float:
        return self.margin_ms_at(0.01)

    @property
    def margin_ms_p50(self) -> float:
        return self.margin_ms_at(0.5)

    def margin_ms_at(self, share: float) -> float:
        """Return the nearest-rank quantile of the margins in ms; nan if there are no margins."""
        ordered = sorted(margin.margin_ms for margin in self.margins)
        return quantile(ordered, share) if ordered else float("nan")

    @property
    def faults(self) -> dict[str, tuple[MatchedEvent, ...]]:
        """Return the kinds of fault and their events, worst first."""
        return {
            "missing": self.missing,
            "different": self.different,
            "out of order": self.out_of_order,
            "late": self.late,
            "mistimed": self.mistimed,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result for a room and a window of time. The window is [from_ns, to_ns) in Unix ns."""

    members: Mapping[str, MemberResult]
    from_ns: int
    to_ns: int
    needed_ms: float
    timed: int
    """Distinct events that came in bundles."""
    bare: int
    """Distinct room messages without a timetag (loads of buffers)."""
    diverging: int
    """Events with a fault at one member at least."""
    timetag_spread_us: float
    dropped: int
    """Datagrams lost in front of a recorder. If there are any, the recordings prove nothing."""

    @property
    def events(self) -> int:
        return self.timed + self.bare

    @property
    def divergence(self) -> float:
        """Share of events with a fault (see MemberResult.faults) at one member at least."""
        return self.diverging / self.events if self.events else 0.0

    @property
    def coherent(self) -> bool:
        """Whether sameness is proven: there were events, none has a fault, and the recorders lost no
        datagram."""
        return self.events > 0 and self.dropped == 0 and self.diverging == 0

    def report(self) -> str:
        """Return the result as text: one line for each member, with the first events of each fault by
        name."""
        verdict = "coherent" if self.coherent else f"NOT coherent, divergence {self.divergence:.4%}"
        if not self.events:
            verdict = "nothing to compare: no room event in the window"
        if self.dropped:
            verdict += f"; recorders lost {self.dropped} datagrams"
        lines = [
            f"{verdict}: {self.events} events ({self.bare} bare), {len(self.members)} members, "
            f"timetags within {self.timetag_spread_us:.1f} us"
        ]
        for result in self.members.values():
            counts = ", ".join(f"{kind} {len(events)}" for kind, events in result.faults.items())
            lines.append(
                f"  {result.member}: {result.received} received, {counts}; margin ms min/p1/p50 "
                f"{result.margin_ms_min:.1f}/{result.margin_ms_p1:.1f}/{result.margin_ms_p50:.1f}"
            )
            for kind, events in result.faults.items():
                lines += [
                    f"    {kind}: {event.name} at {(event.due_ns - self.from_ns) / 1e9:.4f} s"
                    for event in events[:NAMED_IN_REPORT]
                ]
        return "\n".join(lines)


def compare(
    recordings: Mapping[str, Recording],
    from_ns: int,
    to_ns: int,
    *,
    needed_ms: float = NEEDED_MS,
    clock_bound_ms: float = CLOCK_BOUND_MS,
    is_room: Callable[[RecordedMessage], bool] = lambda message: slot_of(message) > 0,
) -> Comparison:
    """Compare the members' scsynths over the events due in [from_ns, to_ns) (Unix ns).

    Events are matched over a longer time, and those outside the window are left out afterwards. So an event
    at an edge of the window keeps the messages of all members. A bare message counts if any member got it
    within the window. is_room: tells whether a message is one of the room's.
    """
    match_ns = round(max(MATCH_MS, 2 * clock_bound_ms) * 1e6)
    timed: dict[str, list[RecordedMessage]] = {}
    bare: dict[str, list[RecordedMessage]] = {}
    for member, recording in recordings.items():
        room = [message for message in recording.to_scsynth if is_room(message)]
        timed[member] = [
            message
            for message in room
            if message.timetag is not None and from_ns - FAR_NS <= message.due_ns < to_ns + FAR_NS
        ]
        bare[member] = [message for message in room if message.timetag is None]
    events = match_timed(timed, match_ns, round(clock_bound_ms * 1e6))
    timed_events = [event for event in events if from_ns <= event.due_ns < to_ns]
    bare_events = [
        event
        for event in match_bare(bare)
        if any(from_ns <= message.t_ns < to_ns for message in event.held.values())
    ]
    return judge(timed_events, bare_events, recordings, from_ns, to_ns, needed_ms, clock_bound_ms)


def judge(
    timed: Sequence[MatchedEvent],
    bare: Sequence[MatchedEvent],
    recordings: Mapping[str, Recording],
    from_ns: int,
    to_ns: int,
    needed_ms: float,
    clock_bound_ms: float,
) -> Comparison:
    """Return the comparison of matched events: each member's margins, and its faults by event. Arguments as
    of compare."""
    moved = out_of_order(timed, list(recordings))
    for slot in sorted({event.slot for event in bare}):
        of_slot = [event for event in bare if event.slot == slot]
        for member, events in out_of_order(of_slot, list(recordings)).items():
            moved[member] += events
    everything = [*timed, *bare]
    results = {}
    for member in recordings:
        mine = [event for event in everything if member in event.held]
        margins = tuple(
            Margin(held.due_ns, (held.due_ns - held.t_ns) / 1e6, event)
            for event in timed
            if (held := event.held.get(member)) is not None
        )
        results[member] = MemberResult(
            member=member,
            received=len(mine),
            missing=tuple(event for event in everything if member not in event.held),
            late=tuple(margin.event for margin in margins if margin.margin_ms < needed_ms),
            out_of_order=tuple(moved[member]),
            different=tuple(event for event in timed if is_different(event, member)),
            mistimed=tuple(event for event in timed if off_median_ns(event, member) > clock_bound_ms * 1e6),
            timetag_spread_us=max((off_others_ns(event, member) for event in timed), default=0) / 1e3,
            margins=margins,
        )
    diverging = {
        id(event) for result in results.values() for events in result.faults.values() for event in events
    }
    return Comparison(
        members=results,
        from_ns=from_ns,
        to_ns=to_ns,
        needed_ms=needed_ms,
        timed=len(timed),
        bare=len(bare),
        diverging=len(diverging),
        timetag_spread_us=max((event.spread_ns for event in timed), default=0) / 1e3,
        dropped=sum(recording.dropped for recording in recordings.values()),
    )


def is_different(event: MatchedEvent, member: str) -> bool:
    held = event.held.get(member)
    return held is not None and held.raw != event.reference.raw


def off_median_ns(event: MatchedEvent, member: str) -> int:
    held = event.held.get(member)
    dues = [message.due_ns for message in event.held.values()]
    return 0 if held is None else abs(held.due_ns - median_low(dues))


def off_others_ns(event: MatchedEvent, member: str) -> int:
    held = event.held.get(member)
    return 0 if held is None else max(abs(held.due_ns - other.due_ns) for other in event.held.values())


def out_of_order(events: Sequence[MatchedEvent], members: Sequence[str]) -> dict[str, list[MatchedEvent]]:
    """Return member -> the events that stand at another place in its order than in the common order.

    The common order is that of one member: the one from whose order the fewest events of the others must be
    moved. If several members are equal in that, it is the first of them. An event that this member never got
    has no place in the common order and isn't judged.
    """
    orders = {member: scsynth_order(events, member) for member in members}
    best: dict[str, list[int]] | None = None
    for base in members:
        place = {at: rank for rank, at in enumerate(orders[base])}
        moves = {}
        for member in members:
            ranks = not_in_order([place[at] for at in orders[member] if at in place])
            moves[member] = [orders[base][rank] for rank in ranks]
        if best is None or sum(map(len, moves.values())) < sum(map(len, best.values())):
            best = moves
        if not any(best.values()):
            break  # nobody disagrees: no need to ask the others
    return {member: [events[at] for at in (best or {}).get(member, [])] for member in members}


def scsynth_order(events: Sequence[MatchedEvent], member: str) -> list[int]:
    """Return the indices in `events` of the events that the member got, in the order in which its scsynth
    runs them."""

    def key(at: int) -> tuple[int, int]:
        # Not t_ns: two datagrams may share a kernel timestamp, their order in the recording is their order.
        message = events[at].held[member]
        return message.timetag or 0, message.index

    return sorted((at for at, event in enumerate(events) if member in event.held), key=key)
