"""Needs: how much time a room's events really take from emission until they are in hand, and at whom.

Pure; instants are session timetags, durations ticks. The way up ends when the event has reached the relay,
the way down begins with its verdict; both are measured on the events themselves, so repair is included. An
event that waits for a gap needs no more than the one that was missing, which was emitted before it: so the
waiting itself is not counted. Errors of the clocks are in these figures just as they are in the dues.
What was emitted before the first event of its connection came waited for that: nobody notes it here.
An event that needed more than `most` (or never came) is not waited for, whatever the lead: it is counted at
the member that it was slow at, and raises nothing.
Kept is only the greatest of each block, by pair of sender and receiver. Bounds: BLOCKS_KEPT blocks;
EVENTS_KEPT events whose ways down are still to be reported; WAYS_KEPT ways of a member in an open block.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from relay.wire.control import TENTHS_PER_S
from relay.wire.sequence import Judged, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks

BLOCK = ticks(10.0)
EPISODE_BLOCKS = 3
"""What begins within ten seconds and lasts five touches so many."""
BLOCKS_KEPT = 60
"""Ten minutes with events in them: what happens once in that time is an accident, three times the network."""
OPEN_BLOCKS = 2
"""The present one and the one before it: ways down are reported some seconds later."""
EVENTS_KEPT = 8192
UNJUDGED_KEPT = 4096
WAYS_KEPT = 4096
TAIL = 0.9
"""Of a member's ways down, those that the horizon is for. What comes to the relay later is re-timed, so is
lost for its own time in any case; what comes just before it has still nine chances in ten to reach everybody.
With 0.99 the way up had so much less that far more was re-timed than would have been late."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest need of a block, and whose it was; sender or receiver is 0 where it is of one way only."""

    block: int
    need: int
    sender: int = 0
    receiver: int = 0


@dataclass(slots=True)
class _Block:
    index: int
    up: dict[int, int] = field(default_factory=dict)
    """Greatest way up by sender."""
    down: dict[int, int] = field(default_factory=dict)
    """Greatest way down by receiver."""
    pairs: dict[tuple[int, int], int] = field(default_factory=dict)
    """Greatest way up and down of one event, by sender and receiver."""
    longest: list[tuple[int, int, tuple[int, int]]] = field(default_factory=list)
    """Those, (need, -place, pair), the greatest last; empty: to be sorted again."""
    ways: dict[int, list[int]] = field(default_factory=dict)
    """Ways down by receiver, while the block is open."""
    down_tail: dict[int, int] = field(default_factory=dict)
    events: int = 0
    beyond: dict[int, int] = field(default_factory=dict)
    """Events that needed more than anybody waits for, by the member that they were slow at."""

    def close(self) -> None:
        for slot, ways in self.ways.items():
            ways.sort()
            self.down_tail[slot] = ways[int(TAIL * len(ways))]
        self.ways.clear()

    def peak(self, advances: Mapping[int, int], strays: Mapping[int, int], most_added: int) -> Peak | None:
        """Return the greatest need, as `Needs.peaks` takes it. most_added: what no pair gets more than, on
        top of its way: so only the longest of a room's thousand pairs are looked at."""
        if not self.longest:
            pairs = enumerate(self.pairs.items())
            self.longest = sorted((need, -place, pair) for place, (pair, need) in pairs)
        found: tuple[int, int, tuple[int, int]] | None = None
        for need, place, pair in reversed(self.longest):
            if found is not None and need + most_added < found[0]:
                break
            sender, receiver = pair
            if sender not in advances or receiver not in advances:
                continue
            needed = need + advances[receiver]
            if sender != receiver:
                needed += strays.get(sender, 0) + strays.get(receiver, 0)
            if found is None or (needed, place) > found[:2]:
                found = needed, place, pair
        return None if found is None else Peak(self.index, found[0], *found[2])


