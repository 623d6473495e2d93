"""Effects: what a session asks its shell to do.

Pure.
"""

from dataclasses import dataclass

from relay.wire import control


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send `payload` to the relay the way events go: over UDP, or TLS."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class SendControl:
    """Send `message` to the relay over TLS."""

    message: control.Up


@dataclass(frozen=True, slots=True)
class ToSynth:
    """Hand `payload` to this host's scsynth."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Tell:
    """Something a person should read."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Abandon:
    """Close the connection to the relay, and open another one: nobody is heard on it any more."""


Effect = SendDatagram | SendControl | ToSynth | Tell | Abandon
