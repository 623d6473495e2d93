"""Coherence, as a facet: feeds the room's ledger with verdicts and reports, and asks members for details.

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
    """Whether the members of one room were handed the same events."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.ledger = CoherenceLedger(room.describe, room.name_of)

    def left(self, slot: int) -> None:
        """Forget the member that had the slot."""
        self.ledger.forget(slot)

    def unheard(self, slot: int, why: Why, events: int, now: int) -> None:
        """Count events that only their player can have heard."""
        self.ledger.unheard(slot, why.value, events, now)

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Expect these events in everybody's reports."""
        for event in events:
            self.ledger.expect(event)

    def report(self, seat: Seat, report: Report, now: int) -> None:
        """Note a member's report on one second."""
        self.ledger.report(seat.slot, report, now)

    def detail(self, seat: Seat, detail: DigestDetail, now: int) -> list[Effect]:
        """Note the digests of single events that a member was asked for."""
        self.ledger.detail(seat.slot, detail)
        return []

    def wake(self, now: int) -> list[Effect]:
        """Compare the seconds that are complete. Ask for details where members differ."""
        effects: list[Effect] = []
        divergent = self.ledger.divergent
        present = [seat.slot for seat, _ in self._room.channels()]
        for second, slots in self.ledger.settle(present, now):
            for slot in slots:
                effects += self._room.tell(self._room.seats.get(slot), DigestRequest(second=second))
        if self.ledger.divergent != divergent:
            self.findings += 1
        return effects

    def stats(self) -> dict[str, Any]:
        """Return how many events were compared, how many of them differed or were re-timed, and the latest
        incidents."""
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
        """Return how many events a member missed or got differently."""
        return asdict(self.ledger.sums.get(seat.slot, MemberSums()))


KIND = FacetKind(Coherence, FAMILY, {DigestDetail: Coherence.detail})
