"""Lacking: counts the notes that this host's scsynth could not play, by player and missing file.

Pure. The relay is sent the counts once a second. The player at this host is told a sentence for each member,
at once and then every TELL_EVERY_S. Bounds: FILES_KEPT files a second, and as many for each sentence.
"""

from collections import Counter
from collections.abc import Callable

from bridge import notices
from bridge.effects import Tell
from relay.wire.control import Member, NotHeard, Unheard
from relay.wire.control.not_heard import MAX_UNHEARD, is_file_name

TELL_EVERY_S = 30.0
"""The least time (s) between two sentences about the same member."""
SAID_EVERY_S = 1.0
"""The least time (s) between two messages to the relay."""
FILES_KEPT = MAX_UNHEARD
UNNAMED = "synthdefs/unknown"
"""Stands for a file's name with characters that no file of Sonic Pi has in its name."""

Percent = Callable[[str], int | None]
"""Returns how many percent of a file have come, given its travelling name; None if it isn't being fetched."""


class Lacking:
    """The notes that were not heard on this host, because it lacks a file."""

    def __init__(self, own_slot: int) -> None:
        self._own_slot = own_slot
        self.total = 0
        self._names: dict[int, str] = {}
        self._unsaid: Counter[tuple[int, str]] = Counter()
        self._untold: dict[int, Counter[str]] = {}
        self._said_at_s = -SAID_EVERY_S
        self._told_at_s: dict[int, float] = {}

    def meet(self, members: list[Member]) -> None:
        """Store the members' names."""
        self._names = {member.slot: member.name for member in members}

    def note(self, slot: int, name: str) -> None:
        """Count a note that could not be played because the file `name` is missing. slot: of the note's
        player."""
        name = name if is_file_name(name) else UNNAMED
        self.total += 1
        if (slot, name) in self._unsaid or len(self._unsaid) < FILES_KEPT:
            self._unsaid[slot, name] += 1
        untold = self._untold.setdefault(slot, Counter())
        if name in untold or len(untold) < FILES_KEPT:
            untold[name] += 1

    def for_relay(self, release: str, percent: Percent, now_s: float) -> list[NotHeard]:
        """Return the message to the relay with the counts, if it is due; else nothing.

        release: Sonic Pi's release on this host. percent: tells how much of a file has come. now_s: local
        clock.
        """
        if not self._unsaid or now_s < self._said_at_s + SAID_EVERY_S:
            return []
        self._said_at_s = now_s
        of = [
            Unheard(slot=slot, name=name, notes=count, percent=percent(name))
            for (slot, name), count in self._unsaid.items()
        ]
        self._unsaid.clear()
        return [NotHeard(release=release, of=of)]

    def for_player(self, release: str, percent: Percent, now_s: float) -> list[Tell]:
        """Return the sentences that the player is to be told now.

        release: Sonic Pi's release on this host. percent: tells how much of a file has come. now_s: local
        clock.
        """
        told: list[Tell] = []
        for slot, untold in list(self._untold.items()):
            if now_s < self._told_at_s.get(slot, now_s - TELL_EVERY_S) + TELL_EVERY_S:
                continue
            self._told_at_s[slot] = now_s
            del self._untold[slot]
            whose = "your own" if slot == self._own_slot else f"{self._names.get(slot, 'another')}'s"
            names = [name for name, _ in untold.most_common()]
            coming = next((found for found in map(percent, names) if found is not None), None)
            told.append(notices.not_heard(untold.total(), whose, release, names, coming))
        return told

    def named(self) -> dict[str, int]:
        """Return the number of notes not heard, by name, for the statistics."""
        return {"not_heard": self.total}
