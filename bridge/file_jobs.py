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

    found: the sha256 of each file in Sonic Pi's folder, by the name under which the file travels. It has all
    synthdefs, and of other files those that some release of Sonic Pi brings. cached: the files in the cache.
    """

    found: Mapping[str, bytes]
    cached: frozenset[StockFile] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Find:
    """Look for a file with just this content, in Sonic Pi's folder and in the cache."""

    file: StockFile
    root: Path | None


@dataclass(frozen=True, slots=True)
class Keep:
    """Put a file into the cache. content: all of it; the bridge has checked its sha256."""

    file: StockFile
    content: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to Find and Keep. path: where the file lies; None if it isn't there, or can't be kept.

    content: all of a synthdef; b"" for other files, since scsynth reads them itself.
    """

    file: StockFile
    path: Path | None
    content: bytes = b""
    kept: bool = False
    """Whether this is the answer to Keep."""


@dataclass(frozen=True, slots=True)
class ReadPart:
    """Read `length` bytes of a file from `offset` on, for another member."""

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
