"""Configuration: what `jambridge join` hands to the shim, and the shim to the bridge.

Pure but for reading and writing the file.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from relay.wire.carrier import UDP

CONFIG_ENV = "JAMBRIDGE_CONFIG"
CHILD_ENV = "JAMBRIDGE_CHILD"


class JoinConfig(Struct, frozen=True, kw_only=True):
    """One join.

    folder: where journal, logs and the shim live while it lasts. transport: the name of the events' carrier.
    impair: a bad network to meet on purpose. tune_sonic_pi: whether Sonic Pi's schedule-ahead follows the
    room's lead.
    """

    host: str
    port: int
    room: str
    name: str
    pins: str
    scsynth: str
    folder: str
    software: str
    transport: str = UDP.name
    impair: str | None = None
    tune_sonic_pi: bool = False


class ChildConfig(Struct, frozen=True, kw_only=True):
    """What the parent of a bridge knows: inherited sockets, and scsynth as it was started.

    need_ms: how long before its timetag scsynth needs a bundle.
    """

    tap_fd: int
    synth_fd: int
    outs: int
    ins: int
    need_ms: float
    journal: str


def save(config: JoinConfig, path: Path) -> None:
    """Write a join's configuration."""
    path.write_bytes(msgspec.json.encode(config))


def load(path: Path) -> JoinConfig:
    """Read a join's configuration."""
    return msgspec.json.decode(path.read_bytes(), type=JoinConfig)
