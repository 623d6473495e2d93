"""The proof against the relay's log, tested with synthetic recordings and logs that have one fault each."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rehearsal.proof import hosttree
from rehearsal.proof.offline import RenderError
from rehearsal.proof.prove import Match, Proof, match, prove, score
from rehearsal.proof.relaylog import (
    FOUNDATION,
    RESET,
    RESET_SPARES,
    RESOURCE,
    SILENCED,
    TIMED,
    UNTIMED,
    LoggedEvent,
)
from rehearsal.proof.same import difference, first_id
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import Recording, parse, timetag_at

START_NS = 1_795_000_000_000_000_000
MS = 1_000_000
SLOTS = {"ada": 1, "bo": 2}
NOTES = 12

# One line of a recording before it is written: (due ns or None for a bare one, message).
Line = tuple[int | None, bytes]


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
        add(slot, 100 * slot + 10, UNTIMED, osc("/g_new", 4, 0, 0), FOUNDATION)
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


def recording(lines: Sequence[Line], *extra: dict[str, object]) -> Recording:
    entries: list[dict[str, object]] = [{"meta": {"scsynth_port": 57110}}]
    for number, (due_ns, raw) in enumerate(lines):
        datagram = raw
        if due_ns is not None:
            datagram = b"#bundle\0" + struct.pack(">Qi", timetag_at(due_ns), len(raw)) + raw
        entries.append({"t_ns": START_NS + number, "dir": "to", "hex": datagram.hex()})
    return parse(json.dumps(entry) for entry in [*entries, *extra])


def matched(lines: Sequence[Line], events: Sequence[LoggedEvent] | None = None, *, slot: int = 2) -> Match:
    return match("bo", slot, recording(lines), log() if events is None else events, [1, 2])


def note_at(lines: Sequence[Line], own: int) -> int:
    return next(at for at, (_, raw) in enumerate(lines) if raw == played_note(1 + own % 2, 10 + own))


def test_a_recording_that_is_the_log_matches_whole() -> None:
    found = matched(session())
    assert (found.mismatch, found.missed) == (None, 0)
    assert len(found.pairs) == len(log())


def test_a_missing_message_is_named() -> None:
    lines = session()
    del lines[note_at(lines, 5)]
    found = matched(lines)
    assert found.mismatch is not None
    assert "missing: #12 /s_new 2:15 sonic-pi-mono_player" in found.mismatch


def test_a_missing_last_message_is_named() -> None:
    found = matched(session()[:-1])
    assert found.mismatch is not None
    assert f"missing: #{len(log())} " in found.mismatch


def test_two_swapped_messages_of_one_timetag_are_named() -> None:
    lines = session()
    one, two = note_at(lines, 4), note_at(lines, 5)
    lines[one], lines[two] = lines[two], lines[one]
    found = matched(lines)
    assert found.mismatch is not None
    assert "swapped: #11 /s_new 1:14" in found.mismatch


def test_a_message_moved_to_another_instant_does_not_match() -> None:
    lines = session()
    where = note_at(lines, 4)
    due_ns, raw = lines[where]
    assert due_ns is not None
    lines[where] = (due_ns + 500 * MS, raw)
    found = matched(lines)
    assert found.mismatch is not None
    assert "#11 /s_new 1:14" in found.mismatch


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (played_note(2, 15, amp=0.5000001), "argument 7 (amp)"),
        (osc("/s_new", "sonic-pi-mono_player", node(2, 15), 1, node(2, 4), "buf", 8195.0), "arguments"),
        (played_note(2, 15, extra=1.0), "unexpected control 'extra'"),
        (played_note(2, 15, buf=4096 * 2 + 4.0), "argument 5 (buf): buffer 8196 isn't 3 of slot 2"),
        (played_note(2, 15, out_bus=128.0 + 1120), "out_bus: bus 1248 isn't 0 of slot 2"),
        (played_note(2, 15).replace(b"mono_player", b"fake_player"), "expected 'sonic-pi-mono_player'"),
    ],
)
def test_an_altered_message_is_named_with_what_is_altered(raw: bytes, why: str) -> None:
    lines = session()
    where = note_at(lines, 5)
    lines[where] = (lines[where][0], raw)
    found = matched(lines)
    assert found.mismatch is not None
    assert "altered: #12 /s_new 2:15" in found.mismatch
    assert why in found.mismatch


def test_a_value_of_another_type_is_altered() -> None:
    event = next(event for event in log() if event.kind == TIMED)
    raw = osc(
        "/s_new", "sonic-pi-mono_player", node(1, 10), 1, node(1, 4), "buf", 4099.0, "amp", 0
    )  # amp as an integer
    event = replace(event, payload=note(10, amp=0.0))
    (message,) = recording([(START_NS, raw)]).to_scsynth
    assert difference(event, message) == "argument 7 (amp): expected 0.0, found 0"


def test_an_extra_message_is_named() -> None:
    lines = session()
    where = note_at(lines, 6)
    lines.insert(where, (lines[where][0], played_note(1, 99)))
    found = matched(lines)
    assert found.mismatch is not None
    assert "extra: /s_new 1:99 sonic-pi-mono_player before #13" in found.mismatch


def test_an_extra_bare_message_about_a_slots_node_is_no_part_of_the_room() -> None:
    found = matched([*session(), (None, osc("/n_set", node(1, 10), "amp", 0.0))])
    assert found.mismatch is not None
    assert "extra: /n_set 1:10" in found.mismatch


def test_a_load_of_another_file_or_none_is_named() -> None:
    lines = session()
    where = next(at for at, (_, raw) in enumerate(lines) if raw.startswith(b"/b_"))
    wrong = [*lines]
    wrong[where] = (None, osc("/b_allocRead", 4099, "/home/x/samples/snare.wav", 0, 0))
    found = matched(wrong).mismatch
    assert found is not None
    assert "found file snare.wav" in found
    del lines[where]
    found = matched(lines).mismatch
    assert found is not None
    assert "missing: #3 /b_allocRead 1:3" in found


def test_what_was_sent_before_a_reset_but_is_due_a_second_after_it_is_dropped_everywhere() -> None:
    events = log()
    last = max(event.seq for event in events if event.slot == 1)
    # Due a second before the middle of the notes, sent after all of them.
    reset = LoggedEvent(len(events) + 1, 1, last + 1, at(200), RESET, frozenset(), b"")
    events.append(reset)
    dropped = [event for event in events if event.slot == 1 and event.due > reset.due + RESET_SPARES]
    assert len(dropped) == 4
    kept = [event for event in events if event not in dropped]
    assert matched([*host_lines(), *map(played, kept)], events).mismatch is None
    found = matched([*host_lines(), *map(played, events)], events).mismatch
    assert found is not None
    assert f"extra: /s_new 1:{10 + 4}" in found


def test_the_silence_that_the_relay_puts_upon_a_member_is_not_its_own_to_play() -> None:
    events = log()
    seq = max(event.seq for event in events if event.slot == 2) + 1
    events.append(LoggedEvent(len(events) + 1, 2, seq, at(3000), RESET, frozenset({SILENCED}), b""))
    lines = [*host_lines(), *map(played, events)]
    assert matched(lines[:-1], events, slot=2).mismatch is None
    assert matched(lines, events, slot=1).mismatch is None
    assert matched(lines[:-1], events, slot=1).mismatch is not None


def test_a_silenced_members_nodes_are_freed_when_its_fade_is_over_and_then_its_buffers_and_place() -> None:
    events = log()
    seq = max(event.seq for event in events if event.slot == 2) + 1
    number = len(events) + 1
    events.append(LoggedEvent(number, 2, seq, at(3000), RESET, frozenset({SILENCED, "LEFT"}), b""))
    events.append(LoggedEvent(number + 1, 1, number, at(3050), "TIMED", frozenset(), note(70)))
    events.append(LoggedEvent(number + 2, 1, number + 1, at(3150), "TIMED", frozenset(), note(71)))
    *before, _, meanwhile, after = map(played, events)
    freed = (START_NS + 3100 * MS, osc("/g_freeAll", 2 << 26))
    rest: list[Line] = [(None, osc("/b_free", 2 * 4096 + 3)), (None, osc("/n_free", 2 << 26))]
    lines = [*host_lines(), *before, meanwhile, freed, after, *rest]
    assert matched(lines, events, slot=1).mismatch is None
    too_early = [*host_lines(), *before, (START_NS + 3000 * MS, freed[1]), meanwhile, after, *rest]
    assert matched(too_early, events, slot=1).mismatch is not None


def late_joiner() -> list[Line]:
    """Return the recording of slot 2 if it joined after slot 1's boot, which comes without timetags."""
    boot = [played(event) for event in log()[1:3]]
    return [*host_lines(), *((None, raw) for _, raw in boot), *map(played, log()[3:])]


