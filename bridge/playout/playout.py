"""Playout: hands every event of the room to this host's scsynth before its due.

Pure. Because events come before their dues, scsynth can run them in the room's order. Judged events come from
the session. The local player's events come from the tap, before their verdict. The output is bytes for
scsynth. A late event is handed over on arrival, and the reports name it.

The rest of the bridge uses only the class Playout and not the parts inside the package. Bound: while scsynth
holds AHEAD_COUNT_MAX events, none is handed over earlier than the release advance before its due.
"""

from collections.abc import Callable, Mapping

from bridge.clocks.timebase import Timebase
from bridge.effects import Tell
from bridge.playout.accounts import RESET, Accounts, PlayoutCounts
from bridge.playout.delivery import Delivery
from bridge.playout.fault_injection import FaultKind
from bridge.playout.holdback_queue import Held, HoldbackQueue
from bridge.playout.live_music import LiveMusic
from bridge.playout.live_slot import Copy
from bridge.playout.loads import Loads
from bridge.playout.members import Members
from bridge.playout.missed_time import Behind
from bridge.playout.second_reports import SecondsLedger
from bridge.playout.stops import Resets
from bridge.playout.to_scsynth import Outgoing
from bridge.restart_state import HandedOver
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from bridge.stock.stock import Stock
from clock.model import Reading
from relay.wire.guard import Guard
from relay.wire.live.state import Piece
from relay.wire.meaning import NOTHING, Meaning
from relay.wire.osc import Message
from relay.wire.sequence import HANDED_AHEAD_MAX, Flag, Judged, Kind, Scheme, Stamped

AHEAD_COUNT_MAX = 1024
"""While scsynth holds so many events, none is handed over early. scsynth's own queue holds 2048 bundles, and
any more are dropped silently. Half of the queue is left for other bundles, such as those of a booting Sonic
Pi."""


