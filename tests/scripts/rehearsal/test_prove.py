"""The proof against the relay's log, tested with synthetic recordings and logs that have one fault each."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rehearsal.proof import hosttree
from rehearsal.proof.logmatch import match
from rehearsal.proof.offline import RenderError
from rehearsal.proof.prove import Proof, prove
from rehearsal.proof.relaylog import RESET, RESET_SPARES, SILENCED, TIMED, LoggedEvent
from rehearsal.proof.same import difference
from rehearsal.rigs.osc import message as osc

from tests.worlds.relayed import (
    MS,
    NOTES,
    SLOTS,
    START_NS,
    Line,
    at,
    host_lines,
    log,
    matched,
    node,
    note,
    note_at,
    played,
    played_note,
    recording,
    session,
)


def test_a_recording_that_is_the_log_matches_whole() -> None:
    found = matched(session())
    assert (found.mismatch, found.covered, found.is_whole) == (None, 0, True)
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
    frees = (osc("/b_free", 2 * 4096 + 3), osc("/n_free", 2 << 26), osc("/n_free", 66))
    rest: list[Line] = [(None, raw) for raw in frees]
    lines = [*host_lines(), *before, meanwhile, freed, after, *rest]
    assert matched(lines, events, slot=1).mismatch is None
    too_early = [*host_lines(), *before, (START_NS + 3000 * MS, freed[1]), meanwhile, after, *rest]
    assert matched(too_early, events, slot=1).mismatch is not None


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
