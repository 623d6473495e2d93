"""Fetcher: gets files of Sonic Pi from other members, chunk by chunk, one file at a time.

Pure; instants are local seconds. Synthdefs come before samples, else files come in the order in which they
were needed. A file is given out only if its content has the sha256 of the shipped list. Bounds: only files of
that list are fetched, and no chunk is taken that is longer than asked for.
"""

import hashlib
from collections import deque
from dataclasses import dataclass, field

from relay.wire.control.stock import CHUNK_BYTES, Want
from relay.wire.stock import StockFile

AHEAD = 4
"""How many chunks are asked for at one time. The relay takes no more."""
PATIENCE_S = 10.0
"""Time without a chunk after which all chunks are asked for again, s. The relay itself leaves a silent donor
after 3 s."""
AGAIN_S = 30.0
"""Time until a file that nobody gives is asked for again, s."""
KEEP_AGAIN_S = 300.0
"""Time until a file that could not be kept on this host is asked for again, s."""
SPOILED_MAX = 3
"""How often a file may come with another content, until it waits for AGAIN_S."""


@dataclass(slots=True)
class _Progress:
    """The part of a file that has come. data: its bytes so far, in order. early: chunks that came before
    their turn."""

    data: bytearray = field(default_factory=bytearray)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    early: dict[int, bytes] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    moved_at_s: float = 0.0
    """When a chunk was last asked for anew, or came."""
    spoiled: int = 0
    says_spoiled: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is complete, and has been checked."""

    file: StockFile
    content: bytes


class Fetcher:
    """The files that this bridge gets from others."""

    def __init__(self) -> None:
        self._queue: deque[StockFile] = deque()
        self._progress: dict[StockFile, _Progress] = {}
        self._asked_for: StockFile | None = None
        """The file of which chunks were asked for last."""
        self._later: dict[StockFile, float] = {}
        """Files that nobody gives now -> when they are asked for again."""
        self.refused = 0
        """Chunks that were not asked for, or had another length."""
        self.spoiled = 0
        """Files that came with another content."""
        self.done = 0

    def want(self, file: StockFile) -> bool:
        """Get a file. Return whether it was not wanted before."""
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
        """Return whether a file is wanted already, now or later."""
        return file in self._queue or file in self._later

    def percent(self, name: str) -> int | None:
        """Return how much of a file has come; None if it isn't being fetched."""
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
        """Note that there is a new connection: what was asked for before must be asked for again."""
        for progress in self._progress.values():
            progress.asked.clear()

    def came(self, file: StockFile | None, offset: int, data: bytes, now_s: float) -> Fetched | None:
        """Process a chunk. Return the file if it is complete."""
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
        """Note that nobody gives a file now. Return whether it was wanted."""
        if file is None or file not in self._queue:
            return False
        self._forget(file)
        self._later[file] = now_s + AGAIN_S
        return True

    def postpone(self, file: StockFile, now_s: float) -> None:
        """Leave a file that can't be kept here for a while."""
        self._later[file] = now_s + KEEP_AGAIN_S

    def wants(self, now_s: float) -> list[Want]:
        """Return the requests that are due."""
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
