"""Measurement of a real run: what became of every event, from feeders, recorders and the relay's log.

Pure. What happened at a member is taken from its recorder alone, never from what its bridge reports; the
relay's log gives the room's order and its verdicts. All hosts of a run share one clock, so instants (ns of
CLOCK_REALTIME) and timetags of different members compare as they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rehearsal.matching import not_in_order
from rehearsal.recording import RecordedMessage, Recording, parse_message, unix_ns
from rehearsal.relaylog import LoggedEvent
from rehearsal.rooms import SLOT_BITS

from laboratory.oracle import NEEDED_S, Emission
from laboratory.tallying import quantile, summed
from relay.wire import frames
from relay.wire.datagram import HEADER_BYTES, TAG_BYTES
from relay.wire.sequence import Kind, Stamped

NEEDED_NS = round(NEEDED_S * 1e9)
IP_UDP_BYTES = 28
"""IPv4 without options, and UDP."""
SAME_NS = 2_000_000
"""Instants nearer than this are readings of one: a feeder's before it sends, a bridge's kernel stamp."""
AFTER_STALL_NS = 250_000_000
"""After a stall much is to be done at once, and what was sent again then goes on for a round trip."""
RETIMED, MOVED = "RETIMED", "MOVED"
_NODE_MASK = (1 << SLOT_BITS) - 1

Key = tuple[int, int]
"""(slot, the sender's own node id): a note's name in a room. The generator uses no id twice."""


class MeasureError(ValueError):
    """The recordings prove nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member's recordings: what its feeder sent, and what its scsynth was handed."""

    name: str
    slot: int
    sent: Recording
    handed: Recording


@dataclass(frozen=True, slots=True)
class Event:
    """One note, and what became of it. The tuples name members."""

    origin: str
    emitted_ns: int
    stamped_ns: int
    """Its own timetag."""
    base_ns: int
    """Its due if nothing on the way is late: never before its own timetag."""
    judged: LoggedEvent | None
    """None: it never reached the relay."""
    held: Mapping[str, RecordedMessage]
    """What each member's scsynth was handed, by member."""
    missing: tuple[str, ...]
    late: tuple[str, ...]
    out_of_order: tuple[str, ...]
    different: tuple[str, ...]

    @property
    def retimed(self) -> bool:
        """Whether the relay moved it because the sequence was closed already."""
        return self.judged is not None and RETIMED in self.judged.flags

    @property
    def moved(self) -> bool:
        """Whether the relay moved it for any other reason; not where the lead itself asks for a later due."""
        if self.judged is None or self.retimed or MOVED not in self.judged.flags:
            return False
        return self.base_ns < self.stamped_ns + SAME_NS

    @property
    def unconfirmed(self) -> bool:
        """Whether its origin played it as stamped although the room has it later, or not at all.

        One that was played before its verdict came, and as the verdict says, can't be told from outside and
        harms nobody; it isn't counted.
        """
        own = self.held.get(self.origin)
        if own is None:
            return False
        if abs(own.due_ns - self.base_ns) >= SAME_NS:
            return False
        if self.judged is None:
            return True
        # Re-timed by a hair and played so is no other instant.
        elsewhere = abs(own.due_ns - unix_ns(self.judged.due)) >= SAME_NS
        return elsewhere and (self.retimed or self.moved)

    @property
    def divergent(self) -> bool:
        """Whether any member missed it, got it late, out of order or differently, its origin at another
        instant than the room included."""
        return bool(self.missing or self.late or self.out_of_order or self.different) or self.unconfirmed

    @property
    def bad(self) -> bool:
        """Whether it is divergent, re-timed or moved."""
        return self.divergent or self.retimed or self.moved

    @property
    def spread_ns(self) -> int | None:
        """Greatest difference between members' instants for it; None if fewer than two have it."""
        dues = [message.due_ns for message in self.held.values()]
        return max(dues) - min(dues) if len(dues) > 1 else None


def observe(
    members: Sequence[Member], judged: Sequence[LoggedEvent], from_ns: int, to_ns: int, *, lead_ms: float
) -> list[Event]:
    """Return what became of the notes emitted in [from_ns, to_ns), in the order of emission.

    judged: the room's log, whole. Raises MeasureError if a recorder lost something, if the log says other
    than what the feeders sent, or if nothing was sent.
    """
    dropped = {member.name: member.handed.dropped for member in members if member.handed.dropped}
    if dropped:
        raise MeasureError(f"recorders lost datagrams, so nothing is known: {dropped}")
    verdicts = {key: event for event in judged if (key := key_of(event)) is not None}
    handed = {member.name: notes_of(member.handed) for member in members}
    misplaced = {
        name: out_of_order((one for copies in notes.values() for one in copies), verdicts)
        for name, notes in handed.items()
    }
    events = [
        event_of(member.name, (member.slot, node), message, verdicts, handed, misplaced, lead_ms)
        for member in members
        for message in member.sent.to_scsynth
        if message.timetag is not None
        and from_ns <= message.t_ns < to_ns
        and (node := node_at(message)) is not None
    ]
    if not events:
        raise MeasureError("no feeder sent anything in the measured window")
    return sorted(events, key=lambda event: event.emitted_ns)


def undisturbed(events: Iterable[Event], stalls: Sequence[tuple[int, int]]) -> list[Event]:
    """Return the events that didn't live while the machine stood still: stalls, (from, to) in ns.

    Which are left out depends on when they were emitted alone, not on what became of them.
    """
    return [event for event in events if not is_disturbed(event, stalls)]


def is_disturbed(event: Event, stalls: Iterable[tuple[int, int]]) -> bool:
    """Tell whether an event lived while the machine stood still, or just after."""
    return any(lives_in(event, from_ns, to_ns + AFTER_STALL_NS) for from_ns, to_ns in stalls)


def cut_off(events: Iterable[Event], member: str, from_ns: int, to_ns: int) -> list[Event]:
    """Return the events as those see them who aren't cut off: without what the member plays and hears of
    those that live between two instants (ns of CLOCK_REALTIME)."""
    seen = []
    for event in events:
        if not lives_in(event, from_ns, to_ns):
            seen.append(event)
        elif event.origin != member:
            seen.append(without(event, member))
    return seen


def lives_in(event: Event, from_ns: int, to_ns: int) -> bool:
    """Tell whether an event is under way at any instant of a period."""
    return event.emitted_ns < to_ns and event.base_ns > from_ns


def without(event: Event, member: str) -> Event:
    """Return an event as if one who only heard it weren't there."""

    def others(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name != member)

    return replace(
        event,
        held={name: message for name, message in event.held.items() if name != member},
        missing=others(event.missing), late=others(event.late), out_of_order=others(event.out_of_order),
        different=others(event.different),
    )  # fmt: skip


def event_of(
    origin: str,
    key: Key,
    sent: RecordedMessage,
    verdicts: Mapping[Key, LoggedEvent],
    handed: Mapping[str, Mapping[Key, list[RecordedMessage]]],
    misplaced: Mapping[str, set[Key]],
    lead_ms: float,
) -> Event:
    judged = verdicts.get(key)
    if judged is not None and judged.payload != sent.raw:
        raise MeasureError(f"the relay's log has another note as {judged.name} than {origin} sent")
    copies = {name: notes[key] for name, notes in handed.items() if key in notes}
    held = {name: each[0] for name, each in copies.items()}
    usual = Counter(message.raw for message in held.values()).most_common(1)
    return Event(
        origin=origin,
        emitted_ns=sent.t_ns,
        stamped_ns=sent.due_ns,
        base_ns=max(sent.due_ns, sent.t_ns + round(lead_ms * 1e6)),
        judged=judged,
        held=held,
        missing=tuple(name for name in handed if name not in held),
        late=tuple(name for name, message in held.items() if message.due_ns - message.t_ns < NEEDED_NS),
        out_of_order=tuple(name for name in held if key in misplaced[name]),
        # A second copy is a difference too: scsynth refuses a node that is there, or plays it twice.
        different=tuple(name for name in held if held[name].raw != usual[0][0] or len(copies[name]) > 1),
    )


def notes_of(recording: Recording) -> dict[Key, list[RecordedMessage]]:
    """Return the members' notes among what a scsynth was handed; those of slot 0 are nobody's."""
    notes: dict[Key, list[RecordedMessage]] = {}
    for message in recording.to_scsynth:
        node = node_at(message)
        if message.timetag is not None and node is not None and node >> SLOT_BITS > 0:
            notes.setdefault((node >> SLOT_BITS, node & _NODE_MASK), []).append(message)
    return notes


def out_of_order(messages: Iterable[RecordedMessage], verdicts: Mapping[Key, LoggedEvent]) -> set[Key]:
    """Return the fewest notes that would have to move for scsynth's order to be the room's."""
    judged = []
    for message in sorted(messages, key=lambda message: (message.timetag or 0, message.index)):
        node = node_at(message) or 0
        verdict = verdicts.get((node >> SLOT_BITS, node & _NODE_MASK))
        if verdict is not None:
            judged.append(verdict)
    order = {event.number: rank for rank, event in enumerate(sorted(judged, key=lambda event: event.key))}
    by_rank = {order[event.number]: event for event in judged}
    # A second copy has no place of its own; it is counted as different.
    ranks = list(dict.fromkeys(order[event.number] for event in judged))
    keys = (key_of(by_rank[rank]) for rank in not_in_order(ranks))
    return {key for key in keys if key is not None}


def emissions(events: Iterable[Event], zero_ns: int) -> list[Emission]:
    """Return the events as the oracle takes them. zero_ns: the emulation's start, ns of CLOCK_REALTIME."""
    return [
        Emission(event.origin, (event.emitted_ns - zero_ns) / 1e9, (event.base_ns - zero_ns) / 1e9)
        for event in events
    ]


def figures(events: Sequence[Event]) -> dict[str, Any]:
    """Return the fields of a Row that follow from the events alone, by name; see laboratory.rows."""
    heard = [(event, name, message) for event in events for name, message in event.held.items()]
    margins = sorted(
        (message.due_ns - message.t_ns) / 1e6 for event, name, message in heard if name != event.origin
    )
    errors_us = sorted(abs(by_ns) / 1e3 for event in events for _, _, by_ns in clock_errors(event))
    spreads = sorted(event.spread_ns / 1e3 for event in events if event.spread_ns is not None)
    waits = sorted((message.due_ns - event.emitted_ns) / 1e6 for event, _, message in heard)
    hands = sorted((message.t_ns - event.emitted_ns) / 1e6 for event, _, message in heard)
    return {
        **summed(events, margins, spreads, waits, hands),
        "clock_error_us_p99": quantile(errors_us, 0.99),
    }


def clock_errors(event: Event) -> list[tuple[str, RecordedMessage, int]]:
    """Return (member, what it was handed, by how many ns its clock is ahead of the relay's) of an event.

    Not its origin: that may have played it as stamped.
    """
    if event.judged is None:
        return []
    due_ns = unix_ns(event.judged.due)
    return [
        (name, message, due_ns - message.due_ns)
        for name, message in event.held.items()
        if name != event.origin
    ]


def plain_bytes(members: Iterable[Member], from_ns: int, to_ns: int) -> int:
    """Return the IP bytes that the notes sent in [from_ns, to_ns) would take, each alone and sent once."""
    return sum(
        IP_UDP_BYTES
        + HEADER_BYTES
        + TAG_BYTES
        + len(frames.encode(Stamped(0, 0, message.timetag, Kind.TIMED, message.raw)))
        for member in members
        for message in member.sent.to_scsynth
        if message.timetag is not None and from_ns <= message.t_ns < to_ns
    )


def lag_ms(events: Iterable[Event], ahead_ms: float, share: float) -> float | None:
    """Return a quantile of how much later than meant the feeders sent: what this machine itself added."""
    lags = (ahead_ms - (event.stamped_ns - event.emitted_ns) / 1e6 for event in events)
    return quantile(sorted(lags), share)


def node_at(message: RecordedMessage) -> int | None:
    """Return the node that a note creates, None for anything else."""
    if message.address != "/s_new" or len(message.args) < 2:
        return None
    node = message.args[1]
    return node if isinstance(node, int) else None


def key_of(event: LoggedEvent) -> Key | None:
    """Return the name of a judged note, None for anything else."""
    if not event.payload.startswith(b"/s_new\0"):
        return None
    _, args = parse_message(event.payload)
    return (event.slot, args[1]) if len(args) > 1 and isinstance(args[1], int) else None
