"""Absent: samples of the others that this machine has not, or can't read; the first TOLD_MAX are told, once.

Pure. Bound: NAMES_MAX names.
"""

from bridge import messages
from bridge.effects import Tell

NAMES_MAX = 256
TOLD_MAX = 16
"""Names: the others choose them, and should fill nobody's screen."""


class Absent:
    """What this host can't load of what the others play."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}
        self.loads = 0
        """All of them, those of names beyond NAMES_MAX included."""
        self._news: list[Tell] = []

    def note(self, name: str) -> None:
        """Note that a sample, by its travelling name, can't be loaded here."""
        self.loads += 1
        if name not in self.by_name:
            if len(self.by_name) >= NAMES_MAX:
                return
            if len(self.by_name) < TOLD_MAX:
                self._news.append(messages.absent(name))
        self.by_name[name] = self.by_name.get(name, 0) + 1

    def named(self) -> dict[str, int]:
        """Return the loads by a name, for the statistics."""
        return {"absent_samples": self.loads}

    def news(self) -> list[Tell]:
        """Take out what to tell."""
        news, self._news = self._news, []
        return news
