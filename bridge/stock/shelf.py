"""Shelf: which of Sonic Pi's files are on this host, and which synthdefs its scsynth lacks.

Pure. Until the folders have been read once, every file counts as present.
"""

from collections.abc import Mapping

from relay.wire.stock import RELEASES, STOCK, files_of, is_synthdef, stock_file, synthdef_file


class Shelf:
    """Sonic Pi's files on this host, by the names under which they travel."""

    def __init__(self) -> None:
        self._found: Mapping[str, bytes] | None = None
        self._refused: set[str] = set()
        """Synthdefs that are in Sonic Pi's folder, although scsynth says that it lacks them."""
        self.release = ""
        """The release of Sonic Pi that has most in common with the files here; "" before they were read."""

    def scanned(self, found: Mapping[str, bytes]) -> None:
        """Store the files in Sonic Pi's folders. found: name -> sha256 of the file's content."""
        self._found = found
        self._refused.clear()
        here = set(found.items())
        in_common = {
            release: len(here.intersection((one.name, one.sha256) for one in files_of(release)))
            for release in RELEASES
        }
        best = max(RELEASES, key=lambda release: 2 * in_common[release] - len(files_of(release)))
        self.release = best if in_common[best] else ""

    def lacks(self, synthdef: str) -> bool:
        """Return whether scsynth lacks a synthdef, as far as is known."""
        name = synthdef_file(synthdef)
        return self._found is not None and (name not in self._found or name in self._refused)

    def refused(self, synthdef: str) -> None:
        """Note that scsynth says it lacks a synthdef."""
        self._refused.add(synthdef_file(synthdef))

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


def is_relevant(name: str) -> bool:
    """Return whether a file of this travelling name matters to a jam: a synthdef, or a file that some release
    of Sonic Pi brings."""
    return is_synthdef(name) or name in STOCK
