"""Giver: answers the relay's requests for chunks of this host's files, at no more than RATE_BITS.

Pure; instants are local seconds. Bound: REQUESTS_MAX requests that wait; a further one is dropped, and the
relay asks again or elsewhere.
"""

from collections import deque
from collections.abc import Container
from pathlib import Path

from bridge.file_jobs import ReadPart
from relay.wire.control.stock import CHUNK_BYTES, Chunk, Give
from relay.wire.stock import StockFile, stock_file

RATE_BITS = 1_000_000
"""Bits a second that this host gives at most."""
REQUESTS_MAX = 8


class Giver:
    """The requests for chunks that wait for their turn."""

    def __init__(self) -> None:
        self._requests: deque[tuple[StockFile, int]] = deque()
        self._free_at_s = 0.0
        self.given = 0
        self.refused = 0
        """Requests for what this host doesn't give, and those beyond REQUESTS_MAX."""

    def asked(self, give: Give, has: Container[StockFile]) -> list[Chunk]:
        """Note a request. Return the answer if it can be given at once: this host has no such file.

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
        """Forget the requests, because the connection they came on has ended."""
        self._requests.clear()

    def reads(self, root: Path | None, now_s: float) -> list[ReadPart]:
        """Return the next job if the rate allows it now. root: the folder of Sonic Pi's files."""
        if not self._requests or now_s < self._free_at_s:
            return []
        file, offset = self._requests.popleft()
        length = min(CHUNK_BYTES, file.size - offset)
        self._free_at_s = now_s + 8 * length / RATE_BITS
        self.given += 1
        return [ReadPart(file, root, offset, length)]

    def next_at_s(self) -> float | None:
        """Return when the next job may be done; None if none waits."""
        return self._free_at_s if self._requests else None
