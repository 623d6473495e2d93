"""Synthdef loads: the synthdefs that the bridge has sent to this host's scsynth, until scsynth has answered.

Pure. scsynth's answers name no synthdef, but come in the order of the loads. Instants are local seconds.
"""

from collections import deque

from relay.wire import write
from relay.wire.stock import StockFile

PATIENCE_S = 5.0
"""How long (s) an answer of scsynth is awaited. It usually comes within milliseconds."""


class SynthdefLoads:
    """The synthdefs that scsynth was sent and hasn't answered yet."""

    def __init__(self) -> None:
        self._sent: deque[StockFile] = deque()
        self._sent_at_s = 0.0

    def __contains__(self, file: StockFile) -> bool:
        return file in self._sent

    def load(self, file: StockFile, content: bytes, now_s: float) -> list[bytes]:
        """Return the message that sends a synthdef to scsynth, and await the answer. now_s: local clock."""
        self._sent.append(file)
        self._sent_at_s = now_s
        return [write.load_synthdef(content)]

    def answered(self) -> StockFile | None:
        """Return the synthdef that scsynth's next answer is about; None if the bridge itself had sent
        none."""
        return self._sent.popleft() if self._sent else None

    def expire(self, now_s: float) -> None:
        """Forget the synthdefs that scsynth hasn't answered within PATIENCE_S. now_s: local clock."""
        if now_s >= self._sent_at_s + PATIENCE_S:
            self._sent.clear()
