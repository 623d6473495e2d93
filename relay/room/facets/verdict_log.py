"""Verdict log: the list that a relay's event log takes its events from.

Pure. It is a list, and no call, since whoever looks on may fail.
"""

from collections.abc import Sequence
from functools import partial

from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.wire.sequence import Judged

Verdicts = list[tuple[str, Judged]]
"""The name of the room and the event of each verdict, for whoever empties it."""


class VerdictLog(Facet):
    """Puts one room's verdicts into a list."""

    def __init__(self, room: Room, verdicts: Verdicts) -> None:
        self._name = room.name
        self._verdicts = verdicts

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Put the events into the list, once all of them are kept."""
        self._verdicts += [(self._name, event) for event in events]


def verdict_log(verdicts: Verdicts) -> FacetKind:
    """Return the facet that puts every room's verdicts into this list."""
    return FacetKind(partial(VerdictLog, verdicts=verdicts))
