"""Due work: which places of a relay have something to do, so that nobody looks at the others.

Pure; instants are session timetags. A place is a room, a member's channel in it, or a room's housekeeping.
It is stirred when anything happened to it, and comes up by itself at the instant that it was set to.
Bound: a few heap entries a place; stale ones are swept out.
"""

from heapq import heapify, heappop, heappush

from relay.wire.timetag import ticks

Place = tuple[str, int]
"""A room's name, and a slot in it, ROOM or HOUSE. In this order a room's verdicts and heartbeat come before
its channels, and its housekeeping after them."""

ROOM = 0
HOUSE = 32
"""The slots are 1 to 31."""

HOUSEKEEPING = ticks(0.250)

NEVER = 1 << 64
"""No timetag is so late."""

STALE_PER_PLACE = 4
STALE_MIN = 64

GOLDEN = 0x9E3779B9
"""2**32 divided by the golden ratio: its multiples lie evenly in a circle, however many they are."""


def next_round(turn: int, begin: int, now: int) -> int:
    """Return the next instant after `now` of a room's housekeeping, every HOUSEKEEPING.

    turn: how many rooms were opened before it; each has another phase, so that they come one at a time.
    begin: an instant of the first room's.
    """
    phase = begin + (turn * GOLDEN % 2**32) * HOUSEKEEPING // 2**32
    return now + HOUSEKEEPING - (now - phase) % HOUSEKEEPING


class Rounds:
    """The instants of one room's housekeeping. turn, begin: as `next_round` takes them."""

    def __init__(self, turn: int = 0, begin: int = 0, now: int = 0) -> None:
        self._turn = turn
        self._begin = begin
        self.due_at = 0
        self.hold(now)

    def hold(self, now: int) -> None:
        """Note that the housekeeping is done now."""
        self.due_at = next_round(self._turn, self._begin, now)


class DueWork:
    """The places of one relay that have something to do now, and when the others have."""

    def __init__(self) -> None:
        self.stirred: set[Place] = set()
        """Not yet set to an instant since something happened to them."""
        self._at: dict[Place, int] = {}
        self._heap: list[tuple[int, Place]] = []
        """Of these an entry counts if `_at` says the same."""

    def stir(self, room: str, slot: int) -> None:
        """Note that something happened to a place."""
        self.stirred.add((room, slot))

    def take(self, now: int) -> list[Place]:
        """Return the places that are stirred or whose instant has come, in order; they stay stirred."""
        while self._heap and self._heap[0][0] <= now:
            at, place = heappop(self._heap)
            if self._at.get(place) == at:
                del self._at[place]
                self.stirred.add(place)
        return sorted(self.stirred)

    def settle(self, place: Place, at: int | None) -> None:
        """Let a place come up by itself at that instant, or not at all."""
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
        """Return the first instant that a place is set to; NEVER if none is."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else NEVER
