"""Not heard: counts the notes that a member's scsynth could not play, and sends their player a notice.

Pure; `now` is session ticks. A bridge counts a note as not heard if its synthdef or sample is missing there,
or if scsynth refused to make it. Bound: NAMES_KEPT files for each pair of members.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from relay.effects import Effect
from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.room.seat import Seat
from relay.wire.control import Notice
from relay.wire.control.not_heard import FAMILY, NotHeard, Unheard
from relay.wire.counted_nouns import counted
from relay.wire.stock import listed
from relay.wire.timetag import ticks

TELL_EVERY = ticks(30.0)
"""Least time between two notices to a player about the same listener. The first notice is sent at once."""
NAMES_KEPT = 64


@dataclass(slots=True)
class _Pair:
    """The notes of one member (the player) that another member (the listener) doesn't hear."""

    notes: int = 0
    untold: int = 0
    told_at: int | None = None
    names: Counter[str] = field(default_factory=Counter)
    percent: int | None = None

    def add(self, one: Unheard) -> None:
        self.notes += one.notes
        self.untold += one.notes
        self.percent = one.percent
        if one.name in self.names or len(self.names) < NAMES_KEPT:
            self.names[one.name] += one.notes


class Lacking(Facet):
    """Counts the notes of one room that some member doesn't hear, by (listener's slot, player's slot)."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._releases: dict[int, str] = {}

    def left(self, slot: int) -> None:
        """Forget all notes that the member in `slot` played or didn't hear."""
        self._releases.pop(slot, None)
        self._pairs = {pair: kept for pair, kept in self._pairs.items() if slot not in pair}

    def take_in(self, seat: Seat, message: NotHeard, now: int) -> list[Effect]:
        """Count the notes that a member reports as not heard. Return the notices to their players."""
        self._releases[seat.slot] = message.release
        for one in message.of:
            if one.slot in self._room.seats:
                self._pairs.setdefault((seat.slot, one.slot), _Pair()).add(one)
                self.findings += 1
        return self.wake(now)

    def wake(self, now: int) -> list[Effect]:
        """Return the notices that are due, to players whose notes others don't hear."""
        effects: list[Effect] = []
        for (listener, player), pair in self._pairs.items():
            due = pair.told_at is None or now >= pair.told_at + TELL_EVERY
            if listener == player or not pair.untold or not due:
                continue
            text = (
                f"{self._room.name_of(listener)} doesn't hear {counted(pair.untold, 'note')} of yours: "
                f"{self._why(listener, pair)}"
                + ("" if pair.percent is None else f"; they are being fetched, {pair.percent} %")
            )
            pair.told_at, pair.untold = now, 0
            effects += self._room.tell(self._room.seats.get(player), Notice(text=text))
        return effects

    def member_stats(self, seat: Seat) -> dict[str, Any]:
        """Return for the statistics: how many notes a member didn't hear, and for each player a sentence with
        the reason."""
        own = {player: pair for (listener, player), pair in self._pairs.items() if listener == seat.slot}
        lines = [
            f"didn't hear {counted(pair.notes, 'note')} of {self._room.name_of(player)}'s: "
            f"{self._why(seat.slot, pair)}"
            for player, pair in own.items()
        ]
        return {"not_heard": sum(pair.notes for pair in own.values()), "not_heard_why": lines}

    def _why(self, listener: int, pair: _Pair) -> str:
        release = self._releases.get(listener, "")
        sonic_pi = f"its Sonic Pi {release}" if release else "its Sonic Pi"
        return f"{sonic_pi} lacks {listed(name for name, _ in pair.names.most_common())}"


KIND = FacetKind(Lacking, FAMILY, {NotHeard: Lacking.take_in})
