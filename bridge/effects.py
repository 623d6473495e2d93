"""Effects: the actions that a bridge asks its shell to do.

Pure.
"""

from dataclasses import dataclass

from bridge.file_jobs import Job
from relay.wire import control


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send `payload` to the relay as a datagram, over the transport of the events (UDP or TLS)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class SendControl:
    """Send `message` to the relay over the control connection (TLS)."""

    message: control.Up


@dataclass(frozen=True, slots=True)
class ToSynth:
    """Send `payload` to this host's scsynth."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Tell:
    """Show the message `text` to the player."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Abandon:
    """Close the connection to the relay, from which nothing comes any more, and open another one."""


@dataclass(frozen=True, slots=True)
class ToSonicPi:
    """Send `payload` to the local Sonic Pi's socket `to`."""

    to: tuple[str, int]
    payload: bytes


@dataclass(frozen=True, slots=True)
class RunCode:
    """Make the local Sonic Pi run `code`."""

    code: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Save the restart state (`Memory`) as it is now, together with these facts.

    client: the address of Sonic Pi's socket; None before its first message. synthdefs_loaded: whether Sonic
    Pi's synthdefs are in scsynth.
    """

    client: tuple[str, int] | None
    synthdefs_loaded: bool


@dataclass(frozen=True, slots=True)
class AskFiles:
    """Do a job with files, and give the bridge its answer."""

    job: Job


@dataclass(frozen=True, slots=True)
class NextWake:
    """Wake the bridge at this local instant (ns), or earlier if an input comes. It replaces earlier
    wake-ups."""

    local_ns: int


Effect = (
    SendDatagram
    | SendControl
    | ToSynth
    | ToSonicPi
    | Tell
    | Abandon
    | RunCode
    | Remember
    | AskFiles
    | NextWake
)
