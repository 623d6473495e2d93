"""Own boot state: the foundation of the local Sonic Pi, for a relay that doesn't know it.

Pure. It is kept in the same kind of store as at the relay, but by the seqs of its events and not by room
numbers. A relay that was restarted, or is reached only after Sonic Pi's start, gets all of it. Only settings
that the relay will get as events anyway are left out.
"""

import contextlib
from collections.abc import Callable

from relay.wire.control import Foundation
from relay.wire.errors import RemoteError
from relay.wire.foundation import FoundationStore
from relay.wire.sequence import Kind, Stamped


class OwnFoundation:
    """The nodes that the local Sonic Pi made at its start and never frees, its buffers, and later
    settings."""

    def __init__(self, slot: int, unjudged: Callable[[], list[Stamped]]) -> None:
        """unjudged: returns the player's events that have no verdict yet."""
        self._slot = slot
        self._unjudged = unjudged
        self._store = FoundationStore()

    def note(self, event: Stamped) -> None:
        """Apply one event of the player."""
        if event.kind is Kind.RESET:
            self._store.clear()
        elif self._store.concerns(event.kind, event.meaning, founds=event.foundation):
            with contextlib.suppress(RemoteError):  # full, as the relay's store will be too
                self._store.apply(event.meaning, number=event.seq)

    def learn(self, told: Foundation) -> None:
        """Merge the relay's record of this slot, after this bridge was restarted and Sonic Pi wasn't.

        The record can't contain own events without a verdict, so these are applied again. A record of another
        slot is ignored.
        """
        if told.slot != self._slot:
            return
        self._store.learn(told.messages, [(0, one) for _, one in told.values], 0)
        for event in self._unjudged():
            self.note(event)

    def told(self, is_ahead: Callable[[Stamped], bool]) -> list[Foundation]:
        """Return the foundation for a relay that knows nothing; an empty list if there is none.

        is_ahead: tells whether an event is still to be sent and played. Settings by such events are left out,
        because nobody may apply them before their due.
        """
        ahead = {event.seq for event in self._unjudged() if is_ahead(event)}
        told = self._store.told(without=ahead.__contains__)
        return [Foundation(slot=self._slot, messages=told.messages, values=told.values)] if told else []
