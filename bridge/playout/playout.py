"""Playout: hands every event of the room to this host's scsynth before its due.

Pure. Because events come before their dues, scsynth can run them in the room's order. Judged events come from
the session. Own events come as stamped from the tap, through the session's emission. The output is bytes for
scsynth. No event waits beyond its release time. A late event leaves on arrival, and is counted and named in
the reports.

This class is the face of the package: the rest of the bridge hands events to it, not to the parts inside.
Bound: while scsynth holds AHEAD_COUNT_MAX events, none is handed over earlier than the release advance before
its due.
"""

from collections.abc import Callable

from bridge.clocks.timebase import Timebase
from bridge.effects import Tell
from bridge.playout.accounts import RESET, Accounts, PlayoutCounts
from bridge.playout.delivery import Delivery
from bridge.playout.fault_injection import FaultKind
from bridge.playout.holdback_queue import Held, HoldbackQueue
from bridge.playout.loads import Loads
from bridge.playout.members import Members
from bridge.playout.missed_time import Behind
from bridge.playout.second_reports import SecondsLedger
from bridge.playout.stops import Resets
from bridge.playout.to_scsynth import Outgoing
from bridge.restart_state import HandedOver
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from clock.model import Reading
from relay.wire.control import Foundation
from relay.wire.foundation import Told
from relay.wire.guard import Guard
from relay.wire.meaning import Meaning
from relay.wire.sequence import HANDED_AHEAD_MAX, Flag, Judged, Kind, Scheme, Stamped

AHEAD_COUNT_MAX = 1024
"""While scsynth holds so many events, none is handed over early. Its own queue holds 2048 bundles, and it
drops any more silently. Half of the queue is left for other bundles, such as those of a booting Sonic Pi."""


