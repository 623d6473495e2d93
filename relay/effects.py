"""Effects: what the relay's cores ask of its shell, in the order in which it is to be done.

Pure.
"""

from dataclasses import dataclass

from msgspec import Struct

from relay.wire.control import Refused
from relay.wire.endpoint import Source, stream_of


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send `payload` to the address `to`, by the carrier that the address belongs to."""

    to: Source
    payload: bytes


@dataclass(frozen=True, slots=True)
class SendControl:
    """Send `message`, of any family, over the TLS connection numbered `connection`."""

    connection: int
    message: Struct


@dataclass(frozen=True, slots=True)
class CloseControl:
    """Close a connection once all that was sent on it has left."""

    connection: int


Effect = SendDatagram | SendControl | CloseControl


def refuse(connection: int, refused: Refused) -> list[Effect]:
    """Return the effects that tell a connection why it is refused, and close it."""
    return [SendControl(connection, refused), CloseControl(connection)]


def close_stream(address: Source | None) -> list[Effect]:
    """Return the effect that closes the stream of an address; none if the address has no stream."""
    connection = None if address is None else stream_of(address)
    return [] if connection is None else [CloseControl(connection)]
