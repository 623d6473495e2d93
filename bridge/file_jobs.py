"""File jobs: the work with files that a bridge asks its shell to do, and the shell's answers.

Pure values. The shell does the jobs in a thread of its own, one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scan:
    """Read all files under `root`, the folder of Sonic Pi's files, that matter to a jam."""

    root: Path


@dataclass(frozen=True, slots=True)
class Scanned:
    """The answer to Scan: the sha256 of each file found, by the name under which the file travels.

    It has all synthdefs, and of other files those that some release of Sonic Pi brings.
    """

    found: Mapping[str, bytes]


Job = Scan
Answer = Scanned
