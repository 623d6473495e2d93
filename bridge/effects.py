"""Effects: what a bridge asks its shell to do.

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


@dataclass(frozen=True, slots=True)
class ToSonicPi:
    """Send `payload` to the local Sonic Pi's socket `to`."""

    to: tuple[str, int]
    payload: bytes


@dataclass(frozen=True, slots=True)
class RunCode:
    """Let the local Sonic Pi run `code`."""

    code: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Put down the memory as it is now, and with it Sonic Pi's socket, whether its synthdefs are in scsynth,
    and whether it has built its last at its start."""

    client: tuple[str, int] | None
    synthdefs_loaded: bool
    foundation_complete: bool


@dataclass(frozen=True, slots=True)
class NextWake:
    """Wake the bridge at that local instant (ns), if nothing comes before; earlier ones are off."""

    local_ns: int


Effect = SendDatagram | SendControl | ToSynth | ToSonicPi | Tell | Abandon | RunCode | Remember | NextWake
