"""Playout: hands every event of the room to this host's scsynth before its due, so that it runs their order.

Pure. Judged events come from the session, own ones as stamped from the player; what leaves are bytes for
scsynth. At release time nothing waits; a straggler goes the moment it comes, counted and named.
Bound: AHEAD_COUNT_MAX judged events are at scsynth ahead of the release advance.
"""

from dataclasses import dataclass, field

from bridge.clocks.timebase import Timebase
from bridge.playout.boot_states import Founded, erect, loads_of, nodes_of
from bridge.playout.fault_injection import FaultPlanter
from bridge.playout.handed_over import AtSynth
from bridge.playout.holdback_queue import Held, HoldbackQueue
from bridge.playout.loaded_buffers import Buffers
from bridge.playout.missed_time import Behind
from bridge.playout.missing_samples import Absent
from bridge.playout.redo import Redo
from bridge.playout.seconds_ledger import SecondsLedger, event_digest
from bridge.playout.slot_resets import Resets
from bridge.playout.unconfirmed import Played, Unconfirmed
from bridge.restart_state import HandedOver
from bridge.scsynth.arguments import buffer_numbers
from bridge.scsynth.id_space import Origin
from bridge.scsynth.places import Places
from bridge.scsynth.remap import OUTPUT_CONTROL, remap
from bridge.scsynth.samples import ResourceFolders, load_to_local
from clock.model import Reading
from relay.wire.control import Foundation
from relay.wire.errors import Refused, RemoteError
from relay.wire.foundation import Told
from relay.wire.guard import Guards
from relay.wire.osc import Message, bundle, encode, single_message
from relay.wire.sequence import HANDED_AHEAD_MAX, Flag, Judged, Kind
from relay.wire.timetag import IMMEDIATELY, seconds, ticks

_LOADS = frozenset({"/b_alloc", "/b_allocRead", "/b_allocReadChannel", "/b_read", "/b_readChannel"})
"""What takes memory or reads files comes as a resource, with all that is checked there, or not at all."""
AHEAD_COUNT_MAX = 1024
"""scsynth's own queue holds 2048 bundles and then drops silently; Sonic Pi's boots and others want room."""
AFTER_RESET = ticks(0.001)
"""What is built anew after a slot reset is due this much later: scsynth takes equal timetags as they come."""
_DROPPED, _REFUSED, _RESET = b"dropped", b"refused", b"reset"


@dataclass(slots=True)
class PlayoutCounts:
    """What happened here, for the log and for people; reports count by second."""

    missed: int = 0
    """Notes that weren't played, since this host came to them far too late."""
    refused: dict[str, int] = field(default_factory=dict)

    def named(self) -> dict[str, int]:
        """Return all by name, for the statistics."""
        refused = {f"playout_refused_{reason}": count for reason, count in self.refused.items()}
        return {"missed_here": self.missed} | refused


