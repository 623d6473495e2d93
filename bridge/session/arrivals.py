"""Arrivals: passes the room's events from the relay's frames to this host's playout, and makes the reports.

Pure. Events wait here until the bridge is in time. An event that was judged before this host entered the room
is accepted only if it is still to be played.
"""

from bridge.clocks.timebase import Timebase
from bridge.playout.live_slot import Copy
from bridge.playout.playout import Playout
from bridge.playout.second_reports import SecondsLedger
from bridge.restart_state import Memory
from bridge.session.connection_status import Standing
from bridge.session.downlink import Downlink
from bridge.session.path_figures import path_figures
from bridge.session.states import State
from bridge.session.uplink import Uplink
from clock.model import Reading
from relay.wire import control, frames
from relay.wire.sequence import HANDED_AHEAD_MAX, Flag, Judged
from relay.wire.timetag import seconds


class Arrivals:
    """The events that have come from the room, and the reports on them to the relay."""

    def __init__(
        self, uplink: Uplink, playout: Playout, timebase: Timebase, ledger: SecondsLedger, memory: Memory,
        standing: Standing,
    ) -> None:  # fmt: skip
        """uplink: it learns from this class which of the local player's events are judged. It also sends the
        requests for missing events."""
        self._playout = playout
        self._own = playout.own
        self._timebase = timebase
        self._ledger = ledger
        self._memory = memory
        self._standing = standing
        self._uplink = uplink
        self._outbox = uplink.outbox
        self._downlink = Downlink(memory.complete_number)
        ledger.count(self._downlink.named)
        playout.take_over(memory.handed_over())

    # -- what comes ----------------------------------------------------------------------------------

    def event(self, event: Judged, received_local_ns: int, reading: Reading) -> None:
        """Process a judged event from the relay. received_local_ns: when its datagram was received."""
        if not self._downlink.saw(event, reading.local_s):
            return
        if self._standing.state is not State.IN_TIME:
            self._downlink.keep_early(event)
            return
        if not self._downlink.is_past(event):
            self._ledger.way_down(event.number, self._took_s(event.judged, received_local_ns, reading))
        self._take_in(event, reading)

    def beat(self, beat: frames.BeatDown, received_local_ns: int, reading: Reading) -> None:
        """Process a heartbeat of the relay. received_local_ns: when its datagram was received."""
        self._downlink.announce(beat.number, reading.local_s)
        if self._standing.state is State.IN_TIME:
            self._ledger.one_way_down(self._took_s(beat.sent, received_local_ns, reading))

    def copy(self, copy: Copy, reading: Reading) -> None:
        """Process the live state of a slot. It waits until the bridge is in time."""
        if self._standing.state is State.IN_TIME:
            self._learn(copy, reading)
        else:
            self._downlink.keep_copy(copy)

    # -- the room, and the clock ---------------------------------------------------------------------

    def follow(self, room: control.Welcome | control.Settings) -> None:
        """Follow the room's settings: whether missing events are asked for, and the scheme."""
        self._downlink.repair(room.repair)
        self._ledger.follow(room.scheme)
        self._playout.follow(room.scheme)

    def enter(self, number: int, reading: Reading) -> None:
        """Enter a room, or another epoch of the relay. number: the highest room number so far."""
        self._downlink.enter(number, reading.local_s)
        self._playout.enter_epoch()
        self._ledger.enter_epoch()

    def begin(self, reading: Reading) -> None:
        """Process the events and live states that have waited, because the bridge is in time now."""
        now = self._timebase.session_at(reading.local_ns)
        copies, early = self._downlink.take_early(now if self._playout.taken_over is None else 0)
        for one in copies:
            self._learn(one, reading)
        for judged in early:
            self._take_in(judged, reading)

    def count_from(self, session_now: int) -> None:
        """Let the reports begin at `session_now` (ticks).

        If this bridge process replaces one that died, the reports begin HANDED_AHEAD_MAX later. The dead
        process can't have handed over any event that is due later.
        """
        after = 0 if self._playout.taken_over is None else HANDED_AHEAD_MAX
        self._ledger.start(session_now + after, slot=self._own.slot)

    # -- what is said of it --------------------------------------------------------------------------

    @property
    def ready_number(self) -> int:
        """The room number up to which no event is missing; 0 while the bridge isn't in time."""
        return self._downlink.ready_number if self._timebase.in_time else 0

    @property
    def complete_number(self) -> int:
        """The room number up to which every event has arrived or was given up."""
        return self._downlink.complete_number

    def ask(self, reading: Reading) -> None:
        """Ask the relay for missing events if a request is due. Record events that were given up."""
        self._downlink.ask(self._outbox, reading.local_s)
        for missing in self._downlink.gave_up():
            self._ledger.give_up(*missing)

    def asks_at_s(self) -> float | None:
        """Return the local instant (s) of the next request for missing events; None if nothing is missing."""
        return self._downlink.asks_at_s(self._outbox)

    @property
    def report_at(self) -> int:
        """The session instant (ticks) of the next report."""
        return self._ledger.report_at

    def reports(self, reading: Reading) -> list[control.Report]:
        """Return the reports to the relay that are due."""
        now = self._timebase.session_at(reading.local_ns)
        if self._ledger.report_at > now:
            return []
        return self._ledger.due_reports(now, path_figures(self._timebase, self._downlink, reading))

    def detail(self, second: int) -> control.DigestDetail:
        """Return the digest of each event in a second of session time."""
        return self._ledger.detail(second)

    def remember(self) -> None:
        """Store the facts that the next bridge process needs if this one is killed."""
        before = self._playout.taken_over
        self._memory.remember_unconfirmed(self._playout.unconfirmed(), before)
        self._downlink.remember(self._memory, self._playout.held_numbers(), before)

    # ------------------------------------------------------------------------------------------------

    def _took_s(self, left: int, received_local_ns: int, reading: Reading) -> float:
        """Return how long (s) a frame was on its way, and record it. left: the session instant at which it
        left the relay."""
        self._playout.came(left, reading)
        return seconds(self._timebase.session_at(received_local_ns) - left)

    def _learn(self, copy: Copy, reading: Reading) -> None:
        self._playout.learn(copy, reading)
        for event in copy.events:
            if self._downlink.saw(event, reading.local_s):
                self._take_in(event, reading)

    def _take_in(self, event: Judged, reading: Reading) -> None:
        # A reset by the relay has a number that we may have given to an event of ours meanwhile.
        if event.slot == self._own.slot and Flag.SILENCED not in event.flags:
            self._uplink.settle(event.seq)
        until = self._timebase.session_at(reading.local_ns) + self._playout.release_advance
        if event.due > until or not self._downlink.is_past(event):  # else over before this host came
            self._playout.judged(event, reading)
