"""Unconfirmed: the local player's events that scsynth was handed before the relay judged them.

Pure. Bounds: PLAYED_KEPT events that wait for their verdict; LISTED_MAX seqs (sender's numbers) for the
bridge process that takes over if this one dies.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.restart_state import LISTED_MAX

PLAYED_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Played:
    """An event of the local player that was handed over before it was judged.

    due: session ticks, as this bridge computed it. timetag: the session instant that scsynth was given. body:
    the message as all members play it. margin_s, arrival, late: as in `SecondsLedger.hand_over`.
    """

    due: int
    timetag: int
    body: bytes
    margin_s: float | None
    arrival: int
    late: bool


class Unconfirmed:
    """The local player's events that were handed over before they were judged, by seq (sender's number)."""

    def __init__(self) -> None:
        self._played: dict[int, Played] = {}
        self._listed: deque[int] = deque(maxlen=LISTED_MAX)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The seqs of the newest events that are still unjudged."""
        return tuple(self._listed)

    def play(self, seq: int, played: Played) -> None:
        """Record an event that was handed over."""
        self._played[seq] = played
        self._listed.append(seq)
        while len(self._played) > PLAYED_KEPT:
            del self._played[next(iter(self._played))]

    def confirm(self, seq: int) -> Played | None:
        """Remove and return the event whose verdict has come; None if the event is unknown."""
        played = self._played.pop(seq, None)
        if played is not None and seq in self._listed:
            self._listed.remove(seq)
        return played

    def convert(self, instant_of: Callable[[int], int]) -> None:
        """Convert the instants of all events, because session time was set in one step.

        instant_of: maps an old session instant to the new one.
        """
        for seq, played in self._played.items():
            due, timetag = instant_of(played.due), instant_of(played.timetag)
            self._played[seq] = replace(played, due=due, timetag=timetag)

    def due(self, seq: int) -> int | None:
        """Return the due (session ticks) that this bridge computed for an event; None if the event is
        unknown."""
        played = self._played.get(seq)
        return None if played is None else played.due
