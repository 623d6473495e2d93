"""Tally of a virtual run: the fate of every note, found from the scsynths' messages and the verdicts.

Pure. No bridge's report is used. Only the arrival of verdicts is taken from the bridges. The rules are those
of laboratory.runs.tallying, as for real runs.
"""

from collections.abc import Mapping
from dataclasses import replace

from bridge.scsynth.id_space import NODE_BITS, Origin
from bridge.scsynth.remap import remap
from clock.model import ns_from_ticks
from laboratory.runs.generator import node_of
from laboratory.runs.oracle import base_due_s
from laboratory.runs.tallying import Handed, Key, Notes, TalliedNote, event_of, out_of_order
from laboratory.virtual.host import Member
from laboratory.virtual.stage import Note, VirtualStage
from relay.wire.osc import single_message
from relay.wire.sequence import Flag, Judged, Scheme
from relay.wire.timetag import ticks

MOVED_NOISE_NS = 5_000_000
"""Greatest difference (ns) of a due that counts as noise of imprecise stamps. A moved due is later by tens of
ms."""
_NODE_MASK = (1 << NODE_BITS) - 1


def events_of(stage: VirtualStage, *, lead_ms: float) -> list[TalliedNote]:
    """Return the fate of each note of the measured window, in the order of emission. lead_ms: the room's
    lead."""
    verdicts = {
        (event.slot, node): event
        for event in stage.jam.judged
        if (node := node_of(event.payload)) is not None
    }
    slots = {member.name: member.memory.slot or 0 for member in stage.members}
    handed = {member.name: _notes_of(member) for member in stage.members}
    placed = {key: event for key, event in verdicts.items() if Flag.MISSED not in event.flags}
    misplaced = {name: out_of_order(notes, placed) for name, notes in handed.items()}
    members = {member.name: member for member in stage.members}
    return [
        _event(
            members[note.origin], slots[note.origin], note, verdicts, handed, misplaced, lead_ms,
            stage.jam.scheme,
        )
        for note in stage.notes
        if note.measured
    ]  # fmt: skip


def _event(
    origin: Member, slot: int, note: Note, verdicts: Mapping[Key, Judged], handed: Mapping[str, Notes],
    misplaced: Mapping[str, set[Key]], lead_ms: float, scheme: Scheme,
) -> TalliedNote:  # fmt: skip
    key = (slot, note.emission.node)
    verdict = verdicts.get(key)
    at_s, stamped_s = note.at_ns / 1e9, note.at_ns / 1e9 + note.emission.ahead_s
    event = event_of(
        note.origin, key, at_ns=note.at_ns, stamped_ns=round(stamped_s * 1e9),
        base_ns=round(base_due_s(at_s, stamped_s, lead_ms / 1e3) * 1e9),
        verdict=verdict, handed=handed, misplaced=misplaced,
        # Slot 0: its bridge never joined the room. So no scsynth got its events, its own included.
        expected=remap(single_message(note.emission.message), Origin(slot)) if slot else None,
        missed=verdict is not None and Flag.MISSED in verdict.flags,
        retimed=verdict is not None and Flag.RETIMED in verdict.flags,
        moved=verdict is not None and _is_moved(note, verdict, lead_ms),
    )  # fmt: skip
    own = event.held.get(note.origin)
    unconfirmed = own is not None and (
        verdict is None
        or (scheme is Scheme.JUDGED and own.at_ns < _confirmed_ns(origin, verdict.seq, own.at_ns))
    )
    return replace(event, unconfirmed=unconfirmed)


def _is_moved(note: Note, verdict: Judged, lead_ms: float) -> bool:
    """Tell whether a note's due is later than its timetag and the lead require, though it wasn't re-timed."""
    if Flag.RETIMED in verdict.flags or Flag.MOVED not in verdict.flags:
        return False
    base = note.session_at + ticks(max(note.emission.ahead_s, lead_ms / 1e3))
    return ns_from_ticks(verdict.due - base) > MOVED_NOISE_NS


def _confirmed_ns(origin: Member, seq: int, at_ns: int) -> int:
    """Return the true instant (ns) at which the first verdict on an event reached its origin.

    seq: the origin's own number of the event. Without any verdict, at_ns + 1 is returned, an instant after
    at_ns.
    """
    local_ns = origin.confirmed_ns.get(seq)
    return at_ns + 1 if local_ns is None else origin.true_ns(local_ns)


def _notes_of(member: Member) -> Notes:
    notes: dict[Key, list[tuple[int, Handed]]] = {}
    for index, one in enumerate(member.handed):
        node = node_of(one.message)
        if node is not None:
            notes.setdefault((node >> NODE_BITS, node & _NODE_MASK), []).append((index, one))
    return notes
