"""Comparison: did all scsynths of a room get the same events, in the same order, in time?

Pure. The only inputs are the recorders' recordings. A room message is one about a node or buffer of a slot
from 1 on (see slots.py), unless only a bridge can have sent it. scsynth executes messages in the order of
their timetags, and messages with equal timetags in the order of arrival. Messages are compared byte by byte
without their timetags. The members' timetags of one event may differ by at most a given bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median_low

from rehearsal.proof import builds, hosttree
from rehearsal.proof.matching import FAR_NS, MatchedEvent, match_bare, match_timed, not_in_order
from rehearsal.proof.slots import slot_of
from rehearsal.rigs.recording import RecordedMessage, Recording

NEEDED_MS = 20.0
"""Least time (ms) by which an event must reach scsynth before its due; with less it is late. scsynth takes a
bundle up to 17 ms early with jackd at 256 frames, 63 ms at 1024 (measured)."""
CLOCK_BOUND_MS = 5.0
"""Default of the greatest distance (ms) allowed between members' timetags of one event. Callers pass the
bound that the members' clocks state."""
MATCH_MS = 20.0
"""Greatest distance (ms) between the timetags of two members' messages with equal bytes that count as one
event. Sonic Pi repeats no message for one node faster (measured)."""
EDGE_NS = 5_000_000
"""An event within this time (ns) of a member's coming or going may be missing there: the members' timetags of
one event differ by some microseconds."""
NAMED_IN_REPORT = 5


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile: the smallest value with at least `share` of all values at or below
    it.

    ordered: the values, ascending. share: from 0 to 1. The definition is that of relay.wire.quantile; the
    code is separate. Raises IndexError without values.
    """
    return ordered[max(0, ceil(share * len(ordered) - 1e-9) - 1)]


@dataclass(frozen=True, slots=True)
class Margin:
    """How early one event reached one member's scsynth."""

    due_ns: int
    margin_ms: float
    """Timetag minus arrival; > 0 is early. An event with a margin below `needed_ms` is late."""
    event: MatchedEvent


@dataclass(frozen=True, slots=True)
class MemberResult:
    """One member's received events and faults, compared with those of all members. Faulty events are listed,
    not only counted."""

    member: str
    received: int
    missing: tuple[MatchedEvent, ...]
    """Events that others got and this member didn't."""
    late: tuple[MatchedEvent, ...]
    out_of_order: tuple[MatchedEvent, ...]
    """A smallest set of events whose move would give this member the common order."""
    different: tuple[MatchedEvent, ...]
    """Events whose bytes differ from those that most members got."""
    mistimed: tuple[MatchedEvent, ...]
    """Events with a timetag further from the median of all members' timetags than the clock bound."""
    timetag_spread_us: float
    """Greatest distance (us) between this member's and any other member's timetag of one event."""
    margins: tuple[Margin, ...] = field(repr=False)
    """The margins of the timed events that this member got, in the order of their dues. Messages without a
    timetag have no margin."""
    stay: tuple[int, int] = (0, 1 << 63)
    """The stretch (Unix ns) in which the member was there."""

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
        """Kind of fault -> this member's events with it, worst kind first."""
        return {
            "missing": self.missing,
            "different": self.different,
            "out of order": self.out_of_order,
            "late": self.late,
            "mistimed": self.mistimed,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing a room's members over a window of time, [from_ns, to_ns) in Unix ns."""

    members: Mapping[str, MemberResult]
    from_ns: int
    to_ns: int
    needed_ms: float
    timed: int
    """Number of distinct events that came in bundles, with a timetag."""
    bare: int
    """Number of distinct room messages that came without a timetag (loads of buffers)."""
    diverging: int
    """Number of events with a fault at one member at least."""
    timetag_spread_us: float
    dropped: int
    """Number of datagrams that recorders lost. If there are any, the recordings prove nothing."""

    @property
    def events(self) -> int:
        return self.timed + self.bare

    @property
    def divergence(self) -> float:
        """Share of events with a fault (see MemberResult.faults) at one member at least."""
        return self.diverging / self.events if self.events else 0.0

    @property
    def coherent(self) -> bool:
        """True if all members were handed the same: there were events, none has a fault, and recorders lost
        nothing."""
        return self.events > 0 and self.dropped == 0 and self.diverging == 0

    def report(self) -> str:
        """Return the result as text: a summary, a line for each member, and the first NAMED_IN_REPORT events
        of each fault."""
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
    there_ns: Mapping[str, tuple[int, int]] | None = None,
) -> Comparison:
    """Compare what the members' scsynths were handed, for the events due in [from_ns, to_ns) (Unix ns).

    recordings: member -> its recording. needed_ms: least margin; with less an event is late. clock_bound_ms:
    greatest distance allowed between timetags of one event. there_ns: member -> stretch of time, like from_ns
    and to_ns, outside of which it needn't have had any event; by default the whole window.

    Events up to FAR_NS outside the window are matched too and then dropped. So an event at the window's edge
    keeps the messages of all members. A message without a timetag counts if any member got it within the
    window.
    """
    match_ns = round(max(MATCH_MS, 2 * clock_bound_ms) * 1e6)
    timed: dict[str, list[RecordedMessage]] = {}
    bare: dict[str, list[RecordedMessage]] = {}
    stays = {
        member: (there_ns or {}).get(member, (from_ns - FAR_NS, to_ns + FAR_NS)) for member in recordings
    }
    for member, recording in recordings.items():
        came_ns, left_ns = stays[member]
        room = [message for message in of_room(recording) if came_ns <= message.due_ns < left_ns]
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
        for event in match_bare(bare, FAR_NS if there_ns else None)
        if any(from_ns <= message.t_ns < to_ns for message in event.held.values())
    ]
    return judge(timed_events, bare_events, recordings, stays, (from_ns, to_ns), needed_ms, clock_bound_ms)


