"""Unheard: tells a member which of its events no other member hears, and why.

Pure; `now` is session ticks. The member itself does hear them: its own bridge also plays events that have no
verdict.
"""

from collections import Counter

from relay.effects import Effect
from relay.limits import EVENTS_PER_S
from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.room.why import Why
from relay.wire.control import Notice
from relay.wire.counted_nouns import counted
from relay.wire.sequence import Flag, Judged, Stamped
from relay.wire.timetag import ticks

TELL_EVERY = ticks(60.0)
"""Least time between two notices to one member. The first notice is sent at once."""

_TEXTS = {
    Why.LOST: "{} of yours never reached the relay, so only you heard {them}: the network lost too much, or "
    "your connection broke",
    Why.MISSED: "{} of yours came to the relay so late that nobody else was given {them}: something on the "
    "way there stood still",
    Why.RATE: "{} of yours can't be passed on, and only you hear {them}: your Sonic Pi sends more than the "
    f"{EVENTS_PER_S} messages a second that the relay takes of a member; groups, FX and frees still are",
    Why.FAR: "{} of yours can't be passed on, and only you hear {them}: the relay keeps nothing that is due "
    "more than 60 s ahead (time_warp, use_sched_ahead_time)",
    Why.RANGE: "{} of yours can't be passed on: what they set is out of range and might end a scsynth",
}


class Unheard(Facet):
    """Counts each member's events that nobody else hears, and sends the member notices about them."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._untold: dict[int, Counter[Why]] = {}
        self._told_at: dict[int, int] = {}

    def left(self, slot: int) -> None:
        """Forget the member that had the slot."""
        self._untold.pop(slot, None)
        self._told_at.pop(slot, None)

    def judged(self, stamped: Stamped, event: Judged) -> None:
        """Count an event if it is a note that came too late to be played."""
        if Flag.MISSED in event.flags:
            self._count(event.slot, Why.MISSED, 1)

    def unheard(self, slot: int, why: Why, events: int, now: int) -> None:
        """Count events that get no verdict."""
        if events:
            self._count(slot, why, events)

    def wake(self, now: int) -> list[Effect]:
        """Return the notices that are due."""
        effects: list[Effect] = []
        due = [slot for slot in self._untold if now >= self._told_at.get(slot, -TELL_EVERY) + TELL_EVERY]
        for slot in due:
            self._told_at[slot] = now
            for why, events in self._untold.pop(slot).items():
                effects += self._room.tell(self._room.seats.get(slot), Notice(text=words(why, events)))
        return effects

    def _count(self, slot: int, why: Why, events: int) -> None:
        self._untold.setdefault(slot, Counter())[why] += events


def words(why: Why, events: int) -> str:
    """Return the notice to a member whose events others don't hear. why: the reason. events: the number of
    these events."""
    return _TEXTS[why].format(counted(events, "event"), them="it" if events == 1 else "them")


KIND = FacetKind(Unheard)
