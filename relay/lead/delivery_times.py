"""Delivery times: how long a room's events take from emission until each member has them.

Pure. Instants are session timetags, durations ticks. The uplink delay ends when the event reaches the relay;
the downlink delay begins at its verdict. Both are measured on the events themselves, so repair is included.
Time spent waiting for a missing earlier event isn't counted: that event was emitted before, so its own delay
covers it. Clock errors affect these figures as they affect the dues. Events emitted before the first event of
their connection arrived are not noted here, since they waited for clock and connection. An event that took
more than `most`, or never arrived, is counted as beyond at the member that delayed it, and raises no lead.
Only the greatest of each block is kept, by pair of sender and receiver. Bounds: BLOCKS_KEPT blocks;
EVENTS_KEPT events whose downlink reports are pending; WAYS_KEPT downlink delays of a member in an open block.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from relay.wire.control.report import TENTHS_PER_S
from relay.wire.sequence import Judged, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks

BLOCK = ticks(10.0)
EPISODE_BLOCKS = 3
"""Blocks of one accident: one that begins within ten seconds and lasts five touches three."""
BLOCKS_KEPT = 60
"""Ten minutes with events. An episode that occurs once in that time is an accident; three are the network."""
OPEN_BLOCKS = 2
"""The present block and the one before it, since downlink delays are reported some seconds later."""
EVENTS_KEPT = 8192
UNJUDGED_KEPT = 4096
WAYS_KEPT = 4096
TAIL = 0.9
"""Share of a member's downlink delays that the horizon covers. Events that reach the relay later than the
horizon allows are re-timed and so miss their own time anyway. Events just before it still have nine chances
in ten to reach everybody. With 0.99 the uplink had so much less that far more was re-timed than would have
been late."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest need of a block (ticks), and its sender and receiver; 0 for the one that isn't
    involved."""

    block: int
    need: int
    sender: int = 0
    receiver: int = 0


@dataclass(slots=True)
class _Block:
    index: int
    up: dict[int, int] = field(default_factory=dict)
    """Greatest uplink delay by sender."""
    down: dict[int, int] = field(default_factory=dict)
    """Greatest downlink delay by receiver."""
    pairs: dict[tuple[int, int], int] = field(default_factory=dict)
    """Greatest uplink plus downlink delay of one event, by (sender, receiver)."""
    longest: list[tuple[int, int, tuple[int, int]]] = field(default_factory=list)
    """`pairs` as (need, -place, pair), greatest last; empty: must be sorted again."""
    ways: dict[int, list[int]] = field(default_factory=dict)
    """Downlink delays by receiver, while the block is open."""
    down_tail: dict[int, int] = field(default_factory=dict)
    events: int = 0
    beyond: dict[int, int] = field(default_factory=dict)
    """Number of events that took more than the room waits for, by the member that delayed them."""

    def close(self) -> None:
        for slot, ways in self.ways.items():
            ways.sort()
            self.down_tail[slot] = ways[int(TAIL * len(ways))]
        self.ways.clear()

    def peak(self, advances: Mapping[int, int], strays: Mapping[int, int], most_added: int) -> Peak | None:
        """Return the greatest need of this block, see `DeliveryTimes.peaks`.

        most_added: the most that any pair gets on top of its delay. Thanks to it only the longest of a room's
        thousand pairs are examined.
        """
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


class DeliveryTimes:
    """The recent delivery times of one room's events. most: how long the room waits for an event, ticks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.judged_count = 0
        """The number of events that arrived and were judged, ever."""
        self._blocks: dict[int, _Block] = {}
        self._newest = 0
        self._unjudged: dict[tuple[int, int], int] = {}
        """Uplink delay by (slot, seq)."""
        self._events: dict[int, tuple[int, int, int]] = {}
        """(sender, uplink delay, block) by the room's number."""

    def came(self, slot: int, event: Stamped, now: int) -> None:
        """Note that an event has reached the relay. now: session ticks."""
        self._unjudged[slot, event.seq] = max(0, now - event.emitted)
        if len(self._unjudged) > UNJUDGED_KEPT:
            del self._unjudged[next(iter(self._unjudged))]

    def judged(self, event: Judged) -> None:
        """Note the verdict on an event that arrived. Events made by the relay itself are ignored."""
        up = self._unjudged.pop((event.slot, event.seq), None)
        if up is None:
            return
        self.judged_count += 1
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
        """Note that `events` events of `slot` never reached the relay. now: session ticks."""
        block = self._block(now // BLOCK)
        block.beyond[slot] = block.beyond.get(slot, 0) + events

    def reported(self, slot: int, ways: Iterable[tuple[int, int]], missing: Iterable[int]) -> None:
        """Note the downlink delays and missing events that the Report of the member in `slot` contains."""
        for number, tenths in ways:
            self._arrived(slot, number, tenths * TICKS_PER_S // TENTHS_PER_S)
        for number in missing:
            self._arrived(slot, number, self._most + 1)

    def forget(self, slot: int) -> None:
        """Forget everything about the member in `slot`."""
        for block in self._blocks.values():
            for by_slot in (block.up, block.down, block.ways, block.down_tail, block.beyond):
                by_slot.pop(slot, None)
            block.longest = []
            block.pairs = {pair: need for pair, need in block.pairs.items() if slot not in pair}
        self._events = {number: event for number, event in self._events.items() if event[0] != slot}
        self._unjudged = {key: up for key, up in self._unjudged.items() if key[0] != slot}

    def peaks(self, advances: Mapping[int, int], strays: Mapping[int, int] | None = None) -> list[Peak]:
        """Return the greatest need of each block, the receiver's release advance included, oldest first.

        advances: release advance (ticks) by slot, of the members that count. strays: clock uncertainty
        (ticks) by slot, beyond what the delays show. It doesn't count for a member's own events, which return
        to the same clock.
        """
        strays = strays or {}
        most_added = max(advances.values(), default=0) + 2 * max(strays.values(), default=0)
        peaks = [block.peak(advances, strays, most_added) for block in self._blocks.values()]
        return [peak for peak in peaks if peak is not None]

    def up_peaks(self, senders: Iterable[int]) -> list[Peak]:
        """Return the greatest uplink delay of each block among `senders`, oldest first."""
        wanted = set(senders)
        tops = (
            (index, max(((up, slot) for slot, up in block.up.items() if slot in wanted), default=None))
            for index, block in self._blocks.items()
        )
        return [Peak(index, top[0], sender=top[1]) for index, top in tops if top is not None]

    def down_peaks(self, slot: int) -> list[Peak]:
        """Return the greatest downlink delay of a member in each block, oldest first."""
        return [
            Peak(index, block.down[slot], receiver=slot)
            for index, block in self._blocks.items()
            if slot in block.down
        ]

    def down_tails(self, slot: int, blocks: int) -> list[int]:
        """Return the 90th percentile of a member's downlink delays in its last closed blocks, oldest
        first."""
        closed = (block.down_tail for block in reversed(self._blocks.values()))
        found = [tails[slot] for tails in islice((one for one in closed if slot in one), blocks)]
        return found[::-1]

    def beyond(self, slot: int) -> list[int]:
        """Return, for each block with any, how many events this member delayed by more than the room
        waits."""
        return [block.beyond[slot] for block in self._blocks.values() if slot in block.beyond]

    @property
    def events(self) -> int:
        """The number of events that arrived and were judged in the kept blocks."""
        return sum(block.events for block in self._blocks.values())

    def blocks_of(self, sender: int) -> int:
        """Return the number of blocks in which `sender` played."""
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
    """Return the peak of the `rank`-th greatest episode. An episode counts once, though three blocks saw it.

    With fewer episodes than `rank` the least peak is returned; without any peak, None.
    """
    taken: list[Peak] = []
    for peak in sorted(peaks, key=lambda one: one.need, reverse=True):
        if all(abs(peak.block - other.block) >= EPISODE_BLOCKS for other in taken):
            taken.append(peak)
            if len(taken) == rank:
                return peak
    return min(peaks, key=lambda one: one.need, default=None)
