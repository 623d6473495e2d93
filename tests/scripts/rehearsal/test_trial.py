"""Trials of programs: differences between plain Sonic Pi and a jam, on made-up notes and streams."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import soundfile
from rehearsal.proof.stream import Said, pair_up
from rehearsal.rigs import cues, sound
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import RecordedMessage, timetag_at
from rehearsal.tryout.trial import (
    HandedSummary,
    Levels,
    Note,
    NoteDifference,
    Trial,
    compare_notes,
    error_lines,
    handed_of,
    notes_of,
    risen,
)

MS = 1_000_000
START_NS = 1_795_000_000_000_000_000


def said(index: int, at_ms: float, due_ms: float | None, *content: str | int | float) -> Said:
    due = None if due_ms is None else timetag_at(START_NS + round(due_ms * MS))
    raw = osc(str(content[0]), *content[1:])
    at_ns = START_NS + round(at_ms * MS)
    message = RecordedMessage(at_ns, due, str(content[0]), raw, tuple(content[1:]), index, (at_ns, at_ns))
    return Said(message, tuple(content))


def beep(index: int, due_ms: float, note: float, node: int = 0) -> Said:
    name = "sonic-pi-beep"
    return said(index, due_ms - 500, due_ms, "/s_new", name, node or 100 + index, 1, 8, "note", note)


def notes(*stream: Said) -> list[Note]:
    return notes_of(stream, START_NS - 10**9, START_NS + 10**12)


HANDED = HandedSummary(3, 2, {}, {}, {}, 0, 0.0, 0)
LOUD = Levels(-20.0, (-20.0, -21.0))
TRIAL = Trial(
    program="some.rb",
    lines=3,
    seconds=8.0,
    sent=NoteDifference(2, 2, {}, {}),
    home=HANDED,
    elsewhere=HANDED,
    levels={"plain": LOUD, "home": LOUD, "elsewhere": LOUD},
    left_over={"plain": (), "home": (), "elsewhere": ()},
    uncompleted={"plain": 0, "jam": 0},
    errors={"plain": Counter(), "jam": Counter()},
    seconds_behind={},
    late={},
)


def test_a_program_that_sounds_as_in_plain_is_the_same() -> None:
    assert (TRIAL.verdict, TRIAL.faults) == ("same", [])


@pytest.mark.parametrize(
    "other",
    [
        {"sent": NoteDifference(2, 1, {"beep": 1}, {})},
        {"home": replace(HANDED, lacking={"mybeep": 2})},
        {"elsewhere": replace(HANDED, extra={"beep": 1})},
        {"elsewhere": replace(HANDED, out_of_order=1)},
        {"levels": {"plain": LOUD, "home": LOUD, "elsewhere": Levels(-22.0, (-20.0, -21.0))}},
        {"levels": {"plain": LOUD, "home": LOUD, "elsewhere": Levels(-20.0, (-20.0, -60.0))}},
        {"left_over": {"plain": (), "home": (), "elsewhere": ("9:group",)}},
        {"errors": {"plain": Counter(), "jam": Counter({"no buses": 1})}},
    ],
    ids=["sent", "home", "extra", "order", "level", "window", "left over", "error"],
)
def test_each_difference_alone_makes_a_program_different_unless_it_is_counted(
    other: dict[str, object],
) -> None:
    trial = replace(TRIAL, **other)
    assert (trial.verdict, len(trial.faults)) == ("DIFFERENT", len(trial.faults) or 1)
    assert replace(trial, counted={"anna refused": 2}).verdict == "counted"
    assert replace(trial, told=("something",)).verdict == "told"


def test_that_notes_were_moved_is_no_reason_for_notes_that_are_not_played() -> None:
    trial = replace(TRIAL, elsewhere=replace(HANDED, lacking={"fx_sound_out": 1}), counted={"anna moved": 9})
    assert trial.verdict == "DIFFERENT"


def test_what_is_left_over_in_plain_too_is_no_difference() -> None:
    left = ("9:group",)
    assert replace(TRIAL, left_over={"plain": left, "home": left, "elsewhere": left}).verdict == "same"


def test_what_an_uncompleted_run_leaves_over_is_sonic_pis_own() -> None:
    left = {"plain": (), "home": ("9:group", "8:basic_mixer"), "elsewhere": ("9:group", "8:basic_mixer")}
    assert replace(TRIAL, left_over=left).verdict == "DIFFERENT"
    assert replace(TRIAL, left_over=left, uncompleted={"plain": 0, "jam": 1}).verdict == "same"
    more = {name: (*nodes, "10:group") for name, nodes in left.items()}
    assert replace(TRIAL, left_over=more, uncompleted={"plain": 0, "jam": 1}).verdict == "DIFFERENT"


def test_a_program_without_a_note_or_a_sound_in_plain_proves_nothing() -> None:
    quiet = Levels(-120.0, ())
    trial = replace(
        TRIAL,
        sent=NoteDifference(0, 0, {}, {}),
        levels={"plain": quiet, "home": quiet, "elsewhere": quiet},
    )
    assert trial.verdict == "silent"


def test_notes_are_compared_by_what_they_sound_like_and_when() -> None:
    plain = notes(beep(0, 1000, 60.0), beep(1, 1250, 62.0), beep(2, 1500, 60.0), beep(3, 1750, 60.0))
    # Another run: other nodes, begun later; a wrong pitch, one 4 ms late.
    jam = notes(
        beep(0, 3000, 60.0, 7), beep(1, 3250, 61.0, 8), beep(2, 3504, 60.0, 9), beep(3, 3750, 60.0, 10)
    )
    found = compare_notes(plain, jam, 10**10)
    assert (found.plain, found.jam) == (4, 4)
    assert dict(found.lacking) == {"beep": 2} == dict(found.extra)
    assert compare_notes(plain, jam, 10**10, same_ns=5 * MS).lacking == {"beep": 1}
    assert compare_notes(plain, jam, 200 * MS).same


def test_notes_on_different_samples_differ() -> None:
    def played(path: str) -> list[Note]:
        load = said(0, 0, None, "/b_allocRead", 5, path, 0, 0)
        note = said(1, 600, 1100, "/s_new", "sonic-pi-stereo_player", 9, 1, 8, "buf", 5.0)
        return notes(load, note)

    assert played("/a/kick.wav")[0].name == "stereo_player kick.wav"
    assert compare_notes(played("/a/kick.wav"), played("/b/kick.wav"), 10**10).same
    assert not compare_notes(played("/a/kick.wav"), played("/a/snare.wav"), 10**10).same


def test_what_a_scsynth_was_not_handed_is_named_and_so_is_what_stands_for_it() -> None:
    front = [
        said(0, 0, None, "/s_new", "sonic-pi-fx_sound_out", 9, 1, 8, "in_bus", 36.0),
        beep(1, 500, 60.0),
        said(2, 100, None, "/b_allocRead", 5, "/mine/kick.wav", 0, 0),
    ]
    out = [said(0, 0, None, "/s_new", "sonic-pi-fx_level", 9, 1, 8, "in_bus", 36.0), front[1]]
    found = handed_of(pair_up(front, out))
    assert (found.messages, found.notes) == (1, 1)
    assert dict(found.lacking) == {"load of kick.wav": 1}
    assert dict(found.stands_in) == {"fx_level for fx_sound_out": 1}
    assert dict(found.extra) == {}


def test_what_is_moved_is_counted() -> None:
    front = [beep(0, 500, 60.0), beep(1, 600, 62.0)]
    found = handed_of(pair_up(front, [beep(0, 540, 60.0), front[1]]))
    assert (found.moved, found.moved_ms_max) == (1, 40.0)
    assert handed_of(pair_up(front, [beep(0, 540, 60.0), front[1]]), shift_ns=40 * MS).moved == 0


def test_what_keeps_its_time_must_keep_its_order() -> None:
    chord = [beep(0, 500, 60.0, node=7), beep(1, 500, 62.0, node=8)]
    other_way_round = [beep(1, 500, 60.0, node=7), beep(0, 500, 62.0, node=8)]
    assert handed_of(pair_up(chord, chord)).out_of_order == 0
    assert handed_of(pair_up(chord, other_way_round)).out_of_order == 1


def test_errors_are_told_apart_by_their_words_not_by_their_runs() -> None:
    lines = [
        "/error 3 Runtime Error: [buffer 0, line 5] - ZeroDivisionError\nThread death! backtrace",
        "/error 9 Runtime Error: [buffer 0, line 7] - ZeroDivisionError\nThread death! backtrace",
        "/log/info 1 hello",
    ]
    assert list(error_lines(lines).values()) == [2]


def test_figures_that_rose_are_named_in_tables_too() -> None:
    before = {"refused": 2, "events": 5, "why": {"range": 1}}
    after = {"refused": 3, "events": 9, "why": {"range": 1, "too-long": 2}}
    assert risen(before, after, ["refused", "why"]) == {"refused": 1, "why (too-long)": 2}


def test_traffic_that_rises_explains_nothing() -> None:
    before = {"counts": {"udp_received": 1, "tap_malformed": 0}}
    after = {"counts": {"udp_received": 9, "tap_malformed": 1, "down_expected": 4, "down_lost": 1}}
    assert risen(before, after, ["counts"]) == {"counts (tap_malformed)": 1}


def test_levels_are_of_windows_and_add_the_pairs_of_channels(tmp_path: Path) -> None:
    loud, quiet = numpy.full((48_000, 2), 0.5), numpy.zeros((48_000, 2))
    one, other = tmp_path / "1.wav", tmp_path / "3.wav"
    soundfile.write(one, numpy.vstack([loud, quiet]), 48_000)
    soundfile.write(other, numpy.vstack([quiet, loud]), 48_000)
    levels = sound.window_levels_dbfs
    assert levels([(one, 0.0)], 1.0, 3) == pytest.approx([-6.02, -120.0, -120.0], abs=0.01)
    assert levels([(one, 0.0), (other, 0.0)], 1.0, 2) == pytest.approx([-6.02, -6.02], abs=0.01)
    assert levels([(one, 0.0), (other, 1.0)], 1.0, 1) == pytest.approx([-3.01], abs=0.01)
    assert levels([(one, 0.5)], 1.0, 1) == pytest.approx([-9.03], abs=0.01)
    assert levels([(one, -0.5)], 1.0, 1) == pytest.approx([-9.03], abs=0.01)


def test_cues_are_read_by_their_time_with_numbers_as_numbers() -> None:
    found = cues.parse(["# fader", "", "1.5 /osc/fader 0.5 up", "0.5 /midi:keys:0:1/note_on 60 100"])
    assert [(cue.at_s, cue.address, cue.arguments) for cue in found] == [
        (0.5, "/midi:keys:0:1/note_on", (60, 100)),
        (1.5, "/osc/fader", (0.5, "up")),
    ]
    with pytest.raises(ValueError, match="line 1"):
        cues.parse(["soon /osc/fader"])
