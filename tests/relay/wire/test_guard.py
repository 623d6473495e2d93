"""The guard refuses whatever may end scsynth, however it is sent, and accepts what Sonic Pi plays."""

import json
import math
import struct
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.wire import guard as guard_module
from relay.wire.commands import COMMANDS
from relay.wire.errors import Refused
from relay.wire.guard import GROUPS_MAX, NODES_MAX, Guard, OutOfRange
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, Message, encode, encode_string, single_message, walk
from relay.wire.ranges import BY_SYNTHDEF, FREE
from tests.bridge.scsynth.test_remap import captured
from tests.worlds.hostile import KILLERS
from tests.worlds.places import VECTORS

GVERB, REVERB, BEEP = "sonic-pi-fx_gverb", "sonic-pi-fx_reverb", "sonic-pi-beep"
HEADS = [
    encode_string(address) for address, command in COMMANDS.items() if command.act in guard_module._HANDLERS
]
STOCK = [(synthdef, control) for synthdef, limits in BY_SYNTHDEF.items() for control in limits]
VALUES = st.one_of(
    st.floats(width=32),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.sampled_from([0.0, 1e-30, -1e-30, 1.0, -1.0, 0.5, 1e5, -1e5, 1e9, -1e9, 3e38, -3e38]),
)


def s_new(synthdef: str, node: int | float, *controls: Arg) -> bytes:
    return encode("/s_new", synthdef, node, 0, 2, *controls)


def captured_in_traffic() -> list[Message]:
    """Return all messages to scsynth in the recorded sessions."""
    files = sorted((VECTORS / "traffic").glob("*.jsonl"))
    records = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    sent = [bytes.fromhex(record["hex"]) for record in records if record["dir"] == "to_scsynth"]
    return [message for datagram in sent for _, message in walk(datagram)]


def refused(guard: Guard, payload: bytes, due: int = 0) -> str | None:
    """Return the reason for which a guard refuses a message, or None if it accepts it. due: ticks."""
    try:
        guard.check(Meaning(payload), due)
    except Refused as error:
        return error.reason
    return None


@pytest.mark.parametrize("killer", KILLERS.values(), ids=KILLERS)
def test_the_notes_that_ended_scsynth_are_refused_in_whatever_way_they_come(
    killer: tuple[str, str, float],
) -> None:
    synthdef, control, value = killer
    guard = Guard()
    assert refused(guard, s_new(synthdef, 9, control, value)) == "range"
    assert refused(guard, s_new(synthdef, 9, control, 1.0, control, value)) == "range"
    assert refused(guard, s_new(synthdef, 9, control, value, control, 1.0)) == "range"
    assert refused(guard, s_new(synthdef, 9, control, int(min(max(value, -(2**31)), 2**31 - 1)))) == "range"
    assert refused(guard, s_new(synthdef, 9, control, "c3")) == "range"
    assert refused(guard, encode("/g_new", 8, 0, 2)) is None
    assert refused(guard, s_new(synthdef, 9)) is None
    for node in (9, 9.0, 8, 8.0):
        assert refused(guard, encode("/n_set", node, control, value)) == "range"
        assert refused(guard, encode("/n_set", node, "amp", 1.0, control, value)) == "range"
        assert refused(guard, encode("/n_set", node, control, "a3")) == "range"
        assert refused(guard, encode("/n_setn", node, control, 1, value)) == "range"
        assert refused(guard, encode("/n_fill", node, control, 1, value)) == "range"
        assert refused(guard, encode("/n_map", node, "pan", 3, control, 3)) == "range"
        assert refused(guard, encode("/n_mapn", node, control, 3, 1)) == "range"
        assert refused(guard, encode("/n_mapa", node, control, 3)) == "range"
        assert refused(guard, encode("/n_mapan", node, control, 3, 1)) == "range"


def test_who_asks_is_told_synthdef_control_value_and_range() -> None:
    with pytest.raises(OutOfRange) as caught:
        Guard().check(Meaning(s_new(GVERB, 9, "room", 0)), 0)
    error = caught.value
    assert (error.synthdef, error.control, error.found) == (GVERB, "room", "0")
    assert error.limit == BY_SYNTHDEF[GVERB]["room"]


