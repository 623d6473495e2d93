"""The generator of notes: its schedule depends on seed and member alone; its notes are valid and distinct."""

from laboratory.runs.generator import boot, node_of, schedule

from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.wire.osc import encode, single_message, walk

HOW = {"events_per_s": 20.0, "seconds": 5.0, "ahead_ms": 500.0}


def test_the_same_arguments_give_the_same_notes_and_another_seed_or_member_others() -> None:
    notes = schedule(seed=1, member=0, **HOW)
    assert notes == schedule(seed=1, member=0, **HOW)
    instants = [note.at_s for note in notes]
    assert instants != [note.at_s for note in schedule(seed=2, member=0, **HOW)]
    assert instants != [note.at_s for note in schedule(seed=1, member=1, **HOW)]


def test_there_is_one_note_in_every_interval_each_with_an_id_of_its_own() -> None:
    for member in range(20):
        notes = schedule(seed=3, member=member, **HOW)
        assert [int(note.at_s * 20.0) for note in notes] == list(range(100))
        assert len({note.node for note in notes}) == 100


def test_a_note_is_a_valid_bundle_with_its_timetag_ahead() -> None:
    start = 1 << 63
    for note in schedule(seed=1, member=2, **HOW):
        ((timetag, message),) = walk(note.datagram(start))
        assert timetag is not None
        assert abs((timetag - start) / 2**32 - note.at_s - 0.5) < 1e-9
        assert message.arg(1) == note.node


def test_a_note_is_known_by_its_node_remapped_or_not_and_nothing_else_is_a_note() -> None:
    note = schedule(seed=1, member=0, **HOW)[7]
    assert node_of(note.message) == note.node
    assert node_of(remap(single_message(note.message), Origin(5))) == 5 << 26 | note.node
    assert node_of(encode("/s_new", "sonic-pi-saw", 1, 0, 0)) is None
    assert node_of(encode("/n_free", 1)) is None
    assert node_of(b"") is None
    assert all(node_of(message) is None for _, message in boot())


def test_the_boot_builds_what_the_notes_need_with_a_master_mixer_and_a_runs() -> None:
    messages = [single_message(message) for _, message in boot("/somewhere")]
    assert messages[0].args == ("/somewhere",)
    assert [m.arg(0) for m in messages if m.address == "/s_new"] == ["sonic-pi-mixer", "sonic-pi-basic_mixer"]
    groups = {message.arg(0) for message in messages if message.address == "/g_new"}
    note = schedule(seed=1, member=0, **HOW)[0]
    assert single_message(note.message).arg(3) in groups