class Playout:
    """The way from judged events to scsynth. need: ticks that scsynth needs a bundle before its timetag.
    release_advance: ticks before its due at which an event leaves the hold-back queue at the latest."""

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
        self.own = own
        self.need = need
        self.release_advance = release_advance
        self._wait_until_before = release_advance
        self.queue = HoldbackQueue(own.slot)
        self.fault: FaultPlanter | None = None
        self.counts = PlayoutCounts()
        self.buffers = Buffers()
        self.absent = Absent()
        self.founded = Founded()
        self.behind = Behind(timebase, release_advance)
        self.guards = Guards()  # the own slot's is the player's: no relay may play here what he may not
        self.unconfirmed = Unconfirmed()
        self.resume: HandedOver | None = None
        """What a bridge that died had handed over; it is not handed over again."""
        self._timebase = timebase
        self._folders = folders
        self._ledger = ledger
        self.counters = ledger.counters
        self.counters += [self.counts.named, self.absent.named, self.queue.named, timebase.named]
        self._resets = Resets()
        self._redo = Redo()
        self._at_synth = AtSynth()
        self._out: list[bytes] = []
        self.places = Places(own, self._out.extend)

    def drain(self) -> list[bytes]:
        """Take out the datagrams for scsynth, in order."""
        out, self._out[:] = self._out.copy(), []
        return out

    # -- who is there --------------------------------------------------------------------------------

    def found(self, told: Foundation, reading: Reading) -> None:
        """Take in what a member had built and set before; what is there already is left alone."""
        if told.slot == self.own.slot:
            for payload in told.messages:  # after a restart: our own scsynth has it all
                self._note_loaded(payload)
            return
        news, refused = self.founded.learn(told.slot, Told(told.messages, told.values), told.number)
        self._count_refused(Refused("not-a-foundation"), refused)
        for message in loads_of(news):
            try:
                self._load(message, self.places.of(told.slot))
            except RemoteError as error:
                self._count_refused(error)
        if self.founded.stands(told.slot):
            self._build(told.slot, nodes_of(news), reading)

    def enter_epoch(self) -> None:
        """Forget what only the former epoch's numbers and instants gave a meaning."""
        self.queue.enter_epoch()
        self.founded.enter_epoch()
        self.resume = None
        self.clock_was_set()
        self._resets.clear()

    def clock_was_set(self) -> None:
        """Note that session time was set in one step, so that what scsynth has was due by another one."""
        self._at_synth.forget()
        self._redo.forget()
        self.guards.clock_was_set()
        self.behind.clock_was_set()
        self.buffers.clear_notes()

    @property
    def has_synthdefs(self) -> bool:
        """Whether Sonic Pi's synthdefs are in scsynth, as far as is known."""
        return self.places.host.synthdefs_loaded

    def synthdefs_loaded(self) -> None:
        """Sonic Pi's synthdefs are in scsynth: strips can be made."""
        self.buffers.synthdefs_loaded = True
        self._out += self.places.host.load_synthdefs()

    # -- events --------------------------------------------------------------------------------------

    def hold(self, held: Held) -> None:
        """Take in an own event as stamped, or one that is played at home only."""
        self.queue.push(held)

    def judged(self, event: Judged, reading: Reading) -> None:
        """Take in the relay's verdict on an event of any member, this one included."""
        own = event.slot == self.own.slot
        if own and Flag.SILENCED in event.flags:
            # Our own music never stops; but it belongs to the sequence that everybody counts.
            self._tally(event, _RESET)
        elif self.resume is not None and self.resume.covers(event, own=own):
            return
        elif Flag.MISSED in event.flags:
            if own and self.queue.take_own(event.seq) is None and self.unconfirmed.confirm(event.seq):
                self._ledger.alone(event.due)
        elif event.kind is Kind.RESOURCE:
            self._resource(event, own=own)
        elif not own or not self._confirm(event):
            held = Held(event.due, event.slot, event.seq, event.kind, event.payload, 0, event.number)
            held.flags, held.expected = event.flags, self.behind.expected(event.judged, reading)
            self.queue.push(held)

    def release(self, reading: Reading, ready: int = 0, *, alone: bool = False) -> None:
        """Hand over what has a number up to `ready`, before which nothing is missing, and what is due within
        the release advance; without a relay (alone) all that is near, since there is nothing to wait for."""
        now = self._timebase.session_at(reading.local_ns)
        self._raise_founded(now, reading)
        self._wait_until_before = HANDED_AHEAD_MAX if alone else self.release_advance
        self._at_synth.run(now + self.need)
        room = max(0, AHEAD_COUNT_MAX - len(self._at_synth))
        until, ahead = now + self._wait_until_before, now + HANDED_AHEAD_MAX
        batch = self.queue.release(until, ready=ready, ahead=ahead, room=room, now=now)
        if self.fault is not None:
            batch = self.fault.pass_on(batch, now)
        for held in batch:
            self._hand_over(held, reading)
        for number, due in self.buffers.silent(now + self.need):
            self._ledger.silent(number, due)

    def next_release(self) -> int | None:
        """Return the session instant of the next release, None if nothing is held."""
        due, far = self.queue.next_due(), self.queue.next_far()
        instants = [] if due is None else [due - self._wait_until_before]
        if far is not None and len(self._at_synth) < AHEAD_COUNT_MAX:
            instants.append(far - HANDED_AHEAD_MAX)
        if (question := self.founded.next_question()) is not None:
            instants.append(question)
        return min(instants, default=None)

    def due_unjudged(self, seq: int) -> int | None:
        """Return the due of an own event as stamped, played or not; None if it has a verdict or is over."""
        held = self.queue.own(seq)
        if held is not None:
            return held.due if held.number is None else None
        return self.unconfirmed.due(seq)

    # ------------------------------------------------------------------------------------------------

    def _raise_founded(self, now: int, reading: Reading) -> None:
        """Build what can stand now, and ask for what should."""
        if self.places.host.synthdefs_loaded:
            for slot, told in self.founded.rise(self.places.certain()):
                self._build(slot, told, reading)
        nodes, silent = self.founded.questions(now)
        self._out += [encode("/n_query", node) for node in nodes]
        self._ledger.unfounded += silent

    def _build(self, slot: int, told: Told, reading: Reading) -> None:
        """Hand scsynth nodes that a member founded, and what was set on them."""
        now = self._timebase.session_at(reading.local_ns)
        after = max(self.queue.next_reset(slot), self._resets.last_due(slot)) + AFTER_RESET
        check = self.guards[slot].check
        built = erect(told, self.places.of(slot), check, now=now, after=after if after > now else None)
        for due, bodies in built.steps:
            if due is not None:
                self._out.append(bundle(self._timebase.wall_of_session(due, reading), *bodies))
            else:
                self._out.append(bodies[0] if len(bodies) == 1 else bundle(IMMEDIATELY, *bodies))
        self.founded.ask(slot, built.nodes, max(now, after))
        for error in built.refused:
            self._count_refused(error)

    def answered(self, node: int, *, there: bool) -> None:
        """Take in scsynth's word on a node that it was asked for."""
        if self.founded.is_missing(node, there=there):
            self._ledger.unfounded += 1

    def _confirm(self, event: Judged) -> bool:
        """Take a verdict on an own event; False if the event is not known here."""
        held = self.queue.own(event.seq)
        if held is not None:
            held.number, held.flags, held.due = event.number, event.flags, event.due
            self.queue.push(held)
            return True
        played = self.unconfirmed.confirm(event.seq)
        if played is None:
            return False
        self._ledger.hand_over(
            number=event.number,
            due=event.due,
            timetag=played.timetag,
            digest=event_digest(event.number, played.body),
            margin_s=played.margin_s,
            arrival=played.arrival,
            late=played.late,
            unconfirmed=True,
            out_of_order=played.due != event.due,
        )
        return True

    def _hand_over(self, held: Held, reading: Reading) -> None:
        if self._resets.drop(held):
            self._note(held, _DROPPED, held.due)
            return
        session_now = self._timebase.session_at(reading.local_ns)
        margin = held.due - session_now - self.need
        if self.behind.misses(held, -margin, session_now):
            self.counts.missed += 1
            return
        goes = held.slot == self.own.slot or held.kind is Kind.RESET or self.founded.is_handed_over(held)
        body = self._body(held)
        if body is None:
            self._note(held, _REFUSED, held.due)
            return
        if self.fault is not None:
            body = self.fault.alter(held, body)
        if goes:
            handed = body if held.home is None else held.home
            wall = self._timebase.wall_of_session(held.due, reading)
            for messages in self._redo.hand_over(held, handed, session_now, late=margin < 0):
                self._out.append(bundle(wall, *messages))
            self._at_synth.take(held.key)
            self._note_buffers(held)
        if held.kind is Kind.RESET:
            self._reset(held, reading)
        elif goes and Flag.FOUNDATION in held.flags:
            self.founded.ask_for(held, self.places.of(held.slot), session_now)
        late, timetag = margin < 0, max(held.due, session_now + self.need)
        self._note(
            held,
            _RESET if held.kind is Kind.RESET else body,
            timetag,
            margin_s=seconds(margin),
            late=late,
            out_of_order=late and self._at_synth.has_passed(held.key),
        )

    def _note(
        self,
        held: Held,
        body: bytes,
        timetag: int,
        *,
        margin_s: float | None = None,
        late: bool = False,
        out_of_order: bool = False,
    ) -> None:
        if held.sub or not held.counted:
            return
        if held.number is None:
            arrival = self._ledger.next_arrival()
            self.unconfirmed.play(held.seq, Played(held.due, timetag, body, margin_s, arrival, late))
            self._ledger.play_unconfirmed()
            return
        self._ledger.hand_over(
            number=held.number,
            due=held.due,
            timetag=timetag,
            digest=event_digest(held.number, body),
            margin_s=margin_s,
            late=late,
            out_of_order=out_of_order,
        )

    def _body(self, held: Held) -> bytes | None:
        """Return the message as every member plays it; None if it is refused."""
        if held.sub and held.home is not None:
            return held.home
        if held.body is not None:
            return held.body
        origin = self.places.of(held.slot)
        if held.kind is Kind.RESET:
            return encode("/g_freeAll", origin.root)
        try:
            message = single_message(held.payload)
            if message.address in _LOADS:
                raise Refused("not-allowed", f"{message.address} that is no resource")
            self.guards[held.slot].check(held.payload, held.due)
            if held.slot == self.own.slot and OUTPUT_CONTROL in held.payload:
                held.home = remap(message, origin, at_home=True)
            return remap(message, origin)
        except RemoteError as error:
            self._count_refused(error)
            return None

    def _note_buffers(self, held: Held) -> None:
        """Note what frees a buffer, and the buffers that a note plays."""
        if held.sub or not held.counted:  # in the jam's numbers already, and nobody else's business
            return
        origin = self.places.of(held.slot)
        if held.payload.startswith(b"/b_free\0"):
            self.buffers.free(origin.buffer(int(single_message(held.payload).args[0])), held.due)
        elif held.number is not None and held.payload.startswith(b"/s_new\0"):
            numbers = buffer_numbers(single_message(held.payload))
            self.buffers.handed_over(held.number, held.due, [origin.buffer(number) for number in numbers])

    def _reset(self, held: Held, reading: Reading) -> None:
        for dropped in self.queue.drop_before(held.slot, held.seq, self._resets.note(held)):
            self._note(dropped, _DROPPED, dropped.due)
        if held.slot != self.own.slot:
            self.guards[held.slot].reset(held.due)
            self._build(held.slot, self.founded.reset(held), reading)

    def _resource(self, event: Judged, *, own: bool) -> None:
        if not own and self.founded.load(event):
            try:
                self._load(single_message(event.payload), self.places.of(event.slot))
            except RemoteError as error:
                self._count_refused(error)
        self._tally(event, event.payload)

    def _tally(self, event: Judged, body: bytes) -> None:
        """Note an event that scsynth is not handed at its due."""
        self._ledger.hand_over(
            number=event.number,
            due=event.due,
            timetag=event.due,
            digest=event_digest(event.number, body),
            margin_s=None,
        )

    def _load(self, message: Message, origin: Origin) -> None:
        load = load_to_local(message, self._folders)
        if load is None:
            self.absent.note(str(message.args[1]))
            return
        mapped = remap(single_message(load.payload), origin)
        self.buffers.claim(int(single_message(mapped).args[0]), load.samples)
        self._out.append(mapped)

    def _note_loaded(self, payload: bytes) -> None:
        message = single_message(payload)
        if message.address in ("/b_alloc", "/b_allocRead"):
            self.buffers.loaded.add(self.own.buffer(int(message.args[0])))

    def _count_refused(self, error: RemoteError, count: int = 1) -> None:
        if count:
            reason = getattr(error, "reason", type(error).__name__)
            self.counts.refused[reason] = self.counts.refused.get(reason, 0) + count
            self._ledger.refused += count
