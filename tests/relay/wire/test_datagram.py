"""Sealed datagrams: which ones open, which don't, and that a forged one never does."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.datagram import (
    HEADER_BYTES,
    MAX_DATAGRAM_BYTES,
    MAX_PLAINTEXT_BYTES,
    REPLAY_WINDOW,
    TAG_BYTES,
    Opener,
    Sealer,
    peek_channel,
)
from relay.wire.errors import LocalError, MalformedDatagram
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds import places

KEY = bytes(range(32))
VECTORS = sorted((places.VECTORS / "datagram").glob("*.json"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_golden_datagram_is_sealed_and_opened_as_written_down(path: Path) -> None:
    vector = json.loads(path.read_text())
    key, datagram = bytes.fromhex(vector["key"]), bytes.fromhex(vector["datagram"])
    plaintext, channel = bytes.fromhex(vector["plaintext"]), vector["channel"]
    opener = Opener(key, channel)
    if "refused" in vector:
        with pytest.raises(MalformedDatagram, match=vector["refused"]):
            opener.open(datagram)
    else:
        assert Sealer(key, channel, counter=vector["counter"]).seal(plaintext) == datagram
        assert peek_channel(datagram) == channel
        assert opener.open(datagram) == plaintext


def test_layout_is_what_another_implementation_would_build() -> None:
    header = bytes([ord("J"), PROTOCOL_VERSION]) + (9).to_bytes(4, "big") + (5).to_bytes(8, "big")
    nonce = bytes(4) + (5).to_bytes(8, "big")
    theirs = header + ChaCha20Poly1305(KEY).encrypt(nonce, b"note", header)
    assert Sealer(KEY, 9, counter=5).seal(b"note") == theirs


def test_first_byte_is_never_an_ntp_request() -> None:
    assert Sealer(KEY, 1).seal(b"")[0] & 0b111 != 3


def test_largest_plaintext_fills_a_datagram_exactly() -> None:
    datagram = Sealer(KEY, 1).seal(bytes(MAX_PLAINTEXT_BYTES))
    assert len(datagram) == MAX_DATAGRAM_BYTES
    assert Opener(KEY, 1).open(datagram) == bytes(MAX_PLAINTEXT_BYTES)


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES, HEADER_BYTES + TAG_BYTES - 1, MAX_DATAGRAM_BYTES + 1])
def test_datagram_of_impossible_length_is_refused_with_its_length(length: int) -> None:
    datagram = (Sealer(KEY, 1).seal(bytes(MAX_PLAINTEXT_BYTES)) + b"x")[:length]
    with pytest.raises(MalformedDatagram, match=f"of {length} bytes"):
        peek_channel(datagram)


def test_other_version_is_named_with_the_side_to_update() -> None:
    datagram = bytearray(Sealer(KEY, 1).seal(b""))
    ours = f"this side speaks {PROTOCOL_VERSION}"
    datagram[1] = PROTOCOL_VERSION + 1
    with pytest.raises(MalformedDatagram, match=f"version {datagram[1]}, {ours}: update this side"):
        peek_channel(bytes(datagram))
    datagram[1] = 0
    with pytest.raises(MalformedDatagram, match=f"version 0, {ours}: update the sender"):
        peek_channel(bytes(datagram))


@given(st.binary(max_size=60), st.data())
def test_no_single_bit_can_be_changed(plaintext: bytes, data: st.DataObject) -> None:
    datagram = bytearray(Sealer(KEY, 1).seal(plaintext))
    bit = data.draw(st.integers(0, len(datagram) * 8 - 1))
    datagram[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MalformedDatagram):
        Opener(KEY, 1).open(bytes(datagram))


def test_other_channel_and_other_key_do_not_open() -> None:
    datagram = Sealer(KEY, 1).seal(b"note")
    with pytest.raises(MalformedDatagram, match="channel 1 given to channel 2"):
        Opener(KEY, 2).open(datagram)
    with pytest.raises(MalformedDatagram, match="does not open"):
        Opener(bytes(32), 1).open(datagram)


@given(st.lists(st.integers(0, 4000), max_size=60))
def test_each_datagram_opens_once_unless_the_window_has_passed_it(order: list[int]) -> None:
    opener = Opener(KEY, 1)
    opened: set[int] = set()
    for counter in order:
        datagram = Sealer(KEY, 1, counter=counter).seal(b"note")
        if counter in opened or counter <= max(opened, default=0) - REPLAY_WINDOW:
            with pytest.raises(MalformedDatagram):
                opener.open(datagram)
        else:
            assert opener.open(datagram) == b"note"
            opened.add(counter)


def test_replay_window_reaches_back_exactly_1024_datagrams() -> None:
    opener = Opener(KEY, 1)
    datagrams = [Sealer(KEY, 1, counter=counter).seal(b"note") for counter in range(REPLAY_WINDOW + 1)]
    opener.open(datagrams[-1])
    assert opener.open(datagrams[1]) == b"note"
    with pytest.raises(MalformedDatagram, match="1024 behind"):
        opener.open(datagrams[0])


def test_leap_over_the_whole_window_keeps_replays_out() -> None:
    opener = Opener(KEY, 1)
    early, late = Sealer(KEY, 1).seal(b""), Sealer(KEY, 1, counter=2**63).seal(b"")
    opener.open(early)
    opener.open(late)
    for replay in (early, late):
        with pytest.raises(MalformedDatagram):
            opener.open(replay)


def test_forged_counter_does_not_shut_out_the_genuine_sender() -> None:
    opener = Opener(KEY, 1)
    with pytest.raises(MalformedDatagram):
        opener.open(Sealer(bytes(32), 1, counter=2**40).seal(b"forged"))
    with pytest.raises(MalformedDatagram):
        opener.open(Sealer(bytes(32), 1, counter=0).seal(b"forged"))
    assert opener.open(Sealer(KEY, 1, counter=0).seal(b"note")) == b"note"


def test_counter_never_wraps() -> None:
    sealer = Sealer(KEY, 1, counter=2**64 - 1)
    sealer.seal(b"the last")
    with pytest.raises(LocalError, match="join again"):
        sealer.seal(b"one more")


@given(st.binary(max_size=1300))
def test_any_bytes_are_refused_without_another_error(data: bytes) -> None:
    with pytest.raises(MalformedDatagram):
        Opener(KEY, 1).open(data)
    with pytest.raises(MalformedDatagram):
        Opener(KEY, 1).open(bytes([ord("J"), PROTOCOL_VERSION, 0, 0, 0, 1]) + data)
