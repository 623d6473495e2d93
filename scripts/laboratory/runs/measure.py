"""Measurement of a real run: finds the fate of every event, from feeders, recorders and the relay's log.

Pure. A member's events are read from its recorder, never from its bridge's reports. The room's order and
verdicts are read from the relay's log. All hosts of a run share one clock, so instants (ns of CLOCK_REALTIME)
and timetags of different members can be compared directly.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rehearsal.proof.relaylog import LoggedEvent
from rehearsal.proof.slots import SLOT_BITS
from rehearsal.rigs.recording import RecordedMessage, Recording, parse_message, unix_ns

from laboratory.runs import tallying
from laboratory.runs.tallying import Handed, Key, Notes, TalliedNote, event_of, out_of_order
from relay.wire.quantile import quantile

SAME_NS = 2_000_000
"""Greatest difference (ns) between two readings that count as one instant.

A feeder reads the clock before it sends a note. The kernel stamps the same note when it reaches the bridge.
"""
AFTER_STALL_NS = 250_000_000
"""Time (ns) after a standstill in which events still count as disturbed.

After a standstill many things are done at once, and repeated events need another round trip.
"""
RETIMED, MOVED, MISSED = "RETIMED", "MOVED", "MISSED"
_NODE_MASK = (1 << SLOT_BITS) - 1


class MeasureError(ValueError):
    """The recordings prove nothing. The text has the reason."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member's recordings. sent: the notes of its feeder. handed: the messages that its scsynth was
    handed."""

    name: str
    slot: int
    sent: Recording
    handed: Recording


def observe(
    members: Sequence[Member], judged: Sequence[LoggedEvent], from_ns: int, to_ns: int, *, lead_ms: float
) -> list[TalliedNote]:
    """Return the fate of the notes emitted in [from_ns, to_ns), in the order of emission.

    judged: all events of the relay's log. lead_ms: the room's fixed lead, 0 if it tuned itself. Raises
    MeasureError if a recorder lost a datagram, if the log contradicts the feeders, or if no note was sent.
    """
    dropped = {member.name: member.handed.dropped for member in members if member.handed.dropped}
    if dropped:
        raise MeasureError(f"recorders lost datagrams, so nothing is known: {dropped}")
    verdicts = {key: event for event in judged if (key := key_of(event)) is not None}
    handed = {member.name: notes_of(member.handed) for member in members}
    placed = {key: event for key, event in verdicts.items() if MISSED not in event.flags}
    misplaced = {name: out_of_order(notes, placed) for name, notes in handed.items()}
    events = [
        judged_event(member, node, message, verdicts, handed, misplaced, round(lead_ms * 1e6))
        for member in members
        for message in member.sent.to_scsynth
        if message.timetag is not None
        and from_ns <= message.t_ns < to_ns
        and (node := node_at(message)) is not None
    ]
    if not events:
        raise MeasureError("no feeder sent anything in the measured window")
    return sorted(events, key=lambda event: event.at_ns)


def judged_event(
    member: Member, node: int, sent: RecordedMessage, verdicts: Mapping[Key, LoggedEvent],
    handed: Mapping[str, Notes], misplaced: Mapping[str, set[Key]], lead_ns: int,
) -> TalliedNote:  # fmt: skip
    """Return the fate of the note `sent` with the node id `node`, which `member` sent.

    verdicts: (slot, node id) -> event of the relay's log. handed, misplaced: by member (see
    tallying.out_of_order). lead_ns: the room's lead. Raises MeasureError if the relay's log has another note
    under the same slot and node id.
    """
    judged = verdicts.get((member.slot, node))
    if judged is not None and judged.payload != sent.raw:
        raise MeasureError(f"the relay's log has another note as {judged.name} than {member.name} sent")
    base_ns = max(sent.due_ns, sent.t_ns + lead_ns)
    flags = judged.flags if judged is not None else frozenset()
    event = event_of(
        member.name, (member.slot, node), at_ns=sent.t_ns, stamped_ns=sent.due_ns, base_ns=base_ns,
        verdict=judged, handed=handed, misplaced=misplaced, missed=MISSED in flags, retimed=RETIMED in flags,
        moved=RETIMED not in flags and MOVED in flags and base_ns < sent.due_ns + SAME_NS,
    )  # fmt: skip
    return replace(event, unconfirmed=is_unconfirmed(event, judged))


def is_unconfirmed(event: TalliedNote, judged: LoggedEvent | None) -> bool:
    """Tell whether a note's origin played it as stamped, though the room has it at a later instant or not at
    all.

    If it was played before a verdict that agrees with the stamp, it isn't counted. Recordings can't show that
    case, and it harms nobody.
    """
    own = event.held.get(event.origin)
    if own is None or own.timetag_ns is None or abs(own.timetag_ns - event.base_ns) >= SAME_NS:
        return False
    if judged is None or event.missed:
        return True
    # Instants that differ by less than SAME_NS count as the same.
    elsewhere = abs(own.timetag_ns - unix_ns(judged.due)) >= SAME_NS
    return elsewhere and (event.retimed or event.moved)


def undisturbed(events: Iterable[TalliedNote], stalls: Sequence[tuple[int, int]]) -> list[TalliedNote]:
    """Return the events that weren't under way in a standstill of the machine or just after one.

    stalls: (start, end) in ns of CLOCK_REALTIME. An event is under way from its emission to its base due. So
    whether an event is left out doesn't depend on its fate.
    """
    return [event for event in events if not is_disturbed(event, stalls)]


def is_disturbed(event: TalliedNote, stalls: Iterable[tuple[int, int]]) -> bool:
    """Tell whether an event was under way in a standstill of the machine or within AFTER_STALL_NS after
    one."""
    return any(lives_in(event, from_ns, to_ns + AFTER_STALL_NS) for from_ns, to_ns in stalls)


def cut_off(events: Iterable[TalliedNote], member: str, from_ns: int, to_ns: int) -> list[TalliedNote]:
    """Return the events without the effects of a member's outage in [from_ns, to_ns) (CLOCK_REALTIME).

    Of the events under way in the outage, those of the member are left out. In those of others, the member is
    removed from the results.
    """
    seen = []
    for event in events:
        if not lives_in(event, from_ns, to_ns):
            seen.append(event)
        elif event.origin != member:
            seen.append(without(event, member))
    return seen


def lives_in(event: TalliedNote, from_ns: int, to_ns: int) -> bool:
    """Tell whether an event is under way, from its emission to its base due, at any instant of a period."""
    return event.at_ns < to_ns and event.base_ns > from_ns


def without(event: TalliedNote, member: str) -> TalliedNote:
    """Return an event with a member removed from its results, as if the member weren't in the room."""

    def others(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name != member)

    return replace(
        event,
        held={name: message for name, message in event.held.items() if name != member},
        missing=others(event.missing), late=others(event.late), out_of_order=others(event.out_of_order),
        different=others(event.different),
    )  # fmt: skip


