"""Delivery times: how long a room's events take from emission until each member has them.

Pure. Instants are session timetags, durations ticks. The uplink delay lasts from emission to arrival at the
relay, the downlink delay from the verdict to arrival at the member. Both are measured on the events
themselves, so repair is included. Time spent waiting for a missing earlier event isn't counted: that event's
own delay covers it. Clock errors affect these figures as they affect the dues.

Events emitted before the first event of their connection arrived are not recorded, since they waited for
clock and connection. An event that took longer than `most`, or never arrived, doesn't raise the lead. It is
only counted, at the member that delayed it (`beyond`). `most` is the longest time that the room waits for an
event.

Time is divided into blocks of length BLOCK. Of each block only the greatest delay is kept, for each pair of
sender and receiver. The many numbers lie in arrays and in dicts from int to int, since Python's garbage
collector doesn't look into those. Bounds: BLOCKS_KEPT blocks; EVENTS_KEPT events whose downlink reports are
pending; WAYS_KEPT downlink delays of a member in an open block.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

from relay.wire.control.report import TENTHS_PER_S
from relay.wire.sequence import Judged, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks

SLOTS = 32
NONE = -(1 << 60)
"""Stands for an unknown delay. Whatever is added to it, it stays below 0."""

BLOCK = ticks(10.0)
EPISODE_BLOCKS = 3
"""How many blocks one accident can touch. An accident begins within ten seconds at all hosts that it
concerns, and lasts five seconds."""
BLOCKS_KEPT = 60
"""How many blocks are kept: ten minutes with events. A great need that occurs once in that time counts as an
accident. If it occurs three times, it counts as a property of the network."""
OPEN_BLOCKS = 2
"""How many blocks still take new delays, since members report downlink delays some seconds later."""
EVENTS_KEPT = 8192
UNJUDGED_KEPT = 4096
WAYS_KEPT = 4096
TAIL = 0.9
"""Share (0 to 1) of a member's downlink delays that the horizon covers. An event that reaches the relay later
than the horizon allows is re-timed. An event that reaches it just in time still has nine chances in ten to
reach everybody in time. With 0.99, less of the lead was left for the uplink, and far more events were
re-timed."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest need (ticks) of an event in a block. sender, receiver: slots of that event.

    `DeliveryTimes.peaks` defines the need. block: the time of the block, in units of BLOCK since session
    time 0. The sender or the receiver is 0 if the need doesn't depend on it.
    """

    block: int
    need: int
    sender: int = 0
    receiver: int = 0


class _Added(NamedTuple):
    """The greatest durations (ticks) that are added to the delays of a block.

    sender, receiver: added for any one sender or receiver. advances: by slot, added for the member's own
    events, which come back to it. advance: the greatest of `advances`.
    """

    sender: int
    receiver: int
    advance: int
    advances: Mapping[int, int]


@dataclass(slots=True)
class _Block:
    index: int
    events: int = 0
    up: dict[int, int] = field(default_factory=dict)
    """Greatest uplink delay, by sender."""
    up_peak: "Peak | None" = None
    """The greatest uplink delay among the senders for which `DeliveryTimes.up_peaks` was last called; None:
    it must be found again."""
    down: dict[int, int] = field(default_factory=dict)
    """Greatest downlink delay, by receiver."""
    others: "dict[int, array[int]]" = field(default_factory=dict)
    """By receiver an array, indexed by sender: the greatest uplink plus downlink delay of one event between
    these two, or NONE."""
    tops: dict[int, int] = field(default_factory=dict)
    """The greatest value of each receiver's array in `others`."""
    order: list[int] = field(default_factory=list)
    """The receivers, in descending order of `tops`; empty: they must be sorted again."""
    own: dict[int, int] = field(default_factory=dict)
    """By member, the greatest uplink plus downlink delay of the member's own events, which come back to
    it."""
    own_top: int = NONE
    """An upper limit of the values in `own`."""
    ways: "dict[int, array[int]]" = field(default_factory=dict)
    """Downlink delays by receiver, while the block is open."""
    tails: dict[int, int] = field(default_factory=dict)
    """By receiver, the TAIL percentile of `ways`. It is missing if new delays came since it was computed."""

    def took(self, sender: int, receiver: int, delay: int) -> None:
        """Record the uplink plus downlink delay (ticks) of an event from `sender` at `receiver`."""
        if sender == receiver:
            self.own[sender] = max(delay, self.own.get(sender, NONE))
            self.own_top = max(delay, self.own_top)
            return
        row = self.others.setdefault(receiver, array("q"))
        row.extend([NONE] * (sender + 1 - len(row)))
        if delay > row[sender]:
            row[sender] = delay
            if delay > self.tops.get(receiver, NONE):
                self.tops[receiver] = delay
                self.order = []

    def find_tail(self, receiver: int) -> None:
        """Compute the TAIL percentile of a receiver's downlink delays, if it is missing and there are
        delays."""
        if receiver in self.ways and receiver not in self.tails:
            ways = self.ways[receiver]
            self.tails[receiver] = sorted(ways)[int(TAIL * len(ways))]

    def forget(self, slot: int) -> None:
        """Forget everything about the member in `slot`."""
        for by_slot in (self.up, self.down, self.others, self.tops, self.own, self.ways, self.tails):
            by_slot.pop(slot, None)
        for receiver, row in self.others.items():
            if slot < len(row):
                was, row[slot] = row[slot], NONE
                if was == self.tops[receiver]:
                    self.tops[receiver] = max(row)
        self.order, self.up_peak = [], None

    def peak(self, senders: Sequence[int], receivers: Mapping[int, int], most: "_Added") -> Peak | None:
        """Return the greatest need of this block, as `DeliveryTimes.peaks` defines it; None if there is none.

        senders: indexed by slot, ticks to add to the sender's delays; NONE for a slot that doesn't count.
        receivers: by slot, ticks to add to the receiver's delays; a missing slot doesn't count. most: the
        greatest of these additions, and the additions for own events.
        """
        if not self.order:
            self.order = sorted(self.tops, key=self.tops.__getitem__, reverse=True)
        found, pair = NONE, (0, 0)
        for receiver in self.order:
            top = self.tops[receiver] + most.sender
            if top + most.receiver <= found:
                break
            if receiver in receivers and top + receivers[receiver] > found:
                needs = list(map(add, self.others[receiver], senders))
                need = max(needs)
                if need + receivers[receiver] > found:
                    found, pair = need + receivers[receiver], (needs.index(need), receiver)
        if self.own_top + most.advance > found:
            for slot, delay in self.own.items():
                if slot in most.advances and delay + most.advances[slot] > found:
                    found, pair = delay + most.advances[slot], (slot, slot)
        return Peak(self.index, found, *pair) if found >= 0 else None


