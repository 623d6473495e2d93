"""Frames: the messages inside a sealed datagram. One datagram holds one or more frames.

Pure. Layout and limits are in PROTOCOL.md. A frame is one byte of type, two bytes of length, then its body.
All numbers are big-endian. A decoder that fails raises MalformedDatagram.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from relay.wire.datagram import MAX_PLAINTEXT_BYTES
from relay.wire.errors import MalformedDatagram
from relay.wire.sequence import Flag, Judged, Kind, Stamped
from relay.wire.timetag import FIRST_SAFE

_HEAD = struct.Struct(">BH")
_EVENT = struct.Struct(">IQQB")
_JUDGED = struct.Struct(">QBIQQBB")
_BEAT_DOWN = struct.Struct(">QQQ")
_BEAT_UP = struct.Struct(">IQQ")
_RANGE = struct.Struct(">QQ")
_PROBE_UP = struct.Struct(">I")
_PROBE_DOWN = struct.Struct(">IQQ")

CLOCK_BYTES = 48
"""Bytes of a clock frame's body: one NTP packet (RFC 5905, section 7.3), a request or an answer."""

MAX_PAYLOAD_BYTES = MAX_PLAINTEXT_BYTES - _HEAD.size - _JUDGED.size
"""Greatest size of an event's OSC message, bytes. An event of this size fits one datagram, also with the
relay's verdict."""

MAX_NACK_RANGES = 64
LAST_INSTANT = 2**64 - 2
MAX_SEQ = 2**32 - 1
MAX_SLOT = 31
"""Greatest slot. In each scsynth a node of the room has the id slot << 26 | own id, in 32 signed bits. Slot 0
is for nodes that exist on one host only."""

PROBE_BYTES_MIN = _PROBE_DOWN.size
"""Least size of a probe's body in either direction, bytes. A request must be at least as long as its answer:
otherwise strangers could use the relay to amplify traffic."""
PROBE_BYTES_MAX = MAX_PLAINTEXT_BYTES - _HEAD.size


@dataclass(frozen=True, slots=True)
class BeatDown:
    """Heartbeat from relay to bridge. Every event due at or before `watermark` has a number up to `number`.

    watermark: session timetag. number: room number. sent: session instant at which the relay sent this
    heartbeat; from it the bridge measures the downlink delay.
    """

    watermark: int
    number: int
    sent: int


@dataclass(frozen=True, slots=True)
class BeatUp:
    """Heartbeat from bridge to relay.

    last_seq: the sequence number of the bridge's latest own event. complete_number: the room number up to
    which the bridge has all events. sent: session instant at which the bridge sent this heartbeat; from it
    the relay measures the uplink delay.
    """

    last_seq: int
    complete_number: int
    sent: int


@dataclass(frozen=True, slots=True)
class Nack:
    """A request to send missing events again, in either direction.

    ranges: pairs (first, last) of numbers, both included. A bridge gives room numbers, a relay the sender's
    sequence numbers.
    """

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """One NTP packet of a clock exchange: a request from bridge to relay, or the relay's answer."""

    ntp: bytes


@dataclass(frozen=True, slots=True)
class ProbeUp:
    """One probe of a path measurement, from prober to relay.

    number: identifies the probe; the prober itself remembers when it sent it. size: bytes of the frame's
    body, which is padded with zeros.
    """

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class ProbeDown:
    """The answer to one probe, from relay to prober. It is sent at once and has the same size.

    received, sent: session instants at which the relay received the probe and sent this answer.
    """

    number: int
    received: int
    sent: int
    size: int


Frame = Stamped | Judged | BeatDown | BeatUp | Nack | Clock | ProbeUp | ProbeDown

