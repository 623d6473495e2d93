"""Fault injection: drops, swaps, alters or delays a note at one member, to test that faults are noticed.

Pure. A fault is injected only if the bridge was started with JAMBRIDGE_FAULT and then gets SIGUSR1
(bridge/shells/beginning.py). A fault changes the messages handed to scsynth, and the digests are taken from
the changed messages. So both the relay and a recorder behind the bridge see the fault.
"""

from enum import StrEnum

from bridge.playout.holdback_queue import Held
from relay.wire.sequence import Kind
from relay.wire.timetag import TICKS_PER_S, ticks

DELAY = ticks(0.02)
"""A delayed note is handed over at the first release at least this long (ticks) after its due. This delay and
the release advance together must stay below BEHIND_MAX, or the note is dropped as missed."""
PARTNER_WAIT = ticks(0.1)
"""A swap waits for a second note until this long (ticks) before the first note's due. Then the first note is
handed over unswapped."""


class FaultKind(StrEnum):
    """The fault to inject into the next note."""

    DROP = "drop"
    SWAP = "swap"
    ALTER = "alter"
    DELAY = "delay"


class FaultInjector:
    """Injects one fault each time it is armed."""

    def __init__(self) -> None:
        self._kind: FaultKind | None = None
        self._delayed: Held | None = None
        self._first: Held | None = None
        """The first note of a swap, kept until the second comes."""
        self.planted: list[tuple[FaultKind, int]] = []
        """The faults injected so far, with the room numbers of their events."""

    def arm(self, kind: FaultKind) -> None:
        """Inject this fault into the next judged note. A swap needs two notes with different dues in the same
        second."""
        self._kind = kind

    def pass_on(self, batch: list[Held], now: int) -> list[Held]:
        """Return the events to hand over now, with the fault applied.

        batch: the events to hand over without a fault. now: session ticks.
        """
        passed: list[Held] = []
        for held in batch:
            if self._kind is FaultKind.SWAP and _makes_synth(held):
                passed += self._swap(held)
            elif self._kind is FaultKind.DROP and _makes_synth(held):
                self._done(FaultKind.DROP, held)
            elif self._kind is FaultKind.DELAY and _makes_synth(held):
                self._delayed = held
                self._done(FaultKind.DELAY, held)
            else:
                passed.append(held)
        if self._delayed is not None and self._delayed.due + DELAY <= now:
            passed.append(self._delayed)
            self._delayed = None
        if self._first is not None and self._first.due - PARTNER_WAIT <= now:
            passed.append(self._first)
            self._first = None
        return passed

    def _swap(self, second: Held) -> list[Held]:
        first, self._first = self._first, None
        if first is None:
            self._first = second
            return []
        if first.due == second.due:
            self._first = first
            return [second]
        if first.due // TICKS_PER_S != second.due // TICKS_PER_S:
            self._first = second
            return [first]
        first.due, second.due = second.due, first.due
        self._done(FaultKind.SWAP, first)
        return [first, second]

    def alter(self, held: Held, body: bytes) -> bytes:
        """Return the message to hand over. If ALTER is armed and the event is a note, the last bit of `body`
        is flipped (in a float's mantissa)."""
        if self._kind is not FaultKind.ALTER or not _makes_synth(held):
            return body
        self._done(FaultKind.ALTER, held)
        return body[:-1] + bytes([body[-1] ^ 1])

    def _done(self, kind: FaultKind, held: Held) -> None:
        assert held.number is not None
        self._kind = None
        self.planted.append((kind, held.number))


def _makes_synth(held: Held) -> bool:
    return held.number is not None and held.kind is Kind.TIMED and held.meaning.makes_synth
