"""Samples: finds Sonic Pi's own samples and buffers on each machine by their names.

A path travels as "samples/NAME" or "buffers/NAME" and becomes a path in the folders of the receiving
machine's Sonic Pi. No other path ever crosses the network. Pure, except that each load looks at the file
system once: does the file exist, is it readable, how long is it. An error of the file system counts as a
missing file.
"""

import re
from dataclasses import dataclass
from io import SEEK_END
from pathlib import Path, PurePosixPath

from bridge.scsynth.id_space import BUFFERS_PER_SLOT
from relay.wire.commands import Act
from relay.wire.errors import Refused
from relay.wire.meaning import Meaning
from relay.wire.osc import encode

KINDS = ("samples", "buffers")
KNOWN_ROOTS = (Path("/usr/share/sonic-pi"), Path("/opt/sonic-pi/etc"), Path("/usr/lib/sonic-pi/etc"))
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")

SLOT_SAMPLES_MAX = 1 << 27
"""The most samples that all buffers of one member may hold together: 512 MiB. All samples of Sonic Pi take a
fourth of it."""
SAMPLES_PER_BYTE = 2
"""The most samples that one byte of a file can hold. FLAC of 16 bits takes about one byte for each sample."""


NO_ANSWER = (OSError, RuntimeError)
"""Exceptions that pathlib raises if it can't look at a file. RuntimeError is for links that lead in a
circle."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine's Sonic Pi, and its length in bytes."""

    path: Path
    length: int


@dataclass(frozen=True, slots=True)
class Load:
    """A load of a buffer on this host: its OSC message, and the most samples that it can take in memory."""

    meaning: Meaning
    samples: int


class ResourceFolders:
    """The folders of the Sonic Pi on this machine, for finding its samples and buffers."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or next((path for path in KNOWN_ROOTS if _has_samples(path)), None)

    def learn(self, synthdef_folder: str) -> None:
        """Derive the root from the folder of Sonic Pi's synthdefs (ROOT/synthdefs/compiled)."""
        path = Path(synthdef_folder)
        root = path.parent.parent
        if path.name == "compiled" and _has_samples(root):
            self.root = root

    def to_wire(self, path: str) -> str | None:
        """Return the name under which a file travels (samples/NAME); None if it isn't one of Sonic Pi's own
        files.

        path: the file on this machine.
        """
        if self.root is None:
            return None
        local = Path(path)
        kind = local.parent.name
        if kind not in KINDS or not _NAME.fullmatch(local.name):
            return None
        try:
            is_own = local.parent.resolve() == (self.root / kind).resolve()
        except NO_ANSWER:
            return None
        return f"{kind}/{local.name}" if is_own else None

    def to_local(self, name: str) -> LocalFile | None:
        """Return this machine's file for a name such as samples/NAME; None if there is no readable one.

        Raises Refused if `to_wire` can't have made the name.
        """
        parts = PurePosixPath(name).parts
        if len(parts) != 2 or parts[0] not in KINDS or not _NAME.fullmatch(parts[1]):
            raise Refused("path", f"{name!r}: expected samples/NAME or buffers/NAME")
        if self.root is None:
            return None
        folder = self.root / parts[0]
        path = folder / parts[1]
        try:
            if path.resolve().parent != folder.resolve():  # no symlink out of Sonic Pi's folders
                return None
            if not path.is_file():
                return None
            with path.open("rb") as file:  # scsynth must be able to read it too
                return LocalFile(path, file.seek(0, SEEK_END))
        except NO_ANSWER:
            return None


def _has_samples(root: Path) -> bool:
    try:
        return (root / "samples").is_dir()
    except NO_ANSWER:
        return False


def load_to_wire(meaning: Meaning, folders: ResourceFolders) -> Meaning | None:
    """Return a load of the local player as it travels, with a name in place of the path; None if it must stay
    local.

    Raises Refused if no host could play it.
    """
    if meaning.act is Act.ALLOCATE:
        _ = meaning.samples
        return meaning
    name = folders.to_wire(_path(meaning))
    return None if name is None else _with_path(meaning, name)


def load_to_local(meaning: Meaning, folders: ResourceFolders) -> Load | None:
    """Return another member's load with this machine's path; None if there is no readable file here.

    Raises Refused if the message isn't a load, or the load is too large.
    """
    if meaning.act is Act.ALLOCATE:
        return Load(meaning, meaning.samples)
    file = folders.to_local(_path(meaning))
    return None if file is None else load_from(meaning, file.path, file.length)


def load_from(meaning: Meaning, path: Path, length: int) -> Load:
    """Return another member's load with a file of this machine. length: the file's length, bytes.

    Raises Refused if the load's other arguments aren't numbers.
    """
    return Load(_with_path(meaning, str(path)), length * SAMPLES_PER_BYTE)


def _path(meaning: Meaning) -> str:
    """Return the path of the file that a load reads. Raises Refused if the message isn't a load of a file."""
    message = meaning.message
    if meaning.act is not Act.LOAD_FILE or message.tags[1:2] != "s":
        raise Refused("not-allowed", f"{message.address} is no load of a file")
    return str(message.arg(1))


def _with_path(meaning: Meaning, path: str) -> Meaning:
    """Return a load with another path. Raises Refused if the other arguments aren't numbers."""
    message = meaning.message
    number, _, *rest = message.args
    if message.tags.strip("if") != "s":
        raise Refused("arguments", f"{message.address} ,{message.tags[:40]}: expected numbers and one path")
    return Meaning(encode(message.address, number, path, *rest))


class BufferMemory:
    """Counts the memory that other members' buffers take on this host, and limits it for each member."""

    def __init__(self) -> None:
        self._samples: dict[int, int] = {}
        self._of_slot: dict[int, int] = {}

    def claim(self, buffer: int, samples: int) -> None:
        """Count the memory of a load before the load is handed over.

        buffer: scsynth's number. samples: the most samples that the buffer can have. Raises Refused
        (buffer-memory) if the member's buffers would exceed SLOT_SAMPLES_MAX.
        """
        slot = buffer // BUFFERS_PER_SLOT
        taken = self._of_slot.get(slot, 0) - self._samples.get(buffer, 0) + samples
        if taken > SLOT_SAMPLES_MAX:
            raise Refused("buffer-memory", f"{taken} samples in slot {slot}: at most {SLOT_SAMPLES_MAX}")
        self._samples[buffer] = samples
        self._of_slot[slot] = taken

    def free(self, buffer: int) -> None:
        """Note that a buffer was freed. buffer: scsynth's number."""
        slot = buffer // BUFFERS_PER_SLOT
        self._of_slot[slot] = self._of_slot.get(slot, 0) - self._samples.pop(buffer, 0)
