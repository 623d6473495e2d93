"""A call that is too long for one event is split into several."""

import pytest
from laboratory.virtual.synthtree import SynthTree

from bridge.scsynth import split_calls as cutter
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import MAX_COUNT, remap
from bridge.scsynth.split_calls import apart
from relay.wire.errors import Refused
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.meaning import meaning_of
from relay.wire.osc import Arg, Message, encode, single_message

LONGEST = 200
OPTIONS = [part for number in range(40) for part in (f"option{number}", float(number))]
LONG_NOTE = single_message(encode("/s_new", "sonic-pi-beep", 20, 1, 8, *OPTIONS))


def message(address: str, *args: Arg) -> Message:
    return single_message(encode(address, *args))


def pieces(whole: Message, longest: int) -> list[Message]:
    return [piece.message for piece in cutter.pieces(meaning_of(whole), longest)]


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
        ("/g_freeAll", (), (9,), 0),
        ("/g_deepFree", (), (9,), 0),
        ("/n_run", (), (9, 0), 0),
        ("/n_setn", (20,), ("amplitude", 1, 1.0), 1),
        ("/n_map", (20,), ("amplitude", 7), 1),
        ("/n_mapn", (20,), ("amplitude", 7, 1), 1),
        ("/n_before", (), (9, 8), 0),
        ("/g_head", (), (0, 9), 0),
        ("/n_order", (1, 8), (9,), 2),
        ("/b_set", (3,), (7, 0.5), 1),
        ("/c_set", (), (7, 0.5), 0),
        ("/c_fill", (), (7, 2, 0.5), 0),
        ("/c_setn", (), (7, 3, 0.5, 0.25, 0.75), 0),
    ],
)
def test_what_repeats_is_cut_between_two_groups(
    address: str, head: tuple[Arg, ...], group: tuple[Arg, ...], head_again: int
) -> None:
    whole = message(address, *head, *group * 30)
    cut = pieces(whole, 128)
    assert len(cut) > 1
    assert max(len(piece.raw) for piece in cut) <= 128
    assert {piece.args[:head_again] for piece in cut} == {head}
    assert [part for piece in cut for part in piece.args[head_again:]] == list(group * 30)
    assert {len(piece.args[head_again:]) % len(group) for piece in cut} == {0}


@pytest.mark.parametrize(
    ("address", "group", "count"),
    [("/n_free", (9,), 13_000), ("/g_new", (9, 1, 8), 4_300), ("/n_run", (9, 0), 6_500)],
)
def test_as_many_nodes_as_a_datagram_holds_travel(address: str, group: tuple[Arg, ...], count: int) -> None:
    cut = pieces(message(address, *group * count), MAX_PAYLOAD_BYTES)
    assert [part for piece in cut for part in piece.args] == list(group * count)
    assert len(cut) < 130


def test_an_fx_with_the_longest_names_that_there_can_be_travels_whole() -> None:
    names = [f"{number:03}" + "n" * 252 for number in range(240)]
    options = [part for name in names for part in (name, 1.0)]
    cut = pieces(message("/s_new", "sonic-pi-fx_echo", 20, 1, 8, *options), MAX_PAYLOAD_BYTES)
    assert [part for piece in cut for part in piece.args if part in names] == names
    assert len(cut) < 130


def test_an_option_that_no_synthdef_can_have_is_left_out_and_nothing_else() -> None:
    options = ("mix", 0.5, "n" * 1200, 1.0, "amp", 0.25)
    for address, head in (("/s_new", ("sonic-pi-fx_echo", 20, 1, 8)), ("/n_set", (20,))):
        cut = pieces(message(address, *head, *options), MAX_PAYLOAD_BYTES)
        assert [(piece.address, piece.args) for piece in cut] == [(address, (*head, "mix", 0.5, "amp", 0.25))]


@pytest.mark.parametrize(("address", "head"), [("/b_setn", (3,)), ("/c_setn", ())])
@pytest.mark.parametrize("first", [5, 5.0])
def test_a_long_run_of_values_is_cut_within_and_each_goes_where_it_was_to_go(
    address: str, head: tuple[Arg, ...], first: Arg
) -> None:
    values = [float(number) for number in range(400)]
    cut = pieces(message(address, *head, first, 400, *values, 450, 2, -1.0, -2.0), MAX_PAYLOAD_BYTES)
    there: dict[int, Arg] = {}
    for piece in cut:
        assert piece.args[: len(head)] == head
        rest = list(piece.args[len(head) :])
        while rest:
            start, count = int(rest[0]), int(rest[1])
            there |= {start + index: value for index, value in enumerate(rest[2 : 2 + count])}
            del rest[: 2 + count]
    assert there == {5 + index: value for index, value in enumerate(values)} | {450: -1.0, 451: -2.0}


