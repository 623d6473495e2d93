"""Foundation of the local Sonic Pi: what a relay that knows nothing is told of it.

Pure. Kept by the own numbers of the events, in the store that the relay has as well. A relay that was started
anew, or is met only after Sonic Pi, is told all of it, less what comes to it as an event anyway.
"""

import contextlib
from collections.abc import Callable

from relay.wire.control import Foundation
from relay.wire.errors import RemoteError
from relay.wire.foundation import FoundationStore
from relay.wire.sequence import Kind, Stamped


class OwnFoundation:
    """What the local Sonic Pi built at its start and never frees, its buffers, and what was set since."""

    def __init__(self, slot: int, unjudged: Callable[[], list[Stamped]]) -> None:
        """unjudged: gives the events of the player that have no verdict yet."""
        self._slot = slot
        self._unjudged = unjudged
        self._store = FoundationStore()

    def note(self, event: Stamped) -> None:
        """Take in one event of the player."""
        if event.kind is Kind.RESET:
            self._store.clear()
        elif self._store.concerns(event.kind, event.meaning, founds=event.foundation):
            with contextlib.suppress(RemoteError):  # full: the relay has room for no more either
                self._store.apply(event.meaning, number=event.seq)

    def learn(self, told: Foundation) -> None:
        """Take in what the relay remembers of this slot: this bridge was started again, Sonic Pi was not.

        What was sent since has no verdict yet: no relay can have told of it. What is told of another slot is
        none of this one's.
        """
        if told.slot != self._slot:
            return
        self._store.learn(told.messages, [(0, one) for _, one in told.values], 0)
        for event in self._unjudged():
            self.note(event)

    def told(self, is_ahead: Callable[[Stamped], bool]) -> list[Foundation]:
        """Return what a relay is told that knows nothing, if there is anything.

        is_ahead: whether an event is still to be sent and to be played. What such an event sets is left out:
        nobody is to have it before it is due.
        """
        ahead = {event.seq for event in self._unjudged() if is_ahead(event)}
        told = self._store.told(without=ahead.__contains__)
        return [Foundation(slot=self._slot, messages=told.messages, values=told.values)] if told else []
