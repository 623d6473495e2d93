"""Stock cache: a folder for files of Sonic Pi that came from other members.

A shell. A file's name is the sha256 of its content, and the content is checked whenever the file is used. A
file is first written under another name, so no incomplete file is ever found. Nothing is ever written into
Sonic Pi's own folders. Bound: CACHE_BYTES_MAX; the files that were used longest ago are removed first.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path, PurePosixPath

from relay.wire.stock import STOCK, StockFile

CACHE_BYTES_MAX = 64 << 20
SYNTHDEF_SUFFIX = ".scsyndef"
_UNFINISHED = ".new"


class StockCache:
    """The cache in one folder. Several bridges may share the folder."""

    def __init__(self, folder: Path, *, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._folder = folder
        self._bytes_max = bytes_max

    def files(self) -> frozenset[StockFile]:
        """Return the files in the cache. Files whose content doesn't have the sha256 in their name are
        removed."""
        here = {path.name for path in self._listed()}
        known = [one for contents in STOCK.values() for one in contents if _name(one) in here]
        return frozenset(one for one in known if self.find(one) is not None)

    def find(self, file: StockFile) -> tuple[Path, bytes] | None:
        """Return the path and content of a file; None if it isn't in the cache. The file counts as used now.

        A file with a wrong content is removed.
        """
        path = self._folder / _name(file)
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).digest() != file.sha256:
                path.unlink()
                return None
            os.utime(path)
        except OSError:
            return None
        return path, content

    def keep(self, file: StockFile, content: bytes) -> Path | None:
        """Write a file into the cache. Return its path; None if that fails.

        Files that were used longest ago are removed to make room.
        """
        path = self._folder / _name(file)
        unfinished = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(len(content))
            number, unfinished = tempfile.mkstemp(_UNFINISHED, dir=self._folder)
            with os.fdopen(number, "wb") as new:
                new.write(content)
            os.replace(unfinished, path)
        except OSError:
            if unfinished is not None:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)
            return None
        return path

    def _make_room(self, more: int) -> None:
        """Remove the files that were used longest ago, until there is room for `more` bytes."""
        files = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in self._listed())
        total = sum(size for _, size, _ in files) + more
        for _, size, path in files:
            if total <= self._bytes_max:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _listed(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.is_file()]
        except OSError:
            return []


def _name(file: StockFile) -> str:
    suffix = SYNTHDEF_SUFFIX if file.is_synthdef else PurePosixPath(file.name).suffix
    return f"{file.sha256.hex()}{suffix}"
