"""Replies of scsynth: the player gets those about its own nodes, with its own ids, and no others."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.scsynth.id_space import LOCAL_BASE, Origin
from bridge.scsynth.unmap import unmap_reply
from relay.wire import osc
from tests.worlds import places

VECTORS = places.VECTORS / "osc"
MEMBER = Origin(slot=2)
OTHER = Origin(slot=5)
ROOT = 2 << 26
NOTICES = ("/n_go", "/n_end", "/n_on", "/n_off", "/n_move", "/n_info")
REPLIES = [
    osc.walk(bytes.fromhex(record["hex"]))[0][1]
    for path in sorted(VECTORS.glob("*.jsonl"))
    for record in map(json.loads, path.read_text().splitlines())
    if record["dir"] == "from_scsynth"
]


def reply(address: str, *args: osc.Arg) -> osc.Message:
    return osc.walk(osc.encode(address, *args))[0][1]


def unmapped(address: str, *args: osc.Arg) -> tuple[osc.Arg, ...] | None:
    data = unmap_reply(reply(address, *args), MEMBER)
    return None if data is None else osc.walk(data)[0][1].args


def as_from_the_jam(sent: osc.Message, origin: Origin) -> bytes:
    """Return a reply with the ids that it has when the jam's scsynth sends it.

    sent: the same reply with the player's own ids. The result is computed from the shapes of replies, without
    the code under test.
    """
    out = bytearray(sent.raw)

    def put(index: int, value: int) -> None:
        struct.pack_into(">i", out, sent.offsets[index], value)

    if sent.address in NOTICES:
        for index in (0, 1, 2, 3, 5, 6)[: len(sent.tags) - 1]:
            own = sent.args[index]
            assert isinstance(own, int)
            put(index, own if own < 0 else origin.slot * 2**26 + own)
    elif sent.address == "/done" and str(sent.args[0]).startswith("/b_"):
        put(1, origin.slot * 4096 + int(sent.args[1]))
    elif sent.address == "/b_info":
        put(0, origin.slot * 4096 + int(sent.args[0]))
    elif sent.address == "/sonic-pi/server-info":
        put(0, origin.slot * 2**26 + int(sent.args[0]))
    elif sent.address == "/fail" and str(sent.args[1]).startswith("Node "):
        _, number, rest = str(sent.args[1]).split(" ", 2)
        return osc.encode("/fail", sent.args[0], f"Node {origin.slot * 2**26 + int(number)} {rest}")
    return bytes(out)


@pytest.mark.parametrize("sent", REPLIES, ids=lambda sent: sent.address)
def test_captured_replies_come_back_as_sonic_pi_knows_them(sent: osc.Message) -> None:
    [(_, mapped)] = osc.walk(as_from_the_jam(sent, MEMBER))
    about_root = sent.address in NOTICES and sent.args[0] == 0
    assert unmap_reply(mapped, MEMBER) == (None if about_root else sent.raw)


@pytest.mark.parametrize("sent", REPLIES, ids=lambda sent: sent.address)
def test_captured_replies_about_another_member_are_hidden(sent: osc.Message) -> None:
    data = as_from_the_jam(sent, OTHER)
    if data == sent.raw:
        return
    assert unmap_reply(osc.walk(data)[0][1], MEMBER) is None


@given(st.integers(1, 2**26 - 1), st.integers(1, 31), st.integers(1, 31))
def test_a_notice_is_shown_to_its_owner_alone(own: int, slot: int, other: int) -> None:
    notice = reply("/n_end", slot << 26 | own, slot << 26, -1, -1, 0)
    data = unmap_reply(notice, Origin(other))
    assert data == (osc.encode("/n_end", own, 0, -1, -1, 0) if slot == other else None)


def test_neighbours_that_belong_to_others_become_minus_one() -> None:
    theirs = 5 << 26 | 9
    assert unmapped("/n_go", ROOT | 9, ROOT, theirs, ROOT | 8, 0) == (9, 0, -1, 8, 0)
    assert unmapped("/n_go", ROOT | 9, 0, 3, -1, 1, theirs, ROOT | 7) == (9, -1, -1, -1, 1, -1, 7)


def test_the_root_groups_themselves_are_the_bridges_business() -> None:
    assert unmapped("/n_go", ROOT, 0, -1, -1, 1, -1, -1) is None
    assert unmapped("/n_go", 5, 0, -1, -1, 1, -1, -1) is None


def test_home_only_nodes_in_slot_0_come_back() -> None:
    assert unmapped("/n_go", LOCAL_BASE + 7, ROOT | 5, -1, -1, 0) == (7, 5, -1, -1, 0)
    assert unmapped("/sonic-pi/amp", LOCAL_BASE + 7, -1, 0.5, 0.5) == (7, -1, 0.5, 0.5)


def test_numbers_in_the_text_of_a_failure_come_back() -> None:
    assert unmapped("/fail", "/n_set", f"Node {ROOT | 4242} not found") == ("/n_set", "Node 4242 not found")
    assert unmapped("/fail", "/s_new", f"Group {ROOT} not found") == ("/s_new", "Group 0 not found")
    assert unmapped("/fail", "/n_free", f"Node {5 << 26 | 1} not found") is None
    assert unmapped("/fail", "/s_new", "duplicate node ID") == ("/s_new", "duplicate node ID")
    assert unmapped("/fail", "/s_new", "SynthDef x134217733 not found") == (
        "/s_new",
        "SynthDef x134217733 not found",
    )


def test_a_path_in_the_text_of_a_failure_stays() -> None:
    path = f"/tmp/{ROOT | 1}/x"
    assert unmapped("/fail", "/d_loadDir", path) == ("/d_loadDir", path)


def test_buffers_come_back_from_every_reply() -> None:
    assert unmapped("/done", "/b_alloc", 2 * 4096 + 3) == ("/b_alloc", 3)
    assert unmapped("/fail", "/b_allocRead", "File 'x' could not be opened", 2 * 4096 + 3) == (
        "/b_allocRead",
        "File 'x' could not be opened",
        3,
    )
    assert unmapped("/b_info", 2 * 4096 + 3, 10, 2, 44100.0, 2 * 4096 + 4, 10, 1, 44100.0) == (
        *(3, 10, 2, 44100.0),
        *(4, 10, 1, 44100.0),
    )
    assert unmapped("/b_setn", 2 * 4096 + 3, 0, 1, 0.5) == (3, 0, 1, 0.5)
    assert unmapped("/done", "/b_alloc", 3 * 4096) is None


def test_control_values_come_back_where_they_are_ids() -> None:
    out_bus, buffer = float(MEMBER.audio_bus(34)), float(MEMBER.buffer(9))
    assert unmapped("/n_set", ROOT | 9, "out_bus", out_bus, "amp", 0.5, "buf", buffer) == (
        *(9, "out_bus", 34.0),
        *("amp", 0.5, "buf", 9.0),
    )
    assert unmapped("/n_setn", ROOT | 9, "in_bus", 1, out_bus) == (9, "in_bus", 1, 34.0)
    assert unmapped("/n_set", OTHER.node(9), "amp", 0.5) is None


def test_control_buses_come_back() -> None:
    assert unmapped("/c_set", 1025, 0.5, 1026, 0.25) == (1, 0.5, 2, 0.25)
    assert unmapped("/c_setn", 1025, 2, 0.5, 0.5, 1030, 1, 0.5) == (1, 2, 0.5, 0.5, 6, 1, 0.5)
    assert unmapped("/c_set", 512, 0.5) is None


@pytest.mark.parametrize("address", ["/synced", "/d_removed", "/version.reply", "/late"])
def test_what_carries_no_ids_passes_unchanged(address: str) -> None:
    assert unmapped(address, 2**30) == (2**30,)


def test_trees_and_unknown_shapes_are_hidden() -> None:
    assert unmapped("/g_queryTree.reply", 0, ROOT | 1, 0) is None
    assert unmapped("/n_go", ROOT | 9) is None
    assert unmapped("/tr", "x") is None
    assert unmapped("/tr", ROOT | 9, 1, 0.5) == (9, 1, 0.5)
    assert unmapped("/done") is None
