"""Due work: keeps the places of a relay that have something to do, so that the relay looks only at these.

Pure; instants are session timetags. A place is a room, a member's channel, or a room's housekeeping. When
anything happens to a place it is stirred: `take` returns it next time. A place is also taken at the instant
that was set for it. Bound: a few heap entries for each place; stale entries are removed.
"""

from heapq import heapify, heappop, heappush

from relay.wire.timetag import ticks

Place = tuple[str, int]
"""A place: (name of the room, number). The number is a member's slot, ROOM, or HOUSE for housekeeping. Sorted
by this number, a room's verdicts and heartbeat come first, then its channels, then its housekeeping."""

ROOM = 0
HOUSE = 32
"""The number of a room's housekeeping. It is greater than all slots, which are 1 to 31."""

HOUSEKEEPING = ticks(0.250)

NEVER = 1 << 64
"""Later than every timetag."""

STALE_PER_PLACE = 4
STALE_MIN = 64

GOLDEN = 0x9E3779B9
"""2**32 divided by the golden ratio. Its multiples modulo 2**32 are spread evenly, whatever their number."""


def next_round(turn: int, begin: int, now: int) -> int:
    """Return the next instant after `now` of a room's housekeeping, which is done every HOUSEKEEPING.

    turn: number of rooms that this relay opened before this room. It gives each room a phase of its own, so
    that not all rooms need housekeeping at once. begin: an instant of the first room's housekeeping. now:
    session ticks.
    """
    phase = begin + (turn * GOLDEN % 2**32) * HOUSEKEEPING // 2**32
    return now + HOUSEKEEPING - (now - phase) % HOUSEKEEPING


class Rounds:
    """The times of one room's housekeeping. turn, begin, now: as for `next_round`."""

    def __init__(self, turn: int = 0, begin: int = 0, now: int = 0) -> None:
        self._turn = turn
        self._begin = begin
        self.due_at = 0
        self.hold(now)

    def hold(self, now: int) -> None:
        """Record that housekeeping is done now, and compute when it is due next. now: session ticks."""
        self.due_at = next_round(self._turn, self._begin, now)


class DueWork:
    """The places of one relay that have something to do now, and the instants set for the others."""

    def __init__(self) -> None:
        self.stirred: set[Place] = set()
        """Places to which something has happened since their next instant was last set."""
        self._at: dict[Place, int] = {}
        self._heap: list[tuple[int, Place]] = []
        """Pairs of an instant and a place. An entry is valid only if `_at` has the same instant for its
        place."""

    def stir(self, room: str, slot: int) -> None:
        """Record that something happened to a place. slot: its number, as in `Place`."""
        self.stirred.add((room, slot))

    def take(self, now: int) -> list[Place]:
        """Return the places that are stirred or whose instant has come, sorted. They stay stirred until
        `settle` is called."""
        while self._heap and self._heap[0][0] <= now:
            at, place = heappop(self._heap)
            if self._at.get(place) == at:
                del self._at[place]
                self.stirred.add(place)
        return sorted(self.stirred)

    def settle(self, place: Place, at: int | None) -> None:
        """Set the instant at which a place has something to do next; None: at no time. The place is no longer
        stirred."""
        self.stirred.discard(place)
        if at is None:
            self._at.pop(place, None)
        elif self._at.get(place) != at:
            self._at[place] = at
            heappush(self._heap, (at, place))
            if len(self._heap) > STALE_MIN + STALE_PER_PLACE * len(self._at):
                self._heap = [(until, one) for one, until in self._at.items()]
                heapify(self._heap)

    def next_at(self) -> int:
        """Return the first instant to which a place is set; NEVER if there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else NEVER
