"""A relay's log of two members, and recordings of what their scsynths must be handed for it."""

import json
import struct
from collections.abc import Sequence

from rehearsal.proof.logmatch import Match, match
from rehearsal.proof.relaylog import RESET, RESOURCE, TIMED, UNTIMED, LoggedEvent
from rehearsal.proof.same import first_id
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import Recording, parse, timetag_at

START_NS = 1_795_000_000_000_000_000
MS = 1_000_000
SLOTS = {"ada": 1, "bo": 2}
NOTES = 12

Line = tuple[int | None, bytes]
"""One line of a recording before it is written: the due (ns) or None for a bare one, and the message."""


def at(ms: float) -> int:
    return timetag_at(START_NS + round(ms * MS))


def node(slot: int, own: int) -> int:
    return (slot << 26) + own


def note(own: int, amp: float = 0.5) -> bytes:
    """Return a note for a sample player as Sonic Pi sends it: with its own ids and without out_bus."""
    return osc("/s_new", "sonic-pi-mono_player", own, 1, 4, "buf", 3.0, "amp", amp)


def played_note(slot: int, own: int, amp: float = 0.5, **other: float) -> bytes:
    """Return the note of `note` as scsynth must get it: with the slot's ids and an explicit out_bus."""
    values = {"buf": slot * 4096 + 3.0, "amp": amp, "out_bus": 128.0 + 1120 * slot, **other}
    pairs = [item for pair in values.items() for item in pair]
    return osc("/s_new", "sonic-pi-mono_player", node(slot, own), 1, node(slot, 4), *pairs)


def log() -> list[LoggedEvent]:
    """Return a log: boot and buffer load of two slots, then notes in turn, two with each due."""
    events: list[LoggedEvent] = []
    seqs = {1: 0, 2: 0}

    def add(slot: int, ms: float, kind: str, payload: bytes, *flags: str) -> None:
        seqs[slot] += 1
        number = len(events) + 1
        events.append(LoggedEvent(number, slot, seqs[slot], at(ms), kind, frozenset(flags), payload))

    for slot in (1, 2):
        add(slot, 100 * slot, RESET, b"")
        add(slot, 100 * slot + 10, UNTIMED, osc("/g_new", 4, 0, 0))
        add(slot, 100 * slot + 20, RESOURCE, osc("/b_allocRead", 3, "samples/bd_haus.wav", 0, 0))
    for own in range(NOTES):
        add(1 + own % 2, 1000 + own // 2 * 125, TIMED, note(10 + own))
    return events


def host_lines(slots: Sequence[int] = (1, 2)) -> list[Line]:
    lines: list[Line] = [(None, osc("/g_new", 1, 0, 0)), (None, osc("/g_new", 2, 3, 1))]
    for slot in slots:
        lines.append((None, osc("/g_new", slot << 26, 1, 1)))
        controls = ("in_bus", 128.0 + 1120 * slot, "out_bus", 0.0, "amp", 1.0)
        lines.append((None, osc("/s_new", "sonic-pi-basic_mixer", 64 + slot, 1, 2, *controls)))
    return lines


def played(event: LoggedEvent) -> Line:
    """Return the line that a recording must have for a logged event."""
    slot = event.slot
    due_ns = START_NS + round((event.runs_at - at(0)) * 1e9 / 2**32)
    if event.kind == RESET:
        return due_ns, osc("/g_freeAll", slot << 26)
    if event.kind == RESOURCE:
        return None, osc("/b_allocRead", slot * 4096 + 3, "/home/x/samples/bd_haus.wav", 0, 0)
    if event.payload.startswith(b"/g_new"):
        return due_ns, osc("/g_new", node(slot, 4), 0, slot << 26)
    own = first_id(event.payload)
    assert own is not None
    return due_ns, played_note(slot, own)


def session() -> list[Line]:
    return [*host_lines(), *map(played, log())]


def bundle(due_ns: int, *raws: bytes) -> bytes:
    """Return messages as one bundle."""
    inside = b"".join(struct.pack(">i", len(raw)) + raw for raw in raws)
    return b"#bundle\0" + struct.pack(">Q", timetag_at(due_ns)) + inside


def built(slot: int, due_ns: int, *raws: bytes) -> Line:
    """Return the bundle that builds a slot's music at T = due_ns."""
    return None, bundle(due_ns, osc("/error", -1), osc("/g_new", slot << 26, 1, 1), *raws)


def recording(lines: Sequence[Line], *extra: dict[str, object]) -> Recording:
    """Return the recording that has these lines, and further entries at its end."""
    entries: list[dict[str, object]] = [{"meta": {"scsynth_port": 57110}}]
    for number, (due_ns, raw) in enumerate(lines):
        datagram = raw if due_ns is None else bundle(due_ns, raw)
        entries.append({"t_ns": START_NS + number, "dir": "to", "hex": datagram.hex()})
    return parse(json.dumps(entry) for entry in [*entries, *extra])


def matched(lines: Sequence[Line], events: Sequence[LoggedEvent] | None = None, *, slot: int = 2) -> Match:
    return match("bo", slot, recording(lines), log() if events is None else events, [1, 2])


def note_at(lines: Sequence[Line], own: int) -> int:
    return next(at for at, (_, raw) in enumerate(lines) if raw == played_note(1 + own % 2, 10 + own))
