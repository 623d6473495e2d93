"""Control messages, sent over TLS: their encoding, and that a value out of bounds is refused."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire import control, names
from relay.wire.errors import MalformedControl
from relay.wire.sequence import Ramp
from relay.wire.timetag import ticks
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds import places

VECTORS = sorted((places.VECTORS / "control").glob("*.json"))
HELLO = {"type": "hello", "protocol": PROTOCOL_VERSION, "software": "s", "room": "main", "name": "ann"}
PROBE = {"type": "probe_hello", "protocol": PROTOCOL_VERSION, "software": "s", "rate": 50.0, "seconds": 60.0}
LIVE = {"type": "live", "slot": 1}
REPORT = {"type": "report", "second": 1, "whole": True, "events": 0, "digest": b""}


def from_words(value: Any) -> Any:
    """Return a test vector's JSON value with each {"hex": ...} replaced by its bytes."""
    if isinstance(value, dict):
        if value.keys() == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {name: from_words(one) for name, one in value.items()}
    return [from_words(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_golden_message_is_encoded_and_decoded_as_written_down(path: Path) -> None:
    vector = json.loads(path.read_text())
    data, fields = bytes.fromhex(vector["bytes"]), from_words(vector["message"])
    assert msgspec.msgpack.decode(data) == fields
    message = control.decode_up(data) if vector["way"] == "up" else control.decode_down(data)
    assert control.encode(message) == data


def test_there_is_a_vector_for_every_message_of_either_way() -> None:
    vectors = [json.loads(path.read_text()) for path in VECTORS]
    for way, union in (("up", control.Up), ("down", control.Down)):
        tags = {one.__struct_config__.tag for one in union.__args__}
        assert {vector["message"]["type"] for vector in vectors if vector["way"] == way} == tags


def test_every_message_belongs_to_one_family_and_every_family_to_the_protocol() -> None:
    for way, union in (("up", control.Up), ("down", control.Down)):
        held = [one for family in control.FAMILIES for one in getattr(family, way)]
        assert len(held) == len(set(held))
        assert set(held) == set(union.__args__)


def test_a_codec_reads_the_families_it_was_made_for_and_no_other() -> None:
    small = control.Codec([control.join.FAMILY, control.report.FAMILY])
    assert small.decode_up(control.encode(control.Leave())) == control.Leave()
    with pytest.raises(MalformedControl, match="stats_request"):
        small.decode_up(control.encode(control.StatsRequest()))


def test_unknown_fields_are_ignored() -> None:
    data = msgspec.msgpack.encode(HELLO | {"colour": "blue"})
    assert control.decode_up(data) == control.decode_up(msgspec.msgpack.encode(HELLO))


@pytest.mark.parametrize(
    "fields",
    [
        HELLO | {"name": ""},
        HELLO | {"name": "x" * 33},
        HELLO | {"room": ""},
        HELLO | {"ticket": bytes(15)},
        HELLO | {"slot_wanted": 0},
        HELLO | {"slot_wanted": 32},
        HELLO | {"next_seq": 0},
        HELLO | {"next_seq": 2**31 + 1},
        HELLO | {"release_advance": -1},
        HELLO | {"outs": 65},
        REPORT | {"events": -1},
        REPORT | {"late_numbers": [1] * 65},
        REPORT | {"down_p99_ms": float("nan")},
        REPORT | {"rtt_ms": float("inf")},
        REPORT | {"margins_ms": [float("nan")]},
        REPORT | {"digest": bytes(33)},
        REPORT | {"counts": {f"a{number}": 1 for number in range(65)}},
        REPORT | {"counts": {"x" * 41: 1}},
        REPORT | {"counts": {"\x1b[2J": 1}},
        REPORT | {"counts": {"a\n": 1}},
        REPORT | {"counts": {"a": -1}},
        {"type": "digest_detail", "second": 1, "events": [(1, bytes(33))]},
        {"type": "digest_detail", "second": 1, "events": [(1, b"")] * 4097},
        LIVE | {"pieces": [(b"", (), 0, 0)] * 4097},
        LIVE | {"events": [b""] * 4097},
        LIVE | {"index": 256},
        LIVE | {"slot": 0},
        LIVE | {"number": -1},
        LIVE | {"pieces": [(b"", (), 0)]},
        {"type": "ended", "seqs": [1] * 1025},
        {"type": "ended", "seqs": [-1]},
        {"type": "live_request", "slot": 32},
        PROBE | {"rate": 100.5},
        PROBE | {"rate": 0.0},
        PROBE | {"rate": float("nan")},
        PROBE | {"seconds": 601.0},
        PROBE | {"software": "x" * 65},
        {"type": "no such thing"},
        {"no": "type"},
        [],
    ],
    ids=str,
)
def test_what_is_out_of_bounds_is_malformed(fields: object) -> None:
    with pytest.raises(MalformedControl, match="bytes from a bridge"):
        control.decode_up(msgspec.msgpack.encode(fields))


def test_neither_side_takes_the_others_words() -> None:
    with pytest.raises(MalformedControl):
        control.decode_down(msgspec.msgpack.encode(HELLO))
    with pytest.raises(MalformedControl):
        control.decode_up(control.encode(control.Roster(members=[])))


@pytest.mark.parametrize("decode", [control.decode_up, control.decode_down])
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_raise_malformed_control_or_decode(decode: Any, data: bytes) -> None:
    with suppress(MalformedControl):
        decode(data)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
@given(data=st.data())
def test_damaged_messages_raise_malformed_control_or_decode(path: Path, data: st.DataObject) -> None:
    damaged = bytearray.fromhex(json.loads(path.read_text())["bytes"])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for decode in (control.decode_up, control.decode_down):
        with suppress(MalformedControl):
            decode(bytes(damaged))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_have_a_protocol_or_none(data: bytes) -> None:
    assert isinstance(control.protocol_of(data), int | None)
    assert isinstance(control.protocol_of(b"\x82" + data), int | None)


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(MalformedControl):
        control.decode_up(b"\x91" * 100_000)
    with pytest.raises(MalformedControl):
        control.decode_up(b"\x82\xa4type\xa5leave\xa1x" + b"\x91" * 100_000 + b"\x90")


@given(st.text(max_size=80))
def test_a_cleaned_name_is_printable_not_empty_and_fits(text: str) -> None:
    name = names.clean_name(text)
    assert name.isprintable()
    assert 1 <= len(name) <= names.MAX_NAME
    assert names.clean_name(name) == name
    control.decode_up(msgspec.msgpack.encode(HELLO | {"name": name}))


@pytest.mark.parametrize(
    ("text", "name"),
    [("ann", "ann"), (" ann\n", "ann"), ("\x1b[31mann", "[31mann"), ("a\u202eb", "ab"), ("\0\t", "player")],
)
def test_names_lose_what_would_disturb_a_terminal(text: str, name: str) -> None:
    assert names.clean_name(text) == name


@pytest.mark.parametrize("changed", [{"shift": ticks(0.3)}, {"shift_was": Ramp(ticks(0.3), 1, 2)}])
def test_settings_with_a_shift_beyond_the_lead_are_malformed(changed: dict[str, object]) -> None:
    good = control.encode(control.Settings(lead=ticks(0.2), shift=0, horizon=0))
    bad = msgspec.msgpack.encode(msgspec.msgpack.decode(good) | changed)
    assert control.decode_down(good)
    with pytest.raises(MalformedControl, match="the shift must lie between 0 and the lead"):
        control.decode_down(bad)
