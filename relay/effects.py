"""Effects: what a relay asks its shell to do."""

from dataclasses import dataclass

from relay.wire import control


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send `payload` to the address `to`, as the transport gave it: of UDP, or a StreamAddress."""

    to: object
    payload: bytes


@dataclass(frozen=True, slots=True)
class SendControl:
    """Send `message` over the TLS connection numbered `connection`."""

    connection: int
    message: control.Down


@dataclass(frozen=True, slots=True)
class CloseControl:
    """Close a connection once what was sent on it has left."""

    connection: int


Effect = SendDatagram | SendControl | CloseControl