def notes_of(recording: Recording) -> Notes:
    """Return the members' notes among the messages that a scsynth was handed.

    Nodes of slot 0 are left out: they are the host's own.
    """
    notes: dict[Key, list[tuple[int, Handed]]] = {}
    for message in recording.to_scsynth:
        node = node_at(message)
        if message.timetag is not None and node is not None and node >> SLOT_BITS > 0:
            handed = Handed(message.t_ns, message.due_ns, message.raw, message.timetag)
            notes.setdefault((node >> SLOT_BITS, node & _NODE_MASK), []).append((message.index, handed))
    return notes


def figures(events: Sequence[TalliedNote]) -> dict[str, Any]:
    """Compute the fields of a Row (laboratory.runs.rows) that depend only on the events; return name ->
    value."""
    errors_us = sorted(abs(by_ns) / 1e3 for event in events for _, _, by_ns in clock_errors(event))
    return {**tallying.figures(events), "clock_error_us_p99": quantile(errors_us, 0.99)}


def clock_errors(event: TalliedNote) -> list[tuple[str, Handed, int]]:
    """Return the clock errors of all members who got an event, as (member, message handed, error in ns).

    The error is > 0 if the member's session clock is ahead of the relay's. The origin is left out, because it
    sometimes plays the event as stamped.
    """
    if not isinstance(event.verdict, LoggedEvent):
        return []
    due_ns = unix_ns(event.verdict.due)
    return [
        (name, handed, due_ns - handed.timetag_ns)
        for name, handed in event.held.items()
        if name != event.origin and handed.timetag_ns is not None
    ]


def plain_bytes(members: Iterable[Member], from_ns: int, to_ns: int) -> int:
    """Return the IP bytes of the notes sent in [from_ns, to_ns), as if each had gone once in a datagram of
    its own."""
    return tallying.plain_bytes(
        message.raw
        for member in members
        for message in member.sent.to_scsynth
        if message.timetag is not None and from_ns <= message.t_ns < to_ns
    )


def lag_ms(events: Iterable[TalliedNote], ahead_ms: float, share: float) -> float | None:
    """Return a quantile of the feeders' lag (ms); None without events.

    The lag is the time from a note's scheduled emission to the actual one, caused by this machine. ahead_ms:
    scheduled time from emission to timetag. share: the quantile, 0 to 1.
    """
    lags = (ahead_ms - (event.stamped_ns - event.at_ns) / 1e6 for event in events)
    return quantile(sorted(lags), share)


def node_at(message: RecordedMessage) -> int | None:
    """Return the id of the node that a note (/s_new) creates; None for any other message."""
    if message.address != "/s_new" or len(message.args) < 2:
        return None
    node = message.args[1]
    return node if isinstance(node, int) else None


def key_of(event: LoggedEvent) -> Key | None:
    """Return (slot, node id) of a judged note; None for any other event."""
    if not event.payload.startswith(b"/s_new\0"):
        return None
    _, args = parse_message(event.payload)
    return (event.slot, args[1]) if len(args) > 1 and isinstance(args[1], int) else None
