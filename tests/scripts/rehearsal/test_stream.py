"""Pairing of Sonic Pi's messages with those that scsynth got, tested with synthetic faulty streams."""

import json
import struct
from dataclasses import replace

import pytest
from rehearsal.proof import stream
from rehearsal.proof.stream import HOME_BASE, Pairing, Said
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import Recording, parse, timetag_at
from rehearsal.rigs.tree import Node
from rehearsal.rigs.tree import parse as parse_tree

from tests.worlds import streams

START_NS = 1_795_000_000_000_000_000
MS = 1_000_000
LEAD_MS = 150
SLOT = 3
ROOT = SLOT << 26
BUS = 128 + 1120 * SLOT

# (arrival ms, timetag ms or None, message)
Line = tuple[float, float | None, bytes]


def recorded(lines: list[Line], hop_ms: float = 0.0) -> Recording:
    def text(line: Line) -> str:
        arrived_ms, due_ms, raw = line
        arrived_ns = START_NS + round(arrived_ms * MS)
        if due_ms is not None:
            tag = timetag_at(START_NS + round(due_ms * MS))
            raw = b"#bundle\0" + struct.pack(">Qi", tag, len(raw)) + raw
        passed_ns = arrived_ns + round(hop_ms * MS)
        return json.dumps(
            {"t_ns": arrived_ns, "dir": "to", "hex": raw.hex(), "passed_ns": [passed_ns, passed_ns]}
        )

    return parse(map(text, lines))


FRONT: list[Line] = [
    (0.0, None, osc("/clearSched")),
    (1.0, None, osc("/g_new", 8, 1, 4)),
    (2.0, None, osc("/b_allocRead", 2, "/samples/bd_haus.flac", 0, 0)),
    (3.0, 503.0, osc("/s_new", "sonic-pi-beep", 9, 1, 8, "note", 60.0, "out_bus", 34.0)),
    (3.2, 503.0, osc("/s_new", "sonic-pi-stereo_player", 10, 1, 8, "buf", 2.0)),
    (10.0, 8.5, osc("/n_set", 9, "note", 55.0)),
    (12.0, 112.0, osc("/n_set", 9, "note", 62.0)),
    (900.0, None, osc("/n_free", 8)),
]
OUT: list[Line] = [
    (0.0, None, osc("/g_new", 1, 0, 0)),
    (0.0, None, osc("/g_new", ROOT, 0, 1)),
    (1.0, 150.0, osc("/g_freeAll", ROOT)),
    (1.2, 151.0, osc("/g_new", ROOT | 8, 1, ROOT | 4)),
    (2.2, None, osc("/b_allocRead", 4096 * SLOT + 2, "/samples/bd_haus.flac", 0, 0)),
    (100.0, 160.0, osc("/n_set", ROOT | 9, "note", 55.0)),
    (102.0, 162.0, osc("/n_set", ROOT | 9, "note", 62.0)),
    (
        443.0,
        503.0,
        osc("/s_new", "sonic-pi-beep", ROOT | 9, 1, ROOT | 8, "note", 60.0, "out_bus", BUS + 64.0 + 2),
    ),
    (
        443.1,
        503.0,
        osc(
            *("/s_new", "sonic-pi-stereo_player", ROOT | 10, 1, ROOT | 8),
            *("buf", 4096.0 * SLOT + 2, "out_bus", float(BUS)),
        ),
    ),
    (990.0, 1050.0, osc("/n_free", ROOT | 8)),
]


def paired(front: list[Line] = FRONT, out: list[Line] = OUT) -> Pairing:
    return stream.pair_up(stream.read_plain(recorded(front)), stream.read_slot(recorded(out), SLOT))


def without(lines: list[Line], at: int) -> list[Line]:
    return lines[:at] + lines[at + 1 :]


def with_message(lines: list[Line], at: int, raw: bytes) -> list[Line]:
    return [*lines[:at], (*lines[at][:2], raw), *lines[at + 1 :]]


def test_a_stream_and_its_remapped_copy_pair_without_a_rest() -> None:
    pairing = paired()
    assert (pairing.front_only, pairing.out_only) == ((), ())
    assert [pair.front.message.index for pair in pairing.pairs] == list(range(len(FRONT)))


def test_moved_is_counted_from_the_timetag_and_for_bare_messages_from_their_coming() -> None:
    moved = {str(pair.front): pair.moved_ns for pair in paired().pairs if not pair.is_load}
    assert moved["/s_new beep 9 1 8"] == 0
    assert moved["/g_new 8 1 4"] == LEAD_MS * MS
    assert moved["/n_set 9 note 55.0"] == pytest.approx(151.5 * MS, abs=1)
    assert moved["/n_set 9 note 62.0"] == 50 * MS


