"""Giver: answers requests for parts of this host's files, which the relay passes on from other members.

Pure; instants are local seconds. It gives at most RATE_BITS. Bound: REQUESTS_MAX requests wait. A further one
is dropped, and the relay asks again or asks another member.
"""

from collections import deque
from collections.abc import Container
from pathlib import Path

from bridge.file_jobs import ReadPart
from relay.wire.control.stock import CHUNK_BYTES, Chunk, Give
from relay.wire.stock import StockFile, stock_file

RATE_BITS = 1_000_000
"""The most bits a second that this host gives."""
REQUESTS_MAX = 8


class Giver:
    """The requests for parts of this host's files that wait for their turn."""

    def __init__(self) -> None:
        self._requests: deque[tuple[StockFile, int]] = deque()
        self._free_at_s = 0.0
        self.given = 0
        self.refused = 0
        """Requests for files that this host doesn't give, and requests beyond REQUESTS_MAX."""

    def asked(self, give: Give, has: Container[StockFile]) -> list[Chunk]:
        """Store a request. If this host doesn't give the file, return the answer that says so; else nothing.

        has: the files that this host gives.
        """
        file = stock_file(give.name, give.sha256)
        if file is None or file not in has or give.offset >= file.size:
            self.refused += 1
            return [Chunk(name=give.name, sha256=give.sha256, offset=give.offset, data=b"")]
        if len(self._requests) >= REQUESTS_MAX:
            self.refused += 1
        elif (file, give.offset) not in self._requests:
            self._requests.append((file, give.offset))
        return []

    def forget(self) -> None:
        """Forget the requests, because the connection on which they came has ended."""
        self._requests.clear()

    def reads(self, root: Path | None, now_s: float) -> list[ReadPart]:
        """Return the job of reading the next part, if a request waits and the rate allows it; else nothing.

        root: the folder of Sonic Pi's files.
        """
        if not self._requests or now_s < self._free_at_s:
            return []
        file, offset = self._requests.popleft()
        length = min(CHUNK_BYTES, file.size - offset)
        self._free_at_s = now_s + 8 * length / RATE_BITS
        self.given += 1
        return [ReadPart(file, root, offset, length)]

    def next_at_s(self) -> float | None:
        """Return the local instant (s) at which the next part may be read; None if no request waits."""
        return self._free_at_s if self._requests else None
