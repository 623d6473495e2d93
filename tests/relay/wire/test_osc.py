"""The validating OSC walk: it reads what python-osc reads, and refuses what hangs scsynth."""

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from relay.wire import osc
from relay.wire.errors import LocalError, MalformedOsc
from relay.wire.timetag import FIRST_SAFE
from tests.worlds import places

VECTORS = places.VECTORS / "osc"
CAPTURED = [
    bytes.fromhex(json.loads(line)["hex"])
    for path in sorted(VECTORS.glob("*.jsonl"))
    for line in path.read_text().splitlines()
]
NOW = 0xEEAB_B52D_E1C6_9000

FLOATS = st.floats(width=32, allow_nan=False)
# python-osc refuses empty strings, which OSC allows.
STRINGS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
ARGS = st.lists(
    st.one_of(st.integers(-(2**31), 2**31 - 1), FLOATS, STRINGS, st.binary(min_size=1, max_size=40)),
    max_size=30,
)
ADDRESSES = st.from_regex(r"/[a-zA-Z0-9_./-]{0,30}", fullmatch=True)


def element(data: bytes, size: int | None = None) -> bytes:
    return struct.pack(">i", len(data) if size is None else size) + data


def bundle_of(*elements: bytes, timetag: int = NOW) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", timetag) + b"".join(elements)


def nested(depth: int) -> bytes:
    data = bundle_of(element(osc.encode("/status")))
    for _ in range(depth - 1):
        data = bundle_of(element(data))
    return data


NOTE = osc.encode("/s_new", "sonic-pi-beep", 10, 0, 8, "note", 60.0)
SAFE = element(NOTE)


@given(ADDRESSES, ARGS)
def test_what_we_encode_and_walk_is_what_python_osc_reads(address: str, args: list[osc.Arg]) -> None:
    data = osc.encode(address, *args)
    [(timetag, message)] = osc.walk(data)
    reference = OscMessage(data)
    assert timetag is None
    assert message.raw == data
    assert message.address == reference.address == address
    assert list(message.args) == reference.params == args
    assert [message.arg(index) for index in range(len(args))] == args


@pytest.mark.parametrize("data", CAPTURED, ids=range(len(CAPTURED)))
def test_what_sonic_pi_and_scsynth_send_is_accepted_and_read_as_python_osc_reads_it(data: bytes) -> None:
    [(timetag, message)] = osc.walk(data)
    if OscBundle.dgram_is_bundle(data):
        reference = OscBundle(data).content(0)
        assert timetag == osc.timetag_of(data)
        assert osc.bundle(timetag, message.raw) == data
    else:
        reference = OscMessage(data)
        assert timetag is None
    assert message.address == reference.address
    assert list(message.args) == reference.params


def test_both_versions_of_sonic_pi_are_among_the_captures() -> None:
    assert len(CAPTURED) == 119


@given(st.binary(max_size=200))
def test_any_bytes_are_walked_or_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        osc.walk(data)
    except MalformedOsc:
        return
    assert data[:1] in b"/#"


