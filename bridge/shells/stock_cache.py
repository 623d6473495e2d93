"""Stock cache: the files of Sonic Pi that came from other members, in a folder of ours.

A shell. A file's name is the sha256 of its content, and the content is checked whenever the file is used. A
file is written under another name first, so no half of one is ever found. Bound: CACHE_BYTES_MAX; the files
that were used longest ago go first. Nothing is ever written into Sonic Pi's own folders.
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
    """The cache in one folder. Several bridges may share it."""

    def __init__(self, folder: Path, *, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._folder = folder
        self._bytes_max = bytes_max

    def files(self) -> frozenset[StockFile]:
        """Return the files in the cache. Those whose content isn't what their name says are removed."""
        here = {path.name for path in self._listed()}
        known = [one for contents in STOCK.values() for one in contents if _name(one) in here]
        return frozenset(one for one in known if self.find(one) is not None)

    def find(self, file: StockFile) -> tuple[Path, bytes] | None:
        """Return the path and content of a file, and note that it is used; None if it isn't there.

        A file with another content is removed.
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
        """Write a file. Return its path; None if that fails. Older files are removed to make room."""
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
        """Remove files until there is room for `more` bytes, those used longest ago first."""
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
