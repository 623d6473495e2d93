"""Effects: the actions that the relay's cores return to its shell. The shell carries them out in order.

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
    """Send a control message over the TLS connection numbered `connection`."""

    connection: int
    message: Struct


@dataclass(frozen=True, slots=True)
class CloseControl:
    """Close a TLS connection after everything that was sent on it has left."""

    connection: int


Effect = SendDatagram | SendControl | CloseControl


def refuse(connection: int, refused: Refused) -> list[Effect]:
    """Return the effects that tell a connection why it is refused, and close it."""
    return [SendControl(connection, refused), CloseControl(connection)]


def close_stream(address: Source | None) -> list[Effect]:
    """Return the effect that closes the TLS connection over which an address sends its datagrams. An address
    that sends over UDP has none, so nothing is returned."""
    connection = None if address is None else stream_of(address)
    return [] if connection is None else [CloseControl(connection)]