class Playout:
    """The path from judged events to scsynth."""

    def __init__(
        self,
        own: Origin,
        timebase: Timebase,
        folders: ResourceFolders,
        ledger: SecondsLedger,
        *,
        need: int,
        release_advance: int,
    ) -> None:
        """need: how many ticks before its timetag scsynth needs a bundle.

        release_advance: ticks before its due at which an event leaves the hold-back queue at the latest.
        """
        self.own = own
        self.release_advance = release_advance
        self.taken_over: HandedOver | None = None
        """The events that a bridge before this one had handed over. They are not handed over again."""
        self._wait_until_before = release_advance
        self._timebase = timebase
        self._queue = HoldbackQueue(own.slot)
        self._behind = Behind(timebase, release_advance)
        self._out = Outgoing(timebase)
        self._accounts = Accounts(ledger)
        self._loads = Loads(folders, self._out, self._accounts)
        resets = Resets(self._queue)
        self._members = Members(own, self._out, self._accounts, self._loads, resets)
        self._delivery = Delivery(
            own.slot, self._out, self._accounts, self._loads, resets, self._members, self._behind,
            need=need,
        )  # fmt: skip
        ledger.count(self._accounts.named, self._loads.named, self._queue.named, timebase.named)

    def drain(self) -> list[bytes]:
        """Return the datagrams for scsynth, in order, and remove them."""
        return self._out.drain()

    def news(self) -> list[Tell]:
        """Remove and return the messages to the player."""
        return self._loads.news()

    # -- who is there, and what is loaded ------------------------------------------------------------

    def meet(self, origin: Origin) -> None:
        """Give a member of the roster its place in scsynth."""
        self._members.meet(origin)

    def found(self, told: Foundation, reading: Reading) -> None:
        """Merge a member's boot state as the relay reports it. Only parts that are new here are built."""
        if told.slot == self.own.slot:  # after a restart; the own scsynth has all of it
            self._loads.loaded_before(told.messages, self.own)
            return
        now = self._timebase.session_at(reading.local_ns)
        self._members.found(told.slot, Told(told.messages, told.values), told.number, now, reading)

    def answered(self, node: int, *, there: bool) -> None:
        """Process scsynth's answer about a node. there: whether the node exists."""
        self._members.answered(node, there=there)

    @property
    def has_synthdefs(self) -> bool:
        """Whether Sonic Pi's synthdefs are in scsynth, as far as known."""
        return self._members.have_synthdefs

    def synthdefs_loaded(self) -> None:
        """Note that Sonic Pi's synthdefs are in scsynth, and make the strips."""
        self._members.synthdefs_loaded()

    def buffer_loaded(self, buffer: int) -> None:
        """Note that scsynth has loaded a buffer, by scsynth's number."""
        self._loads.loaded(buffer)

    def own_guard(self) -> Guard:
        """Return the guard of the own slot, for the tap. It also checks the events that the relay sends for
        this slot."""
        return self._members.guard(self.own.slot)

    # -- other times ---------------------------------------------------------------------------------

    def take_over(self, before: HandedOver | None) -> None:
        """Note the events that a bridge before this one has handed to the running scsynth."""
        self.taken_over = before

    def follow(self, scheme: Scheme) -> None:
        """Follow the room's scheme."""
        self._behind.follow(scheme)

    def enter_epoch(self) -> None:
        """Forget the numbers and instants of the former epoch."""
        self._queue.enter_epoch()
        self._members.enter_epoch()
        self.taken_over = None
        self.clock_was_set()

    def convert(self, instant_of: Callable[[int], int]) -> int:
        """Convert the instants of own events without a verdict, because session time was set in one step.

        Return how many of these events are still held.
        """
        moved = self._queue.convert(instant_of)
        self._accounts.convert(instant_of)
        self.clock_was_set()
        return moved

    def clock_was_set(self) -> None:
        """Note that session time was set in one step. Events at scsynth still have dues of the former
        time."""
        self._delivery.clock_was_set()
        self._members.clock_was_set()
        self._behind.clock_was_set()
        self._loads.clock_was_set()

    def came(self, left: int, reading: Reading) -> None:
        """Note that a datagram is processed now which left the relay at the session instant `left`."""
        self._behind.came(left, reading)

    # -- events --------------------------------------------------------------------------------------

    def misses_at_tap(
        self, meaning: Meaning, timetag: int | None, received_local_ns: int, reading: Reading
    ) -> bool:
        """Return whether a note of the local player lay unread until its time was over. See `Behind`."""
        return self._behind.misses_at_tap(meaning, timetag, received_local_ns, reading)

    def hold_own(
        self, event: Stamped, due: int, *, body: bytes | None = None, home: bytes | None = None
    ) -> None:
        """Add an own event as stamped. due: session ticks. body, home: as in `Held`."""
        self._queue.push(Held(due, self.own.slot, event.seq, event.kind, event.meaning, body=body, home=home))

    def hold_home(self, home: bytes, meaning: Meaning, kind: Kind, due: int, *, after: int) -> None:
        """Add a message that only this host plays, after the own event `after`.

        home: the message in scsynth's numbers. meaning: of the message as it was sent. due: session ticks.
        """
        self._queue.push(Held(due, self.own.slot, after, kind, meaning, self._queue.next_sub(), home=home))

    def judged(self, event: Judged, reading: Reading) -> None:
        """Process the relay's verdict on an event of any member, this one included."""
        own = event.slot == self.own.slot
        if own and Flag.SILENCED in event.flags:
            # The own music never stops, but the reset belongs to the sequence that everybody counts.
            self._accounts.tally(event, RESET)
        elif self.taken_over is not None and self.taken_over.covers(event, own=own):
            return
        elif Flag.MISSED in event.flags:
            if own and self._queue.take_own(event.seq) is None:
                self._accounts.confirm_alone(event)
        elif event.kind is Kind.RESOURCE:
            if not own:
                self._members.load(event)
            self._accounts.tally(event, event.payload)
        elif not own or not (self._queue.confirm_own(event) or self._accounts.confirm(event)):
            held = Held(event.due, event.slot, event.seq, event.kind, event.meaning, 0, event.number)
            held.flags, held.expected = event.flags, self._behind.expected(event.judged, reading)
            self._queue.push(held)

    def release(self, reading: Reading, ready: int = 0, *, alone: bool = False) -> None:
        """Hand over the events whose time has come.

        These are the events with a room number up to `ready`, before which there is no gap, and all events
        due within the release advance. alone: there is no relay, so no verdict will come. Then every event
        due within HANDED_AHEAD_MAX is handed over.
        """
        now = self._timebase.session_at(reading.local_ns)
        self._members.rise(now, reading)
        self._wait_until_before = HANDED_AHEAD_MAX if alone else self.release_advance
        room = max(0, AHEAD_COUNT_MAX - self._delivery.run(now))
        until, ahead = now + self._wait_until_before, now + HANDED_AHEAD_MAX
        batch = self._queue.release(until, ready=ready, ahead=ahead, room=room, now=now)
        self._deliver(batch, now, reading)

    def next_release(self) -> int | None:
        """Return the session instant at which `release` next has something to do; None if there is
        nothing."""
        due, far = self._queue.next_due(), self._queue.next_far()
        instants = [] if due is None else [due - self._wait_until_before]
        if far is not None and self._delivery.ahead_count() < AHEAD_COUNT_MAX:
            instants.append(far - HANDED_AHEAD_MAX)
        if (question := self._members.next_question()) is not None:
            instants.append(question)
        return min(instants, default=None)

    def _deliver(self, batch: list[Held], now: int, reading: Reading) -> None:
        self._delivery.hand_over(batch, now, reading)

    # -- what is in hand -----------------------------------------------------------------------------

    def held_numbers(self) -> list[int]:
        """Return the room numbers of the events in the hold-back queue, in no order."""
        return self._queue.numbers()

    def unconfirmed(self) -> tuple[int, ...]:
        """Return the seqs of the newest own events that were handed over and lack a verdict."""
        return self._accounts.unconfirmed()

    def due_unjudged(self, seq: int) -> int | None:
        """Return the due (session ticks) of an own event as stamped, whether it was played yet or not.

        None if the event has a verdict or is unknown.
        """
        held = self._queue.own(seq)
        if held is not None:
            return held.due if held.number is None else None
        return self._accounts.unconfirmed_due(seq)

    def is_ahead(self, seq: int, now: int) -> bool:
        """Return whether an own event lacks a verdict and leaves the hold-back queue only after session
        instant `now`."""
        return (self.due_unjudged(seq) or 0) > now + self.release_advance

    @property
    def counts(self) -> PlayoutCounts:
        """Counts since the bridge's start."""
        return self._accounts.counts

    def plant(self, kind: FaultKind) -> None:
        """Inject a fault into the next suitable note. Tests use it to check that faults are noticed."""
        self._delivery.plant(kind)
