"""Remapping: only ids in a message are changed, and a message that can't be mapped is refused."""

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.scsynth.id_space import LOCAL_BASE, SLOT_COUNT, Origin
from bridge.scsynth.remap import remap
from relay.wire import osc
from relay.wire.commands import LOCAL_ONLY_SYNTHDEFS, SYNTHDEFS
from relay.wire.errors import Refused
from tests.worlds import places

VECTORS = places.VECTORS / "osc"
SLOTS = st.integers(1, SLOT_COUNT - 1)
ORIGINS = st.builds(Origin, SLOTS, st.integers(1, 64), st.integers(0, 64))
MEMBER = Origin(slot=3)
ROOT = 3 << 26
FIRST_BUS = 128 + 3 * 1120
OWN_TO_THE_PLAYER = {
    "/status",
    "/notify",
    "/d_loadDir",
    "/clearSched",
    "/g_freeAll",
    "/sync",
    "/quit",
    "/n_run",
    "/b_query",
    "/b_write",
}


def captured(direction: str) -> list[osc.Message]:
    return [
        message
        for path in sorted(VECTORS.glob("*.jsonl"))
        for record in map(json.loads, path.read_text().splitlines())
        if record["dir"] == direction
        for _timetag, message in osc.walk(bytes.fromhex(record["hex"]))
    ]


def message(address: str, *args: osc.Arg) -> osc.Message:
    return osc.walk(osc.encode(address, *args))[0][1]


def mapped(address: str, *args: osc.Arg, origin: Origin = MEMBER, **options: bool) -> tuple[osc.Arg, ...]:
    return osc.walk(remap(message(address, *args), origin, **options))[0][1].args


def refusal(address: str, *args: osc.Arg, origin: Origin = MEMBER, **options: bool) -> str:
    with pytest.raises(Refused) as refused:
        remap(message(address, *args), origin, **options)
    return refused.value.reason


@pytest.mark.parametrize("number", [-1, -2, -(2**31)])
def test_negative_numbers_are_refused_everywhere(number: int) -> None:
    assert refusal("/n_free", number) == "negative-id"
    assert refusal("/g_new", number, 0, 0) == "negative-id"
    assert refusal("/s_new", "sonic-pi-beep", 9, 0, number) == "negative-id"
    assert refusal("/b_free", number) == "negative-id"
    assert refusal("/c_set", number, 0.0) == "negative-id"
    assert refusal("/n_set", 9, "out_bus", number) == "negative-id"
    assert refusal("/n_set", 9, "buf", float(number)) == "negative-id"


def test_the_first_number_out_of_range_is_refused_and_the_last_within_is_not() -> None:
    assert mapped("/n_free", 2**26 - 1) == (ROOT + 2**26 - 1,)
    assert refusal("/n_free", 2**26) == "node-range"
    assert mapped("/b_free", 4095) == (3 * 4096 + 4095,)
    assert refusal("/b_free", 4096) == "buffer-range"
    assert mapped("/c_set", 511, 0.5) == (3 * 512 + 511, 0.5)
    assert refusal("/c_set", 512, 0.5) == "bus-range"
    assert mapped("/n_set", 9, "out_bus", 1055.0) == (ROOT + 9, "out_bus", float(FIRST_BUS + 64 + 1023))
    assert refusal("/n_set", 9, "out_bus", 1056.0) == "bus-range"
    assert refusal("/n_set", 9, "in_bus", 16.0) == refusal("/n_set", 9, "bus", 31) == "hardware-input"


