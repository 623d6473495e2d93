"""Planted faults: one event at one member dropped, swapped, altered or delayed, for the tests that show
that this is noticed.

Pure. Does nothing unless the bridge was started with JAMBRIDGE_FAULT and then told to (bridge/service.py).
The fault hits what is handed to scsynth, and the digests are taken from what is handed over: so what is
planted is seen by the relay's book as well as by a recorder behind the bridge.
"""

from enum import StrEnum
from itertools import pairwise

from bridge.holdback import Held, HoldbackQueue
from relay.wire.sequence import Kind
from relay.wire.timetag import TICKS_PER_S, ticks

DELAY = ticks(0.3)


class FaultKind(StrEnum):
    """What happens to the next note."""

    DROP = "drop"
    SWAP = "swap"
    ALTER = "alter"
    DELAY = "delay"


class FaultPlanter:
    """Plants at most one fault each time it is armed."""

    def __init__(self) -> None:
        self._kind: FaultKind | None = None
        self._delayed: tuple[int, Held] | None = None
        self.planted: list[tuple[FaultKind, int]] = []
        """What was done, and to which room number."""

    def arm(self, kind: FaultKind) -> None:
        """Do this to the next judged note."""
        self._kind = kind

    def swap_ahead(self, queue: HoldbackQueue, after: int) -> None:
        """If armed to: exchange the dues of two notes of one second that are still held back."""
        if self._kind is not FaultKind.SWAP:
            return
        notes = sorted(
            (held for held in queue.held() if _is_note(held) and held.due > after), key=lambda h: h.key
        )
        for first, second in pairwise(notes):
            if first.due != second.due and first.due // TICKS_PER_S == second.due // TICKS_PER_S:
                first.due, second.due = second.due, first.due
                queue.push(first)
                queue.push(second)
                self._done(FaultKind.SWAP, first)
                return

    def pass_on(self, batch: list[Held], now: int) -> list[Held]:
        """Return what is to be handed over now of what is due."""
        passed: list[Held] = []
        for held in batch:
            if self._kind is FaultKind.DROP and _is_note(held):
                self._done(FaultKind.DROP, held)
            elif self._kind is FaultKind.DELAY and _is_note(held):
                self._delayed = (now + DELAY, held)
                self._done(FaultKind.DELAY, held)
            else:
                passed.append(held)
        if self._delayed is not None and self._delayed[0] <= now:
            passed.append(self._delayed[1])
            self._delayed = None
        return passed

    def alter(self, held: Held, body: bytes) -> bytes:
        """Return the body to hand over, its last bit turned if armed to (of a float's mantissa)."""
        if self._kind is not FaultKind.ALTER or not _is_note(held):
            return body
        self._done(FaultKind.ALTER, held)
        return body[:-1] + bytes([body[-1] ^ 1])

    def _done(self, kind: FaultKind, held: Held) -> None:
        assert held.number is not None
        self._kind = None
        self.planted.append((kind, held.number))


def _is_note(held: Held) -> bool:
    return held.number is not None and held.kind is Kind.TIMED and held.payload.startswith(b"/s_new\0")
