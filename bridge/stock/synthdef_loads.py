"""Synthdef loads: the synthdefs on their way to this host's scsynth.

Pure. scsynth answers in the order of loading and names no synthdef. Instants are local seconds.
"""

from collections import deque

from relay.wire import write
from relay.wire.stock import StockFile

PATIENCE_S = 5.0
"""How long scsynth may take to answer, s. It takes milliseconds."""


class SynthdefLoads:
    """The synthdefs that scsynth was sent and hasn't answered yet."""

    def __init__(self) -> None:
        self._sent: deque[StockFile] = deque()
        self._sent_at_s = 0.0

    def __contains__(self, file: StockFile) -> bool:
        return file in self._sent

    def load(self, file: StockFile, content: bytes, now_s: float) -> list[bytes]:
        """Return the message that sends scsynth a synthdef, whose content was checked."""
        self._sent.append(file)
        self._sent_at_s = now_s
        return [write.load_synthdef(content)]

    def answered(self) -> StockFile | None:
        """Return the synthdef that scsynth's next answer is about; None if none was sent from here."""
        return self._sent.popleft() if self._sent else None

    def expire(self, now_s: float) -> None:
        """Forget what scsynth doesn't answer."""
        if now_s >= self._sent_at_s + PATIENCE_S:
            self._sent.clear()