def test_a_member_who_came_during_the_boots_is_told_of_them_bare() -> None:
    found = matched(late_joiner())
    assert (found.mismatch, found.missed) == (None, 1)
    assert score(found, log(), [1, 2])[-NOTES:] == score(matched(session()), log(), [1, 2])[-NOTES:]


@pytest.mark.parametrize("gone", [0, 1])
def test_a_late_joiner_who_was_not_told_all_does_not_match(gone: int) -> None:
    lines = late_joiner()
    del lines[len(host_lines()) + gone]
    assert matched(lines).mismatch is not None


@pytest.mark.parametrize("behind_a_reset", [False, True])
def test_what_others_built_before_a_member_had_its_synthdefs_it_may_build_later(behind_a_reset: bool) -> None:
    lines = [played(event) for event in log()]
    _, raw = lines.pop(1)
    built = (START_NS + 101_000_000 if behind_a_reset else None, raw)
    assert matched([*host_lines(), *lines[:3], built, *lines[3:]]).mismatch is None
    assert matched([*host_lines(), *lines]).mismatch is not None, "never built"
    assert matched([*host_lines(), *lines, (None, raw)], slot=1).mismatch is not None, "its own"
    alien = (built[0], raw.replace(b"/g_new", b"/p_new"))
    assert matched([*host_lines(), *lines[:3], alien, *lines[3:]]).mismatch is not None


