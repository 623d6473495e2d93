"""Coherence, as a facet: the room's ledger, fed with verdicts and reports; it asks members for details.

Pure.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from relay.effects import Effect
from relay.room.coherence import CoherenceLedger, MemberSums
from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.room.seat import Seat
from relay.room.why import Why
from relay.wire.control import DigestDetail, DigestRequest, Report
from relay.wire.control.digests import FAMILY
from relay.wire.sequence import Judged

INCIDENTS_SHOWN = 20


class Coherence(Facet):
    """Whether the members of one room were handed the same."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.ledger = CoherenceLedger(room.describe, room.name_of)

    def left(self, slot: int) -> None:
        """Forget the member that had the slot."""
        self.ledger.forget(slot)

    def unheard(self, slot: int, why: Why, events: int, now: int) -> None:
        """Count events that nobody but their player can have heard."""
        self.ledger.unheard(slot, why.value, events, now)

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Expect these events in everybody's reports."""
        for event in events:
            self.ledger.expect(event)

    def report(self, seat: Seat, report: Report, now: int) -> None:
        """Take in what a member was handed in a second."""
        self.ledger.report(seat.slot, report, now)

    def detail(self, seat: Seat, detail: DigestDetail, now: int) -> list[Effect]:
        """Take in the per-event digests that a member was asked for."""
        self.ledger.detail(seat.slot, detail)
        return []

    def wake(self, now: int) -> list[Effect]:
        """Compare the seconds that are complete; ask for details where members differ."""
        effects: list[Effect] = []
        present = [seat.slot for seat, _ in self._room.channels()]
        for second, slots in self.ledger.settle(present, now):
            for slot in slots:
                effects += self._room.tell(self._room.seats.get(slot), DigestRequest(second=second))
        return effects

    def stats(self) -> dict[str, Any]:
        """Return what was compared, and what differed."""
        ledger = self.ledger
        return {
            "seconds_compared": ledger.seconds_compared,
            "events": ledger.events,
            "divergent": ledger.divergent,
            "divergence": ledger.divergent / ledger.events if ledger.events else 0.0,
            "retimed": ledger.retimed,
            "retimed_share": ledger.retimed / ledger.events if ledger.events else 0.0,
            "incidents": list(ledger.incidents)[-INCIDENTS_SHOWN:],
        }

    def member_stats(self, seat: Seat) -> dict[str, Any]:
        """Return what a member missed or got otherwise."""
        return asdict(self.ledger.sums.get(seat.slot, MemberSums()))


KIND = FacetKind(Coherence, FAMILY, {DigestDetail: Coherence.detail})
