"""Hold-back queue: keeps events until scsynth is handed them.

Pure. Judged events leave in the order of their room numbers, each as soon as all lower numbers have arrived.
scsynth then runs them in the room's order, (due, number): it sorts events by timetag, and runs events with
equal timetags in the order of arrival. No delay of this host or the network can affect an event at scsynth.
Only events due far ahead stay in the queue for longer.

Two kinds of event wait until the release advance before their due: those behind a gap in the numbers, and
events of the local player without a verdict. Then they leave in any case. An event that comes even later
leaves on arrival. An event is released at most once.

Bound: CAPACITY events. When the queue is full, a new note is dropped. Any other new event is dropped only if
its slot has STRUCTURE_CAPACITY events here. A dropped note is missed once, but all later events would miss a
dropped group or free.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from relay.wire.meaning import Meaning
from relay.wire.sequence import Flag, Judged, Kind, OrderKey, reset_over_at

CAPACITY = 20_000
STRUCTURE_CAPACITY = 8_000
"""When the queue is full, an event that is no note is still added if its slot has fewer events than this. The
limit is per slot, so that no slot takes the place of another's events. With payloads of at most 1.1 kB, a
slot takes up to 9 MB. The local player's slot takes twice as much, because the bodies of its events are kept
too."""
UNNUMBERED = 2**64
"""Stands for the room number of an event that has none yet. It sorts the event last among equal dues, because
its number will be higher than all known ones."""


@dataclass(slots=True, eq=False)
class Held:
    """An event in the queue.

    due: session ticks. meaning: the meaning of its message, in the sender's numbers. number: its room number;
    None before the relay's verdict, and for a message that only this host plays. sub: 0 for an event of the
    room; > 0 for a message that only this host plays, after the local player's event `seq`. body: the message
    in scsynth's numbers, if known. home: the message for this host's scsynth, if it differs from the one for
    the others.

    expected: the session instant at which the relay's verdict usually arrives; 0 if the event isn't judged
    yet. counted: False if a former epoch of the relay judged the event; it is then played but not counted.
    """

    due: int
    slot: int
    seq: int
    kind: Kind
    meaning: Meaning
    sub: int = 0
    number: int | None = None
    flags: Flag = Flag.NONE
    body: bytes | None = None
    home: bytes | None = None
    counted: bool = True
    expected: int = 0

    @property
    def key(self) -> OrderKey:
        """The event's place in the room's order: (due, number)."""
        return (self.due, UNNUMBERED if self.number is None else self.number)


class HoldbackQueue:
    """The hold-back queue of one bridge. Events can be found by room number, by due, and by (slot, seq,
    sub)."""

    def __init__(self, own_slot: int) -> None:
        self.own_slot = own_slot
        self._live: dict[tuple[int, int, int], Held] = {}
        self._entries = 0
        self._by_due: list[tuple[int, int, int, int, int, Held]] = []
        self._by_number: list[tuple[int, int, Held]] = []
        self._far: list[tuple[int, int, Held]] = []
        """(due, number, event) of events with no gap before them that wait because their due is far ahead."""
        self._home: dict[tuple[int, int, int], Held] = {}
        """(slot, seq, sub) -> message that only this host plays."""
        self.overflows = 0
        """The number of events dropped because the queue was full."""
        self._own_gone = 0
        """The highest seq of an event of the local player that has left the queue."""
        self._of_slot = Counter[int]()
        self._kept_back: set[int] = set()

    def __len__(self) -> int:
        return len(self._live)

    def named(self) -> dict[str, int]:
        """Return the number of events that were dropped because the queue was full, by name, for the
        statistics."""
        return {"overflowed": self.overflows}

    def push(self, held: Held) -> bool:
        """Add an event, or replace the one with the same slot, seq and sub.

        Return False if the event was dropped because the queue is full.
        """
        place = (held.slot, held.seq, held.sub)
        if len(self._live) >= CAPACITY and place not in self._live and not self._is_kept(held):
            self.overflows += 1
            return False
        if place not in self._live:
            self._of_slot[held.slot] += 1
        self._live[place] = held
        self._put_by_due(held)
        if held.number is not None and held.slot not in self._kept_back:
            heapq.heappush(self._by_number, (held.number, self._entries, held))
        if held.sub:
            self._home[place] = held
        return True

    def own(self, seq: int) -> Held | None:
        """Return the local player's event with the sender's number `seq`; None if it is not held."""
        return self._live.get((self.own_slot, seq, 0))

    def confirm_own(self, event: Judged) -> bool:
        """Set number, flags and due of the local player's event from the relay's verdict.

        Return False if the event is not held.
        """
        held = self.own(event.seq)
        if held is None:
            return False
        held.number, held.flags, held.due = event.number, event.flags, event.due
        self.push(held)
        return True

    def keep_back(self, slot: int) -> None:
        """Keep the events of a slot until the release advance before their due, because the slot isn't built
        yet."""
        self._kept_back.add(slot)

    def let_go(self, slot: int) -> None:
        """Let the events of a slot leave early again, in the order of their room numbers."""
        if slot in self._kept_back:
            self._kept_back.discard(slot)
            for held in self._live.values():
                if held.slot == slot and held.number is not None:
                    self._entries += 1
                    heapq.heappush(self._by_number, (held.number, self._entries, held))

    def next_sub(self) -> int:
        """Return a sort key (`Held.sub`) for a new message that only this host plays.

        It puts the message behind all earlier ones.
        """
        return self._entries + 1

    def take_own(self, seq: int) -> Held | None:
        """Remove and return the local player's event with the sender's number `seq`; None if it is not
        held."""
        held = self.own(seq)
        if held is not None:
            self._remove(held)
        return held

    def held(self) -> list[Held]:
        """Return all held events, in no order."""
        return list(self._live.values())

    def release(
        self, until: int, *, ready: int = 0, ahead: int = 0, room: int = CAPACITY, now: int = 0
    ) -> list[Held]:
        """Remove and return the events to hand over now, in order.

        First come events with number <= `ready` and due <= `ahead`, by number, at most `room` of them. If
        some of these are due before `now`, they go first, by due, because scsynth runs them on arrival. Then
        comes every other event with due <= `until`, by due. A message that only this host plays leaves right
        after the event that it follows.

        until, ahead, now: session ticks. ready: all events up to this room number have arrived. room: how
        many more events scsynth can hold.
        """
        released = self._release_ready(ready, ahead, room, now)
        while self._is_due(until):
            held = heapq.heappop(self._by_due)[-1]
            self._remove(held)
            released.append(held)
        return released

    def next_due(self) -> int | None:
        """Return the earliest due in the queue (session ticks); None if it is empty."""
        self._drop_stale()
        return self._by_due[0][0] if self._by_due else None

    def next_far(self) -> int | None:
        """Return the earliest due (session ticks) among the events with no gap before them; None if there are
        none."""
        while self._far:
            due, number, held = self._far[0]
            if self._is_live(held) and (held.due, held.number) == (due, number):
                break
            heapq.heappop(self._far)
        return self._far[0][0] if self._far else None

    def drop_before(self, slot: int, seq: int, due: int) -> list[Held]:
        """Remove and return, in order, the events that a reset of `slot` drops.

        These are the slot's events that were sent before the event `seq` (sender's number) and are due after
        `due` (session ticks).
        """
        dropped = [
            held for held in self._live.values() if held.slot == slot and held.seq < seq and held.due > due
        ]
        for held in dropped:
            self._remove(held)
        return sorted(dropped, key=lambda held: (*held.key, held.seq, held.sub))

    def resets_over_at(self, slot: int) -> int:
        """Return the session instant at which all slot resets held for `slot` are over; 0 if none is held."""
        resets = (held for held in self._live.values() if held.slot == slot and held.kind is Kind.RESET)
        return max((reset_over_at(held.due, held.flags) for held in resets), default=0)

    def enter_epoch(self) -> None:
        """Remove all room numbers, because the relay that gave them is gone. Their events are still played,
        but not counted."""
        self._by_number.clear()
        self._far.clear()
        for held in self._live.values():
            if held.number is not None:
                held.number, held.counted = None, False

    def numbers(self) -> list[int]:
        """Return the room numbers of the held events, in no order."""
        return [held.number for held in self._live.values() if held.number is not None]

    def convert(self, due_of: Callable[[int], int]) -> int:
        """Give every event without a room number a new due. Return how many such events there are.

        due_of: maps an old due to the new one (session ticks). Numbered events keep their dues, which are the
        relay's.
        """
        affected = [held for held in self._live.values() if held.number is None]
        for held in affected:
            due = due_of(held.due)
            if due != held.due:
                held.due = due
                self._put_by_due(held)
        return len(affected)

    # ------------------------------------------------------------------------------------------------

    def _release_ready(self, ready: int, ahead: int, room: int, now: int) -> list[Held]:
        """Remove and return the events with no gap before them, by number. The arguments are those of
        `release`."""
        while self._by_number and self._by_number[0][0] <= ready:
            number, _, held = heapq.heappop(self._by_number)
            if self._is_live(held) and held.number == number:
                heapq.heappush(self._far, (held.due, number, held))
        near: list[tuple[int, Held]] = []
        while len(near) < room and (due := self.next_far()) is not None and due <= ahead:
            _, number, held = heapq.heappop(self._far)
            near.append((number, held))
        near.sort(key=lambda one: (min(one[1].due, now), one[0]))
        released: list[Held] = []
        for _, held in near:
            if self._home and held.slot == self.own_slot:
                released += self._take_home(held.seq - 1, ahead)
            self._remove(held)
            released.append(held)
        if ready and self._home:
            released += self._take_home(self._own_gone, ahead)
        return released

    def _take_home(self, seq: int, ahead: int) -> list[Held]:
        """Remove and return the messages for this host only that are due at or before `ahead` (session
        ticks).

        Only those are taken that follow the local player's event with seq `seq`, or an earlier one.
        """
        taken = [held for held in self._home.values() if held.seq <= seq and held.due <= ahead]
        for held in taken:
            self._remove(held)
        return taken

    def _is_kept(self, held: Held) -> bool:
        return self._of_slot[held.slot] < STRUCTURE_CAPACITY and not held.meaning.is_note

    def _put_by_due(self, held: Held) -> None:
        self._entries += 1
        heapq.heappush(self._by_due, (*held.key, held.seq, held.sub, self._entries, held))

    def _is_due(self, until: int) -> bool:
        self._drop_stale()
        return bool(self._by_due) and self._by_due[0][0] <= until

    def _is_live(self, held: Held) -> bool:
        return self._live.get((held.slot, held.seq, held.sub)) is held

    def _remove(self, held: Held) -> None:
        place = (held.slot, held.seq, held.sub)
        del self._live[place]
        self._of_slot[held.slot] -= 1
        self._home.pop(place, None)
        if held.slot == self.own_slot and not held.sub:
            self._own_gone = max(self._own_gone, held.seq)

    def _drop_stale(self) -> None:
        while self._by_due:
            due, number, *_, held = self._by_due[0]
            # An event that lost its number (another epoch) keeps its old entry.
            if self._is_live(held) and held.due == due and (held.number in (number, None)):
                return
            heapq.heappop(self._by_due)