class Playout:
    """The path from judged events to scsynth."""

    def __init__(
        self,
        own: Origin,
        timebase: Timebase,
        folders: ResourceFolders,
        ledger: SecondsLedger,
        stock: Stock,
        *,
        need: int,
        release_advance: int,
    ) -> None:
        """stock: Sonic Pi's files on this host. need: scsynth must get a bundle this many ticks before the
        bundle's timetag.

        release_advance: an event leaves the hold-back queue at the latest this many ticks before its due.
        """
        self.own = own
        self.release_advance = release_advance
        self.taken_over: HandedOver | None = None
        """The events that a previous bridge process handed to the running scsynth. They are not handed over
        again."""
        self._wait_until_before = release_advance
        self._timebase = timebase
        self._queue = HoldbackQueue(own.slot)
        self._behind = Behind(timebase, release_advance)
        self._out = Outgoing(timebase)
        self._accounts = Accounts(ledger)
        self._loads = Loads(folders, self._out, self._accounts, stock)
        resets = Resets(self._queue)
        self._members = Members(own, self._out, self._loads)
        self._live = LiveMusic(
            own, self._out, self._accounts, self._loads, resets, self._queue, self._members,
            release_advance=release_advance,
        )  # fmt: skip
        self._delivery = Delivery(
            own.slot, self._out, self._accounts, self._loads, resets, self._members, self._live, self._behind,
            need=need,
        )  # fmt: skip
        ledger.count(self._accounts.named, self._loads.named, self._queue.named, timebase.named)

    def drain(self) -> list[bytes]:
        """Remove and return the datagrams for scsynth, in order."""
        return self._out.drain()

    def news(self) -> list[Tell]:
        """Remove and return the messages to the player about samples that are missing here."""
        return self._loads.news()

    # -- who is there, and what is loaded ------------------------------------------------------------

    def meet(self, origin: Origin) -> None:
        """Create the root group and mixer strip of a member that the roster names."""
        self._members.meet(origin)

    def follow_roster(self, owners: Mapping[int, int], reading: Reading, *, entered: bool) -> list[int]:
        """Adopt the slots of the roster. Owners who left while this host was away are faded out and freed.

        owners: slot -> room number at which its owner took it. entered: whether this host has just come into
        the room. Return the slots whose live states are awaited no more.
        """
        now = self._timebase.session_at(reading.local_ns)
        for slot in self._members.follow_roster(owners, entered=entered):
            self._reset_here(slot, now)
        return self._live.follow(owners)

    def expect(self, slots: list[int]) -> list[int]:
        """Note the slots of members that were in the room before this host. Return those of them that can't
        be played before their live state has come."""
        return self._live.expect(slots)

    def begin_without(self, slot: int) -> None:
        """Play a slot from now on, although no live state of it has come."""
        self._live.begin_without(slot)

    def learn(self, copy: Copy, reading: Reading) -> None:
        """Process the live state of a slot that the relay has sent. Only the parts that scsynth lacks are
        built."""
        self._live.learn(copy, self._timebase.session_at(reading.local_ns))

    def own_pieces(self, reading: Reading, *, dated: bool = True) -> list[Piece]:
        """Return the live state of the local player, for a relay that doesn't know it.

        dated: whether nodes have their dues. Dues mean something only in the same epoch of the relay.
        """
        return self._live.own_pieces(self._timebase.session_at(reading.local_ns), dated=dated)

    def own_ended(self) -> list[int]:
        """Remove and return the seqs of own notes that have ended since the last call."""
        return self._live.own_ended()

    def node_ended(self, node: int) -> None:
        """Note that a node has ended in scsynth. node: scsynth's number."""
        self._live.ended(node)

    def tree(self, message: Message) -> None:
        """Process scsynth's answer to a question about a slot's tree."""
        self._live.answered(message)

    def began(self, node: int) -> None:
        """Note that scsynth has begun to play a synth. node: scsynth's number."""
        self._loads.began(node)

    def synth_failed(self) -> None:
        """Note that scsynth says it lacks the synthdef of a synth. It doesn't say which synth."""
        self._loads.synth_failed()

    def answers_load(self, *, is_done: bool) -> bool:
        """Process scsynth's answer to the load of a synthdef. Return whether the bridge itself had sent the
        load.

        is_done: whether the load has worked.
        """
        return self._loads.answers_load(is_done=is_done)

    @property
    def has_synthdefs(self) -> bool:
        """Whether Sonic Pi's synthdefs are in scsynth, as far as known."""
        return self._members.have_synthdefs

    def synthdefs_loaded(self) -> None:
        """Note that Sonic Pi's synthdefs are in scsynth, and create the members' mixer strips."""
        self._members.synthdefs_loaded()

    def buffer_loaded(self, buffer: int) -> None:
        """Note that scsynth has loaded a buffer. buffer: scsynth's number."""
        self._loads.loaded(buffer)

    def own_guard(self) -> Guard:
        """Return the guard of the local player's slot, with which the tap refuses dangerous values.

        The same guard checks the events that the relay sends for this slot.
        """
        return self._members.guard(self.own.slot)

    # -- other times ---------------------------------------------------------------------------------

    def take_over(self, before: HandedOver | None) -> None:
        """Note the events that a previous bridge process handed to the running scsynth; None if there was no
        such process."""
        self.taken_over = before

    def inherit(self) -> None:
        """Note that a previous bridge process has built members' live states in the running scsynth."""
        self._live.inherit()

    def follow(self, scheme: Scheme) -> None:
        """Follow the room's scheme, which decides whether notes that are far too late are dropped."""
        self._behind.follow(scheme)

    def enter_epoch(self) -> None:
        """Forget the room numbers and instants of the relay's former epoch."""
        self._queue.enter_epoch()
        self._members.enter_epoch()
        self._live.enter_epoch()
        self.taken_over = None
        self.clock_was_set()

    def convert(self, instant_of: Callable[[int], int]) -> int:
        """Convert the instants of the local player's unjudged events, because session time was set in one
        step.

        instant_of: maps an old session instant to the new one. Return how many of these events are still
        held.
        """
        moved = self._queue.convert(instant_of)
        self._accounts.convert(instant_of)
        self.clock_was_set()
        return moved

    def clock_was_set(self) -> None:
        """Forget the dues of events at scsynth, because session time was set in one step."""
        self._delivery.clock_was_set()
        self._members.clock_was_set()
        self._live.clock_was_set()
        self._behind.clock_was_set()
        self._loads.clock_was_set()

    def came(self, left: int, reading: Reading) -> None:
        """Measure the delay of a datagram that is processed now. left: the session instant at which it left
        the relay."""
        self._behind.came(left, reading)

    # -- events --------------------------------------------------------------------------------------

    def misses_at_tap(
        self, meaning: Meaning, timetag: int | None, received_local_ns: int, reading: Reading
    ) -> bool:
        """Return whether a note of the local player lay unread in the tap's socket until its time was over.

        The arguments are those of `Behind.misses_at_tap`.
        """
        return self._behind.misses_at_tap(meaning, timetag, received_local_ns, reading)

    def hold_own(
        self, event: Stamped, due: int, *, body: bytes | None = None, home: bytes | None = None
    ) -> None:
        """Add an event of the local player before the relay's verdict on it has come.

        due: session ticks, as this bridge computed it. body, home: as in `Held`.
        """
        held = Held(due, self.own.slot, event.seq, event.kind, event.meaning, body=body, home=home)
        if event.kind is Kind.RESOURCE:  # loaded here at once
            self._live.takes(held, event.emitted)
        else:
            self._queue.push(held)

    def hold_home(self, home: bytes, meaning: Meaning, kind: Kind, due: int, *, after: int) -> None:
        """Add a message that only this host plays. It follows the local player's event with seq `after`.

        home: the message in scsynth's numbers. meaning: the message's meaning, as Sonic Pi sent it. due:
        session ticks.
        """
        self._queue.push(Held(due, self.own.slot, after, kind, meaning, self._queue.next_sub(), home=home))

    def judged(self, event: Judged, reading: Reading) -> None:
        """Process the relay's verdict on an event of any member, this one included."""
        own = event.slot == self.own.slot
        self._members.saw(event)
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
                self._live.load(event, self._timebase.session_at(reading.local_ns))
            self._accounts.tally(event, event.payload)
        elif not own or not (self._queue.confirm_own(event) or self._accounts.confirm(event)):
            held = Held(event.due, event.slot, event.seq, event.kind, event.meaning, 0, event.number)
            held.flags, held.expected = event.flags, self._behind.expected(event.judged, reading)
            self._queue.push(held)

    def release(self, reading: Reading, ready: int = 0, *, alone: bool = False) -> None:
        """Hand over the events whose time has come.

        ready: the room number up to which all events have arrived. These events leave up to HANDED_AHEAD_MAX
        before their due, all others at the release advance before it. alone: there is no relay, so no verdict
        will come. Then every event due within HANDED_AHEAD_MAX is handed over.
        """
        now = self._timebase.session_at(reading.local_ns)
        self._live.rise(now)
        self._free_who_left(now)
        self._wait_until_before = HANDED_AHEAD_MAX if alone else self.release_advance
        room = max(0, AHEAD_COUNT_MAX - self._delivery.run(now))
        until, ahead = now + self._wait_until_before, now + HANDED_AHEAD_MAX
        batch = self._queue.release(until, ready=ready, ahead=ahead, room=room, now=now)
        self._deliver(batch, now, reading)
        self._live.build(now, reading)

    def next_release(self) -> int | None:
        """Return the session instant at which `release` next has something to do; None if nothing waits."""
        due, far = self._queue.next_due(), self._queue.next_far()
        instants = [] if due is None else [due - self._wait_until_before]
        if far is not None and self._delivery.ahead_count() < AHEAD_COUNT_MAX:
            instants.append(far - HANDED_AHEAD_MAX)
        instants += [at for at in (self._live.next_wakeup(), self._members.next_wakeup()) if at is not None]
        return min(instants, default=None)

    def _free_who_left(self, now: int) -> None:
        """Free the last things of members who are gone. Reset the slots that the roster hasn't named for a
        long time."""
        for slot in self._members.absent(now):
            self._reset_here(slot, now)
        for slot in self._members.free(now):
            self._live.forget(slot)
            self._delivery.leave(slot)

    def _reset_here(self, slot: int, now: int) -> None:
        """Add the last reset of a member who is gone, because the relay's reset didn't come to this host."""
        flags = Flag.SILENCED | Flag.LEFT
        self._queue.push(Held(now, slot, 0, Kind.RESET, NOTHING, flags=flags, counted=False))

    def _deliver(self, batch: list[Held], now: int, reading: Reading) -> None:
        self._delivery.hand_over(batch, now, reading)

    # -- what is in hand -----------------------------------------------------------------------------

    def held_numbers(self) -> list[int]:
        """Return the room numbers of the events in the hold-back queue, in no order."""
        return self._queue.numbers()

    def unconfirmed(self) -> tuple[int, ...]:
        """Return the seqs (sender's numbers) of the local player's newest events that were handed over
        unjudged."""
        return self._accounts.unconfirmed()

    def due_unjudged(self, seq: int) -> int | None:
        """Return the due (session ticks) that this bridge computed for an unjudged event of the local player.

        None if the event is judged or unknown. It may have been played or not. seq: the sender's number.
        """
        held = self._queue.own(seq)
        if held is not None:
            return held.due if held.number is None else None
        return self._accounts.unconfirmed_due(seq)

    def is_ahead(self, seq: int, now: int) -> bool:
        """Return whether an event of the local player is unjudged and still to be played here.

        It is still to be played if it is due more than the release advance after `now` (session ticks). seq:
        the sender's number.
        """
        return (self.due_unjudged(seq) or 0) > now + self.release_advance

    @property
    def counts(self) -> PlayoutCounts:
        """Counts of missed notes and refused messages since the bridge's start."""
        return self._accounts.counts

    def plant(self, kind: FaultKind) -> None:
        """Inject a fault into the next suitable note. Tests use this to check that faults are noticed."""
        self._delivery.plant(kind)