@given(stock=st.sampled_from(STOCK), value=VALUES)
def test_of_a_note_exactly_what_lies_in_range_passes(stock: tuple[str, str], value: float) -> None:
    synthdef, control = stock
    payload = s_new(synthdef, 9, "out_bus", 34.0, control, value)
    found = single_message(payload).args[-1]
    assert isinstance(found, int | float)
    limit = BY_SYNTHDEF[synthdef][control]
    within = limit.low <= found <= limit.high
    # What is free is none of the guard's business; who plays it refuses what is no number.
    assert (refused(Guard(), payload) is None) == (within or limit == FREE)


@pytest.mark.parametrize("bounds", ["low", "high"])
def test_both_ends_of_a_range_pass_and_the_next_number_doesnt(bounds: str) -> None:
    for synthdef, limits in BY_SYNTHDEF.items():
        for control, limit in limits.items():
            at = getattr(limit, bounds)
            if abs(at) == FREE.high:
                continue
            (bits,) = struct.unpack(">i", struct.pack(">f", at))
            beyond = bits + (1 if (bounds == "high") == (at > 0) else -1) if at else None
            outside = struct.unpack(">f", struct.pack(">i", beyond))[0] if beyond else -1e-45
            if not (bounds == "high" and at == 0):
                assert refused(Guard(), s_new(synthdef, 9, control, outside)) == "range", (synthdef, control)
            assert refused(Guard(), s_new(synthdef, 9, control, at)) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_out_of_every_range(value: float) -> None:
    assert refused(Guard(), s_new(BEEP, 9, "amp", value)) == "range"


def test_a_synthdef_or_control_that_isnt_sonic_pis_is_free() -> None:
    guard = Guard()
    guard.check(Meaning(s_new("my-own", 9, "cutoff", 5000.0, "room", 0.0)), 5, players=True)
    guard.check(Meaning(encode("/n_set", 9, "cutoff", 5000.0, "room", 0.0)), 5, players=True)
    assert refused(guard, s_new(BEEP, 10, "cutoff", 5000.0, "no_such_control", -1e30)) is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (encode("/s_new", BEEP, 9, 0, 2, 3, 5.0), "control-index"),
        (encode("/n_set", 9, 3, 5.0), "control-index"),
        (encode("/n_map", 9, 3, 5), "control-index"),
        (b"/n_set\0\0,is[f]\0\0\0\0\0\1amp\0\0\0\0\0", "array"),
        (encode("/n_setn", 9, "amp", 2, 0.5, 0.5), "arguments"),
        (encode("/n_setn", 9, "amp", 2, 0.5), "count"),
        (encode("/n_set", 9.5, "amp", 0.5), "arguments"),
        (encode("/n_set", math.nan, "amp", 0.5), "arguments"),
        (encode("/n_set", 9, "amp"), "arguments"),
        (encode("/n_set"), "arguments"),
        (encode("/s_new", BEEP, 9), "arguments"),
        (b"/s_new\0\0", "arguments"),
        (b"/n_set\0\0,isf", "arguments"),
    ],
)
def test_what_cant_be_judged_is_refused(payload: bytes, reason: str) -> None:
    assert refused(Guard(), payload) == reason


@given(command=st.sampled_from(HEADS), rest=st.binary(max_size=60))
def test_whatever_bytes_come_they_pass_or_are_refused(command: bytes, rest: bytes) -> None:
    refused(Guard(), command + rest)


def test_a_node_goes_by_its_synthdef_and_a_group_by_all() -> None:
    guard = Guard()
    guard.check(Meaning(s_new(REVERB, 9)), 0)
    guard.check(Meaning(s_new(GVERB, 10)), 0)
    guard.check(Meaning(encode("/g_new", 11, 0, 2)), 0)
    assert refused(guard, encode("/n_set", 9, "room", 0.3)) is None
    assert refused(guard, encode("/n_map", 9, "room", 3)) is None
    assert refused(guard, encode("/n_set", 9, "room", 2.0)) == "range"
    assert refused(guard, encode("/n_set", 10, "room", 2.0)) is None
    assert refused(guard, encode("/n_set", 10, "room", 0.3)) == "range"
    assert refused(guard, encode("/n_set", 11, "room", 2.0)) is None
    assert refused(guard, encode("/n_set", 11, "room", 0.3)) == "range"
    assert refused(guard, encode("/n_set", 11, "cutoff", 1e5)) == "range"


