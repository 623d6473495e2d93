"""Live slots: which part of each member's music this host's scsynth has, and when the rest is built.

Pure; instants are session ticks. The relay sends a newcomer a copy of every slot's live state, as of an
instant W0. This host applies to the copy the events that fall due until an instant T of its own choosing. It
builds the result in scsynth at T, and plays what is due after T. So the music that plays at T at the other
members plays here from T on, and no event is played twice.

A slot *stands* as soon as this host has built it. A slot whose member came later than this host stands from
its beginning. If a slot stands and a copy comes, the copy is compared with what this host has. Only the
differences are built.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from bridge.playout.holdback_queue import Held
from bridge.playout.live_slot import Copy, LiveSlot, RestOf
from relay.wire.live.changes import Changes
from relay.wire.live.state import Piece
from relay.wire.live.timeline import Due, Timeline
from relay.wire.meaning import Meaning
from relay.wire.sequence import Judged, frees_at
from relay.wire.timetag import ticks

BUILT_AHEAD = ticks(0.3)
"""Time from the choice of the instant T to T itself. By then every event due at or before T is judged and has
come here, at any lead."""
TIDIED_EVERY = ticks(1.0)
"""Time between two rounds in which due events are applied and notes that have ended are removed."""

ENDED_KEPT = 1024
"""Greatest number of ended notes that wait until the relay can be told. While there is no relay the oldest
are dropped. On its return it is sent the whole live state."""


class LiveSlots:
    """The slots of all members, the own one included."""

    def __init__(
        self, own_slot: int, rest_of: RestOf, *, release_advance: int, let_go: Callable[[int], None]
    ) -> None:
        """release_advance: an event leaves the hold-back queue at the latest this many ticks before its due.

        let_go: this function is called with a slot as soon as its events may leave the queue early.
        """
        self._own_slot = own_slot
        self._rest_of = rest_of
        self._release_advance = release_advance
        self._let_go = let_go
        self._slots: dict[int, LiveSlot] = {}
        self._unseen = False
        self._tidied_at = 0
        self._own_ended: list[int] = []
        self._owners: dict[int, int] = {}
        """Slot -> the room number at which its owner took it, by the newest roster."""

    def inherit(self) -> None:
        """Note that a previous bridge process has built live states in the running scsynth."""
        self._unseen = True

    def follow(self, owners: Mapping[int, int]) -> list[int]:
        """Adopt the roster. Return the slots that wait for nothing any more, because their owner is gone.

        owners: slot -> the room number at which its owner took it.
        """
        self._owners = dict(owners)
        if self._unseen:  # only the slots of this roster may have been built by a previous process
            for number in owners:
                self._slot(number)
            self._unseen = False
        gone = [
            number for number, slot in self._slots.items()
            if not slot.stands and slot.since != owners.get(number)
        ]  # fmt: skip
        for number in gone:
            self.forget(number)
            self._let_go(number)
        return gone

    def expect(self, slots: list[int]) -> list[int]:
        """Record the members that were in the room before this host. Return the slots whose copies must come
        before they can be played."""
        for slot in slots:
            if slot not in self._slots:
                self._slots[slot] = LiveSlot(stands=False, since=self._owners.get(slot))
        return [slot for slot in slots if self._slots[slot].waits]

    def standing(self) -> list[int]:
        """Return the slots of which it is known what scsynth has."""
        return [number for number, slot in self._slots.items() if slot.stands and not slot.unseen]

    def is_unseen(self, slot: int) -> bool:
        """Return whether a slot's nodes in scsynth are unknown, because a previous bridge process made
        them."""
        known = self._slots.get(slot)
        return self._unseen if known is None else known.unseen

    def timeline(self, slot: int) -> Timeline | None:
        """Return the live state that scsynth has of a slot; None if the slot isn't played yet."""
        known = self._slots.get(slot)
        return known.timeline if known is not None and known.stands else None

    # -- events --------------------------------------------------------------------------------------

    def hands_over(self, held: Held) -> bool:
        """Return whether `takes` will say that an event is to be handed to scsynth."""
        slot = self._slots.get(held.slot)
        return held.sub > 0 or slot is None or slot.hands_over(_due(held), held.flags)

    def takes(self, held: Held, now: int) -> bool:
        """Add an event that leaves the hold-back queue. Return whether to hand it to scsynth."""
        if held.sub:  # no other member has it
            return True
        return self._slot(held.slot).takes(_due(held), now, held.flags)

    def settle(self, slot: int, now: int) -> None:
        """Apply the events of a slot that are due, and remove its ended notes."""
        ended = self._slot(slot).tidy(now)
        if slot == self._own_slot:
            self._own_ended = [*self._own_ended, *ended][-ENDED_KEPT:]

    def covers(self, held: Held) -> bool:
        """Return whether the newest copy of a slot includes an event already."""
        known = self._slots.get(held.slot)
        return known is not None and known.covers(held.number, frees_at(held.due, held.flags), held.flags)

    def loads(self, event: Judged, now: int) -> bool:
        """Add an event that loads a buffer. Return whether to carry out the load."""
        due = Due(event.due, event.number, event.seq, event.kind, event.meaning)
        return self._slot(event.slot).loads(due, now)

    def ended(self, slot: int, node: int) -> None:
        """Note that a node of a slot has ended in this host's scsynth. node: the member's own id."""
        known = self._slots.get(slot)
        if known is not None:
            known.ended(node)

    # -- copies --------------------------------------------------------------------------------------

    def learn(self, copy: Copy) -> tuple[list[Meaning], int]:
        """Store a copy. Return two things: the loads to carry out, and the number of refused messages."""
        slot = self._slot(copy.slot)
        if copy.slot == self._own_slot and not slot.unseen:
            return [], 0  # nobody knows it better than this host
        return slot.learn(copy)

    def choose(self, slots: Iterable[int], over_at: Callable[[int], int], now: int) -> None:
        """Choose the instant at which to build each copy that has no such instant yet.

        slots: those that can be built, because their members' channels are known and the synthdefs are
        loaded.
        over_at: returns the session instant at which all resets of a slot are over.
        """
        for number in slots:
            slot = self._slots.get(number)
            if slot is not None and slot.has_copy:
                slot.built_at = max(now + BUILT_AHEAD, over_at(number))
                self._let_go(number)

    def begin(self, number: int) -> None:
        """Play a slot from now on, although no copy of its live state has come."""
        slot = self._slot(number)
        if not slot.stands:
            slot.stands = True
            self._let_go(number)

    def build(self, now: int) -> Iterator[tuple[int, int, Changes]]:
        """Yield (slot, instant of building, changes) for each slot that must be built now."""
        for number, slot in self._slots.items():
            at = slot.built_at
            if at is not None and now >= at - self._release_advance:
                yield number, at, slot.build(self._rest_of)

    def next_build(self) -> int | None:
        """Return the session instant of the next `build`; None if there is none."""
        instants = [slot.built_at for slot in self._slots.values() if slot.built_at is not None]
        return min(instants) - self._release_advance if instants else None

    # -- the own slot, and time ----------------------------------------------------------------------

    def tidy(self, now: int) -> None:
        """Once a second, apply the due events and remove the notes that have ended."""
        if now < self._tidied_at + TIDIED_EVERY:
            return
        self._tidied_at = now
        for number, slot in self._slots.items():
            ended = slot.tidy(now)
            if number == self._own_slot:
                self._own_ended = [*self._own_ended, *ended][-ENDED_KEPT:]

    def own_ended(self) -> list[int]:
        """Remove and return the seqs of own notes that have ended since the last call."""
        ended, self._own_ended = self._own_ended, []
        return ended

    def own_pieces(self, now: int, *, dated: bool) -> list[Piece]:
        """Return the live state of the local player as of `now`, with or without dues."""
        slot = self._slots.get(self._own_slot)
        return [] if slot is None or slot.unseen else slot.pieces(now, dated=dated)

    def forget(self, slot: int) -> None:
        """Forget a slot whose member is gone for good."""
        self._slots.pop(slot, None)

    def clock_was_set(self) -> None:
        """Note that session time was set in one step. The dues of own events are forgotten. Other members'
        dues come from the relay and stay valid."""
        slot = self._slots.get(self._own_slot)
        if slot is not None:
            slot.clock_was_set()
        self._tidied_at = 0

    def enter_epoch(self) -> None:
        """Forget facts that are tied to the former epoch's numbers and instants. Existing nodes are kept."""
        for slot in self._slots.values():
            slot.enter_epoch()
        self._tidied_at = 0

    def _slot(self, number: int) -> LiveSlot:
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = LiveSlot(unseen=self._unseen)
        return slot


def _due(held: Held) -> Due:
    due = frees_at(held.due, held.flags)
    return Due(due, held.number or 0, held.seq, held.kind, held.meaning)
