"""Delivery times: how long a room's events take from emission until each member has them.

Pure. Instants are session timetags, durations ticks. The uplink delay ends when the event reaches the relay;
the downlink delay begins at its verdict. Both are measured on the events themselves, so repair is included.
Time spent waiting for a missing earlier event isn't counted: that event was emitted before, so its own delay
covers it. Clock errors affect these figures as they affect the dues.

Events emitted before the first event of their connection arrived are not noted here, since they waited for
clock and connection. `most` is the longest time that the room waits for an event. An event that took longer,
or never arrived, raises no lead. It is only counted, at the member that delayed it (`beyond`).

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
"""Stands for an unknown delay. It stays below 0 whatever is added to it."""

BLOCK = ticks(10.0)
EPISODE_BLOCKS = 3
"""How many blocks one accident can touch. An accident begins at all its hosts within ten seconds, and lasts
five."""
BLOCKS_KEPT = 60
"""How many blocks are kept: ten minutes with events. An episode that occurs once in that time counts as an
accident. One that occurs three times counts as a property of the network."""
OPEN_BLOCKS = 2
"""How many blocks are open: the present one and the one before it, since downlink delays are reported some
seconds later."""
EVENTS_KEPT = 8192
UNJUDGED_KEPT = 4096
WAYS_KEPT = 4096
TAIL = 0.9
"""Share of a member's downlink delays that the horizon covers. Events that reach the relay later than the
horizon allows are re-timed, and so miss their own time anyway. Events that reach it just in time still have
nine chances in ten to reach everybody. With 0.99 so much less of the lead was left for the uplink that far
more events were re-timed than would have been late."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest need of a block, in ticks, and the slots of the sender and the receiver that have it.

    block: the session time of the block, in units of BLOCK. sender, receiver: 0 if the need depends on the
    other one alone.
    """

    block: int
    need: int
    sender: int = 0
    receiver: int = 0


class _Added(NamedTuple):
    """The most that is added to any delay of a block, in ticks. An own event is one that comes back to its
    own sender.

    sender: on account of any sender. receiver: on account of any receiver. advance: to the delay of any own
    event. advances: by slot, the addition to the delays of own events.
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
    """The greatest uplink delay among the senders that `DeliveryTimes.up_peaks` was last asked for; None: to
    be found again."""
    down: dict[int, int] = field(default_factory=dict)
    """Greatest downlink delay, by receiver."""
    others: "dict[int, array[int]]" = field(default_factory=dict)
    """By receiver an array, indexed by sender: the greatest uplink plus downlink delay of one event between
    these two, or NONE."""
    tops: dict[int, int] = field(default_factory=dict)
    """The greatest value of each receiver's array in `others`."""
    order: list[int] = field(default_factory=list)
    """The receivers, in descending order of `tops`; empty: to be sorted again."""
    own: dict[int, int] = field(default_factory=dict)
    """By member, the greatest uplink plus downlink delay of the member's own events, from it to the relay and
    back."""
    own_top: int = NONE
    """An upper limit of the values in `own`."""
    ways: "dict[int, array[int]]" = field(default_factory=dict)
    """Downlink delays by receiver, while the block is open."""
    tails: dict[int, int] = field(default_factory=dict)
    """The TAIL percentile of `ways` by receiver, if it was computed since the last delay came."""

    def took(self, sender: int, receiver: int, delay: int) -> None:
        """Note the uplink plus downlink delay (ticks) of an event from `sender` at `receiver`."""
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
        """Compute the TAIL percentile of a receiver's downlink delays, unless it is known or there are
        none."""
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

        senders: indexed by slot, ticks that are added to a delay on account of its sender; NONE: this sender
        doesn't count. receivers: by slot, ticks that are added on account of the receiver; others don't
        count. most: the greatest of these additions, and the additions for own events.
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
    """The recent delivery times of one room's events. most: how long the room waits for an event, ticks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.judged_count = 0
        """The number of events that arrived and were judged, ever."""
        self._blocks: dict[int, _Block] = {}
        self._newest = 0
        self._unjudged: dict[tuple[int, int], int] = {}
        """Uplink delay of each event that waits for its verdict, by (slot, seq)."""
        self._ups: dict[int, int] = {}
        """Uplink delay of each event judged lately, by the room's number."""
        self._origins: dict[int, int] = {}
        """The origin of each of these events, by the room's number: SLOTS * block + sender."""
        self._gone: dict[int, int] = {}
        """By slot, the last of the room's numbers that may belong to the slot's previous owner."""
        self._played: Counter[int] = Counter()
        """The number of kept blocks in which each sender played."""
        self._tails: dict[int, dict[int, int]] = {}
        """The TAIL percentile of downlink delays, by receiver and closed block."""
        self._beyond: dict[int, dict[int, int]] = {}
        """By the member that delayed them and by block, the number of events that took more than the room
        waits for."""
        self._senders: frozenset[int] = frozenset()
        """The senders to which each block's `up_peak` refers."""

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
        """Note that `events` events of `slot` never reached the relay. now: session ticks."""
        self._block(now // BLOCK)
        self._slow(slot, now // BLOCK, events)

    def reported(self, slot: int, ways: Iterable[tuple[int, int]], missing: Iterable[int]) -> None:
        """Note the downlink delays and missing events that the Report of the member in `slot` contains."""
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
        """Return the greatest need of each block, oldest first. An event's need at a receiver is its uplink
        delay, its downlink delay and the receiver's release advance.

        advances: release advance (ticks) by slot, of the members that count. strays: clock uncertainty
        (ticks) by slot, as far as the delays don't show it. It is added for sender and receiver, but not for
        a member's own events, which return to the same clock.
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
        """Return the greatest uplink delay of any of `senders` in each block, oldest first.

        While the same senders are asked for, only blocks with new delays are examined again.
        """
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
        """Return the 90th percentile of a member's downlink delays in its last closed blocks, oldest
        first."""
        return list(self._tails.get(slot, {}).values())[-blocks:]

    def beyond(self, slot: int) -> list[int]:
        """Return how many events this member delayed by more than the room waits. There is one number for
        each block with such events."""
        return list(self._beyond.get(slot, {}).values())

    @property
    def events(self) -> int:
        """The number of events that arrived and were judged in the kept blocks."""
        return sum(block.events for block in self._blocks.values())

    def blocks_of(self, sender: int) -> int:
        """Return the number of blocks in which `sender` played."""
        return self._played[sender]

    def _arrived(self, slot: int, downs: Mapping[int, Sequence[int]]) -> None:
        """Note the downlink delays of one report, by block.

        A block without new delays in the report is probably over. Its TAIL percentile is computed now and not
        when the block closes. Otherwise those of all members would have to be computed at once.
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
        """Count events of a block that a member delayed by more than the room waits."""
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
    """Return the greatest of a block's uplink delays among the wanted senders. up: uplink delay by sender."""
    top = max(((delay, slot) for slot, delay in up.items() if slot in wanted), default=None)
    return None if top is None else Peak(index, top[0], sender=top[1])


def ranked(peaks: Sequence[Peak], rank: int) -> Peak | None:
    """Return the peak of the `rank`-th greatest episode. An episode counts once, even if three blocks have a
    peak of it.

    With fewer episodes than `rank` the least peak is returned; without any peak, None.
    """
    taken: list[Peak] = []
    for peak in sorted(peaks, key=lambda one: one.need, reverse=True):
        if all(abs(peak.block - other.block) >= EPISODE_BLOCKS for other in taken):
            taken.append(peak)
            if len(taken) == rank:
                return peak
    return min(peaks, key=lambda one: one.need, default=None)