def test_a_node_that_nobody_has_made_yet_is_told_what_some_synthdef_stands_and_can_never_be_another() -> None:
    guard = Guard()
    assert refused(guard, encode("/n_set", 9, "room", 0.3)) is None
    assert refused(guard, encode("/n_set", 9, "room", -1.0)) == "range"
    assert refused(guard, s_new(GVERB, 9)) == "id-reused"
    assert refused(guard, encode("/g_new", 9, 0, 2)) == "id-reused"
    assert refused(guard, s_new(GVERB, 10)) is None


def test_an_id_that_has_stood_for_two_things_is_trusted_with_neither() -> None:
    guard = Guard()
    guard.check(Meaning(s_new(GVERB, 9)), 0)
    guard.check(Meaning(s_new(REVERB, 9)), 0)
    assert refused(guard, encode("/n_set", 9, "room", 0.3)) == "range"
    guard.check(Meaning(s_new(REVERB, 10)), 0)
    guard.check(Meaning(encode("/n_set", 10, "room", 0.3)), 0)
    assert refused(guard, s_new(GVERB, 10)) == "id-reused"
    assert refused(guard, s_new(REVERB, 10)) is None


def test_a_reset_forgets_what_it_frees_and_not_what_is_made_later() -> None:
    guard = Guard()
    guard.check(Meaning(s_new(REVERB, 9)), 100)
    guard.check(Meaning(s_new(REVERB, 10)), 100)
    guard.check(Meaning(encode("/n_set", 10, "room", 0.3)), 300)
    guard.reset(200)
    assert refused(guard, s_new(GVERB, 9), 200) is None
    assert refused(guard, s_new(GVERB, 10), 250) == "id-reused"
    assert refused(guard, s_new(GVERB, 11), 199) == "id-reused", "it may take a number that was free by then"


def test_what_is_due_before_a_reset_may_be_for_what_went_by_that_id_then() -> None:
    guard = Guard()
    guard.check(Meaning(s_new(GVERB, 9)), 100)
    guard.reset(200)
    guard.check(Meaning(s_new(REVERB, 9)), 300)
    assert refused(guard, encode("/n_set", 9, "room", 0.3), 150) == "range"
    assert refused(guard, encode("/n_set", 9, "room", 0.3), 300) is None


def test_a_reverb_that_runs_for_long_is_still_known_when_thousands_of_groups_and_notes_have_gone_by() -> None:
    guard = Guard()
    guard.check(Meaning(s_new(REVERB, 10)), 0)
    for node in range(100, 100 + 2 * NODES_MAX, 2):
        guard.check(Meaning(encode("/g_new", node, 0, 2)), 0)
        guard.check(Meaning(s_new(BEEP, node + 1, "note", 60.0)), 0)
        guard.check(Meaning(encode("/n_set", node + 1, "note", 62.0)), 0)
    assert refused(guard, encode("/n_set", 10, "room", 0.3)) is None
    assert refused(guard, encode("/n_set", 100, "room", 0.3)) == "range", "a group, long forgotten"


def test_what_is_known_of_a_slot_is_bounded() -> None:
    guard = Guard()
    for node in range(10, 10 + NODES_MAX + 200):
        guard.check(Meaning(encode("/n_set", node, "room", 0.3)), node)
        guard.check(Meaning(encode("/g_new", node + 100_000, 0, 2)), node)
        guard.check(Meaning(s_new("my-own", node + 200_000)), node)
    assert len(guard._nodes._known) == len(guard._others._known) == NODES_MAX
    assert len(guard._groups._known) == GROUPS_MAX
    assert refused(guard, encode("/n_set", 10, "room", 0.3)) == "range"
    assert refused(guard, s_new(GVERB, 10)) == "id-reused"


def test_all_that_sonic_pi_was_recorded_sending_passes() -> None:
    guard = Guard()
    messages = [*captured("to_scsynth"), *captured_in_traffic()]
    assert len(messages) > 60
    for message in messages:
        if message.address == "/clearSched":
            guard.reset(1)
        assert refused(guard, message.raw, 1) is None, message.args


# -- a scsynth in small, for what a member may try ------------------------------------------------------


