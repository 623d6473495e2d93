"""Coherence, as a facet: passes verdicts and reports to the room's ledger, and asks members for details.

Pure. The ledger compares what the members were handed.
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
    """Checks whether the members of one room were handed the same events."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.ledger = CoherenceLedger(room.describe, room.name_of)

    def left(self, slot: int) -> None:
        """Forget the member that had the slot."""
        self.ledger.forget(slot)

    def unheard(self, slot: int, why: Why, events: int, now: int) -> None:
        """Count events that at most their own player heard."""
        self.ledger.unheard(slot, why.value, events, now)

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Add these events to the ledger: every member's reports must include them."""
        for event in events:
            self.ledger.expect(event)

    def report(self, seat: Seat, report: Report, now: int) -> None:
        """Add a member's report on one second to the ledger."""
        self.ledger.report(seat.slot, report, now)

    def detail(self, seat: Seat, detail: DigestDetail, now: int) -> list[Effect]:
        """Add a member's digests of single events, which the relay asked for, to the ledger."""
        self.ledger.detail(seat.slot, detail)
        return []

    def wake(self, now: int) -> list[Effect]:
        """Compare the seconds on which all members have reported. Where members differ, ask them for the
        digests of single events."""
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
        """Return for the statistics: counts of the events that were compared, differed or were re-timed, and
        the latest incidents."""
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
        """Return for the statistics: how many events one member missed or got differently."""
        return asdict(self.ledger.sums.get(seat.slot, MemberSums()))


KIND = FacetKind(Coherence, FAMILY, {DigestDetail: Coherence.detail})