def test_the_recorders_own_delay_does_not_count() -> None:
    (said, *_) = stream.read_plain(recorded([(1.0, None, osc("/g_new", 8, 1, 4))], hop_ms=7.0))
    assert said.came_ns - said.message.t_ns == 7 * MS
    assert said.stated_ns == said.came_ns


@pytest.mark.parametrize(
    ("out", "lacking", "extra"),
    [
        (without(OUT, 5), 1, 0),
        ([*OUT, OUT[8]], 0, 1),
        (with_message(OUT, 3, osc("/g_new", ROOT | 8, 0, ROOT | 4)), 1, 1),
        (with_message(OUT, 3, osc("/g_new", (4 << 26) | 8, 1, (4 << 26) | 4)), 1, 0),
        (with_message(OUT, 7, osc("/s_new", "sonic-pi-beep", ROOT | 9, 1, ROOT | 8, "note", 61.0)), 1, 1),
        (
            with_message(
                OUT,
                7,
                osc(
                    *("/s_new", "sonic-pi-beep", ROOT | 9, 1, ROOT | 8, "note", 60.0),
                    *("out_bus", BUS + 64.0 + 2, "amp", 0.5),
                ),
            ),
            1,
            1,
        ),
    ],
    ids=["lost", "doubled", "other add action", "other slot", "other note", "control added"],
)
def test_a_faulty_copy_leaves_a_rest(out: list[Line], lacking: int, extra: int) -> None:
    pairing = paired(out=out)
    assert (len(pairing.front_only), len(pairing.out_only)) == (lacking, extra)


OPTIONS = [part for number in range(70) for part in (f"option_{number}", float(number))]
LONG: list[Line] = [(3.0, 503.0, osc("/s_new", "sonic-pi-beep", 9, 1, 8, *OPTIONS, "out_bus", 34.0))]
PIECES: list[Line] = [
    (
        443.0,
        503.0,
        osc("/s_new", "sonic-pi-beep", ROOT | 9, 1, ROOT | 8, "out_bus", BUS + 66.0, *OPTIONS[:120]),
    ),
    (443.0, 503.0, osc("/n_set", ROOT | 9, *OPTIONS[120:])),
]


@pytest.mark.parametrize(
    ("out", "rest"),
    [
        (PIECES, 0),
        (without(PIECES, 1), 2),
        (with_message(PIECES, 1, osc("/n_set", ROOT | 9, *OPTIONS[122:])), 2),
        (with_message(PIECES, 1, osc("/n_set", ROOT | 9, *OPTIONS[120:-1], 0.5)), 2),
        ([PIECES[0], (443.0, 504.0, PIECES[1][2])], 3),
    ],
    ids=["whole", "half", "less", "other", "later"],
)
def test_a_long_call_in_pieces_of_one_instant_is_what_was_sent(out: list[Line], rest: int) -> None:
    pairing = paired(LONG, out)
    assert len(pairing.front_only) + len(pairing.out_only) == rest


@pytest.mark.parametrize(
    ("sent", "handed", "pairs"),
    [
        (1.0, BUS + 1.0, 1),
        (2.0, BUS + 2.0, 1),
        (3.0, BUS + 1.0, 1),
        (3.0, 3.0, 1),
        (3.0, 4.0, 0),
        (1.0, 1.0, 1),
    ],
)
def test_an_output_is_the_one_that_was_sent_or_a_private_one(sent: float, handed: float, pairs: int) -> None:
    front: list[Line] = [(3.0, 503.0, osc("/s_new", "sonic-pi-fx_sound_out", 9, 1, 8, "output", sent))]
    out: list[Line] = [
        (9.0, 503.0, osc("/s_new", "sonic-pi-fx_sound_out", ROOT | 9, 1, ROOT | 8, "output", handed))
    ]
    assert len(paired(front, out).pairs) == pairs


def test_nodes_that_only_their_own_host_has_are_found_in_slot_0() -> None:
    live = osc("/s_new", "sonic-pi-live_audio", HOME_BASE | 9, 1, ROOT | 8, "input", 1.0)
    (said,) = stream.read_slot(recorded([(0.0, 1.0, live)]), SLOT)
    assert said.content[:5] == ("/s_new", "sonic-pi-live_audio", 9, 1, 8)


def test_the_strips_and_root_groups_of_the_host_are_left_out() -> None:
    strip = osc("/s_new", "sonic-pi-basic_mixer", 64 + SLOT, 0, 2, "in_bus", float(BUS), "out_bus", 0.0)
    assert stream.read_slot(recorded([*OUT[:2], (0.0, None, strip)]), SLOT) == []


