"""Arguments: what a message names, in the sender's own numbers."""

import pytest

from bridge.scsynth.arguments import buffer_numbers, created_nodes, referenced_nodes, synthdef_name
from relay.wire import osc
from relay.wire.errors import Refused


def message(address: str, *args: osc.Arg) -> osc.Message:
    return osc.walk(osc.encode(address, *args))[0][1]


def test_created_nodes_are_named_with_action_and_target() -> None:
    assert created_nodes(message("/s_new", "sonic-pi-beep", 9, 1, 8, "note", 60)) == ((9, 1, 8),)
    assert created_nodes(message("/g_new", 9, 1, 8, 10.0, 0, 9)) == ((9, 1, 8), (10, 0, 9))
    assert created_nodes(message("/n_free", 9)) == ()
    with pytest.raises(Refused):
        created_nodes(message("/g_new", 9, 1))


@pytest.mark.parametrize(
    ("address", "args", "nodes"),
    [
        ("/n_set", (9, "amp", 1.0), (9,)),
        ("/n_free", (9, 10.0), (9, 10)),
        ("/n_run", (9, 0, 10, 1), (9, 10)),
        ("/n_order", (1, 8, 9, 10), (8, 9, 10)),
        ("/g_head", (8, 9), (8, 9)),
        ("/n_map", (9, "amp", 3), (9,)),
        ("/g_freeAll", (0,), (0,)),
        ("/b_free", (3,), ()),
        ("/s_new", ("sonic-pi-beep", 9, 1, 8), ()),
        ("/made_up", (3,), ()),
    ],
)
def test_referenced_nodes_are_named_with_their_targets(
    address: str, args: tuple[osc.Arg, ...], nodes: tuple[int, ...]
) -> None:
    assert referenced_nodes(message(address, *args)) == nodes


def test_the_buffers_of_a_note_are_named_the_last_given_counting() -> None:
    note = message("/s_new", "x", 9, 0, 0, "buf", 3.0, "amp", 1.0, "rand_buf", 1, "buf", 4.0)
    assert buffer_numbers(note) == (4, 1)
    assert buffer_numbers(message("/n_set", 9, "buf", 5)) == (5,)
    assert buffer_numbers(message("/b_free", 5)) == ()


def test_the_synthdef_of_anything_but_a_note_is_refused() -> None:
    assert synthdef_name(message("/s_new", "sonic-pi-beep", 9, 0, 0)) == "sonic-pi-beep"
    with pytest.raises(Refused):
        synthdef_name(message("/n_free", 9))
