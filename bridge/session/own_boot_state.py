"""Own boot state: what the local Sonic Pi made at its start, kept for a relay that doesn't know it.

Pure. The store is of the same kind as the relay's, but goes by the seqs of events (sender's numbers) and not
by room numbers. A relay that was restarted, or is reached only after Sonic Pi's start, is sent all of it.
Settings that the relay will get as events anyway are left out.
"""

import contextlib
from collections.abc import Callable

from relay.wire.control import Foundation
from relay.wire.errors import RemoteError
from relay.wire.foundation import FoundationStore
from relay.wire.sequence import Kind, Stamped


class OwnFoundation:
    """The nodes and buffers that the local Sonic Pi made at its start and never frees, with later
    settings."""

    def __init__(self, slot: int, unjudged: Callable[[], list[Stamped]]) -> None:
        """unjudged: returns the local player's events that have no verdict yet."""
        self._slot = slot
        self._unjudged = unjudged
        self._store = FoundationStore()

    def note(self, event: Stamped) -> None:
        """Apply one event of the local player. Events that don't concern the boot state are ignored."""
        if event.kind is Kind.RESET:
            self._store.clear()
        elif self._store.concerns(event.kind, event.meaning, founds=event.foundation):
            with contextlib.suppress(RemoteError):  # full, as the relay's store will be too
                self._store.apply(event.meaning, number=event.seq)

    def learn(self, told: Foundation) -> None:
        """Merge the relay's record of this slot's boot state, which a restarted bridge needs.

        The record can't contain unjudged events, so these are applied again. A record of another slot is
        ignored.
        """
        if told.slot != self._slot:
            return
        self._store.learn(told.messages, [(0, one) for _, one in told.values], 0)
        for event in self._unjudged():
            self.note(event)

    def told(self, is_ahead: Callable[[Stamped], bool]) -> list[Foundation]:
        """Return the boot state for a relay that doesn't know it; an empty list if there is none.

        is_ahead: tells whether an event is still to be played here. Settings by such events are left out,
        because nobody may apply them before their due.
        """
        ahead = {event.seq for event in self._unjudged() if is_ahead(event)}
        told = self._store.told(without=ahead.__contains__)
        return [Foundation(slot=self._slot, messages=told.messages, values=told.values)] if told else []