def test_a_swap_in_scsynths_order_is_an_inversion_and_named_with_its_distance() -> None:
    front: list[Line] = [
        (0.0, 500.0, osc("/n_set", 9, "note", 1.0)),
        (1.0, 500.0, osc("/n_set", 9, "note", 2.0)),
        (2.0, 530.0, osc("/n_set", 9, "note", 3.0)),
    ]
    kept = [(at, due, osc("/n_set", ROOT | 9, "note", note + 1.0)) for note, (at, due, _) in enumerate(front)]
    assert stream.inversions(paired(front, kept).pairs) == []
    tie = [kept[1], kept[0], kept[2]]
    assert [apart for _, _, apart in stream.inversions(paired(front, tie).pairs)] == [0]
    late = [kept[0], (1.0, 540.0, kept[1][2]), kept[2]]
    assert [apart for _, _, apart in stream.inversions(paired(front, late).pairs)] == [30 * MS]


def test_the_scores_of_a_stream_and_of_its_copy_hold_the_same_times() -> None:
    front, pairing = stream.read_plain(recorded(FRONT)), paired()
    plain = streams.front_score(front, START_NS)
    ours = streams.out_score(recorded(OUT), pairing.pairs, START_NS)
    assert len(ours) == len(plain) + 2
    assert sorted(at_s for at_s, _ in ours)[2:] == [at_s for at_s, _ in plain]
    # A note that came after its timetag plays when it came.
    assert [at_s for at_s, raw in plain if b"/n_set" in raw] == pytest.approx([0.010, 0.112])


def said_at(*lines: Line) -> list[Said]:
    return stream.read_plain(recorded(list(lines)))


def test_a_note_due_after_its_group_was_freed_is_lost_in_plain_sonic_pi_and_no_other() -> None:
    def note(node: int, group: int) -> bytes:
        return osc("/s_new", "sonic-pi-beep", node, 1, group)

    found = streams.freed_before(
        said_at(
            (0.0, None, osc("/g_new", 8, 1, 0)),
            (1.0, None, osc("/g_new", 9, 1, 8)),
            (2.0, 502.0, note(10, 9)),
            (3.0, 2503.0, note(11, 9)),
            (4.0, 2504.0, note(12, 0)),
            (900.0, None, osc("/n_free", 8)),
        )
    )
    assert found == {11}


def test_a_group_is_waited_for_from_its_coming_to_its_start_and_must_be_answered() -> None:
    asked = recorded([(1.0, None, osc("/g_new", 8, 1, 4))])
    start = osc("/n_go", 8, 4, -1, -1, 1, -1, -1)
    answer = json.dumps({"t_ns": START_NS + 5 * MS, "dir": "from", "hex": start.hex()})
    answered = replace(asked, from_scsynth=parse([answer]).from_scsynth)
    assert streams.answers_ns(answered) == [4 * MS]
    with pytest.raises(ValueError, match="1 groups without /n_go"):
        streams.answers_ns(asked)


def test_a_load_lasts_from_its_coming_to_its_own_answer() -> None:
    asked = recorded(
        [
            (1.0, None, osc("/b_allocRead", 2, "/samples/bd_haus.flac", 0, 0)),
            (2.0, None, osc("/b_allocRead", 3, "/samples/elec_bell.flac", 0, 0)),
            (9.0, None, osc("/b_allocRead", 2, "/samples/bd_haus.flac", 0, 0)),
        ]
    )
    answers = [
        json.dumps({"t_ns": START_NS + at_ms * MS, "dir": "from", "hex": osc("/done", what, buffer).hex()})
        for at_ms, what, buffer in (
            (4, "/b_free", 3),
            (5, "/b_allocRead", 2),
            (8, "/b_allocRead", 3),
            (12, "/b_allocRead", 2),
        )
    ]
    answered = replace(asked, from_scsynth=parse(answers).from_scsynth)
    found = [(from_ns - START_NS, to_ns - START_NS) for from_ns, to_ns in streams.loads_ns(answered)]
    assert found == [(1 * MS, 5 * MS), (2 * MS, 8 * MS), (9 * MS, 12 * MS)]
    assert streams.loads_ns(asked) == []


def test_a_tree_is_read_with_its_groups_and_synthdefs() -> None:
    tree = parse_tree([0, 0, 2, 4, 1, 8, -1, "sonic-pi-beep", 3, 0])
    assert tree == Node(0, "group", (Node(4, "group", (Node(8, "sonic-pi-beep"),)), Node(3, "group")))
    assert [node.id for node in tree.below()] == [4, 8, 3]
    assert str(tree) == "0:group(4:group(8:beep) 3:group)"
    assert tree.find(8) == Node(8, "sonic-pi-beep")
    assert tree.find(7) is None
