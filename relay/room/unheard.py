"""Unheard: a member's events that no other member hears, why, and what the member is told of it.

Pure; `now` is a session instant. His own bridge plays what it has no verdict on, as stamped, so he hears it.
"""

from collections import Counter
from enum import Enum

from relay.limits import EVENTS_PER_S
from relay.wire.counted import counted
from relay.wire.timetag import ticks

TELL_EVERY = ticks(60.0)


class Why(Enum):
    """Why nobody else hears an event."""

    LOST = "it never reached the relay"
    MISSED = "it came too late"
    RATE = "there were too many"
    FAR = "it is due too far ahead"
    RANGE = "it might end a scsynth"


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


class Unheard:
    """What of each slot nobody else hears, since the slot was taken."""

    def __init__(self) -> None:
        self._counts: dict[int, Counter[Why]] = {}
        self._untold: dict[int, Counter[Why]] = {}
        self._told_at: dict[int, int] = {}

    def note(self, slot: int, why: Why, events: int = 1) -> None:
        """Note that nobody but their player hears so many events."""
        if events:
            self._counts.setdefault(slot, Counter())[why] += events
            self._untold.setdefault(slot, Counter())[why] += events

    def total(self, slot: int) -> int:
        """Return how many there were."""
        return self._counts.get(slot, Counter()).total()

    def count(self, slot: int, why: Why) -> int:
        """Return how many there were for one reason."""
        return self._counts.get(slot, Counter())[why]

    def forget(self, slot: int) -> None:
        """Forget who had `slot`."""
        for of_slots in (self._counts, self._untold, self._told_at):
            of_slots.pop(slot, None)

    def news(self, now: int) -> dict[int, list[str]]:
        """Return what members should be told now, by slot: at once, then once a minute at most."""
        due = [slot for slot in self._untold if now >= self._told_at.get(slot, -TELL_EVERY) + TELL_EVERY]
        self._told_at.update(dict.fromkeys(due, now))
        return {slot: [_words(*one) for one in self._untold.pop(slot).items()] for slot in due}


def _words(why: Why, events: int) -> str:
    return _TEXTS[why].format(counted(events, "event"), them="it" if events == 1 else "them")
