"""Verdict log: the list from which a relay's event log takes its events.

Pure. The facet fills a list and calls no observer, since an observer may fail.
"""

from collections.abc import Sequence
from functools import partial

from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.wire.sequence import Judged

Verdicts = list[tuple[str, Judged]]
"""For each verdict the name of the room and the judged event. The observer that reads the list empties it."""


class VerdictLog(Facet):
    """Puts one room's verdicts into a list."""

    def __init__(self, room: Room, verdicts: Verdicts) -> None:
        self._name = room.name
        self._verdicts = verdicts

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Add the events to the list, after all of them were put into the ring."""
        self._verdicts += [(self._name, event) for event in events]


def verdict_log(verdicts: Verdicts) -> FacetKind:
    """Return the facet that adds every room's verdicts to this list."""
    return FacetKind(partial(VerdictLog, verdicts=verdicts))
