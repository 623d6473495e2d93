"""A call too long for one event, in pieces."""

import pytest

from bridge.pieces import PIECES_MAX, pieces
from relay.wire.osc import Arg, Message, encode, single_message

LONGEST = 200
OPTIONS = [part for number in range(40) for part in (f"option{number}", float(number))]
LONG_NOTE = single_message(encode("/s_new", "sonic-pi-beep", 20, 1, 8, *OPTIONS))


def message(address: str, *args: Arg) -> Message:
    return single_message(encode(address, *args))


def test_what_fits_is_left_as_it_is() -> None:
    note = message("/s_new", "sonic-pi-beep", 20, 1, 8, "amp", 1.0)
    assert pieces(note, len(note.raw)) == [note]
    assert pieces(note, len(note.raw) - 4) != [note]


def test_a_long_note_becomes_a_note_and_settings_of_it_with_all_options_in_order() -> None:
    first, *others = pieces(LONG_NOTE, LONGEST)
    assert first.args[:4] == LONG_NOTE.args[:4]
    assert {(other.address, other.args[0]) for other in others} == {("/n_set", 20)}
    given = first.args[4:] + tuple(part for other in others for part in other.args[1:])
    assert given == LONG_NOTE.args[4:]
    assert all(len(piece.raw) <= LONGEST for piece in (first, *others))


def test_its_buses_and_buffers_are_in_the_first_piece_wherever_they_stood() -> None:
    ids = ("buf", 3.0, "out_bus", 40.0)
    note = message("/s_new", "sonic-pi-stereo_player", 20, 1, 8, *OPTIONS, *ids, "buf", 4.0)
    first, *others = pieces(note, LONGEST)
    assert first.args[4:10] == (*ids[:4], "buf", 4.0)
    given = first.args[10:] + tuple(part for other in others for part in other.args[1:])
    assert given == note.args[4 : 4 + len(OPTIONS)]


@pytest.mark.parametrize(
    ("address", "head", "group", "head_again"),
    [
        ("/n_set", (20,), ("amplitude", 1.0), 1),
        ("/g_new", (), (9, 1, 8), 0),
        ("/n_free", (), (9,), 0),
        ("/n_order", (0, 8), (9,), 2),
    ],
)
def test_what_repeats_is_cut_between_two_groups(
    address: str, head: tuple[Arg, ...], group: tuple[Arg, ...], head_again: int
) -> None:
    cut = pieces(message(address, *head, *group * 30), 128)
    assert 1 < len(cut) <= PIECES_MAX
    assert {piece.args[:head_again] for piece in cut} == {head}
    assert [part for piece in cut for part in piece.args[head_again:]] == list(group * 30)
    assert {len(piece.args[head_again:]) % len(group) for piece in cut} == {0}


@pytest.mark.parametrize(
    "whole",
    [
        message("/b_setn", 1, 0, 61, *[0.5] * 61),
        message("/b_allocRead", 1, "samples/" + "x" * 300, 0, 0),
        message("/s_new", "sonic-pi-beep", 20, 1, 8, "x" * 300, 1.0),
        message("/s_new", "sonic-pi-beep", 20, 1, 8, *["option", 1.0] * 200),
        message("/s_new", "sonic-pi-beep", 20, 1, 8, *["option", 1.0] * 20, "last"),
        message("/no_such_command", *["x"] * 100),
    ],
    ids=lambda whole: f"{whole.address}-{len(whole.raw)}",
)
def test_what_cannot_be_cut_gives_nothing(whole: Message) -> None:
    assert pieces(whole, LONGEST) == []
