"""Stock: the files that Sonic Pi brings with it, by release, each with the sha256 of its content.

Pure; loaded once, from `stock.json` beside this file. A file's name here is the name in messages between
bridges and relay. It is samples/NAME or buffers/NAME, with the suffix, or synthdefs/NAME, without one. NAME
of a synthdef is the name that a note gives. docs/versions.md says which releases are covered, and where their
files came from.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

SYNTHDEFS_FOLDER = "synthdefs"
_PREFIX = "sonic-pi-"
_SPOKEN_MAX = 6
"""Greatest number of file names in a sentence for people."""


@dataclass(frozen=True, slots=True)
class StockFile:
    """One content of a stock file, and the releases that include it. size: bytes."""

    name: str
    sha256: bytes
    size: int
    releases: tuple[str, ...]

    @property
    def is_synthdef(self) -> bool:
        """Whether the file is a compiled synthdef. Otherwise it is a sample or a buffer of random numbers."""
        return is_synthdef(self.name)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The default values of a synthdef's envelope controls. A note has them if it doesn't set others.
    Durations are in seconds.

    sustain: -1 in the synthdefs that play samples; it means as long as the sample lasts. decay_level: -1
    means the value of sustain_level. env_curve: None if the synthdef has no such control and its curve is
    fixed.
    """

    attack: float
    decay: float
    sustain: float
    release: float
    attack_level: float
    decay_level: float
    sustain_level: float
    env_curve: float | None = None


def _load() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(resources.files(__package__).joinpath("stock.json").read_text("utf-8"))
    return table


_TABLE = _load()

RELEASES: tuple[str, ...] = tuple(_TABLE["releases"])
"""The releases of Sonic Pi that are covered, the oldest first."""

_STOCK = {
    name: tuple(
        StockFile(name, bytes.fromhex(sha256), size, tuple(releases)) for sha256, size, releases in found
    )
    for name, found in _TABLE["files"].items()
}

STOCK: Mapping[str, tuple[StockFile, ...]] = MappingProxyType(_STOCK)
"""Every content of every stock file, by the file's name. The oldest content comes first."""

CONTESTED: frozenset[str] = frozenset(name for name, contents in STOCK.items() if len(contents) > 1)
"""The names of the files whose content differs between releases."""

_ENVELOPES = {name: Envelope(**controls) for name, controls in _TABLE["envelopes"].items()}


def stock_file(name: str, sha256: bytes) -> StockFile | None:
    """Return the stock file of this name and content; None if no covered release has it."""
    return next((one for one in STOCK.get(name, ()) if one.sha256 == sha256), None)


def files_of(release: str) -> tuple[StockFile, ...]:
    """Return all files of a release of Sonic Pi, in the order of their names."""
    return tuple(one for contents in STOCK.values() for one in contents if release in one.releases)


def envelope_of(synthdef: str) -> Envelope | None:
    """Return the default values of a stock synthdef's envelope; None if it has no complete envelope.

    An envelope is complete if the synthdef has the controls attack, decay, sustain and release. The sc808
    drums have only a decay. In FX, decay and release have another meaning.
    """
    return _ENVELOPES.get(synthdef)


def is_synthdef(name: str) -> bool:
    """Return whether a file's name, such as synthdefs/NAME, is that of a synthdef."""
    return name.startswith(f"{SYNTHDEFS_FOLDER}/")


def synthdef_file(synthdef: str) -> str:
    """Return the name of a synthdef's file. synthdef: the name that a note gives."""
    return f"{SYNTHDEFS_FOLDER}/{synthdef}"


def spoken(name: str) -> str:
    """Return a file's name as players know it, such as kalimba or hat_bdu."""
    return name.partition("/")[2].removeprefix(_PREFIX).partition(".")[0]


def listed(names: Iterable[str]) -> str:
    """Return file names as text, in the form that players know. Only the first six are given, with the number
    of the others."""
    words = [spoken(name) for name in names]
    more = len(words) - _SPOKEN_MAX
    return ", ".join(words[:_SPOKEN_MAX]) + (f" and {more} more" if more > 0 else "")
