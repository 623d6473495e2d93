"""Missing samples: samples of other members that this host lacks or can't read.

Pure. The player is told the first TOLD_MAX names. Bound: NAMES_MAX names are counted.
"""

from bridge import notices
from bridge.effects import Tell

NAMES_MAX = 256
TOLD_MAX = 16
"""The most names that the player is told. Other members choose the names, so without a limit they could fill
the player's screen."""


class Absent:
    """The samples of other members that this host can't load, and how often each was needed."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}
        self.loads = 0
        """The number of failed loads, including loads of names beyond NAMES_MAX."""
        self._news: list[Tell] = []

    def note(self, name: str) -> None:
        """Count a sample that can't be loaded here. name: as it travels, samples/NAME."""
        self.loads += 1
        if name not in self.by_name:
            if len(self.by_name) >= NAMES_MAX:
                return
            if len(self.by_name) < TOLD_MAX:
                self._news.append(notices.absent(name))
        self.by_name[name] = self.by_name.get(name, 0) + 1

    def named(self) -> dict[str, int]:
        """Return the number of failed loads, by name, for the statistics."""
        return {"absent_samples": self.loads}

    def news(self) -> list[Tell]:
        """Remove and return the new messages to the player."""
        news, self._news = self._news, []
        return news
