"""Verdict log: the list from which a relay's event log takes its events.

Pure. It is a list and no callback, since observers may fail.
"""

from collections.abc import Sequence
from functools import partial

from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.wire.sequence import Judged

Verdicts = list[tuple[str, Judged]]
"""The name of the room and the event of each verdict. An observer empties the list."""


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
