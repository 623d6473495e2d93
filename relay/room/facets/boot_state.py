"""Boot state: what each member's Sonic Pi has made at its start, kept for members who join later.

Pure. A boot state consists of the nodes that a Sonic Pi never frees, their later settings, and its buffers.
The relay derives it from events. After a restart of the relay the members' bridges send their boot states
(`Foundation`).
"""

from collections.abc import Sequence

from relay.effects import Effect
from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.room.seat import Seat
from relay.wire.control import Foundation
from relay.wire.control.foundation import FAMILY
from relay.wire.errors import RemoteError
from relay.wire.foundation import FoundationStore
from relay.wire.meaning import Meaning
from relay.wire.sequence import Flag, Judged, Kind


class BootState(Facet):
    """The boot state of one room's members, by slot."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._stores: dict[int, FoundationStore] = {}

    def newcomer(self, seat: Seat) -> list[Effect]:
        """Return the messages that send boot states to a member that has joined or come back.

        The newcomer gets its own boot state, and those of all members that aren't silenced. A newcomer that
        was silenced while it was away has its boot state sent to all others too.
        """
        effects: list[Effect] = []
        for other in self._room.seats.values():
            returns = other is seat and seat.silenced
            store = self._stores.get(other.slot)
            if store is None or not len(store) or (other.silenced and not returns):
                continue
            message = self._told(other.slot, store)
            effects += self._room.tell_all(message) if returns else self._room.tell(seat, message)
        return effects

    def left(self, slot: int) -> None:
        """Forget the boot state of the member that had the slot."""
        self._stores.pop(slot, None)

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Update the senders' boot states by these events. Only events that create, load, set or free
        something matter."""
        for event in events:
            seat = self._room.seats.get(event.slot)
            if seat is not None:
                self._take_in(seat, event)

    def told(self, seat: Seat, message: Foundation, now: int) -> list[Effect]:
        """Merge a boot state that a member's bridge sends after the relay was restarted. If any of it is new
        here, send all others the member's whole boot state.

        The new part alone isn't enough. A `Foundation` message stands for all events up to its event number,
        and a receiver may have missed some of them.
        """
        judge = self._room.judge
        guard, at = judge.guard(seat.slot), judge.last_due
        messages = [one for one in message.messages if guard.passes(Meaning(one), at)]
        # None of it is an event of this epoch, and such events take precedence.
        values = [(0, one) for _, one in message.values if guard.passes(Meaning(one), at)]
        store = self._store(seat.slot)
        fresh, refused = store.learn(messages, values, 0)
        seat.refused += refused + len(message.messages + message.values) - len(messages + values)
        return self._room.tell_all(self._told(seat.slot, store), but=seat) if fresh else []

    def _take_in(self, seat: Seat, event: Judged) -> None:
        store = self._store(seat.slot)
        if event.kind is Kind.RESET:
            if Flag.SILENCED not in event.flags:
                store.clear()
            return
        try:
            if store.concerns(event.kind, event.meaning, founds=Flag.FOUNDATION in event.flags):
                store.apply(event.meaning, number=event.number, due=event.due)
        except RemoteError:
            seat.refused += 1

    def _store(self, slot: int) -> FoundationStore:
        store = self._stores.get(slot)
        if store is None:
            store = self._stores[slot] = FoundationStore()
        return store

    def _told(self, slot: int, store: FoundationStore) -> Foundation:
        """Return the message with a slot's boot state after the room's last event."""
        told, number = store.told(), self._room.judge.number
        return Foundation(slot=slot, number=number, messages=told.messages, values=told.values)


KIND = FacetKind(BootState, FAMILY, {Foundation: BootState.told})
