"""Frames: their exact bytes in a datagram, and that anything else is refused."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire import frames
from relay.wire.datagram import MAX_DATAGRAM_BYTES, MAX_PLAINTEXT_BYTES, Opener, Sealer
from relay.wire.errors import MalformedDatagram
from relay.wire.frames import BeatDown, BeatUp, Clock, Nack, ProbeDown, ProbeUp, decode, encode, join
from relay.wire.sequence import Flag, Judged, Kind, Stamped
from relay.wire.timetag import FIRST_SAFE
from tests.worlds import places

VECTORS = sorted((places.VECTORS / "frames").glob("*.json"))

KINDS = (Stamped, Judged, BeatDown, BeatUp, Nack, Clock, ProbeUp, ProbeDown)

INSTANTS = st.integers(FIRST_SAFE, frames.LAST_INSTANT)
U64 = st.integers(0, 2**64 - 1)
SEQS = st.integers(0, frames.MAX_SEQ)
PAYLOADS = st.binary(min_size=2, max_size=frames.MAX_PAYLOAD_BYTES // 4).map(lambda data: data * 4)
BARE = st.sampled_from([Kind.UNTIMED, Kind.RESOURCE])
FLAGS = st.integers(0, sum(Flag)).map(Flag)

EVENTS = st.one_of(
    st.builds(Stamped, SEQS, INSTANTS, INSTANTS, st.just(Kind.TIMED), PAYLOADS),
    st.builds(Stamped, SEQS, INSTANTS, st.none(), BARE, PAYLOADS),
    st.builds(Stamped, SEQS, INSTANTS, st.none(), st.just(Kind.RESET), st.just(b"")),
)
JUDGED = st.one_of(
    st.builds(
        Judged, U64, st.integers(1, 31), SEQS, INSTANTS, INSTANTS, BARE | st.just(Kind.TIMED), FLAGS, PAYLOADS
    ),
    st.builds(
        Judged, U64, st.integers(1, 31), SEQS, INSTANTS, INSTANTS, st.just(Kind.RESET), FLAGS, st.just(b"")
    ),
)
PROBE_SIZES = st.integers(frames.PROBE_BYTES_MIN, frames.PROBE_BYTES_MAX)
RANGES = st.tuples(U64, U64).map(lambda pair: (min(pair), max(pair)))
FRAMES = st.one_of(
    EVENTS,
    JUDGED,
    st.builds(BeatDown, U64, U64, U64),
    st.builds(BeatUp, SEQS, U64, U64),
    st.builds(Nack, st.lists(RANGES, min_size=1, max_size=frames.MAX_NACK_RANGES).map(tuple)),
    st.builds(Clock, st.binary(min_size=frames.CLOCK_BYTES, max_size=frames.CLOCK_BYTES)),
    st.builds(ProbeUp, SEQS, PROBE_SIZES),
    st.builds(ProbeDown, SEQS, U64, U64, PROBE_SIZES),
)


def from_words(words: dict[str, Any]) -> frames.Frame:
    """Return the frame that a test vector describes."""
    fields = {name: value for name, value in words.items() if name != "frame"}
    for name in ("payload", "ntp"):
        if name in fields:
            fields[name] = bytes.fromhex(fields[name])
    if "kind" in fields:
        fields["kind"] = Kind[fields["kind"]]
    if "flags" in fields:
        fields["flags"] = Flag(sum(Flag[name] for name in fields["flags"]))
    if "ranges" in fields:
        fields["ranges"] = tuple(map(tuple, fields["ranges"]))
    kinds = {kind.__name__: kind for kind in KINDS}
    return kinds[words["frame"]](**fields)


def test_there_are_vectors_for_every_frame_and_for_refusals() -> None:
    vectors = [json.loads(path.read_text()) for path in VECTORS]
    held = {words["frame"] for vector in vectors for words in vector.get("frames", ())}
    assert held == {kind.__name__ for kind in KINDS}
    assert sum("refused" in vector for vector in vectors) >= 5


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_golden_plaintext_is_encoded_and_decoded_as_written_down(path: Path) -> None:
    vector = json.loads(path.read_text())
    plaintext = bytes.fromhex(vector["plaintext"])
    if "refused" in vector:
        with pytest.raises(MalformedDatagram, match=vector["refused"]):
            decode(plaintext)
        return
    parts = [from_words(words) for words in vector["frames"]]
    assert decode(plaintext) == parts
    assert b"".join(map(encode, parts)) == plaintext


@given(st.lists(FRAMES, max_size=6))
def test_frames_survive_the_round_trip(parts: list[frames.Frame]) -> None:
    assert decode(b"".join(map(encode, parts))) == parts


@given(st.lists(EVENTS | JUDGED, max_size=20))
def test_joined_frames_keep_their_order_and_fit_datagrams(parts: list[frames.Frame]) -> None:
    plaintexts = join(map(encode, parts))
    assert all(0 < len(plaintext) <= MAX_PLAINTEXT_BYTES for plaintext in plaintexts)
    assert [part for plaintext in plaintexts for part in decode(plaintext)] == parts
    for first, second in pairwise(plaintexts):
        next_frame = encode(decode(second)[0])
        assert len(first) + len(next_frame) > MAX_PLAINTEXT_BYTES  # none was ended early


@pytest.mark.parametrize(
    "largest",
    [
        Judged(
            2**64 - 1,
            31,
            2**32 - 1,
            FIRST_SAFE,
            FIRST_SAFE,
            Kind.TIMED,
            Flag(31),
            bytes(frames.MAX_PAYLOAD_BYTES),
        ),
        Stamped(2**32 - 1, FIRST_SAFE, FIRST_SAFE, Kind.TIMED, bytes(frames.MAX_PAYLOAD_BYTES), True),
        Nack(((0, 1),) * frames.MAX_NACK_RANGES),
        ProbeUp(2**32 - 1, frames.PROBE_BYTES_MAX),
        ProbeDown(2**32 - 1, FIRST_SAFE, FIRST_SAFE, frames.PROBE_BYTES_MAX),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_the_largest_frame_of_each_kind_fits_one_datagram(largest: frames.Frame) -> None:
    (plaintext,) = join([encode(largest)])
    datagram = Sealer(bytes(32), 1).seal(plaintext)
    assert len(datagram) <= MAX_DATAGRAM_BYTES
    assert decode(Opener(bytes(32), 1).open(datagram)) == [largest]


def test_a_judged_event_of_the_largest_payload_leaves_less_than_a_word_free() -> None:
    largest = Judged(1, 1, 1, FIRST_SAFE, FIRST_SAFE, Kind.TIMED, Flag.NONE, bytes(frames.MAX_PAYLOAD_BYTES))
    assert MAX_PLAINTEXT_BYTES - len(encode(largest)) < 4


@given(st.binary(max_size=MAX_PLAINTEXT_BYTES))
def test_arbitrary_bytes_raise_malformed_datagram_or_decode(plaintext: bytes) -> None:
    try:
        decoded = decode(plaintext)
    except MalformedDatagram:
        return
    assert b"".join(map(encode, decoded)) == plaintext


@given(FRAMES, st.data())
def test_damaged_frames_raise_malformed_datagram_or_decode(part: frames.Frame, data: st.DataObject) -> None:
    damaged = bytearray(encode(part))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        decoded = decode(cut)
    except MalformedDatagram:
        return
    assert b"".join(map(encode, decoded)) == cut


def test_one_bad_frame_spoils_its_whole_datagram() -> None:
    good = encode(BeatUp(1, 1, 1))
    with pytest.raises(MalformedDatagram):
        decode(good + b"\xff\0\0")
