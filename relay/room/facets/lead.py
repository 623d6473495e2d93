"""Lead, as a facet: adjusts the room's lead, shift and horizon to measured delays.

Pure; instants are session timetags. The delays are those of the room's events and of its members' paths.
"""

import logging
from functools import partial
from typing import Any

from relay.effects import Effect
from relay.lead.keeper import LeadPolicy
from relay.lead.member_paths import WAY_GUESS
from relay.lead.room_tuning import Path, RoomTuning
from relay.room.channel import Channel
from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.room.seat import Seat
from relay.wire.control import Notice, Report
from relay.wire.sequence import Judged, Stamped
from relay.wire.timetag import ms

log = logging.getLogger(__name__)

LOSSY_SHARE = 0.001
LOSSY_FRAMES = 2
"""A path counts as lossy if it has lost at least this many frames, and at least LOSSY_SHARE of all its
frames."""


class Lead(Facet):
    """Tunes lead, shift and horizon of one room."""

    def __init__(self, room: Room, policy: LeadPolicy) -> None:
        self._room = room
        self.tuning = RoomTuning(policy)
        self._apply()

    def joined(self, seat: Seat, now: int) -> None:
        """Adjust the horizon to the members that are connected now."""
        self.tuning.set_horizon(self.paths(), now)
        self._apply()

    def left(self, slot: int) -> None:
        """Forget the member that had the slot."""
        self.tuning.forget(slot)

    def came(self, seat: Seat, event: Stamped, now: int) -> None:
        """Record the uplink delay of an event."""
        self.tuning.needs.came(seat.slot, event, now)

    def never_came(self, slot: int, events: int, now: int) -> None:
        """Record that `events` events of a slot never reached the relay."""
        self.tuning.needs.lost(slot, events, now)

    def judged(self, stamped: Stamped, event: Judged) -> None:
        """Record an event and its verdict."""
        self.tuning.verdict(stamped, event)

    def report(self, seat: Seat, report: Report, now: int) -> None:
        """Record the downlink delays and the missing events that a member reports."""
        self.tuning.needs.reported(seat.slot, report.ways_down, report.missing_numbers)

    def wake(self, now: int) -> list[Effect]:
        """Adjust lead, shift and horizon, if it is time to. Return notices to the members whose events need
        more than the longest lead."""
        if not self.tuning.is_due(now):
            return []  # before the paths are looked at, of members who may all be silent
        was = self._room.judge.timing
        tuned = self.tuning.tune(self.paths(), self._room.judge.last_due, now)
        if tuned.changed:
            self._apply()
            timing = self._room.judge.timing
            if (timing.lead, timing.shift) != (was.lead, was.shift):
                log.info(
                    "lead changed room=%s lead_ms=%.0f was_ms=%.0f shift_ms=%.0f was_ms=%.0f",
                    self._room.name,
                    *(ms(one) for one in (timing.lead, was.lead, timing.shift, was.shift)),
                )
        effects: list[Effect] = []
        for seat, _ in self._room.channels():
            if seat.slot in tuned.words:
                effects += self._room.tell(seat, Notice(text=tuned.words[seat.slot]))
        return effects

    def paths(self) -> list[Path]:
        """Return the measured paths of the connected members."""
        return [_path(seat, channel) for seat, channel in self._room.channels()]

    def stats(self) -> dict[str, Any]:
        """Return for the statistics: whether lead and shift are tuned, how often they changed, and which
        events need the lead."""
        keeper = self.tuning.keeper
        return {
            "lead_auto": keeper.policy.lead is None,
            "shift_auto": keeper.policy.shift is None,
            "lead_why": self._why(),
            "timing_changes": keeper.changes,
        }

    def member_stats(self, seat: Seat) -> dict[str, Any]:
        """Return for the statistics of one member: how long its events take to reach the relay (ms), and how
        long all events take from the relay to it (ms). Also how many events it delayed beyond the longest
        lead."""
        up, down = self.tuning.member_need(seat.slot, seat.release_advance) if seat.present else (0, 0)
        beyond = sum(self.tuning.needs.beyond(seat.slot))
        return {"beyond": beyond, "need_up_ms": ms(up), "need_down_ms": ms(down)}

    def _apply(self) -> None:
        self._room.judge.tune(self.tuning.keeper.timing, self.tuning.horizon)

    def _why(self) -> str:
        """Return a text such as "Anna's events at Bob: 180 ms", about the need that decides the lead; empty
        before there is enough data."""
        why = self.tuning.why
        if why is None:
            return ""
        sender, receiver = self._room.name_of(why.sender), self._room.name_of(why.receiver)
        return f"{sender}'s events at {receiver}: {ms(why.need):.0f} ms"


def _path(seat: Seat, channel: Channel) -> Path:
    report, ways = seat.told.last, seat.ways
    expected, lost = channel.up.counts.expected, channel.up.counts.lost
    if report is not None:
        expected, lost = expected + report.frames_expected, lost + report.frames_lost
    # The first report comes after two seconds. Until then the downlink is assumed to be like the uplink.
    up_p50, up_p90 = ways.up_p50.usual(WAY_GUESS), ways.up_p90.usual(WAY_GUESS)
    return Path(
        seat.slot,
        seat.name,
        seat.release_advance,
        up_p50=up_p50,
        up_p90=up_p90,
        down_p50=ways.down_p50.usual(up_p50),
        down_p99=ways.down_p99.usual(up_p90),
        lossy=lost >= max(LOSSY_FRAMES, LOSSY_SHARE * expected),
        uncertain=ways.uncertain.usual(0),
    )


def lead(policy: LeadPolicy) -> FacetKind:
    """Return the kind of facet that tunes each room by this lead policy."""
    return FacetKind(partial(Lead, policy=policy))