@dataclass(frozen=True)
class Deed:
    """One event that makes, sets or frees something.

    value: what the control `room` is set to, or the group that gets the new node. due: ticks.
    """

    what: str
    node: int
    value: float
    due: int

    def payload(self) -> bytes:
        match self.what:
            case "group":
                return encode("/g_new", self.node, 0, int(self.value))
            case "set":
                return encode("/n_set", self.node, "room", self.value)
            case "free":
                return encode("/n_free", self.node)
            case synthdef:
                return encode("/s_new", synthdef, self.node, 0, int(self.value))


NODES, DUES = st.integers(1, 3), st.integers(0, 6)
MADE = st.sampled_from(["group", GVERB, GVERB, REVERB, REVERB, BEEP, "my-own"])
DEEDS = st.one_of(
    st.builds(Deed, MADE, NODES, st.sampled_from([0.0, 0.0, 1.0, 2.0]), DUES),
    st.builds(Deed, st.just("set"), NODES, st.sampled_from([0.3, 1.0]), DUES),
    st.builds(Deed, st.sampled_from(["free", "reset"]), NODES, st.just(0.0), DUES),
)


def rooms_of_gverbs(deeds: list[Deed]) -> list[float]:
    """Execute deeds as scsynth does, by their dues; return each `room` to which a gverb was set."""
    kind, parent, rooms = {0: "group"}, {0: -1}, []

    def within(node: int, group: int) -> bool:
        while node > 0 and node != group:
            node = parent[node]
        return node == group

    def remove(group: int) -> None:
        for node in [node for node in kind if node and within(node, group)]:
            del kind[node]

    for deed in sorted(deeds, key=lambda deed: deed.due):
        match deed.what:
            case "reset":
                remove(0)
            case "free":
                remove(deed.node)
            case "set":
                rooms += [deed.value for node in kind if kind[node] == GVERB and within(node, deed.node)]
            case made:
                if deed.node not in kind and kind.get(int(deed.value)) == "group":
                    kind[deed.node], parent[deed.node] = made, int(deed.value)
    return rooms


@pytest.mark.parametrize("remembered", [2, 100], ids=["forgetful", "with-a-long-memory"])
@settings(max_examples=400)
@given(deeds=st.lists(DEEDS, max_size=14))
def test_no_order_of_dues_and_no_reuse_of_ids_sets_a_gverb_out_of_range(
    remembered: int, deeds: list[Deed]
) -> None:
    guard = Guard()
    guard._groups, guard._nodes, guard._others = (guard_module._Ids(remembered) for _ in range(3))
    guard._tables = (guard._groups, guard._nodes, guard._others)
    passed = []
    for deed in deeds:
        if deed.what == "reset":
            guard.reset(deed.due)
            passed.append(deed)
        elif refused(guard, deed.payload(), deed.due) is None:
            passed.append(deed)
    assert all(room >= 1.0 for room in rooms_of_gverbs(passed))


SLICER = "sonic-pi-fx_slicer"


@pytest.mark.parametrize(
    "before",
    [
        [s_new("x", 100), s_new(SLICER, 100)],
        [s_new(SLICER, 100), s_new("x", 100)],
        [s_new(REVERB, 100), encode("/n_free", 100), s_new(SLICER, 100)],
        [s_new("x", 100)],
    ],
    ids=["unknown-first", "unknown-later", "another-synth-first", "unknown-alone"],
)
@pytest.mark.parametrize("control", ["seed", "start", "window_size", "max_phase"])
def test_no_other_use_of_an_id_sets_a_deadly_control_free(before: list[bytes], control: str) -> None:
    guard = Guard()
    for payload in before:
        refused(guard, payload)
    assert refused(guard, encode("/n_set", 100, control, 1e36)) == "range"
    assert refused(guard, encode("/n_setn", 100, control, 1, 1e36)) == "range"
    assert refused(guard, encode("/n_map", 100, control, 3)) == "range"


def test_the_player_alone_sets_what_he_likes_on_a_synth_of_his_own_and_on_no_other_of_its_id() -> None:
    guard = Guard()
    guard.check(Meaning(s_new("mybeep", 100)), 5, players=True)
    guard.check(Meaning(encode("/n_set", 100, "seed", 1e36)), 5, players=True)
    guard.check(Meaning(s_new(SLICER, 100)), 6, players=True)
    assert refused(guard, encode("/n_set", 100, "seed", 1e36)) == "range"