def test_music_before_a_member_came_is_never_excused() -> None:
    events = log()
    lines = [*host_lines(), *(played(event) for event in events[7:])]
    lines[len(host_lines()) : len(host_lines())] = [
        (None, raw) for _, raw in (played(events[at]) for at in (1, 2, 4, 5))
    ]
    assert matched(lines, slot=3).mismatch is not None


def test_bare_creations_are_rendered_at_the_dues_of_the_log() -> None:
    times = [at_s for at_s, _ in score(matched(late_joiner()), log(), [1, 2])]
    assert times == sorted(times)
    assert times[-1] == pytest.approx((1000 + 5 * 125 - 100) / 1e3, abs=1e-6)


@pytest.mark.parametrize("extra", [{"dropped": 1}, {"meta": {"scsynth_port": 1}}, {"dir": "to"}])
def test_a_recording_with_holes_or_of_two_scsynths_proves_nothing(extra: dict[str, object]) -> None:
    found = match("bo", 2, recording(session(), extra), log(), [1, 2])
    assert found.mismatch is not None
    assert "expected 0, 0 and 1" in found.mismatch


def test_the_order_in_which_the_hosts_tree_was_built_does_not_matter_but_the_tree_does() -> None:
    room = [played(event) for event in log()]
    other: list[Line] = [
        *host_lines(())[:2],
        (None, osc("/g_new", 2 << 26, 0, 1)),
        (None, osc("/g_new", 1 << 26, 2, 2 << 26)),
        *(line for line in host_lines() if line[1].startswith(b"/s_new")),
    ]
    assert matched([*other, *room]).mismatch is None
    swapped = matched([*host_lines((2, 1)), *room]).mismatch
    assert swapped is not None
    assert "group 1 holds" in swapped
    assert matched([*host_lines((1,)), *room]).mismatch is not None
    louder = [
        (due, raw[:-4] + struct.pack(">f", 2.0)) if b"mixer" in raw else (due, raw) for due, raw in other
    ]
    found = matched([*louder, *room]).mismatch
    assert found is not None
    assert "strip of slot" in found


