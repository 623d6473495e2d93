"""Seat: a member's place in a room, and the sums of the member's reports.

Pure; instants are session timetags. A seat outlives its connection. A bridge that comes back claims its slot
by its ticket.
"""

from dataclasses import dataclass, field

from relay.lead.member_paths import Ways
from relay.lead.recent import Recent
from relay.room.channel import Channel
from relay.wire.control import Member, Report
from relay.wire.control.report import COUNTS_MAX

MARGINS_KEPT = 4096


@dataclass(slots=True)
class ReportSums:
    """Sums of all reports of a member, and its last report."""

    last: Report | None = None
    margins_ms: Recent = field(default_factory=lambda: Recent(MARGINS_KEPT))
    margin_ms_worst: float | None = None
    local_only: int = 0
    unfounded: int = 0
    unplayed: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Add a report to the sums, and keep it as the last one."""
        self.last = report.without_samples()
        self.local_only += report.local_only
        self.unfounded += report.unfounded
        self.unplayed += report.unplayed
        for name, count in report.counts.items():
            if name in self.counts or len(self.counts) < COUNTS_MAX:
                self.counts[name] = self.counts.get(name, 0) + count
        self.margins_ms.add(report.margins_ms)
        worst = report.margin_ms_min
        if worst is not None and (self.margin_ms_worst is None or worst < self.margin_ms_worst):
            self.margin_ms_worst = worst


@dataclass(slots=True)
class Seat:
    """A member's place in a room.

    outs, ins: how many hardware channels its Sonic Pi has for output and for input. release_advance: how long
    before a due its scsynth must have the event, ticks. since: the room's last event number when the member
    took the slot. left_at: session instant at which its connection ended; None while it is connected.
    silenced: whether its nodes have been freed at all members since it was lost. ways: delays of its path.
    told: the sums of its reports. refused: count of its events and messages that were refused. sent: count
    of its events that reached the relay.
    """

    slot: int
    name: str
    ticket: bytes
    outs: int
    ins: int
    release_advance: int
    since: int = 0
    channel: Channel | None = None
    left_at: int | None = None
    silenced: bool = False
    ways: Ways = field(default_factory=Ways)
    told: ReportSums = field(default_factory=ReportSums)
    refused: int = 0
    sent: int = 0

    @property
    def present(self) -> bool:
        """Whether a bridge is connected for this seat."""
        return self.channel is not None

    def member(self) -> Member:
        """Return the seat's entry in the roster."""
        return Member(
            slot=self.slot,
            name=self.name,
            outs=self.outs,
            ins=self.ins,
            present=self.present,
            since=self.since,
        )

    def report(self, report: Report, now: int) -> None:
        """Add the member's report on one second. now: session ticks."""
        self.told.add(report)
        self.refused += report.refused
        self.ways.report(report, now)
        if self.channel is not None:
            self.channel.outbox.rtt_s = report.rtt_ms / 1e3