@pytest.mark.parametrize("value", [0.5, math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_whole_is_refused(value: float) -> None:
    assert refusal("/n_set", 9, "out_bus", value) == "not-integral"
    assert refusal("/n_free", value) == "not-integral"
    assert mapped("/n_set", 9, "pan", 0.5) == (ROOT + 9, "pan", 0.5)


def test_a_note_is_patched_where_its_ids_are_and_nowhere_else() -> None:
    note = message(
        "/s_new", "sonic-pi-hoover", 77, 1, 12, "amp", 1.0, "out_bus", 34.0, "note", 60, "amp", 0.3
    )
    out = remap(note, MEMBER)
    assert osc.walk(out)[0][1].args == (
        *("sonic-pi-hoover", ROOT + 77, 1, ROOT + 12),
        *("amp", 1.0, "out_bus", float(FIRST_BUS + 64 + 2), "note", 60),
        *("amp", struct.unpack(">f", struct.pack(">f", 0.3))[0]),
    )
    changed = {index for index, (a, b) in enumerate(zip(note.raw, out, strict=True)) if a != b}
    places = [note.offsets[1], note.offsets[3], note.offsets[7]]
    assert changed <= {place + byte for place in places for byte in range(4)}


@given(ORIGINS, st.integers(1, 2**26 - 1), st.integers(0, 2**26 - 1), st.integers(0, 4095))
def test_any_note_comes_back_exactly_by_the_inverse(origin: Origin, node: int, group: int, buf: int) -> None:
    args = ("sonic-pi-stereo_player", node, 1, group, "buf", float(buf), "rate", 1.5, "out_bus", 0.0)
    note = message("/s_new", *args)
    out = osc.walk(remap(note, origin))[0][1].args
    back = list(out)
    back[1] = origin.own_node(int(out[1]))
    back[3] = origin.own_node(int(out[3]))
    back[5] = float(origin.own_buffer(int(out[5])) or 0)
    back[9] = float(origin.own_audio_bus(int(out[9])) or 0)
    assert osc.encode("/s_new", *back) == note.raw


def test_the_root_of_the_sender_becomes_the_root_of_its_slot() -> None:
    assert mapped("/g_new", 2, 0, 0) == (ROOT + 2, 0, ROOT)
    assert mapped("/n_order", 1, 0, 9) == (1, ROOT, ROOT + 9)
    assert mapped("/g_tail", 0, 9) == (ROOT, ROOT + 9)


@pytest.mark.parametrize(
    ("address", "args"),
    [
        ("/n_free", (7, 0)),
        ("/n_run", (0, 0)),
        ("/n_set", (0, "amp", 1.0)),
        ("/n_map", (0, "amp", 1)),
        ("/n_before", (0, 7)),
        ("/n_after", (7, 0)),
        ("/n_order", (2, 0, 7)),
        ("/n_order", (0, 7, 0)),
        ("/g_head", (7, 0)),
        ("/g_new", (0, 0, 7)),
        ("/g_new", (7, 3, 0)),
        ("/g_new", (7, 4, 0)),
        ("/s_new", ("sonic-pi-beep", 0, 0, 7)),
        ("/s_new", ("sonic-pi-beep", 7, 2, 0)),
        ("/g_freeAll", (0,)),
        ("/g_deepFree", (0,)),
    ],
)
def test_the_root_group_can_be_filled_but_not_touched(address: str, args: tuple[osc.Arg, ...]) -> None:
    assert refusal(address, *args) == "root-node"


def test_a_node_id_sent_as_a_float_becomes_an_int() -> None:
    out = remap(message("/s_new", "sonic-pi-beep", 77.0, 1, 12.0, "out_bus", 34.0), MEMBER)
    walked = osc.walk(out)[0][1]
    assert walked.tags == "siiisf"
    assert walked.args[1:4] == (ROOT + 77, 1, ROOT + 12)


def test_buses_and_buffers_keep_their_type() -> None:
    assert osc.walk(remap(message("/n_set", 9, "out_bus", 34, "buf", 2.0), MEMBER))[0][1].tags == "isisf"


@pytest.mark.parametrize("missing", ["in_bus", "out_bus", "rand_buf"])
def test_an_id_left_out_is_named_as_the_default_would_mean_the_hardware(missing: str) -> None:
    full: dict[str, osc.Arg] = {"in_bus": 36.0, "out_bus": 34.0, "rand_buf": 1.0, "mix": 0.5}
    pairs = [part for name, value in full.items() if name != missing for part in (name, value)]
    out = mapped("/s_new", "sonic-pi-fx_slicer", 9, 1, 8, *pairs)
    expected = MEMBER.buffer(0) if missing == "rand_buf" else MEMBER.audio_bus(0)
    assert out[-2:] == (missing, float(expected))
    assert len(out) == 4 + 2 * len(full)


@given(ORIGINS, st.sampled_from(sorted(SYNTHDEFS.keys() - LOCAL_ONLY_SYNTHDEFS)), st.integers(0, 5))
def test_every_synth_sent_bare_gets_all_its_ids(origin: Origin, name: str, controls: int) -> None:
    pairs = [part for number in range(controls) for part in (f"control{number}", 1.0)]
    out = mapped("/s_new", name, 9, 0, 0, *pairs, origin=origin)
    given_values = dict(zip(out[4::2], out[5::2], strict=True))
    assert list(out[4 : 4 + len(pairs)]) == pairs
    for control, role in SYNTHDEFS[name].id_controls:
        zero = {"abus": origin.audio_bus(0), "buf": origin.buffer(0), "hw_output": origin.audio_bus(0) + 1}
        assert given_values[control] == zero[role]
    again = message("/s_new", *out)
    assert again.raw == remap(message("/s_new", name, 9, 0, 0, *pairs), origin)


@pytest.mark.parametrize("name", ["sonic-pi-fx_sound_out", "sonic-pi-fx_sound_out_stereo"])
def test_an_output_left_out_is_the_first_as_the_default_would_write_before_all_buses(name: str) -> None:
    assert mapped("/s_new", name, 9, 0, 0)[-2:] == ("output", float(FIRST_BUS + 1))


def test_a_control_that_follows_a_bus_follows_the_mapped_one() -> None:
    args = ("sonic-pi-beep", 9, 0, 0, "amp", "c5", "pan", "a34", "note", "c511")
    out = mapped("/s_new", *args)
    assert out[4:10] == ("amp", "c1541", "pan", f"a{FIRST_BUS + 66}", "note", "c2047")
    assert out[10:] == ("out_bus", float(FIRST_BUS))
    assert refusal("/n_set", 9, "amp", "c512") == "bus-range"


@pytest.mark.parametrize("text", ["c", "c-1", "a5x", "b5", "", "c05", "C5", "c٣", "cat"])
def test_other_strings_as_values_are_refused(text: str) -> None:
    assert refusal("/n_set", 9, "amp", text) == "string-value"


def test_what_could_reach_an_id_unseen_is_refused() -> None:
    assert refusal("/s_new", "sonic-pi-beep", 9, 0, 0, 3, 1.0) == "control-index"
    assert refusal("/n_set", 9, 3, 1.0) == "control-index"
    assert refusal("/n_map", 9, 3, 1) == "control-index"
    assert refusal("/n_map", 9, "out_bus", 1) == "id-control"
    assert refusal("/n_set", 9, "out_bus", "c1") == "id-control"
    assert refusal("/n_setn", 9, "out_bus", 1, 0.0) == "id-control"
    assert refusal("/n_setn", 9, "amp", 2, 0.0, 0.0) == "count"
    assert refusal("/n_mapn", 9, "amp", 1, 2) == "count"
    array = b"/n_set\0\0,is[ff]\0" + struct.pack(">i", 7) + b"amp\0" + struct.pack(">ff", 0.5, 0.25)
    with pytest.raises(Refused, match="array"):
        remap(osc.walk(array)[0][1], MEMBER)


def test_minus_one_is_kept_where_it_means_no_bus_any_more() -> None:
    assert mapped("/n_map", 9, "amp", -1, "pan", 2) == (ROOT + 9, "amp", -1, "pan", 1538)
    assert mapped("/n_mapa", 9, "amp", -1) == (ROOT + 9, "amp", -1)
    assert mapped("/n_mapan", 9, "amp", 34, 1) == (ROOT + 9, "amp", FIRST_BUS + 66, 1)
    assert refusal("/n_mapa", 9, "amp", -2) == "negative-id"


def test_counts_must_be_there_and_within_bounds() -> None:
    assert mapped("/c_setn", 510, 2, 0.1, 0.2)[:2] == (2046, 2)
    assert refusal("/c_setn", 511, 2, 0.1, 0.2) == "bus-range"
    assert refusal("/c_setn", 1, 3, 0.1, 0.2) == "count"
    assert refusal("/c_setn", 1, -1) == "count"
    assert refusal("/c_fill", 0, 513, 0.0) == "bus-range"
    assert refusal("/b_fill", 1, 0, 2**31 - 1, 0.0) == "count"
    assert mapped("/b_setn", 1, 0, 2, 0.5, 0.5, 9, 0)[0] == 3 * 4096 + 1


@pytest.mark.parametrize(
    ("address", "args"),
    [
        ("/n_before", (7, 7)),
        ("/n_after", (8, 9, 7, 7)),
        ("/g_head", (7, 7)),
        ("/g_tail", (7, 7)),
        ("/n_order", (0, 7, 8, 7)),
    ],
)
def test_a_node_is_not_put_into_itself(address: str, args: tuple[osc.Arg, ...]) -> None:
    assert refusal(address, *args) == "cycle"


@pytest.mark.parametrize(
    ("address", "args"),
    [
        ("/n_before", (7, 8)),
        ("/n_after", (7, 8)),
        ("/g_head", (7, 8)),
        ("/g_tail", (7, 8)),
        ("/n_order", (0, 7, 8)),
    ],
)
def test_a_node_is_not_moved_into_another_group_since_two_moves_end_scsynth(
    address: str, args: tuple[osc.Arg, ...]
) -> None:
    assert refusal(address, *args) == "cycle"


def test_a_node_that_exists_at_home_only_is_moved_where_the_player_wants_it() -> None:
    [(_, moved)] = osc.walk(remap(message("/n_order", 1, 7, 8), MEMBER, {8}))
    assert moved.args == (1, ROOT + 7, LOCAL_BASE + 8)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused_wherever_it_stands(value: float) -> None:
    assert refusal("/s_new", "sonic-pi-beep", 9, 0, 4, "amp", value) == "not-finite"
    assert refusal("/n_set", 9, "amp", value) == "not-finite"
    assert refusal("/n_setn", 9, "amp", 1, value) == "not-finite"
    assert refusal("/c_set", 3, value) == refusal("/b_fill", 1, 0, 1, value) == "not-finite"


def test_a_command_of_nothing_is_refused() -> None:
    assert refusal("/g_new") == refusal("/n_free") == refusal("/n_set") == "arguments"


@pytest.mark.parametrize(
    ("address", "args", "reason"),
    [
        ("/quit", (), "not-allowed"),
        ("/clearSched", (), "not-allowed"),
        ("/d_recv", (b"SCgf",), "not-allowed"),
        ("/b_query", (1,), "not-allowed"),
        ("/b_write", (1, "/tmp/x.wav", "wav", "int16"), "not-allowed"),
        ("/n_fill", (9, "amp", 1, 0.5), "not-allowed"),
        ("/s_noid", (9,), "not-allowed"),
        ("/s_newargs", ("sonic-pi-beep", 9, 0, 0), "not-allowed"),
        ("/made_up", (9,), "not-allowed"),
        ("/b_gen", (1, "copy", 0, 2, 0, -1), "not-allowed"),
        ("/b_gen", (1, "PreparePartConv", 2, 512), "not-allowed"),
        ("/b_gen", (1, 5), "not-allowed"),
        ("/b_free", (1, b""), "completion-message"),
        ("/b_allocRead", (1, "x", 0, 0, b"\0\0\0\0"), "completion-message"),
        ("/b_readChannel", (1, "x", 0, -1, 0, 0, 1, b"x"), "completion-message"),
        ("/s_new", ("my-own", 9, 0, 0), "unknown-synthdef"),
        ("/s_new", ("sonic-pi-recorder", 9, 0, 0), "local-synthdef"),
        ("/s_new", ("sonic-pi-beep", 9, 5, 7), "add-action"),
        ("/n_order", (4, 7, 8), "add-action"),
        ("/s_new", ("sonic-pi-beep", 9, 0), "arguments"),
        ("/s_new", ("sonic-pi-beep", 9, 0, 0, "amp"), "arguments"),
        ("/s_new", ("sonic-pi-beep", 9, 0, 0, "amp", b""), "arguments"),
        ("/s_new", (9, 9, 0, 0), "arguments"),
        ("/n_set", (), "arguments"),
        ("/n_free", ("9",), "arguments"),
        ("/g_new", (9, 0), "arguments"),
        ("/b_alloc", (1, 5), "arguments"),
        ("/b_alloc", (1, 5, "2"), "arguments"),
        ("/b_allocRead", (1, 7, 0, 0), "arguments"),
        ("/b_setSampleRate", (1, 44100.0, 2), "arguments"),
        ("/n_set", (9, "scope_num", b"x"), "arguments"),
    ],
)
def test_what_may_not_travel_is_refused_for_a_reason(
    address: str, args: tuple[osc.Arg, ...], reason: str
) -> None:
    assert refusal(address, *args) == reason


def test_queries_and_recordings_are_mapped_for_the_players_own_scsynth_only() -> None:
    assert mapped("/b_query", 1, at_home=True) == (3 * 4096 + 1,)
    assert mapped("/b_write", 1, "/tmp/x.wav", "wav", "int16", at_home=True)[0] == 3 * 4096 + 1
    assert mapped("/s_get", 9, "out_bus", at_home=True) == (ROOT + 9, "out_bus")
    assert mapped("/g_queryTree", 0, 1, at_home=True) == (ROOT, 1)
    assert refusal("/quit", at_home=True) == "not-allowed"


def test_a_home_only_node_goes_to_slot_0() -> None:
    scope = message("/s_new", "sonic-pi-scope", 7, 0, 5, "scope_num", 1, "bus", 34.0)
    out = osc.walk(remap(scope, MEMBER, {7}, at_home=True))[0][1].args
    assert out == (
        "sonic-pi-scope",
        LOCAL_BASE + 7,
        0,
        ROOT + 5,
        "scope_num",
        1,
        "bus",
        float(FIRST_BUS + 66),
    )
    assert MEMBER.own_node(LOCAL_BASE + 7) == 7
    assert osc.walk(remap(message("/n_free", 7, 8), MEMBER, {7}))[0][1].args == (LOCAL_BASE + 7, ROOT + 8)
    with pytest.raises(Refused, match="node-range"):
        remap(message("/n_free", LOCAL_BASE), MEMBER, {LOCAL_BASE})


@pytest.mark.parametrize("sent", captured("to_scsynth"), ids=lambda sent: sent.address)
def test_what_sonic_pi_plays_all_remaps_and_keeps_everything_else(sent: osc.Message) -> None:
    if sent.address in OWN_TO_THE_PLAYER:
        with pytest.raises(Refused):
            remap(sent, MEMBER)
        return
    home_only = {9_999}
    if sent.address == "/s_new" and sent.args[0] in LOCAL_ONLY_SYNTHDEFS:
        home_only = {int(sent.args[1])}
    if sent.address == "/n_order":  # Sonic Pi moves live audio only
        home_only = {int(sent.args[2])}
    [(_, out)] = osc.walk(remap(sent, MEMBER, home_only, at_home=bool(home_only - {9_999})))
    assert out.address == sent.address
    assert out.tags.startswith(sent.tags)
    for before, after in zip(sent.args, out.args, strict=False):
        assert before == after or type(before) is type(after) in (int, float)
