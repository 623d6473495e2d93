"""Missing samples: samples of other members that this host lacks or can't read. The first TOLD_MAX are
announced.

Pure. Bound: NAMES_MAX names.
"""

from bridge import notices
from bridge.effects import Tell

NAMES_MAX = 256
TOLD_MAX = 16
"""Names announced. The others choose the names, so they must not be able to fill the player's screen."""


class Absent:
    """The samples of other members that this host can't load."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}
        self.loads = 0
        """The number of failed loads, those of names beyond NAMES_MAX included."""
        self._news: list[Tell] = []

    def note(self, name: str) -> None:
        """Note that a sample, given by its travelling name (samples/NAME), can't be loaded here."""
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
        """Return new messages for the player, each once."""
        news, self._news = self._news, []
        return news
