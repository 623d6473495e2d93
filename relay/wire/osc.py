"""The OSC parser: checks a datagram and splits it into messages that are safe to hand to scsynth.

Pure. scsynth validates nothing: some malformed datagrams hang its network or audio thread for good (measured
on 3.13). So a datagram that `walk` rejects isn't handed to any scsynth, not even the player's own. A message
keeps its bytes: numbers are changed in place, never decoded and encoded again. Bounds: MAX_DATAGRAM_BYTES,
MAX_MESSAGES, MAX_DEPTH. Source: OSC 1.0; scsynth 3.13's own reader.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from relay.wire.errors import LocalError, MalformedOsc
from relay.wire.timetag import FIRST_SAFE, IMMEDIATELY

Arg = int | float | str | bytes
"""A decoded argument. The bracket that begins or ends an array is decoded as "[" or "]". Only its type tag
distinguishes it from a string."""

MAX_DATAGRAM_BYTES = 65_507
"""The greatest UDP payload, bytes. scsynth's receive buffer is hardly larger."""

MAX_MESSAGES = 64
"""Greatest number of messages in one datagram. Sonic Pi always sends one. The limit keeps one datagram from
filling scsynth's queue, which holds 2048 bundles for all members together."""

MAX_DEPTH = 4
"""Greatest depth of nested bundles; the outermost has depth 1. Sonic Pi sends only depth 1."""

BUNDLE_TAG = b"#bundle\0"
_BUNDLE_HEADER_BYTES = 16
_NEVER = (1 << 64) - 1
_ZEROS = (b"", b"\0", b"\0\0", b"\0\0\0", b"\0\0\0\0")
_SCALARS = b"ifsbd"
_WORDS = b"if"
_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")
_DOUBLE = struct.Struct(">d")
_TIMETAG = struct.Struct(">Q")
_S, _B, _D, _OPEN, _CLOSE = b"sbd[]"


@dataclass(frozen=True, slots=True)
class Message:
    """One validated OSC message.

    raw: all its bytes. tags: the type tags, without the comma. offsets: where each argument starts in `raw`,
    in the order of `tags`. The bracket of an array takes no bytes; its offset is that of the next argument.
    """

    raw: bytes
    address: str
    tags: str
    offsets: tuple[int, ...]

    @property
    def args(self) -> tuple[Arg, ...]:
        """The arguments, one for each tag. Every access decodes them again."""
        raw = self.raw
        return tuple(
            [_DECODERS[tag](raw, offset) for tag, offset in zip(self.tags, self.offsets, strict=True)]
        )

    def arg(self, index: int) -> Arg:
        """Return the argument at `index`, decoded. Raises IndexError if there is none."""
        return _DECODERS[self.tags[index]](self.raw, self.offsets[index])


def walk(datagram: bytes) -> list[tuple[int | None, Message]]:
    """Return (timetag, message) for each message of a datagram, in their order.

    The timetag is None for a bare message and for a bundle to be run at once. Nested bundles are flattened
    and keep their own timetags. An empty bundle gives an empty list. Raises MalformedOsc for a datagram that
    isn't safe to hand to scsynth.
    """
    size = len(datagram)
    if size > MAX_DATAGRAM_BYTES:
        raise MalformedOsc(f"{size} bytes: a datagram has at most {MAX_DATAGRAM_BYTES}")
    if size & 3 or not size:
        raise MalformedOsc(f"{size} bytes: the size of OSC is a positive multiple of 4")
    if datagram[:8] != BUNDLE_TAG:
        return [(None, _message(datagram, 0))]
    found: list[tuple[int | None, Message]] = []
    _bundle(datagram, 0, size, 1, found)
    return found


def single_message(payload: bytes) -> Message:
    """Return the OSC message that `payload` consists of. Raises MalformedOsc if it is a bundle or
    malformed."""
    parts = walk(payload)
    if len(parts) != 1 or parts[0][0] is not None:
        raise MalformedOsc(f"{len(parts)} parts or a bundle: an event holds exactly one bare message")
    return parts[0][1]