class DeliveryTimes:
    """The recent delivery times of one room's events. most: the longest time that the room waits for an
    event, ticks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.judged_count = 0
        """The number of events, since the room was opened, that arrived and were judged."""
        self._blocks: dict[int, _Block] = {}
        self._newest = 0
        self._unjudged: dict[tuple[int, int], int] = {}
        """Uplink delay of each event that waits for its verdict, by (slot, seq)."""
        self._ups: dict[int, int] = {}
        """Uplink delay of each event judged lately, by the room's number."""
        self._origins: dict[int, int] = {}
        """The block and sender of each event in `_ups`, by the room's number: SLOTS * block + sender."""
        self._gone: dict[int, int] = {}
        """By slot, the last room number that an event of the slot's previous owner may have."""
        self._played: Counter[int] = Counter()
        """The number of kept blocks in which each sender played."""
        self._tails: dict[int, dict[int, int]] = {}
        """The TAIL percentile of downlink delays, by receiver and by closed block."""
        self._beyond: dict[int, dict[int, int]] = {}
        """Number of events that took longer than the room waits, by the member that delayed them and by
        block."""
        self._senders: frozenset[int] = frozenset()
        """The senders for which each block's `up_peak` was computed."""

    def came(self, slot: int, event: Stamped, now: int) -> None:
        """Record that an event has reached the relay. now: session ticks."""
        self._unjudged[slot, event.seq] = max(0, now - event.emitted)
        if len(self._unjudged) > UNJUDGED_KEPT:
            del self._unjudged[next(iter(self._unjudged))]

    def judged(self, event: Judged) -> None:
        """Record the verdict on an event that arrived. Events made by the relay itself are ignored."""
        up = self._unjudged.pop((event.slot, event.seq), None)
        if up is None:
            return
        self.judged_count += 1
        index = event.judged // BLOCK
        block = self._block(index)
        block.events += 1
        if up > self._most:
            self._slow(event.slot, index)
            return
        if event.slot not in block.up:
            self._played[event.slot] += 1
        if up > block.up.get(event.slot, NONE):
            block.up[event.slot], block.up_peak = up, None
        self._ups[event.number], self._origins[event.number] = up, SLOTS * index + event.slot
        if len(self._ups) > EVENTS_KEPT:
            oldest = next(iter(self._ups))
            del self._ups[oldest], self._origins[oldest]

    def lost(self, slot: int, events: int, now: int) -> None:
        """Record that `events` events of `slot` never reached the relay. now: session ticks."""
        self._block(now // BLOCK)
        self._slow(slot, now // BLOCK, events)

    def reported(self, slot: int, ways: Iterable[tuple[int, int]], missing: Iterable[int]) -> None:
        """Record the downlink delays and the missing events from a report of the member in `slot`.

        ways: pairs of an event's room number and its downlink delay, in units of 1/TENTHS_PER_S s. missing:
        room numbers of events that never came.
        """
        worst: dict[int, int] = {}
        """Greatest uplink plus downlink delay, by origin (see `_origins`)."""
        downs: defaultdict[int, list[int]] = defaultdict(list)
        """Downlink delays (ticks), by block."""
        ups, origins, most = self._ups, self._origins, self._most
        for number, tenths in ways:
            up = ups.get(number)
            if up is None or (self._gone and self._is_of_who_had_the_slot_before(number)):
                continue
            origin, down = origins[number], tenths * TICKS_PER_S // TENTHS_PER_S
            if up + down > most:
                self._slow(slot if down > up else origin % SLOTS, origin // SLOTS)
                continue
            if up + down > worst.get(origin, NONE):
                worst[origin] = up + down
            downs[origin // SLOTS].append(down)
        for number in missing:
            if number in origins and not self._is_of_who_had_the_slot_before(number):
                self._slow(slot, origins[number] // SLOTS)
        for origin, delay in worst.items():
            if origin // SLOTS in self._blocks:
                self._blocks[origin // SLOTS].took(origin % SLOTS, slot, delay)
        self._arrived(slot, downs)

    def forget(self, slot: int) -> None:
        """Forget everything about the member in `slot`."""
        for block in self._blocks.values():
            block.forget(slot)
        self._tails.pop(slot, None)
        self._beyond.pop(slot, None)
        del self._played[slot]
        self._gone[slot] = next(reversed(self._ups), 0)
        self._unjudged = {key: up for key, up in self._unjudged.items() if key[0] != slot}

    def peaks(self, advances: Mapping[int, int], strays: Mapping[int, int] | None = None) -> list[Peak]:
        """Return the greatest need of each block, oldest first. An event's need at a receiver is the sum of
        its uplink delay, its downlink delay and the receiver's release advance.

        advances: release advance (ticks) by slot, of the members that count. strays: by slot, how far a clock
        may be off (ticks) beyond what the delays show. It is added for sender and receiver. It isn't added
        for a member's own events, which return to the same clock.
        """
        strays = strays or {}
        senders = [strays.get(slot, 0) if slot in advances else NONE for slot in range(SLOTS)]
        receivers = {slot: advance + strays.get(slot, 0) for slot, advance in advances.items()}
        most = _Added(
            max(senders),
            max(receivers.values(), default=NONE),
            max(advances.values(), default=NONE),
            advances,
        )
        peaks = (block.peak(senders, receivers, most) for block in self._blocks.values())
        return [peak for peak in peaks if peak is not None]

    def up_peaks(self, senders: Iterable[int]) -> list[Peak]:
        """Return the greatest uplink delay of any of `senders` in each block, oldest first. If the senders
        are the same as at the last call, only blocks with new delays are examined again."""
        wanted, changed = frozenset(senders), False
        if wanted != self._senders:
            self._senders, changed = wanted, True
        peaks = []
        for block in self._blocks.values():
            if changed or block.up_peak is None:
                block.up_peak = _greatest(block.index, block.up, wanted)
            if block.up_peak is not None:
                peaks.append(block.up_peak)
        return peaks

    def sender_peaks(self, slot: int) -> list[Peak]:
        """Return the greatest uplink delay of a member in each block, oldest first."""
        blocks = self._blocks.values()
        return [Peak(block.index, block.up[slot], sender=slot) for block in blocks if slot in block.up]

    def down_peaks(self, slot: int) -> list[Peak]:
        """Return the greatest downlink delay of a member in each block, oldest first."""
        blocks = self._blocks.values()
        return [Peak(block.index, block.down[slot], receiver=slot) for block in blocks if slot in block.down]

    def down_tails(self, slot: int, blocks: int) -> list[int]:
        """Return the 90th percentile of a member's downlink delays in each of its last closed blocks, oldest
        first. blocks: how many blocks at most."""
        return list(self._tails.get(slot, {}).values())[-blocks:]

    def beyond(self, slot: int) -> list[int]:
        """Return how many events this member delayed beyond the longest time that the room waits: one number
        for each block with such events."""
        return list(self._beyond.get(slot, {}).values())

    @property
    def events(self) -> int:
        """The number of events that arrived and were judged in the kept blocks."""
        return sum(block.events for block in self._blocks.values())

    def blocks_of(self, sender: int) -> int:
        """Return the number of blocks in which `sender` played."""
        return self._played[sender]

    def _arrived(self, slot: int, downs: Mapping[int, Sequence[int]]) -> None:
        """Record the downlink delays of one report. downs: delays in ticks, by block.

        A block without new delays in the report is probably over, so its TAIL percentile is computed now.
        This spreads the work: when a block closes, few members' percentiles are left to compute.
        """
        for index in range(self._newest - OPEN_BLOCKS + 1, self._newest + 1):
            if index in self._blocks and index not in downs:
                self._blocks[index].find_tail(slot)
        for index, found in downs.items():
            block = self._blocks.get(index)
            if block is None:
                continue
            block.down[slot] = max(block.down.get(slot, NONE), *found)
            if index > self._newest - OPEN_BLOCKS:
                ways = block.ways.setdefault(slot, array("q"))
                ways.extend(found[: WAYS_KEPT - len(ways)])
                block.tails.pop(slot, None)

    def _slow(self, slot: int, index: int, events: int = 1) -> None:
        """Count events that a member delayed beyond the longest time that the room waits. index: the
        block."""
        if index in self._blocks:
            by_block = self._beyond.setdefault(slot, {})
            by_block[index] = by_block.get(index, 0) + events

    def _is_of_who_had_the_slot_before(self, number: int) -> bool:
        return number <= self._gone.get(self._origins[number] % SLOTS, 0)

    def _block(self, index: int) -> _Block:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Block(index)
            self._newest = max(self._newest, index)
            for older, one in self._blocks.items():
                if older <= self._newest - OPEN_BLOCKS and one.ways:
                    self._close(one)
            while len(self._blocks) > BLOCKS_KEPT:
                oldest = next(iter(self._blocks))
                self._played.subtract(self._blocks.pop(oldest).up.keys())
                for by_block in (*self._tails.values(), *self._beyond.values()):
                    by_block.pop(oldest, None)
        return block

    def _close(self, block: _Block) -> None:
        for slot in block.ways:
            block.find_tail(slot)
            self._tails.setdefault(slot, {})[block.index] = block.tails[slot]
        block.ways, block.tails = {}, {}


def _greatest(index: int, up: Mapping[int, int], wanted: Collection[int]) -> Peak | None:
    """Return the greatest uplink delay among the senders `wanted`. index: the block. up: uplink delay by
    sender."""
    top = max(((delay, slot) for slot, delay in up.items() if slot in wanted), default=None)
    return None if top is None else Peak(index, top[0], sender=top[1])


def ranked(peaks: Sequence[Peak], rank: int) -> Peak | None:
    """Return the `rank`-th greatest peak, where peaks of neighbouring blocks (one episode) count as one.

    If there are fewer such peaks, the least peak is returned; None if there is no peak at all.
    """
    taken: list[Peak] = []
    for peak in sorted(peaks, key=lambda one: one.need, reverse=True):
        if all(abs(peak.block - other.block) >= EPISODE_BLOCKS for other in taken):
            taken.append(peak)
            if len(taken) == rank:
                return peak
    return min(peaks, key=lambda one: one.need, default=None)