class Needs:
    """What the events of one room needed, lately. most: ticks that an event is waited for at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.told = 0
        """How many events have come and been judged, ever."""
        self._blocks: dict[int, _Block] = {}
        self._newest = 0
        self._unjudged: dict[tuple[int, int], int] = {}
        """Way up by (slot, seq)."""
        self._events: dict[int, tuple[int, int, int]] = {}
        """(sender, way up, block) by the room's number."""

    def came(self, slot: int, event: Stamped, now: int) -> None:
        """Note that an event has reached the relay."""
        self._unjudged[slot, event.seq] = max(0, now - event.emitted)
        if len(self._unjudged) > UNJUDGED_KEPT:
            del self._unjudged[next(iter(self._unjudged))]

    def judged(self, event: Judged) -> None:
        """Note the verdict on an event that came; those that the relay itself makes need nothing."""
        up = self._unjudged.pop((event.slot, event.seq), None)
        if up is None:
            return
        self.told += 1
        index = event.judged // BLOCK
        block = self._block(index)
        block.events += 1
        if up > self._most:
            block.beyond[event.slot] = block.beyond.get(event.slot, 0) + 1
            return
        block.up[event.slot] = max(up, block.up.get(event.slot, 0))
        self._events[event.number] = (event.slot, up, index)
        if len(self._events) > EVENTS_KEPT:
            del self._events[next(iter(self._events))]

    def lost(self, slot: int, events: int, now: int) -> None:
        """Note that events of `slot` never reached the relay."""
        block = self._block(now // BLOCK)
        block.beyond[slot] = block.beyond.get(slot, 0) + events

    def reported(self, slot: int, ways: Iterable[tuple[int, int]], missing: Iterable[int]) -> None:
        """Note when events reached the member in `slot`, and which did not: as in its Report."""
        for number, tenths in ways:
            self._arrived(slot, number, tenths * TICKS_PER_S // TENTHS_PER_S)
        for number in missing:
            self._arrived(slot, number, self._most + 1)

    def forget(self, slot: int) -> None:
        """Forget who had `slot`."""
        for block in self._blocks.values():
            for by_slot in (block.up, block.down, block.ways, block.down_tail, block.beyond):
                by_slot.pop(slot, None)
            block.longest = []
            block.pairs = {pair: need for pair, need in block.pairs.items() if slot not in pair}
        self._events = {number: event for number, event in self._events.items() if event[0] != slot}
        self._unjudged = {key: up for key, up in self._unjudged.items() if key[0] != slot}

    def peaks(self, advances: Mapping[int, int], strays: Mapping[int, int] | None = None) -> list[Peak]:
        """Return the greatest need of each block, the receiver's release advance included, oldest first.

        advances: release advance by slot of those who count. strays: how far their clocks may stray beyond
        what the ways show; that counts not for a member's own events, which come back to the same clock.
        """
        strays = strays or {}
        most_added = max(advances.values(), default=0) + 2 * max(strays.values(), default=0)
        peaks = [block.peak(advances, strays, most_added) for block in self._blocks.values()]
        return [peak for peak in peaks if peak is not None]

    def up_peaks(self, senders: Iterable[int]) -> list[Peak]:
        """Return the greatest way up of each block among `senders`, oldest first."""
        wanted = set(senders)
        tops = (
            (index, max(((up, slot) for slot, up in block.up.items() if slot in wanted), default=None))
            for index, block in self._blocks.items()
        )
        return [Peak(index, top[0], sender=top[1]) for index, top in tops if top is not None]

    def down_peaks(self, slot: int) -> list[Peak]:
        """Return the greatest way down to a member of each block, oldest first."""
        return [
            Peak(index, block.down[slot], receiver=slot)
            for index, block in self._blocks.items()
            if slot in block.down
        ]

    def down_tails(self, slot: int, blocks: int) -> list[int]:
        """Return the 90th percentile of the ways down to a member in each of its last closed blocks."""
        closed = (block.down_tail for block in reversed(self._blocks.values()))
        found = [tails[slot] for tails in islice((one for one in closed if slot in one), blocks)]
        return found[::-1]

    def beyond(self, slot: int) -> list[int]:
        """Return how many events were slow at a member beyond all waiting, for each block with any."""
        return [block.beyond[slot] for block in self._blocks.values() if slot in block.beyond]

    @property
    def events(self) -> int:
        """How many events have come and been judged in the blocks that are kept."""
        return sum(block.events for block in self._blocks.values())

    def blocks_of(self, sender: int) -> int:
        """Return in how many blocks `sender` played."""
        return sum(sender in block.up for block in self._blocks.values())

    def _arrived(self, slot: int, number: int, down: int) -> None:
        event = self._events.get(number)
        block = None if event is None else self._blocks.get(event[2])
        if event is None or block is None:
            return
        sender, up, index = event
        if up + down > self._most:
            slow = slot if down > up else sender
            block.beyond[slow] = block.beyond.get(slow, 0) + 1
            return
        pair = (sender, slot)
        if up + down > block.pairs.get(pair, -1):
            block.pairs[pair] = up + down
            block.longest = []
        block.down[slot] = max(down, block.down.get(slot, 0))
        if index > self._newest - OPEN_BLOCKS:
            ways = block.ways.setdefault(slot, [])
            if len(ways) < WAYS_KEPT:
                ways.append(down)

    def _block(self, index: int) -> _Block:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Block(index)
            self._newest = max(self._newest, index)
            for older, one in self._blocks.items():
                if older <= self._newest - OPEN_BLOCKS:
                    one.close()
            while len(self._blocks) > BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]
        return block


def ranked(peaks: Sequence[Peak], rank: int) -> Peak | None:
    """Return the peak that is `rank`-th of its kind: one episode counts once, though three blocks saw it.

    Where there aren't so many episodes the least peak is returned, None of none.
    """
    taken: list[Peak] = []
    for peak in sorted(peaks, key=lambda one: one.need, reverse=True):
        if all(abs(peak.block - other.block) >= EPISODE_BLOCKS for other in taken):
            taken.append(peak)
            if len(taken) == rank:
                return peak
    return min(peaks, key=lambda one: one.need, default=None)