@given(st.data())
def test_a_damaged_datagram_is_refused_or_still_fills_its_size_exactly(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(CAPTURED)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        walked = osc.walk(bytes(whole))
    except MalformedOsc:
        return
    for _timetag, message in walked:
        assert len(message.args) == len(message.tags)
        again = osc.encode(message.address, *message.args)
        if set(message.tags) <= set("ifsb") and all(x == x for x in message.args):
            assert again == message.raw


def test_nested_bundles_are_flattened_and_keep_their_own_timetags() -> None:
    inner = bundle_of(SAFE, element(osc.encode("/n_free", 10)), timetag=NOW + 7)
    at_once = bundle_of(SAFE, timetag=1)
    walked = osc.walk(bundle_of(element(inner), element(at_once)))
    assert [(tag, message.address) for tag, message in walked] == [
        (NOW + 7, "/s_new"),
        (NOW + 7, "/n_free"),
        (None, "/s_new"),
    ]


@pytest.mark.parametrize("timetag", [0, 1])
def test_a_bundle_to_be_run_at_once_has_no_timetag(timetag: int) -> None:
    assert osc.walk(osc.bundle(timetag, NOTE))[0][0] is None


@pytest.mark.parametrize("timetag", [2, 3, 1 << 40, FIRST_SAFE - 1, 2**64 - 1])
def test_a_timetag_that_never_runs_is_refused(timetag: int) -> None:
    with pytest.raises(MalformedOsc, match=r"timetag .* at 8: scsynth would never run it"):
        osc.walk(osc.bundle(timetag, NOTE))


@pytest.mark.parametrize("timetag", [FIRST_SAFE, NOW, 2**64 - 2])
def test_a_timetag_of_our_time_is_accepted_to_the_tick(timetag: int) -> None:
    assert osc.walk(osc.bundle(timetag, NOTE))[0][0] == timetag


def test_an_array_keeps_tags_offsets_and_args_in_step() -> None:
    data = b"/n_set\0\0,is[ff]\0" + struct.pack(">i", 7) + b"amp\0" + struct.pack(">ff", 0.5, 0.25)
    message = osc.walk(data)[0][1]
    assert message.args == (7, "amp", "[", 0.5, 0.25, "]")
    assert len(message.offsets) == len(message.tags) == 6


def test_doubles_are_read_as_scsynth_sends_them() -> None:
    data = b"/status.reply\0\0\0,d\0\0" + struct.pack(">d", math.pi)
    assert osc.walk(data)[0][1].args == (math.pi,)


MALFORMED = {
    "nothing": (b"", "0 bytes"),
    "size-not-a-multiple-of-4": (NOTE[:-1], "multiple of 4"),
    "too-large-for-udp": (bytes(65_508), "at most 65507"),
    "four-zeros": (bytes(4), "address"),
    "command-number-instead-of-an-address": (b"\0\0\0\x09,i\0\0\0\0\0\1", "address"),
    "address-without-a-slash": (b"status\0\0,\0\0\0", "expected / first"),
    "address-with-a-space": (b"/sta tus\0\0\0\0,\0\0\0", "expected / first"),
    "address-not-ascii": (b"/st\xc3\xa4\0\0\0,\0\0\0", "expected / first"),
    "address-with-a-control-character": (b"/st\x07\0\0\0\0,\0\0\0", "expected / first"),
    "address-never-ends": (b"/status!", "never ends"),
    "address-padded-with-junk": (b"/sta\0xyz,\0\0\0", "padded"),
    "no-typetags": (b"/status\0", "without typetags"),
    "typetags-without-a-comma": (b"/status\0iii\0", "expected a comma at 8"),
    "typetags-never-end": (b"/status\0,iii", "never end"),
    "typetags-padded-with-junk": (b"/status\0,\0xy", "padded"),
    "int64": (b"/status\0,h\0\0" + bytes(8), "typetag 'h'"),
    "true": (b"/status\0,T\0\0", "typetag 'T'"),
    "nil": (b"/status\0,N\0\0", "typetag 'N'"),
    "timetag-argument": (b"/status\0,t\0\0" + bytes(8), "typetag 't'"),
    "array-never-closed": (b"/n_set\0\0,is[\0\0\0\0\0\0\0\0amp\0", "never closed"),
    "array-closed-twice": (b"/n_set\0\0,is]\0\0\0\0\0\0\0\0amp\0", "typetag ']'"),
    "array-in-an-array": (b"/n_set\0\0,[[i]\0\0\0\0\0\0\0", "typetag '[' in an array"),
    "blob-in-an-array": (b"/n_set\0\0,[b]\0\0\0\0\0\0\0\0", "typetag 'b' in an array"),
    "argument-missing": (b"/n_free\0,ii\0\0\0\0\1", "its tags need"),
    "argument-too-many": (b"/n_free\0,\0\0\0\0\0\0\1", "its tags need"),
    "string-never-ends": (b"/d_free\0,s\0\0abcd", "string at 12"),
    "string-missing": (b"/d_free\0,s\0\0", "string at 12"),
    "string-padded-with-junk": (b"/d_free\0,s\0\0a\0xy", "non-zero padding"),
    "string-not-utf-8": (b"/d_free\0,s\0\0\xff\xfe\0\0", "not UTF-8"),
    "blob-size-missing": (b"/d_recv\0,b\0\0", "blob"),
    "blob-past-the-end": (b"/d_recv\0,b\0\0\0\0\0\5abcd", "expected 0 to 4"),
    "blob-negative": (b"/d_recv\0,b\0\0\xff\xff\xff\xff", "blob of -1"),
    "blob-padded-with-junk": (b"/d_recv\0,b\0\0\0\0\0\1axyz", "non-zero padding"),
    "bundle-header-cut": (b"#bundle\0\xee\0\0\0", "header has 16"),
    "element-size-negative": (bundle_of(element(NOTE, -4)), "element of -4"),
    "element-size-zero": (bundle_of(element(b"", 0), SAFE), "element of 0"),
    "element-size-odd": (bundle_of(element(NOTE, 6)), "element of 6"),
    "element-past-the-end": (bundle_of(element(NOTE, len(NOTE) + 4)), "at most"),
    "element-size-without-element": (bundle_of(SAFE, bytes(4)), "element of 0"),
    "message-then-bundle": (bundle_of(SAFE, element(bundle_of(SAFE))), "never both"),
    "bundle-then-message": (bundle_of(element(bundle_of(SAFE)), SAFE), "never both"),
    "five-bundles-deep": (nested(5), "at most 4"),
    "65-messages": (bundle_of(*[SAFE] * 65), "at most 64"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_osc_is_refused_with_what_was_found(name: str) -> None:
    data, found = MALFORMED[name]
    with pytest.raises(MalformedOsc, match=found.replace("[", r"\[")):
        osc.walk(data)


@pytest.mark.parametrize("name", [n for n, (d, _) in MALFORMED.items() if d[:1] == b"/" and not len(d) % 4])
def test_a_malformed_message_is_refused_inside_a_bundle_too(name: str) -> None:
    with pytest.raises(MalformedOsc):
        osc.walk(bundle_of(SAFE, element(MALFORMED[name][0])))


def test_the_bounds_themselves_are_accepted() -> None:
    assert len(osc.walk(nested(4))) == 1
    assert len(osc.walk(bundle_of(*[SAFE] * 64))) == 64
    assert osc.walk(bundle_of()) == []


@pytest.mark.parametrize(
    ("address", "args"),
    [
        ("status", ()),
        ("/n free", ()),
        ("/n_free", (1 << 31,)),
        ("/n_set", (1e300,)),
        ("/d_free", ("a\0b",)),
        ("/d_free", ("\ud800",)),
        ("/d_free", (None,)),
    ],
)
def test_what_our_own_walk_would_refuse_is_not_encoded(address: str, args: tuple[object, ...]) -> None:
    with pytest.raises(LocalError):
        osc.encode(address, *args)


def test_the_timetag_of_what_is_no_bundle_is_refused() -> None:
    with pytest.raises(MalformedOsc):
        osc.timetag_of(NOTE)
