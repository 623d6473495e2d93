"""Verdict log: collects the judged events of all rooms in a list, for the relay's event log.

Pure. An observer reads the list. The facet never calls the observer, because the observer may fail.
"""

from collections.abc import Sequence
from functools import partial

from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.wire.sequence import Judged

Verdicts = list[tuple[str, Judged]]
"""Pairs of a room's name and an event judged there. The observer that reads the list also empties it."""


class VerdictLog(Facet):
    """Adds one room's judged events to a list."""

    def __init__(self, room: Room, verdicts: Verdicts) -> None:
        self._name = room.name
        self._verdicts = verdicts

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Add these judged events to the list."""
        self._verdicts += [(self._name, event) for event in events]


def verdict_log(verdicts: Verdicts) -> FacetKind:
    """Return the kind of facet that adds every room's judged events to this list."""
    return FacetKind(partial(VerdictLog, verdicts=verdicts))
