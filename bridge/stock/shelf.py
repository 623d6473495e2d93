"""Shelf: which of Sonic Pi's files are on this host, and which synthdefs its scsynth lacks.

Pure. Until the folders have been read once, every file counts as present.
"""

from collections.abc import Iterable, Mapping

from relay.wire.control.stock import Holdings
from relay.wire.holdings import described
from relay.wire.stock import CONTESTED, STOCK, StockFile, is_synthdef, stock_file, synthdef_file


class Shelf:
    """Sonic Pi's files on this host, by the names under which they travel."""

    def __init__(self) -> None:
        self.release = ""
        """The release of Sonic Pi that has most in common with the files here; "" before they were read."""
        self.chosen: dict[str, StockFile] = {}
        """Name -> the content that the room plays, for files whose content differs between releases."""
        self._found: Mapping[str, bytes] = {}
        self._is_known = False
        self._knows_synthdefs = False
        self._cached: set[StockFile] = set()
        self._received: dict[str, StockFile] = {}
        """The synthdefs that the bridge itself has sent to scsynth, by name."""
        self._refused: set[str] = set()
        """Synthdefs that are in Sonic Pi's folder, although scsynth says that it lacks them."""

    def scanned(self, found: Mapping[str, bytes], cached: Iterable[StockFile] = ()) -> None:
        """Store which files this host has.

        found: those in Sonic Pi's folders, name -> sha256 of the content. cached: those in the cache.
        """
        self._found = found
        self._is_known = True
        self._knows_synthdefs = any(map(is_synthdef, found))
        self._cached = set(cached)
        self._refused.clear()
        self.release = described(self._of_sonic_pi()).release

    def loaded_anew(self) -> None:
        """Note that scsynth has loaded Sonic Pi's folder again. Its synthdefs replace those that the bridge
        had sent."""
        self._received = {name: file for name, file in self._received.items() if name not in self._found}

    def cache(self, file: StockFile) -> None:
        """Add a file to those in the cache."""
        self._cached.add(file)

    def received(self, file: StockFile) -> None:
        """Note that scsynth has loaded a synthdef that the bridge had sent."""
        self._received[file.name] = file
        self._refused.discard(file.name)

    def refused(self, synthdef: str) -> None:
        """Note that scsynth says it lacks a synthdef."""
        name = synthdef_file(synthdef)
        self._refused.add(name)
        self._received.pop(name, None)

    def lacks(self, synthdef: str) -> bool:
        """Return whether scsynth lacks a synthdef, or has it with another content than the room plays.

        If no synthdef at all was found, the folder wasn't the right one. Then nothing counts as lacking.
        """
        if not self._knows_synthdefs:
            return False
        name = synthdef_file(synthdef)
        chosen = self.chosen.get(name)
        if chosen is not None:
            return self._content(name) != chosen.sha256
        return name not in self._received and (name not in self._found or name in self._refused)

    def lacks_file(self, file: StockFile) -> bool:
        """Return whether scsynth should have a synthdef with the content of `file`, and lacks it."""
        synthdef = file.name.removeprefix(synthdef_file(""))
        return self.wanted(file.name) == file and self.lacks(synthdef)

    def wanted(self, name: str) -> StockFile | None:
        """Return the file to get for a travelling name; None if the list of known files lacks the name."""
        contents = STOCK.get(name)
        return self.chosen.get(name, contents[-1]) if contents else None

    def behind(self) -> list[StockFile]:
        """Return the files in `chosen` that scsynth doesn't have with the chosen content."""
        if not self._knows_synthdefs:
            return []
        return [file for name, file in self.chosen.items() if self._content(name) != file.sha256]

    def files(self) -> frozenset[StockFile]:
        """Return all of Sonic Pi's files on this host, with those in the cache."""
        return frozenset(self._cached.union(self._of_sonic_pi()))

    def holdings(self, *, gives: bool) -> Holdings | None:
        """Return the message to the relay about the files on this host; None before they were read.

        gives: whether this host gives files to other members.
        """
        if not self._is_known:
            return None
        said = described(self.files())
        loaded = [(name, sha256) for name in sorted(CONTESTED) if (sha256 := self._content(name))]
        return Holdings(
            release=said.release, without=said.without, besides=said.besides, loaded=loaded, gives=gives
        )

    def unlisted(self) -> list[str]:
        """Return the files here that have the name of a Sonic Pi file, but a content that no known release
        has."""
        found = self._found or {}
        return sorted(
            name for name, sha256 in found.items() if name in STOCK and not stock_file(name, sha256)
        )

    def named(self) -> dict[str, int]:
        """Return the number of files with an unknown content, by name, for the statistics."""
        return {"unlisted_files": len(self.unlisted())}

    def _content(self, name: str) -> bytes:
        """Return the sha256 of the synthdef that scsynth has under a name; b"" if it has none."""
        if name in self._received:
            return self._received[name].sha256
        return b"" if name in self._refused else self._found.get(name, b"")

    def _of_sonic_pi(self) -> list[StockFile]:
        return [
            file for name, sha256 in self._found.items() if (file := stock_file(name, sha256)) is not None
        ]


def is_relevant(name: str) -> bool:
    """Return whether a file of this travelling name matters to a jam: a synthdef, or a file that some release
    of Sonic Pi brings."""
    return is_synthdef(name) or name in STOCK
