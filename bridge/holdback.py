"""Hold-back queue: events in the room's order, kept until the release advance before their due.

Pure. An event is released at most once. At release time nothing waits: what is there goes, in order; a
straggler goes the moment it comes. Before that goes what nothing can come ahead of any more. Own events
are held as stamped until the relay's verdict comes.
Bound: CAPACITY events; the relay refuses what would pass it, so what comes on top of that is dropped.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from relay.wire.sequence import Flag, Kind, OrderKey

CAPACITY = 20_000


@dataclass(slots=True, eq=False)
class Held:
    """An event in hand.

    number: the room's, None while unconfirmed or for what only this host plays. sub: > 0 for what is
    played at home only, after the own event `seq`. home: remapped bytes, if they are known already.
    counted: False for what a former epoch of the relay judged: it is played, but is no part of this one.
    """

    due: int
    slot: int
    seq: int
    kind: Kind
    payload: bytes
    sub: int = 0
    number: int | None = None
    flags: Flag = Flag.NONE
    home: bytes | None = None
    counted: bool = True

    @property
    def key(self) -> OrderKey:
        """Its place in the room's order, `sub` left out."""
        return (self.due, self.slot, self.seq)


class HoldbackQueue:
    """Events by (due, slot, seq)."""

    def __init__(self, own_slot: int) -> None:
        self.own_slot = own_slot
        self._heap: list[tuple[int, int, int, int, int, Held]] = []
        self._entries = 0
        self._live: dict[tuple[int, int, int], Held] = {}
        self.overflows = 0

    def __len__(self) -> int:
        return len(self._live)

    def push(self, held: Held) -> None:
        """Put an event in; one of the same slot, seq and sub replaces what was held."""
        place = (held.slot, held.seq, held.sub)
        if len(self._live) >= CAPACITY and place not in self._live:
            self.overflows += 1
            return
        self._live[place] = held
        self._entries += 1
        heapq.heappush(self._heap, (held.due, held.slot, held.seq, held.sub, self._entries, held))

    def own(self, seq: int) -> Held | None:
        """Return the own event `seq` if it is still held."""
        return self._live.get((self.own_slot, seq, 0))

    def held(self) -> list[Held]:
        """Return what is in the queue, in no order."""
        return list(self._live.values())

    def next_due(self) -> int | None:
        """Return the earliest due in the queue."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def release(self, until: int, closed_until: int = 0) -> list[Held]:
        """Take out what is due at or before `until`, in order; then what is judged and due at or before
        `closed_until`, up to which nothing more can come, as far as nothing unjudged is due before it."""
        released: list[Held] = []
        while self._is_ready(until, closed_until):
            released.append(self._take())
        return released

    def pop(self) -> Held | None:
        """Take out the first event whatever its due."""
        self._drop_stale()
        return self._take() if self._heap else None

    def drop_before(self, slot: int, seq: int) -> list[Held]:
        """Take out what `slot` sent before `seq` (its slot was reset), in order."""
        dropped = [held for held in self._live.values() if held.slot == slot and held.seq < seq]
        for held in dropped:
            del self._live[(held.slot, held.seq, held.sub)]
        return sorted(dropped, key=lambda held: (*held.key, held.sub))

    def next_reset(self, slot: int) -> int | None:
        """Return the latest due of a slot reset that is still held for `slot`."""
        return max(
            (held.due for held in self._live.values() if held.slot == slot and held.kind is Kind.RESET),
            default=None,
        )

    def enter_epoch(self) -> None:
        """Forget the numbers: they were given by a relay that is no more."""
        for held in self._live.values():
            if held.number is not None:
                held.number, held.counted = None, False

    def lowest_number(self) -> int | None:
        """Return the lowest room number still held, None if there is none."""
        return min((held.number for held in self._live.values() if held.number is not None), default=None)

    def unjudged_dues(self) -> list[int]:
        """Return the dues that no relay of this epoch has given."""
        return [held.due for held in self._live.values() if held.number is None]

    def convert(self, due_of: Callable[[int], int]) -> int:
        """Give every event without a verdict of this epoch a new due; return how many.

        Judged dues are session instants of the relay and need none.
        """
        affected = [held for held in self._live.values() if held.number is None]
        for held in affected:
            due = due_of(held.due)
            if due != held.due:
                held.due = due
                self.push(held)
        return len(affected)

    def _is_ready(self, until: int, closed_until: int) -> bool:
        self._drop_stale()
        if not self._heap:
            return False
        due, held = self._heap[0][0], self._heap[0][-1]
        return due <= until or (due <= closed_until and held.number is not None)

    def _take(self) -> Held:
        held = heapq.heappop(self._heap)[-1]
        del self._live[(held.slot, held.seq, held.sub)]
        return held

    def _drop_stale(self) -> None:
        while self._heap:
            due, slot, seq, sub, _, held = self._heap[0]
            if self._live.get((slot, seq, sub)) is held and held.due == due:
                return
            heapq.heappop(self._heap)
