"""Jobs: what a bridge asks its shell to do with files, and the shell's answers.

Pure values. The shell does the jobs in a thread of their own, one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scan:
    """Read all stock files under `root`, the folder of Sonic Pi's files."""

    root: Path


@dataclass(frozen=True, slots=True)
class Scanned:
    """The answer to Scan: the sha256 of each file found, by travelling name. It has only synthdefs, and files
    whose name is on the list."""

    found: Mapping[str, bytes]


Job = Scan
Answer = Scanned
