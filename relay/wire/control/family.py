"""Family: the control messages of one subject. Codec: decodes the messages of given families.

Pure. Each message is one msgpack map with a `type`. Unknown fields are ignored, so that a newer peer of the
same protocol version may add some. A message of unknown `type` is malformed. The messages of each direction
form one tagged union of msgspec.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import Struct

from relay.wire.errors import MalformedControl


@dataclass(frozen=True, slots=True)
class Family:
    """The control messages of one subject. up: the types that bridges send. down: the types that relays
    send."""

    up: tuple[type[Struct], ...] = ()
    down: tuple[type[Struct], ...] = ()


class Codec:
    """Decodes the control messages of the given families."""

    def __init__(self, families: Iterable[Family]) -> None:
        families = tuple(families)
        self._up = _decoder(one for family in families for one in family.up)
        self._down = _decoder(one for family in families for one in family.down)

    def decode_up(self, data: bytes) -> Struct:
        """Return the message that a bridge has sent. Raises MalformedControl if it can't be decoded."""
        return _decode(self._up, data, "a bridge")

    def decode_down(self, data: bytes) -> Struct:
        """Return the message that a relay has sent. Raises MalformedControl if it can't be decoded."""
        return _decode(self._down, data, "the relay")


def encode(message: Struct) -> bytes:
    """Return the bytes of a control message of any family, without the length that precedes it on the
    stream."""
    return _encoder.encode(message)


_encoder = msgspec.msgpack.Encoder()


def _decoder(types: Iterable[type[Struct]]) -> "msgspec.msgpack.Decoder[Any]":
    union: Any = reduce(or_, types)
    return msgspec.msgpack.Decoder(union)


def _decode(decoder: "msgspec.msgpack.Decoder[Any]", data: bytes, sender: str) -> Struct:
    try:
        message: Struct = decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedControl(f"{len(data)} bytes from {sender}: {error}") from None
    return message


class _Greeting(Struct, frozen=True):
    """The fields of a bridge's first message that all versions of the protocol share."""

    type: str
    protocol: int


_greeting_decoder = msgspec.msgpack.Decoder(_Greeting)


def protocol_of(data: bytes) -> int | None:
    """Return the protocol version that a bridge's first message names; None if it names none.

    The version may be another than ours.
    """
    try:
        return _greeting_decoder.decode(data).protocol
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