def fake_render(
    sounds: dict[str, str], levels: Sequence[float] = (-12.0, -20.0, -20.0)
) -> Callable[..., object]:
    def render(_score: object, wav: Path, _channels: int) -> tuple[str, list[float]]:
        return sounds.get(wav.name.split("-")[0], "0" * 64), list(levels)

    return render


def proof(lines: Sequence[Line] | None = None, render: Callable[..., object] | None = None) -> Proof:
    recordings = {"ada": recording(session()), "bo": recording(session() if lines is None else lines)}
    return prove(recordings, SLOTS, log(), render or fake_render({}), Path())


def test_equal_renders_with_stems_that_sound_are_a_proof() -> None:
    found = proof()
    assert (found.proved, found.sha256, found.troubles) == (True, "0" * 64, [])


def test_renders_that_differ_are_no_proof() -> None:
    found = proof(render=fake_render({"bo": "f" * 64}))
    assert (found.proved, found.sha256) == (False, None)
    assert "the renders differ" in found.troubles[0]


def test_a_silent_stem_is_no_proof_and_names_its_member() -> None:
    found = proof(render=fake_render({}, (-12.0, -20.0, -90.0)))
    assert found.troubles == ["bo's stem is silent in the render (-90 dBFS)"]


def test_a_recording_that_does_not_match_is_not_rendered() -> None:
    found = proof(session()[:-1])
    assert (found.proved, found.members["bo"].sha256) == (False, None)
    assert found.troubles[0].startswith("bo's recording: timed message")


def test_a_render_that_fails_is_no_proof() -> None:
    def render(*_: object) -> tuple[str, list[float]]:
        raise RenderError("no scsynth found")

    assert not proof(render=render).proved


def test_without_an_engine_the_sequence_alone_is_proved_and_without_events_nothing() -> None:
    recordings = {"ada": recording(session()), "bo": recording(session())}
    found = prove(recordings, SLOTS, log(), None, Path(), why_silent="no npm here")
    assert (found.proved, found.rendered, found.sha256) == (True, False, None)
    assert not prove(recordings, SLOTS, [], fake_render({}), Path()).proved


def test_a_default_made_explicit_by_a_name_of_another_type_is_altered() -> None:
    lines = session()
    where = note_at(lines, 0)
    due_ns, raw = lines[where]
    lines[where] = (due_ns, raw.replace(b",siiisfsfsf", b",siiisfsfSf"))
    assert "unexpected control" in (matched(lines).mismatch or "")


@given(st.data())
def test_no_single_changed_byte_of_a_note_goes_unseen(data: st.DataObject) -> None:
    lines = session()
    where = note_at(lines, data.draw(st.integers(0, NOTES - 1)))
    due_ns, raw = lines[where]
    position = data.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    lines[where] = (due_ns, bytes(changed))
    mismatch = matched(lines).mismatch
    # Where within its slot a bus lies is for the comparison of the members' bytes to see.
    in_bus = position >= len(raw) - 4
    assert mismatch is not None or in_bus


def test_the_canonical_tree_is_the_one_that_is_checked() -> None:
    raws = hosttree.canonical([3, 1])
    taps = [raw for raw in raws if raw.startswith(b"/s_new")][2:]
    host = [raw for raw in raws if raw not in taps and raw != osc("/g_new", 3, 1, 0)]
    hosttree.check(recording([(None, raw) for raw in host]).to_scsynth, [1, 3])
    assert len(taps) == 2
