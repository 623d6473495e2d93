"""Fetcher: gets missing files of Sonic Pi from other members, chunk by chunk, one file at a time.

Pure; instants are local seconds. Synthdefs come before samples. Otherwise files come in the order in which
they were needed. A file is accepted only if its content has the sha256 that the shipped list gives. Bounds:
only files of that list are fetched, and a chunk must have exactly the length asked for.
"""

import hashlib
from collections import deque
from dataclasses import dataclass, field

from relay.wire.control.stock import CHUNK_BYTES, Want
from relay.wire.stock import StockFile

AHEAD = 4
"""How many chunks are asked for at one time. The relay accepts no more."""
PATIENCE_S = 10.0
"""Time (s) without a chunk after which all missing chunks are asked for again. The relay itself chooses
another member 3 s after the one that it asked falls silent."""
AGAIN_S = 30.0
"""Time (s) until a file that no member gives is asked for again."""
KEEP_AGAIN_S = 300.0
"""Time (s) until a file that could not be written on this host is asked for again."""
SPOILED_MAX = 3
"""How often a file may come with a wrong content before it waits for AGAIN_S."""


@dataclass(slots=True)
class _Progress:
    """The part of a file that has come.

    data: its bytes so far, in order. early: offset -> chunk, for chunks that came before their turn. asked:
    the offsets of chunks that were asked for and haven't come.
    """

    data: bytearray = field(default_factory=bytearray)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    early: dict[int, bytes] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    moved_at_s: float = 0.0
    """The local instant (s) at which a chunk last came, or chunks were asked for when none was awaited."""
    spoiled: int = 0
    says_spoiled: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that has come completely, and whose content was checked."""

    file: StockFile
    content: bytes


class Fetcher:
    """The files that this bridge is getting from other members."""

    def __init__(self) -> None:
        self._queue: deque[StockFile] = deque()
        self._progress: dict[StockFile, _Progress] = {}
        self._asked_for: StockFile | None = None
        """The file whose chunks were asked for last."""
        self._later: dict[StockFile, float] = {}
        """File -> local instant (s) at which it is asked for again. These files can't be had or kept now."""
        self.refused = 0
        """Chunks that were not asked for, or had another length."""
        self.spoiled = 0
        """How often a file came with a wrong content."""
        self.done = 0

    def want(self, file: StockFile) -> bool:
        """Add a file to those to get. Return False if it is among them already."""
        if self.has(file):
            return False
        if file.is_synthdef:
            self._queue.insert(sum(one.is_synthdef for one in self._queue), file)
        else:
            self._queue.append(file)
        return True

    def __len__(self) -> int:
        return len(self._queue)

    def has(self, file: StockFile) -> bool:
        """Return whether a file is being fetched, or will be asked for again later."""
        return file in self._queue or file in self._later

    def percent(self, name: str) -> int | None:
        """Return how many percent of a file have come; None if the file isn't being fetched. name: as it
        travels."""
        file = next((one for one in self._queue if one.name == name), None)
        if file is None:
            return None
        progress = self._progress.get(file)
        return 0 if progress is None else 100 * len(progress.data) // file.size

    @property
    def current(self) -> StockFile | None:
        """The file that is being fetched; None if there is none."""
        return self._queue[0] if self._queue else None

    def connected(self) -> None:
        """Note that chunks asked for before won't come, so that they are asked for again."""
        for progress in self._progress.values():
            progress.asked.clear()

    def came(self, file: StockFile | None, offset: int, data: bytes, now_s: float) -> Fetched | None:
        """Process a chunk of a file. Return the file if it is complete now and its content is right; else
        None."""
        progress = None if file is None else self._progress.get(file)
        if (
            file is None
            or progress is None
            or offset not in progress.asked
            or len(data) != _length(file, offset)
        ):
            self.refused += 1
            return None
        progress.asked.discard(offset)
        progress.early[offset] = data
        progress.moved_at_s = now_s
        while (chunk := progress.early.pop(len(progress.data), None)) is not None:
            progress.data += chunk
            progress.digest.update(chunk)
        if len(progress.data) < file.size:
            return None
        if progress.digest.digest() != file.sha256:
            self._spoil(file, progress, now_s)
            return None
        self._forget(file)
        self.done += 1
        return Fetched(file, bytes(progress.data))

    def no_donor(self, file: StockFile | None, now_s: float) -> bool:
        """Note that no member gives a file now. It is asked for again later. Return whether it was being
        fetched."""
        if file is None or file not in self._queue:
            return False
        self._forget(file)
        self._later[file] = now_s + AGAIN_S
        return True

    def postpone(self, file: StockFile, now_s: float) -> None:
        """Ask for a file again after KEEP_AGAIN_S, because it could not be written on this host."""
        self._later[file] = now_s + KEEP_AGAIN_S

    def wants(self, now_s: float) -> list[Want]:
        """Return the requests for chunks that are to be sent now."""
        for again in [one for one, at_s in self._later.items() if now_s >= at_s]:
            del self._later[again]
            self.want(again)
        file = self.current
        if file is None:
            return []
        if file != self._asked_for:
            # The relay forgets what a member has asked for of another file.
            self._asked_for = file
            self.connected()
        progress = self._progress.setdefault(file, _Progress(moved_at_s=now_s))
        if progress.asked and now_s >= progress.moved_at_s + PATIENCE_S:
            progress.asked.clear()
        said = []
        first = len(progress.data)
        for offset in range(first, min(file.size, first + AHEAD * CHUNK_BYTES), CHUNK_BYTES):
            if offset not in progress.asked and offset not in progress.early:
                if not progress.asked:
                    progress.moved_at_s = now_s
                progress.asked.add(offset)
                said.append(
                    Want(name=file.name, sha256=file.sha256, offset=offset, spoiled=progress.says_spoiled)
                )
                progress.says_spoiled = False
        return said

    def named(self) -> dict[str, int]:
        """Return counts by name, for the statistics."""
        return {"fetched": self.done, "fetch_spoiled": self.spoiled, "fetch_refused": self.refused}

    def _spoil(self, file: StockFile, progress: _Progress, now_s: float) -> None:
        self.spoiled += 1
        if progress.spoiled + 1 >= SPOILED_MAX:
            self.no_donor(file, now_s)
            return
        self._progress[file] = _Progress(moved_at_s=now_s, spoiled=progress.spoiled + 1, says_spoiled=True)

    def _forget(self, file: StockFile) -> None:
        self._queue.remove(file)
        self._progress.pop(file, None)


def _length(file: StockFile, offset: int) -> int:
    return min(CHUNK_BYTES, file.size - offset)
