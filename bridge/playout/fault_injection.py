"""Fault injection: drops, swaps, alters or delays an event at one member, to test that faults are noticed.

Pure. It does nothing unless the bridge was started with JAMBRIDGE_FAULT and then gets SIGUSR1
(bridge/shells/beginning.py). The fault changes the messages handed to scsynth, and the digests are taken from
those messages. So both the relay and a recorder behind the bridge see the fault.
"""

from enum import StrEnum

from bridge.playout.holdback_queue import Held
from relay.wire.sequence import Kind
from relay.wire.timetag import TICKS_PER_S, ticks

DELAY = ticks(0.02)
"""A delayed note is handed over this long (ticks) after its due, or with the next event. It must stay well
within BEHIND_MAX, release advance included, or it is dropped as one that missed its time."""
PARTNER_WAIT = ticks(0.1)
"""A swap waits for a second note. If none has come this long (ticks) before the first note's due, the first
one is handed over unswapped."""


class FaultKind(StrEnum):
    """The fault to inject into the next note."""

    DROP = "drop"
    SWAP = "swap"
    ALTER = "alter"
    DELAY = "delay"


class FaultInjector:
    """Injects at most one fault each time it is armed."""

    def __init__(self) -> None:
        self._kind: FaultKind | None = None
        self._delayed: Held | None = None
        self._first: Held | None = None
        """The first note of a swap, until the second comes."""
        self.planted: list[tuple[FaultKind, int]] = []
        """The faults injected so far, with the room numbers of their events."""

    def arm(self, kind: FaultKind) -> None:
        """Inject this fault into the next judged note. A swap takes two notes of the same second with
        different dues."""
        self._kind = kind

    def pass_on(self, batch: list[Held], now: int) -> list[Held]:
        """Return the events to hand over now. batch: those that would be handed over without a fault. now:
        session ticks."""
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
        """Return the body to hand over. If ALTER is armed, a note's last bit is flipped (in a float's
        mantissa)."""
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