def ordered(nodes: list[int], action: int, moved: list[int]) -> list[int]:
    """Return a group's nodes after /n_order moved some of them to its head (action 0) or tail."""
    nodes = [node for node in nodes if node not in moved]
    return [*moved, *nodes] if action == 0 else [*nodes, *moved]


@pytest.mark.parametrize("action", [0, 1])
def test_many_nodes_stand_in_the_order_that_was_asked_for(action: int) -> None:
    moved, nodes = list(range(100, 160)), list(range(90, 170))
    cut = pieces(message("/n_order", action, 0, *moved), 128)
    assert len(cut) > 2
    expected = ordered(nodes, action, moved)
    for piece in cut:
        nodes = ordered(nodes, action, [int(node) for node in piece.args[2:]])
    assert nodes == expected


@pytest.mark.parametrize(
    "whole",
    [
        message("/b_allocRead", 1, "samples/" + "x" * 300, 0, 0),
        message("/b_gen", 1, "sine1", 7, *[0.5] * 61),
        message("/b_setn", 1, 2**31 - 1, 61, *[0.5] * 61),  # no buffer is that long
        message("/no_such_command", *["x"] * 100),
    ],
    ids=lambda whole: whole.address,
)
def test_what_has_no_place_to_be_cut_at_gives_nothing(whole: Message) -> None:
    assert pieces(whole, LONGEST) == []


@pytest.mark.parametrize(
    "whole",
    [
        message("/s_new", "sonic-pi-beep", 20, 1, 8, *["option", 1.0] * 20, "last"),
        message("/s_new", "sonic-pi-beep", 20, 1, 8, "amp", "c" * 300),
        message("/c_setn", 1, -1, *[0.5] * 61),
        message("/c_setn", 1, 62, *[0.5] * 61),
        message("/c_setn", 1, 61.5, *[0.5] * 61),
        message("/n_setn", 1, "amp", 61, *[0.5] * 61),
        message("/n_run", *[20, 0] * 60, 20),
        message("/n_set", "n" * 300, "amp", 1.0),
        message("/s_new", "n" * 300),
    ],
    ids=lambda whole: f"{whole.address}-{len(whole.raw)}",
)
def test_cutting_lets_nothing_through_that_is_refused_whole(whole: Message) -> None:
    try:
        cut = pieces(whole, LONGEST)
    except Refused:
        return
    assert cut == []
    with pytest.raises(Refused):
        remap(whole, Origin(1), at_home=True)


def test_cutting_makes_no_count_small_enough() -> None:
    values = [0.5] * (MAX_COUNT + 1)
    assert pieces(message("/b_setn", 1, 0, MAX_COUNT, *values[1:]), MAX_PAYLOAD_BYTES)
    whole = message("/b_setn", 1, 0, MAX_COUNT + 1, *values)
    assert pieces(whole, MAX_PAYLOAD_BYTES) == []
    with pytest.raises(Refused):
        remap(whole, Origin(1), at_home=True)


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("/n_free", (9,)),
        ("/n_run", (9, 0)),
        ("/g_new", (9, 1, 8)),
        ("/p_new", (9, 1, 8)),
        ("/g_freeAll", (9,)),
        ("/g_deepFree", (9,)),
        ("/g_head", (8, 9)),
        ("/g_tail", (8, 9)),
        ("/n_before", (9, 8)),
        ("/n_after", (9, 8)),
    ],
)
def test_a_message_about_several_nodes_is_one_for_each(address: str, group: tuple[int, ...]) -> None:
    nodes = [tuple(10 * index + number for number in group) for index in range(3)]
    whole = encode(address, *(number for one in nodes for number in one))
    assert apart(whole) == [[encode(address, *one) for one in nodes]]
    assert apart(encode(address, *group)) == [[encode(address, *group)]]


@pytest.mark.parametrize(
    "whole",
    [
        encode("/s_new", "sonic-pi-beep", 20, 1, 8, "amp", 1.0),
        encode("/n_set", 20, "amp", 1.0, "note", 60.0),
        encode("/n_order", 1, 0, 20, 21, 22),
        encode("/c_set", 1, 0.5, 2, 0.5),
    ],
    ids=lambda whole: whole[:6].decode(),
)
def test_any_other_message_is_left_whole(whole: bytes) -> None:
    assert apart(whole) == [[whole]]


def test_a_node_that_is_not_there_keeps_none_behind_it_from_being_freed() -> None:
    tree = SynthTree()
    for made in ("/g_new", 10, 1, 0), ("/g_new", 11, 1, 0):
        tree.execute(message(*made))
    whole = encode("/n_free", 10, 99, 11)
    assert [tree.execute(single_message(one)) for one in apart(whole)[0]] == [True, False, True]
    assert not tree.slot(0).children
