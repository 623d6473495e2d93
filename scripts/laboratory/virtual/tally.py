"""Tally of a virtual run: what became of every note, by what each scsynth was handed and the verdicts.

Pure. No bridge is believed: not its reports, and of its verdicts only the instant at which they came. The
rules are those of laboratory.measure for real runs, but for what only virtual time can know: true instants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.matching import not_in_order

from bridge.idspace import NODE_BITS, Origin
from bridge.remap import remap
from laboratory.generator import node_of
from laboratory.oracle import NEEDED_S, Emission, base_due_s
from laboratory.tallying import summed
from laboratory.virtual.host import Handed, Member
from laboratory.virtual.net import IP_UDP_BYTES
from laboratory.virtual.stage import Note, Stage
from relay.wire import frames
from relay.wire.datagram import HEADER_BYTES, TAG_BYTES
from relay.wire.osc import single_message
from relay.wire.sequence import Flag, Judged, Kind, Scheme, Stamped
from relay.wire.timetag import ns_from_ticks, ticks

NEEDED_NS = round(NEEDED_S * 1e9)
MOVED_NOISE_NS = 5_000_000
"""A due is moved by tens of ms or not at all; below this it is the grain of the stamps."""
_NODE_MASK = (1 << NODE_BITS) - 1

Key = tuple[int, int]
"""(slot, the sender's own node id): a note's name in a room."""


@dataclass(frozen=True, slots=True)
class Event:
    """One note and what became of it; instants are true ns. The tuples name members."""

    origin: str
    at_ns: int
    base_ns: int
    """The room's due for it if nothing on the way is late, on a perfect clock."""
    verdict: Judged | None
    """None: it never reached the relay."""
    held: Mapping[str, Handed]
    missing: tuple[str, ...]
    late: tuple[str, ...]
    out_of_order: tuple[str, ...]
    different: tuple[str, ...]
    moved: bool
    unconfirmed: bool
    """Its origin's scsynth was handed it before its verdict had come there; by timestamps: never judged."""

    @property
    def retimed(self) -> bool:
        """Whether the relay moved it because the sequence was closed already."""
        return self.verdict is not None and Flag.RETIMED in self.verdict.flags

    @property
    def divergent(self) -> bool:
        """Whether any member missed it, got it late, out of order or differently; or its origin played it
        as stamped, at another instant than the others."""
        if self.unconfirmed and (self.retimed or self.moved):
            return True
        return bool(self.missing or self.late or self.out_of_order or self.different)

    @property
    def bad(self) -> bool:
        """Whether it is divergent, re-timed or moved."""
        return self.divergent or self.retimed or self.moved

    @property
    def spread_ns(self) -> int | None:
        """Greatest difference between members' true instants for it; None if fewer than two have it."""
        dues = [handed.timetag_ns for handed in self.held.values() if handed.timetag_ns is not None]
        return max(dues) - min(dues) if len(dues) > 1 else None

    def emission(self) -> Emission:
        """Return it as the oracle takes it."""
        return Emission(self.origin, self.at_ns / 1e9, self.base_ns / 1e9)


def events_of(stage: Stage, *, lead_ms: float) -> list[Event]:
    """Return what became of the measured notes, in the order of emission."""
    verdicts = {
        (event.slot, node): event
        for event in stage.jam.judged
        if (node := node_of(event.payload)) is not None
    }
    slots = {member.name: member.memory.slot or 0 for member in stage.members}
    handed = {member.name: _notes_of(member) for member in stage.members}
    misplaced = {name: _out_of_order(notes, verdicts) for name, notes in handed.items()}
    members = {member.name: member for member in stage.members}
    return [
        _event(
            members[note.origin],
            slots[note.origin],
            note,
            verdicts,
            handed,
            misplaced,
            lead_ms,
            stage.jam.scheme,
        )
        for note in stage.notes
        if note.measured
    ]


def figures(events: Sequence[Event]) -> dict[str, Any]:
    """Return the fields of a Row that follow from the events alone, by name; see laboratory.rows."""
    heard = [
        (event, name, one.at_ns, one.timetag_ns)
        for event in events
        for name, one in event.held.items()
        if one.timetag_ns is not None
    ]
    margins = sorted((due - at) / 1e6 for event, name, at, due in heard if name != event.origin)
    spreads = sorted(event.spread_ns / 1e3 for event in events if event.spread_ns is not None)
    waits = sorted((due - event.at_ns) / 1e6 for event, _, _, due in heard)
    hands = sorted((at - event.at_ns) / 1e6 for event, _, at, _ in heard)
    return summed(events, margins, spreads, waits, hands)


def plain_bytes(notes: Sequence[Note]) -> int:
    """Return the IP bytes that notes would take up to the relay, each alone and sent once."""
    return sum(
        IP_UDP_BYTES
        + HEADER_BYTES
        + TAG_BYTES
        + len(frames.encode(Stamped(1, 1, 1, Kind.TIMED, note.emission.message)))
        for note in notes
    )


def _event(
    origin: Member,
    slot: int,
    note: Note,
    verdicts: Mapping[Key, Judged],
    handed: Mapping[str, Mapping[Key, list[tuple[int, Handed]]]],
    misplaced: Mapping[str, set[Key]],
    lead_ms: float,
    scheme: Scheme,
) -> Event:
    key = (slot, note.emission.node)
    verdict = verdicts.get(key)
    copies = {name: notes[key] for name, notes in handed.items() if key in notes}
    held = {name: each[0][1] for name, each in copies.items()}
    # Slot 0: its bridge never came into the room, so nobody got anything of it, its own scsynth included.
    wanted = remap(single_message(note.emission.message), Origin(slot)) if slot else None
    own = held.get(note.origin)
    return Event(
        origin=note.origin,
        at_ns=note.at_ns,
        base_ns=round(
            base_due_s(note.at_ns / 1e9, note.at_ns / 1e9 + note.emission.ahead_s, lead_ms / 1e3) * 1e9
        ),
        verdict=verdict,
        held=held,
        missing=tuple(name for name in handed if name not in held),
        late=tuple(
            name
            for name, one in held.items()
            if one.timetag_ns is None or one.timetag_ns - one.at_ns < NEEDED_NS
        ),
        out_of_order=tuple(name for name in held if key in misplaced[name]),
        different=tuple(name for name in held if held[name].message != wanted or len(copies[name]) > 1),
        moved=verdict is not None and _is_moved(note, verdict, lead_ms),
        unconfirmed=own is not None
        and (
            verdict is None
            or (scheme is Scheme.JUDGED and own.at_ns < _confirmed_ns(origin, verdict.seq, own.at_ns))
        ),
    )


def _is_moved(note: Note, verdict: Judged, lead_ms: float) -> bool:
    """Tell whether it is due later than asked for, neither for the lead's sake nor re-timed."""
    if Flag.RETIMED in verdict.flags or Flag.MOVED not in verdict.flags:
        return False
    base = note.session_at + ticks(max(note.emission.ahead_s, lead_ms / 1e3))
    return ns_from_ticks(verdict.due - base) > MOVED_NOISE_NS


def _confirmed_ns(origin: Member, seq: int, at_ns: int) -> int:
    """True instant at which the verdict reached its origin; after at_ns if it never did."""
    local_ns = origin.confirmed_ns.get(seq)
    return at_ns + 1 if local_ns is None else origin.true_ns(local_ns)


def _notes_of(member: Member) -> dict[Key, list[tuple[int, Handed]]]:
    """Return (place in the order of arrival, what was handed) by note."""
    notes: dict[Key, list[tuple[int, Handed]]] = {}
    for index, one in enumerate(member.handed):
        node = node_of(one.message)
        if node is not None:
            notes.setdefault((node >> NODE_BITS, node & _NODE_MASK), []).append((index, one))
    return notes


def _out_of_order(notes: Mapping[Key, list[tuple[int, Handed]]], verdicts: Mapping[Key, Judged]) -> set[Key]:
    """Return the fewest notes that would have to move for scsynth's order to be the room's."""
    firsts = [(copies[0][1].timetag, copies[0][0], key) for key, copies in notes.items() if key in verdicts]
    place = {
        key: at
        for at, key in enumerate(sorted((key for *_, key in firsts), key=lambda key: verdicts[key].key))
    }
    name_of = list(place)
    return {name_of[at] for at in not_in_order([place[key] for *_, key in sorted(firsts)])}
