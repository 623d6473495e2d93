"""File jobs: the work with files that a bridge asks its shell to do, and the shell's answers.

Pure values. The shell does the jobs in a thread of its own, one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relay.wire.stock import StockFile


@dataclass(frozen=True, slots=True)
class Scan:
    """Read all files under `root`, the folder of Sonic Pi's files, that matter to a jam. Read the cache
    too."""

    root: Path


@dataclass(frozen=True, slots=True)
class Scanned:
    """The answer to Scan.

    found: for files in Sonic Pi's folder, the name under which the file travels -> its sha256. All synthdefs
    are listed. Other files are listed only if some release of Sonic Pi brings them. cached: the files in the
    cache.
    """

    found: Mapping[str, bytes]
    cached: frozenset[StockFile] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Find:
    """Look in Sonic Pi's folder `root` and in the cache for a file with exactly this content."""

    file: StockFile
    root: Path | None


@dataclass(frozen=True, slots=True)
class Keep:
    """Put a file into the cache.

    content: all bytes of the file. The bridge has checked their sha256.
    """

    file: StockFile
    content: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to Find and Keep.

    path: where the file is; None if it wasn't found, or couldn't be put into the cache. content: all bytes of
    a synthdef; b"" for other files, which scsynth reads itself.
    """

    file: StockFile
    path: Path | None
    content: bytes = b""
    kept: bool = False
    """Whether this is the answer to Keep."""


@dataclass(frozen=True, slots=True)
class ReadPart:
    """Read `length` bytes of a file from `offset` on, for another member. root: Sonic Pi's folder."""

    file: StockFile
    root: Path | None
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to ReadPart. data: b"" if there is no such file."""

    file: StockFile
    offset: int
    data: bytes


Job = Scan | Find | Keep | ReadPart
Answer = Scanned | Found | Part