def encode(address: str, *args: Arg) -> bytes:
    """Return an encoded message. An int gets the type tag i, a float f (32 bits), a str s, bytes b.

    Raises LocalError for an address or argument that OSC can't represent or that `walk` would reject.
    """
    if not _is_address(address):
        raise LocalError(f"address {address!r}: must start with / and be printable ASCII without spaces")
    tags = ","
    parts = []
    for arg in args:
        match arg:
            case int():
                if not -(1 << 31) <= arg < 1 << 31:
                    raise LocalError(f"{address}: {arg} does not fit an OSC int (32 bits)")
                tags += "i"
                parts.append(_INT.pack(arg))
            case float():
                tags += "f"
                try:
                    parts.append(_FLOAT.pack(arg))
                except OverflowError:
                    raise LocalError(f"{address}: {arg} does not fit an OSC float (32 bits)") from None
            case str():
                tags += "s"
                parts.append(encode_string(arg))
            case bytes():
                tags += "b"
                parts.append(_INT.pack(len(arg)) + arg + _ZEROS[-len(arg) & 3])
            case _:
                raise LocalError(f"{address}: {arg!r} is no OSC argument; use int, float, str or bytes")
    return encode_string(address) + encode_string(tags) + b"".join(parts)


def encode_string(text: str) -> bytes:
    """Return a text as an OSC string: UTF-8, with a zero byte at its end, padded with zeros to 4 bytes.

    Raises LocalError if the text contains a zero character.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise LocalError(f"{text!r}: has no UTF-8") from None
    if b"\0" in data:
        raise LocalError(f"{text!r}: an OSC string cannot hold a zero byte")
    return data + _ZEROS[4 - (len(data) & 3)]


def bundle(timetag: int, *messages: bytes) -> bytes:
    """Return a bundle of messages to be executed together. `timetag` is an OSC timetag (NTP, 64 bits)."""
    parts = [_INT.pack(len(message)) + message for message in messages]
    return BUNDLE_TAG + _TIMETAG.pack(timetag) + b"".join(parts)


def timetag_of(bundle: bytes) -> int:
    """Return the timetag of an encoded bundle. If bundles are nested, it is that of the outermost.

    Raises MalformedOsc if the bytes are no bundle.
    """
    if bundle[:8] != BUNDLE_TAG or len(bundle) < _BUNDLE_HEADER_BYTES:
        raise MalformedOsc(f"{bundle[:8]!r} at 0: expected a bundle")
    timetag: int = _TIMETAG.unpack_from(bundle, 8)[0]
    return timetag


def _bundle(data: bytes, start: int, end: int, depth: int, found: list[tuple[int | None, Message]]) -> None:
    """Append the (timetag, message) pairs of the bundle in data[start:end] to `found`."""
    if depth > MAX_DEPTH:
        raise MalformedOsc(f"bundle {depth} deep at {start}: at most {MAX_DEPTH} may be nested")
    if end - start < _BUNDLE_HEADER_BYTES:
        raise MalformedOsc(f"bundle of {end - start} bytes at {start}: a header has {_BUNDLE_HEADER_BYTES}")
    raw_timetag: int = _TIMETAG.unpack_from(data, start + 8)[0]
    timetag = None if raw_timetag <= IMMEDIATELY else raw_timetag
    if timetag is not None and not FIRST_SAFE <= timetag < _NEVER:
        raise MalformedOsc(
            f"timetag {timetag:#x} at {start + 8}: scsynth would never run it; "
            f"expected 0, 1 or at least {FIRST_SAFE:#x} and less than {_NEVER:#x}"
        )
    position = start + _BUNDLE_HEADER_BYTES
    nested: bool | None = None
    while position < end:
        # All sizes are multiples of 4, so at least four bytes can be read here.
        size: int = _INT.unpack_from(data, position)[0]
        if size <= 0 or size & 3 or size > end - position - 4:
            raise MalformedOsc(
                f"element of {size} bytes at {position}: expected a positive multiple of 4, "
                f"at most {end - position - 4}"
            )
        position += 4
        is_bundle = data[position : position + 8] == BUNDLE_TAG
        if nested is None:
            nested = is_bundle
        elif nested is not is_bundle:
            raise MalformedOsc(f"element at {position}: a bundle holds messages or bundles, never both")
        if is_bundle:
            _bundle(data, position, position + size, depth + 1, found)
        else:
            if len(found) == MAX_MESSAGES:
                raise MalformedOsc(f"message {MAX_MESSAGES + 1} at {position}: at most {MAX_MESSAGES}")
            found.append((timetag, _message(data[position : position + size], position)))
        position += size


def _message(raw: bytes, at: int) -> Message:
    """Return the message that `raw` consists of. at: its offset in the datagram, for error texts only."""
    size = len(raw)
    end = raw.find(b"\0")
    if end < 0:
        raise MalformedOsc(f"address at {at}: never ends; expected a zero byte")
    position = (end + 4) & -4
    if any(raw[end:position]):
        raise MalformedOsc(f"address at {at}: padded with {raw[end:position]!r}; expected zeros")
    address = raw[:end].decode("latin-1")
    if not _is_address(address):
        raise MalformedOsc(
            f"address {address[:40]!r} at {at}: expected / first and printable ASCII without spaces"
        )
    if raw[position : position + 1] != b",":
        raise MalformedOsc(f"{address} without typetags: expected a comma at {at + position}")
    start = position + 1
    end = raw.find(b"\0", start)
    if end < 0:
        raise MalformedOsc(f"typetags at {at + position}: never end; expected a zero byte")
    position = (end + 4) & -4
    if any(raw[end:position]):
        raise MalformedOsc(f"typetags at {at + start}: padded with {raw[end:position]!r}; expected zeros")
    tags = raw[start:end]
    if tags.translate(None, _SCALARS):
        _check_arrays(tags, at + start)
    offsets = []
    for tag in tags:
        offsets.append(position)
        if tag == _S:
            end = raw.find(b"\0", position)
            if end < 0:
                raise MalformedOsc(f"string at {at + position}: never ends; expected a zero byte")
            if not raw[position:end].isascii():
                _check_text(raw, position, end, at)
            position = (end + 4) & -4
            if raw[end:position] != _ZEROS[position - end]:
                raise MalformedOsc(f"string before {at + position}: non-zero padding")
        elif tag in _WORDS:
            position += 4
        elif tag == _D:
            position += 8
        elif tag == _B:
            position = _end_of_blob(raw, position, at)
    if position != size:
        raise MalformedOsc(f"{address} ,{tags.decode()[:40]} at {at}: {size} bytes; its tags need {position}")
    return Message(raw, address, tags.decode("ascii"), tuple(offsets))


def _is_address(address: str) -> bool:
    return address[:1] == "/" and address.isascii() and address.isprintable() and " " not in address


def _check_text(raw: bytes, start: int, end: int, at: int) -> None:
    """Raise MalformedOsc for a string that isn't UTF-8. Other programs might decode it differently, or not at
    all."""
    try:
        raw[start:end].decode()
    except UnicodeDecodeError:
        raise MalformedOsc(f"string at {at + start}: {raw[start:end][:40]!r} is not UTF-8") from None


def _check_arrays(tags: bytes, at: int) -> None:
    """Raise MalformedOsc for unknown type tags, and for arrays that would make scsynth loop for ever."""
    inside = False
    for index, tag in enumerate(tags, at):
        if tag == _OPEN and not inside:
            inside = True
        elif tag == _CLOSE and inside:
            inside = False
        elif tag not in (b"ifs" if inside else _SCALARS):
            where = "in an array" if inside else "outside arrays"
            raise MalformedOsc(
                f"typetag {chr(tag)!r} {where} at {index}: expected i f s, outside arrays also b d, "
                "and [ ] balanced and not nested"
            )
    if inside:
        raise MalformedOsc(f"typetags at {at}: an array is never closed; expected ]")


def _end_of_blob(raw: bytes, start: int, at: int) -> int:
    left = len(raw) - start - 4
    length = _INT.unpack_from(raw, start)[0] if left >= 0 else -1
    end: int = start + 4 + (length + 3 & -4)
    if not 0 <= length <= left or end > len(raw):
        raise MalformedOsc(f"blob of {length} bytes at {at + start}: expected 0 to {max(left, 0)}")
    if any(raw[start + 4 + length : end]):
        raise MalformedOsc(f"blob at {at + start}: non-zero padding")
    return end


def _decode_int(raw: bytes, offset: int) -> int:
    value: int = _INT.unpack_from(raw, offset)[0]
    return value


def _decode_float(raw: bytes, offset: int) -> float:
    value: float = _FLOAT.unpack_from(raw, offset)[0]
    return value


def _decode_double(raw: bytes, offset: int) -> float:
    value: float = _DOUBLE.unpack_from(raw, offset)[0]
    return value


def _decode_string(raw: bytes, offset: int) -> str:
    return raw[offset : raw.index(b"\0", offset)].decode()


def _decode_blob(raw: bytes, offset: int) -> bytes:
    return raw[offset + 4 : offset + 4 + _decode_int(raw, offset)]


_DECODERS: dict[str, Callable[[bytes, int], Arg]] = {
    "i": _decode_int,
    "f": _decode_float,
    "d": _decode_double,
    "s": _decode_string,
    "b": _decode_blob,
    "[": lambda _raw, _offset: "[",
    "]": lambda _raw, _offset: "]",
}