_EVENT_TYPE, _JUDGED_TYPE, _BEAT_DOWN_TYPE, _BEAT_UP_TYPE, _NACK_TYPE, _CLOCK_TYPE = range(1, 7)
_PROBE_UP_TYPE, _PROBE_DOWN_TYPE = 7, 8


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame, with its head (type and length)."""
    match frame:
        case Stamped():
            head = _EVENT.pack(frame.seq, frame.emitted, frame.timetag or 0, int(frame.kind))
            return _framed(_EVENT_TYPE, head + frame.payload)
        case Judged():
            number, slot, seq, due, judged = frame.number, frame.slot, frame.seq, frame.due, frame.judged
            head = _JUDGED.pack(number, slot, seq, due, judged, int(frame.kind), int(frame.flags))
            return _framed(_JUDGED_TYPE, head + frame.payload)
        case BeatDown():
            return _framed(_BEAT_DOWN_TYPE, _BEAT_DOWN.pack(frame.watermark, frame.number, frame.sent))
        case BeatUp():
            return _framed(_BEAT_UP_TYPE, _BEAT_UP.pack(frame.last_seq, frame.complete_number, frame.sent))
        case Nack():
            assert len(frame.ranges) <= MAX_NACK_RANGES
            return _framed(_NACK_TYPE, b"".join(_RANGE.pack(*bounds) for bounds in frame.ranges))
        case Clock():
            assert len(frame.ntp) == CLOCK_BYTES
            return _framed(_CLOCK_TYPE, frame.ntp)
        case ProbeUp():
            return _framed(_PROBE_UP_TYPE, _padded(_PROBE_UP.pack(frame.number), frame.size))
        case ProbeDown():
            head = _PROBE_DOWN.pack(frame.number, frame.received, frame.sent)
            return _framed(_PROBE_DOWN_TYPE, _padded(head, frame.size))


def decode(plaintext: bytes) -> list[Frame]:
    """Return the frames of a datagram's plaintext.

    Raises MalformedDatagram if any frame is malformed, even if the others are good.
    """
    frames: list[Frame] = []
    at = 0
    while at < len(plaintext):
        if len(plaintext) - at < _HEAD.size:
            raise MalformedDatagram(
                f"{len(plaintext) - at} bytes at offset {at}: a frame's head needs {_HEAD.size}"
            )
        frame_type, length = _HEAD.unpack_from(plaintext, at)
        at += _HEAD.size
        body = plaintext[at : at + length]
        if len(body) < length:
            raise MalformedDatagram(
                f"frame of type {frame_type}: {length} bytes announced, {len(body)} there"
            )
        at += length
        frames.append(_decode_body(frame_type, body))
    return frames


def place_of(judged: bytes) -> tuple[int, int, int, int]:
    """Return (room number, sender's number, due, kind) of an encoded judged event, without decoding the rest.

    due: session timetag. kind: the number of the Kind. The event must be one that `encode` returned.
    """
    number, _, seq, due, _, kind, _ = _JUDGED.unpack_from(judged, _HEAD.size)
    return number, seq, due, kind


def payload_of(judged: bytes) -> bytes:
    """Return the message of an encoded judged event."""
    return judged[_HEAD.size + _JUDGED.size :]


def join(frames: Iterable[bytes]) -> list[bytes]:
    """Pack encoded frames, in their order, into as few plaintexts of datagrams as possible.

    Each plaintext has at most MAX_PLAINTEXT_BYTES.
    """
    plaintexts: list[bytes] = []
    current: list[bytes] = []
    size = 0
    for frame in frames:
        if size + len(frame) > MAX_PLAINTEXT_BYTES and current:
            plaintexts.append(b"".join(current))
            current, size = [], 0
        current.append(frame)
        size += len(frame)
    if current:
        plaintexts.append(b"".join(current))
    return plaintexts


def _framed(frame_type: int, body: bytes) -> bytes:
    return _HEAD.pack(frame_type, len(body)) + body


def _padded(head: bytes, size: int) -> bytes:
    assert PROBE_BYTES_MIN <= size <= PROBE_BYTES_MAX
    return head + bytes(size - len(head))


def _decode_body(frame_type: int, body: bytes) -> Frame:
    if frame_type == _EVENT_TYPE:
        return _decode_event(body)
    if frame_type == _JUDGED_TYPE:
        return _decode_judged(body)
    if frame_type == _BEAT_DOWN_TYPE:
        return BeatDown(*_fixed(_BEAT_DOWN, body, "heartbeat down"))
    if frame_type == _BEAT_UP_TYPE:
        return BeatUp(*_fixed(_BEAT_UP, body, "heartbeat up"))
    if frame_type == _NACK_TYPE:
        return _decode_nack(body)
    if frame_type == _CLOCK_TYPE:
        if len(body) != CLOCK_BYTES:
            raise MalformedDatagram(f"clock frame of {len(body)} bytes: expected {CLOCK_BYTES}")
        return Clock(body)
    if frame_type == _PROBE_UP_TYPE:
        (number,) = _padded_head(_PROBE_UP, body)
        return ProbeUp(number, len(body))
    if frame_type == _PROBE_DOWN_TYPE:
        number, received, sent = _padded_head(_PROBE_DOWN, body)
        return ProbeDown(number, received, sent, len(body))
    raise MalformedDatagram(f"frame of unknown type {frame_type}: expected 1 to {_PROBE_DOWN_TYPE}")


def _padded_head(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < PROBE_BYTES_MIN:
        raise MalformedDatagram(f"probe of {len(body)} bytes: expected at least {PROBE_BYTES_MIN}")
    if any(body[layout.size :]):
        raise MalformedDatagram("probe with something behind its figures: only zeros belong there")
    return layout.unpack_from(body)


def _fixed(layout: struct.Struct, body: bytes, name: str) -> tuple[int, ...]:
    if len(body) != layout.size:
        raise MalformedDatagram(f"{name} of {len(body)} bytes: expected {layout.size}")
    return layout.unpack(body)


def _decode_event(body: bytes) -> Stamped:
    seq, emitted, timetag, kind_byte = _head(_EVENT, body, "event")
    kind = _kind(kind_byte)
    _check_instant(emitted, "instant of emission")
    if (kind is Kind.TIMED) != (timetag != 0):
        raise MalformedDatagram(f"event of kind {kind.name} with timetag {timetag}: only TIMED ones have one")
    if timetag:
        _check_instant(timetag, "timetag")
    payload = body[_EVENT.size :]
    _check_payload(payload, kind)
    return Stamped(seq, emitted, timetag or None, kind, payload)


def _decode_judged(body: bytes) -> Judged:
    number, slot, seq, due, judged, kind_byte, flag_byte = _head(_JUDGED, body, "judged event")
    kind = _kind(kind_byte)
    if not 1 <= slot <= MAX_SLOT:
        raise MalformedDatagram(f"judged event of slot {slot}: expected 1 to {MAX_SLOT}")
    _check_instant(due, "due")
    _check_instant(judged, "instant of judging")
    if flag_byte > sum(Flag):
        raise MalformedDatagram(f"flags {flag_byte:#x}: unknown bits")
    payload = body[_JUDGED.size :]
    _check_payload(payload, kind)
    return Judged(number, slot, seq, due, judged, kind, Flag(flag_byte), payload)


def _decode_nack(body: bytes) -> Nack:
    count, rest = divmod(len(body), _RANGE.size)
    if rest or not 1 <= count <= MAX_NACK_RANGES:
        raise MalformedDatagram(f"NACK of {len(body)} bytes: expected 1 to {MAX_NACK_RANGES} ranges of 16")
    ranges = tuple((first, last) for first, last in _RANGE.iter_unpack(body))
    for first, last in ranges:
        if last < first:
            raise MalformedDatagram(f"NACK range {first}..{last}: the last must not be below the first")
    return Nack(ranges)


def _head(layout: struct.Struct, body: bytes, name: str) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise MalformedDatagram(f"{name} of {len(body)} bytes: expected at least {layout.size}")
    return layout.unpack_from(body)


def _kind(value: int) -> Kind:
    try:
        return Kind(value)
    except ValueError:
        raise MalformedDatagram(f"event kind {value}: expected 0 to {max(Kind)}") from None


def _check_instant(instant: int, name: str) -> None:
    if not FIRST_SAFE <= instant <= LAST_INSTANT:
        raise MalformedDatagram(f"{name} {instant:#x}: not an instant between 1968 and 2036")


def _check_payload(payload: bytes, kind: Kind) -> None:
    if kind is Kind.RESET:
        if payload:
            raise MalformedDatagram(f"slot reset with {len(payload)} bytes of payload: expected none")
    elif not 8 <= len(payload) <= MAX_PAYLOAD_BYTES or len(payload) % 4:
        raise MalformedDatagram(
            f"payload of {len(payload)} bytes: an OSC message here has 8 to {MAX_PAYLOAD_BYTES}, in fours"
        )
