"""Stock files with contents of ours, on virtual disks, since the repository has no file of Sonic Pi."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.file_jobs import Answer, Find, Found, Job, Keep, Part, ReadPart, Scan, Scanned
from relay.wire import stock
from relay.wire.stock import StockFile, files_of


def with_content(patch: pytest.MonkeyPatch, name: str, *contents: bytes) -> tuple[StockFile, ...]:
    """Let the list say that the file `name` has these contents in its releases, the oldest first."""
    files = tuple(
        replace(listed, sha256=hashlib.sha256(content).digest(), size=len(content))
        for listed, content in zip(stock.STOCK[name], contents, strict=True)
    )
    patch.setitem(stock._STOCK, name, files)
    return files


class Disk:
    """The files of one host: those of a release of Sonic Pi, some with a content, and a cache."""

    def __init__(self, release: str, contents: dict[StockFile, bytes] | None = None) -> None:
        """contents: the files of that release that can be read, and their contents."""
        self.found = {one.name: one.sha256 for one in files_of(release)}
        self.contents = dict(contents or {})
        for file in self.contents:
            self.found[file.name] = file.sha256
        self.cache: dict[StockFile, bytes] = {}
        self.lies: dict[StockFile, bytes] = {}
        """Other contents that are given to others instead of the true ones."""

    def __call__(self, job: Job) -> Answer:
        """Do a job, as bridge/shells/stock_files.py does it."""
        match job:
            case Scan():
                return Scanned(self.found, frozenset(self.cache))
            case Find(file):
                content = self.contents.get(file, self.cache.get(file))
                if content is None:
                    return Found(file, None)
                return Found(file, self.path(file), content if file.is_synthdef else b"")
            case Keep(file, content):
                self.cache[file] = content
                return Found(file, self.path(file), kept=True)
            case ReadPart(file, _, offset, length):
                content = self.lies.get(file) or self.contents.get(file) or self.cache.get(file) or b""
                return Part(file, offset, content[offset : offset + length])

    @staticmethod
    def path(file: StockFile) -> Path:
        """Return where a file lies."""
        return Path("/virtual") / file.name
