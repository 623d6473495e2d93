"""Unconfirmed: own events that scsynth was handed as stamped, before their verdict came.

Pure. Bounds: PLAYED_KEPT events to match with a late verdict; LISTED_MAX seqs for the next bridge.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.restart_state import LISTED_MAX

PLAYED_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Played:
    """An own event as it was handed over.

    due: as stamped, session ticks. timetag: the session instant that scsynth was given for it. margin_s,
    arrival: as in `SecondsLedger.hand_over`.
    """

    due: int
    timetag: int
    body: bytes
    margin_s: float | None
    arrival: int
    late: bool


class Unconfirmed:
    """Own events that were played as stamped, by seq."""

    def __init__(self) -> None:
        self._played: dict[int, Played] = {}
        self._listed: deque[int] = deque(maxlen=LISTED_MAX)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The newest seqs whose verdict hasn't come."""
        return tuple(self._listed)

    def play(self, seq: int, played: Played) -> None:
        """Note that an event was handed over."""
        self._played[seq] = played
        self._listed.append(seq)
        while len(self._played) > PLAYED_KEPT:
            del self._played[next(iter(self._played))]

    def confirm(self, seq: int) -> Played | None:
        """Remove and return the event whose verdict has come; None if no such event waits here."""
        played = self._played.pop(seq, None)
        if played is not None and seq in self._listed:
            self._listed.remove(seq)
        return played

    def convert(self, instant_of: Callable[[int], int]) -> None:
        """Convert the instants of all events, because session time was set in one step."""
        for seq, played in self._played.items():
            due, timetag = instant_of(played.due), instant_of(played.timetag)
            self._played[seq] = replace(played, due=due, timetag=timetag)

    def due(self, seq: int) -> int | None:
        """Return the due (session ticks), as stamped, of an event without a verdict; None if the event is
        unknown."""
        played = self._played.get(seq)
        return None if played is None else played.due