def of_room(recording: Recording) -> Iterable[RecordedMessage]:
    """Yield the messages of the room. Left out are messages about the host's own nodes, builds of others'
    music, and /b_free without a timetag, which only bridges send."""
    others, _ = builds.split(recording.to_scsynth)
    for message in others:
        frees = message.timetag is None and message.address == "/b_free"
        if slot_of(message) > 0 and not frees and not hosttree.is_host_message(message):
            yield message


def judge(
    timed: Sequence[MatchedEvent],
    bare: Sequence[MatchedEvent],
    recordings: Mapping[str, Recording],
    stays: Mapping[str, tuple[int, int]],
    window: tuple[int, int],
    needed_ms: float,
    clock_bound_ms: float,
) -> Comparison:
    """Find each member's margins and faults among matched events, and return the comparison.

    timed, bare: events with and without a timetag. stays: member -> the stretch in which it was there.
    window: the stretch that is compared. The other arguments are those of compare.
    """
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
            missing=tuple(event for event in everything if is_missing(event, member, stays[member])),
            late=tuple(margin.event for margin in margins if margin.margin_ms < needed_ms),
            out_of_order=tuple(moved[member]),
            different=tuple(event for event in timed if is_different(event, member)),
            mistimed=tuple(event for event in timed if off_median_ns(event, member) > clock_bound_ms * 1e6),
            timetag_spread_us=max((off_others_ns(event, member) for event in timed), default=0) / 1e3,
            margins=margins,
            stay=stays[member],
        )
    diverging = {
        id(event) for result in results.values() for events in result.faults.values() for event in events
    }
    return Comparison(
        members=results,
        from_ns=window[0],
        to_ns=window[1],
        needed_ms=needed_ms,
        timed=len(timed),
        bare=len(bare),
        diverging=len(diverging),
        timetag_spread_us=max((event.spread_ns for event in timed), default=0) / 1e3,
        dropped=sum(recording.dropped for recording in recordings.values()),
    )


def is_missing(event: MatchedEvent, member: str, stay: tuple[int, int]) -> bool:
    return member not in event.held and stay[0] + EDGE_NS <= event.due_ns < stay[1] - EDGE_NS


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
    """Return member -> its events whose place differs from the common order.

    The common order is the order of one member: the one with which the fewest events of all others must be
    moved. Among equals it is the first. An event that this member never got has no common place and isn't
    judged.
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
    """Return indices into `events`: those that the member got, in the order in which its scsynth executes
    them."""

    def key(at: int) -> tuple[int, int]:
        # Not t_ns: two datagrams may share a kernel timestamp. The index gives their order.
        message = events[at].held[member]
        return message.timetag or 0, message.index

    return sorted((at for at, event in enumerate(events) if member in event.held), key=key)
