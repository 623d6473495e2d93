"""The meaning of a message: its kind, and the nodes and buffers that it makes, names or needs."""

import pytest

from relay.wire import osc
from relay.wire.commands import Act
from relay.wire.errors import MalformedOsc, Refused
from relay.wire.meaning import NOTHING, Meaning
from relay.wire.osc import encode


def meaning(address: str, *args: osc.Arg) -> Meaning:
    return Meaning(encode(address, *args))


def test_created_nodes_are_named_with_action_and_target() -> None:
    assert meaning("/s_new", "sonic-pi-beep", 9, 1, 8, "note", 60).creates == ((9, 1, 8),)
    assert meaning("/g_new", 9, 1, 8, 10.0, 0, 9).creates == ((9, 1, 8), (10, 0, 9))
    assert meaning("/n_free", 9).creates == ()
    with pytest.raises(Refused):
        _ = meaning("/g_new", 9, 1).creates


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
    assert meaning(address, *args).names == nodes


def test_the_buffers_of_a_note_are_named_the_last_given_counting() -> None:
    note = meaning("/s_new", "x", 9, 0, 0, "buf", 3.0, "amp", 1.0, "rand_buf", 1, "buf", 4.0)
    assert note.needs == (4, 1)
    assert meaning("/b_free", 5).needs == ()


def test_the_synthdef_of_anything_but_a_note_is_refused() -> None:
    assert meaning("/s_new", "sonic-pi-beep", 9, 0, 0).synthdef == "sonic-pi-beep"
    with pytest.raises(Refused):
        _ = meaning("/n_free", 9).synthdef


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (encode("/s_new", "sonic-pi-beep", 9, 0, 4), True),
        (encode("/s_new", "sonic-pi-stereo_player", 9, 0, 4), True),
        (encode("/s_new", "sonic-pi-fx_echo", 9, 0, 4), False),
        (encode("/s_new", "sonic-pi-basic_mixer", 9, 0, 4), False),
        (encode("/s_new", "sonic-pi-mixer", 9, 0, 4), False),
        (encode("/n_free", 9), False),
        (b"", False),
    ],
)
def test_a_note_is_a_synth_that_nothing_depends_on(payload: bytes, expected: bool) -> None:
    assert Meaning(payload).is_note is expected


def test_buffers_that_are_loaded_freed_or_made_empty_are_told() -> None:
    assert meaning("/b_allocRead", 3, "samples/x.flac", 0, 0).loads == 3
    assert meaning("/b_alloc", 4, 1024, 2).loads == 4
    assert meaning("/b_alloc", 4, 1024, 2).samples == 2048
    assert meaning("/b_free", 5).unloads == 5
    assert meaning("/b_free", 5).loads is meaning("/b_alloc", 4, 1024, 2).unloads is None


def test_an_event_without_a_message_means_nothing() -> None:
    assert (NOTHING.act, NOTHING.creates, NOTHING.names, NOTHING.needs) == (Act.OTHER, (), (), ())
    assert not NOTHING.is_note


def test_what_can_not_be_read_is_known_by_its_first_bytes_and_refused_where_more_is_asked() -> None:
    note = encode("/s_new", "sonic-pi-beep", 9, 0, 4)[:-4]
    assert Meaning(note).is_note
    with pytest.raises(MalformedOsc):
        _ = Meaning(note).creates


def test_a_message_is_walked_once_whatever_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[bytes] = []

    def walk(payload: bytes) -> osc.Message:
        walked.append(payload)
        return osc.single_message(payload)

    monkeypatch.setattr("relay.wire.meaning.single_message", walk)
    note = meaning("/s_new", "sonic-pi-stereo_player", 9, 0, 4, "buf", 3.0)
    assert note.is_note
    assert walked == []
    for _ in range(2):
        assert (note.synthdef, note.creates, note.needs) == ("sonic-pi-stereo_player", ((9, 0, 4),), (3,))
    assert walked == [note.payload]
