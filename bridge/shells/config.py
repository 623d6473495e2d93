"""Configuration that `jambridge join` hands to the shim, and the shim to the bridge.

Pure, except that it reads and writes the file.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from relay.wire.carrier import UDP

CONFIG_ENV = "JAMBRIDGE_CONFIG"
CHILD_ENV = "JAMBRIDGE_CHILD"


class JoinConfig(Struct, frozen=True, kw_only=True):
    """The settings of one join.

    pins: the file of known relays' fingerprints. cache: the folder for files of Sonic Pi from other members.
    scsynth: the path of the real scsynth. folder: holds journal, logs and the shim while the join lasts.
    transport: the name of the events' carrier. impair: a bad network to emulate. tune_sonic_pi: whether Sonic
    Pi's schedule-ahead follows the room's lead. fetch: whether to get files from other members, and give
    them.
    """

    host: str
    port: int
    room: str
    name: str
    pins: str
    cache: str
    scsynth: str
    folder: str
    software: str
    transport: str = UDP.name
    impair: str | None = None
    tune_sonic_pi: bool = False
    fetch: bool = True


class ChildConfig(Struct, frozen=True, kw_only=True):
    """The settings that the shim gives its bridge: inherited sockets, and options of scsynth.

    tap_fd, synth_fd: descriptors of the sockets to Sonic Pi and to scsynth. outs, ins: channels of the sound
    card. need_ms: scsynth must get a bundle this long (ms) before the bundle's timetag. journal: the path of
    the journal.
    """

    tap_fd: int
    synth_fd: int
    outs: int
    ins: int
    need_ms: float
    journal: str


def save(config: JoinConfig, path: Path) -> None:
    """Write a join's configuration to a file."""
    path.write_bytes(msgspec.json.encode(config))


def load(path: Path) -> JoinConfig:
    """Return a join's configuration from a file."""
    return msgspec.json.decode(path.read_bytes(), type=JoinConfig)
