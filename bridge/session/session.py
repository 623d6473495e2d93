"""Session: a bridge's life in a room, from Hello to Leave; fed with bytes and time, returns effects.

Pure. It numbers and sends what the player emits, follows the room's numbers, keeps the clock, and lets the
playout release what is due. While the relay is away own music is played as stamped, by the same rules.
"""

from collections.abc import Callable

from bridge import messages
from bridge.clocks.clock_client import Timekeeper
from bridge.clocks.timebase import Timebase
from bridge.effects import Abandon, Effect, SendControl, SendDatagram, Tell, ToSynth
from bridge.playout.playout import Playout
from bridge.playout.seconds_ledger import SecondsLedger
from bridge.restart_state import Identity, Memory
from bridge.scsynth.id_space import Origin
from bridge.session import greeting
from bridge.session.downlink import Downlink
from bridge.session.own_boot_state import OwnFoundation
from bridge.session.path_figures import path_figures
from bridge.session.silence_watch import QuietWatch
from bridge.session.standing import Standing
from bridge.session.uplink import Uplink
from clock.model import Reading
from relay.wire import control, frames
from relay.wire.carrier import UDP, Carrier
from relay.wire.datagram import Opener, Sealer
from relay.wire.errors import MalformedDatagram, RemoteError
from relay.wire.outbox import RTT_GUESS_S
from relay.wire.sequence import HANDED_AHEAD_MAX, Flag, Judged, Kind, Stamped, Timing
from relay.wire.stats import Stats
from relay.wire.timetag import seconds


class JamSession:
    """One member's session."""

    def __init__(
        self,
        identity: Identity,
        playout: Playout,
        timebase: Timebase,
        ledger: SecondsLedger,
        timing: Timing,
        memory: Memory,
        reading: Reading,
        *,
        carrier: Carrier = UDP,
        standing: Standing | None = None,
    ) -> None:
        """carrier: of the events. standing: what the player was told so far."""
        self.identity = identity
        self.playout = playout
        self.timing = timing
        self.memory = memory
        self.members: list[control.Member] = []
        self.name = identity.name
        self.joined = False
        self.gone = False
        """The relay will not have this bridge in its slot: it plays alone for good."""
        self._timebase = timebase
        self._ledger = ledger
        self._uplink = Uplink(memory.next_seq)
        self._foundation = OwnFoundation(playout.own.slot, self._uplink.unjudged)
        self._downlink = Downlink(memory.complete_number)
        self._connected = False
        """There is a connection on which Hello was said."""
        self._sending = False
        """Session time is known, so the room is told what the player emits."""
        self._timekeeper = Timekeeper(timebase, reading)
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._copies = not carrier.reliable
        self._effects: list[Effect] = []
        self._quiet = QuietWatch(carrier, local_ns=reading.local_ns)
        self._standing = standing or Standing()
        ledger.counters.append(self._downlink.named)
        self._awake_local_ns = reading.local_ns
        playout.take_over(memory.handed_over())

    # -- the player ----------------------------------------------------------------------------------

    def emit(
        self,
        kind: Kind,
        payload: bytes,
        *,
        wall_timetag: int | None,
        emitted_local_ns: int,
        reading: Reading,
        body: bytes | None = None,
        home: bytes | None = None,
        foundation: bool = False,
    ) -> None:
        """Stamp a message of the local player, hold it back here (`Held`), send its payload to the relay."""
        emitted, timetag = self._timebase.stamps(emitted_local_ns, wall_timetag, reading)
        event = self._uplink.stamp(kind, payload, emitted=emitted, timetag=timetag, foundation=foundation)
        self.memory.next_seq = self._uplink.next_seq
        due = self._uplink.due_as_stamped(event, self.timing)
        if kind is not Kind.RESOURCE:
            self.playout.hold_own(event, due, body=body, home=home)
        self._foundation.note(event)
        if self._sending:
            now = self._timebase.session_at(reading.local_ns)
            self._uplink.send(event, self.timing, now=now, now_s=reading.local_s)

    def emit_home(
        self, message: bytes, *, wall_timetag: int | None, emitted_local_ns: int, reading: Reading
    ) -> None:
        """Hold back a message that only this host plays, in order with the own events."""
        emitted, timetag = self._timebase.stamps(emitted_local_ns, wall_timetag, reading)
        kind = Kind.UNTIMED if timetag is None else Kind.TIMED
        seq = self._uplink.next_seq - 1
        due = self._uplink.due_at_home(Stamped(seq, emitted, timetag, kind, message), self.timing)
        self.playout.hold_home(message, kind, due, after=seq)

    def note_refused(self, tell: Tell | None = None) -> None:
        """Count what the local player sent and nobody gets, his scsynth included; tell why if it is news."""
        self._ledger.refused += 1
        self._effects += [] if tell is None else [tell]

    def note_unplayed(self) -> None:
        """Count a note of the local player that nobody is given, since its time was over."""
        self._ledger.unplayed += 1

    def note_local_only(self, tell: Tell | None) -> None:
        """Count what only the local player hears, and tell it if it is news."""
        self._ledger.local_only += 1
        self._effects += [] if tell is None else [tell]

    # -- control -------------------------------------------------------------------------------------

    def hello(self, reading: Reading) -> control.Hello:
        """Return the first word of a new connection."""
        self._awake_local_ns = reading.local_ns
        self._quiet.restart(reading.local_ns)
        self._connected = True
        pending = self._uplink.pending(self._is_ahead, now=self._timebase.session_at(reading.local_ns))
        own, next_seq = self.playout.own, pending[0].seq if pending else self._uplink.next_seq
        return greeting.hello(self.identity, self.memory, outs=own.outs, ins=own.ins, next_seq=next_seq)

    def receive_control(self, message: control.Down, reading: Reading) -> None:
        """Take in one control message of the relay."""
        self._quiet.said(reading.local_ns)
        match message:
            case control.Welcome():
                self._welcome(message, reading)
            case control.Roster():
                self._roster(message.members)
            case control.Settings():
                self._set_room(message)
            case control.Notice():
                self._effects.append(Tell(message.text, warning=True))
            case control.Foundation():
                self._foundation.learn(message)
                if self._in_time or message.slot == self.playout.own.slot:
                    self.playout.found(message, reading)
                else:
                    self._downlink.keep_told(message)
            case control.DigestRequest():
                self._effects.append(SendControl(self._ledger.detail(message.second)))
            case control.Refused():
                self.gone = message.final
                self._effects += self._standing.out(messages.refused(message), reading.local_ns)
            case Stats():
                pass

    def _set_room(self, room: control.Welcome | control.Settings) -> None:
        self.timing = Timing(room.lead, room.shift, room.lead_was, room.shift_was)
        self._downlink.repair(room.repair)
        self._uplink.follow(room.scheme)
        self._ledger.follow(room.scheme)
        self.playout.follow(room.scheme)
        self._uplink.outbox.copies = self._copies and room.repair
        self._uplink.outbox.ahead_s = seconds(room.horizon)

    def disconnected(self) -> None:
        """Note that the connection ended: from now on this host plays as stamped."""
        if self.joined:
            self._effects += self._standing.ended(self._awake_local_ns)
        self.joined = self._sending = self._connected = False
        self._sealer = self._opener = None
        self._uplink.outbox.clear()

    def _welcome(self, welcome: control.Welcome, reading: Reading) -> None:
        if welcome.slot != self.playout.own.slot:
            lost = messages.place_lost(self.playout.own.slot, self.identity.room)
            self._effects += [SendControl(control.Leave()), lost]
            self.gone = True
            return
        now = self._timebase.session_at(reading.local_ns)
        same_room = welcome.resumed and welcome.epoch == self.memory.epoch
        self._sealer = Sealer(welcome.key_up, welcome.channel)
        self._opener = Opener(welcome.key_down, welcome.channel)
        self._set_room(welcome)
        self.name = welcome.name
        self.memory.slot, self.memory.ticket, self.memory.epoch = welcome.slot, welcome.ticket, welcome.epoch
        if not same_room:
            self._enter(welcome.number, reading)
        self._timekeeper.restart(reading)
        self._uplink.next_seq = max(self._uplink.next_seq, welcome.next_seq)
        self.memory.next_seq = self._uplink.next_seq
        self.joined = self._connected = True
        self._sending = False
        if self._in_time:
            self._begin_sending(reading)
        self._start_book(now)
        self._quiet.restart(reading.local_ns)
        self._roster(welcome.members, quiet=True)
        if not self._standing.is_out:  # else it isn't over before a datagram has come
            self._effects += self._standing.inside(self._where())

    def _where(self) -> str:
        return messages.inside(self.identity.room, self.name, self.playout.own.slot, self.members)

    def _enter(self, number: int, reading: Reading) -> None:
        """Come into a room anew, or into another epoch of the relay: its numbers and instants are others."""
        self._downlink.enter(number, reading.local_s)
        self.playout.enter_epoch()
        self._ledger.enter_epoch()
        if self._timebase.clock.locked:
            self._timebase.clock.relock()
        self._effects += [SendControl(one) for one in self._foundation.told(self._is_ahead)]

    @property
    def _in_time(self) -> bool:
        """Whether session time is the room's. Until then its dues mean nothing here, nor ours there."""
        clock = self._timebase.clock
        return clock.locked and not clock.relocking

    def _begin_sending(self, reading: Reading) -> None:
        """Joined and in time: send what waits, and take in what came early."""
        self._awake_local_ns = reading.local_ns
        now = self._timebase.session_at(reading.local_ns)
        self._sending = True
        self._uplink.send_pending(self._is_ahead, self.timing, now=now, now_s=reading.local_s)
        told, early = self._downlink.take_early(now if self.playout.taken_over is None else 0)
        for one in told:
            self.playout.found(one, reading)
        for judged in early:
            self._take_in(judged, reading)

    def _start_book(self, now: int) -> None:
        """Count from now on; after a bridge that died, from where it can't have handed anything over."""
        after = 0 if self.playout.taken_over is None else HANDED_AHEAD_MAX
        self._ledger.start(now + after, slot=self.playout.own.slot)

    def _roster(self, members: list[control.Member], *, quiet: bool = False) -> None:
        for member in members:
            if member.slot != self.playout.own.slot:
                self.playout.meet(Origin(member.slot, member.outs, member.ins))
        if not quiet:
            self._effects += messages.roster_news(self.members, members, self.playout.own.slot)
        self.members = members

    # -- datagrams -----------------------------------------------------------------------------------

    def receive_datagram(self, payload: bytes, *, received_local_ns: int, reading: Reading) -> None:
        """Take in one datagram from the relay's address."""
        if self._opener is None:
            self._downlink.datagrams_refused += 1
            return
        try:
            parts = frames.decode(self._opener.open(payload))
        except RemoteError:
            self._downlink.datagrams_refused += 1
            return
        self._quiet.heard(reading.local_ns)
        if self._standing.is_out:
            self._effects += self._standing.inside(self._where())
        for frame in parts:
            try:
                self._frame(frame, received_local_ns, reading)
            except RemoteError:
                self._downlink.datagrams_refused += 1

    def _frame(self, frame: frames.Frame, received_local_ns: int, reading: Reading) -> None:
        now_s = reading.local_s
        match frame:
            case Judged():
                if not self._downlink.saw(frame, now_s):
                    return
                if not self._in_time:
                    self._downlink.keep_early(frame)
                    return
                if not self._downlink.is_past(frame):
                    self.playout.came(frame.judged, reading)
                    arrived = self._timebase.session_at(received_local_ns)
                    self._ledger.way_down(frame.number, seconds(arrived - frame.judged))
                self._take_in(frame, reading)
            case frames.BeatDown():
                self._downlink.announce(frame.number, now_s)
                if self._in_time:
                    self.playout.came(frame.sent, reading)
                    arrived = self._timebase.session_at(received_local_ns)
                    self._ledger.one_way_down(seconds(arrived - frame.sent))
            case frames.Nack():
                self._uplink.send_again(frame.ranges, now_s)
            case frames.Clock():
                self._step(self._timekeeper.answer(frame.ntp, received_local_ns, reading), reading)
            case _:
                raise MalformedDatagram(f"{type(frame).__name__} on a member's channel: no relay says that")

    def _take_in(self, event: Judged, reading: Reading) -> None:
        # A reset by the relay has a number that we may have given to an event of ours meanwhile.
        if event.slot == self.playout.own.slot and Flag.SILENCED not in event.flags:
            self._uplink.settle(event.seq)
        until = self._timebase.session_at(reading.local_ns) + self.playout.release_advance
        if event.due > until or not self._downlink.is_past(event):  # else over before this host came
            self.playout.judged(event, reading)

    def _step(self, convert: Callable[[int], int] | None, reading: Reading) -> None:
        """If the clock was set in one step, own reckonings move with it, at their local instants."""
        if convert is None:
            return
        moved = self.playout.convert(convert)
        self._uplink.convert(convert)
        self._start_book(self._timebase.session_at(reading.local_ns))
        self._effects.append(messages.clock_set(self._timebase.clock.error_bound_s, moved))
        if self.joined and not self._sending:
            self._begin_sending(reading)

    # -- time ----------------------------------------------------------------------------------------

    def wake(self, reading: Reading) -> None:
        """Do what time asks for: releases, clock requests, gaps, heartbeats, reports."""
        self._awake_local_ns = reading.local_ns
        self._effects += messages.wall_moved(self._timekeeper.watch(reading))
        now = self._timebase.session_at(reading.local_ns)
        # Before it is in time, events that have come are not in the queue.
        ready = self._downlink.ready_number if self._in_time else 0
        self.playout.release(reading, ready, alone=not self.joined)
        if self._connected and self._quiet.gives_up(reading.local_ns):
            self._effects += [*self._standing.out(messages.NOTHING, reading.local_ns), Abandon()]
        if not self.joined:
            return
        if not self._in_time:
            self._step(self._timekeeper.lock_if_ready(reading), reading)
            now = self._timebase.session_at(reading.local_ns)
        self._uplink.outbox.rtt_s = self._timebase.clock.rtt_s if self._in_time else RTT_GUESS_S
        self._downlink.ask(self._uplink.outbox, reading.local_s)
        for missing in self._downlink.gave_up():
            self._ledger.give_up(*missing)
        if self._sending:
            self._uplink.beat(self._downlink.complete_number, now=now, now_s=reading.local_s)
        if self._sending and self._ledger.report_at <= now:
            figures = path_figures(self._timebase, self._downlink, reading)
            self._effects += [SendControl(report) for report in self._ledger.due_reports(now, figures)]
        self._effects += self._standing.out(self._quiet.news(reading.local_ns), reading.local_ns)

    def flush(self, reading: Reading) -> list[Effect]:
        """Return all effects since the last flush; frames are joined into as few datagrams as they fit."""
        own, self._effects = self._effects, []
        effects: list[Effect] = [*map(ToSynth, self.playout.drain()), *self.playout.news(), *own]
        if self._sealer is not None:
            outbox, now_s = self._uplink.outbox, reading.local_s
            texts, request = outbox.flush(now_s), self._timekeeper.request(reading)
            if request is not None:
                outbox.pay(len(request), now_s)
                texts.append(request)
            effects += [SendDatagram(self._sealer.seal(text)) for text in texts]
        self._remember()
        return effects

    def next_wakeup_ns(self, reading: Reading) -> int:
        """Return the local instant (ns) of the next `wake`."""
        instants = [reading.local_ns + 250_000_000]
        release = self.playout.next_release()
        sessions = [] if release is None else [release]
        if self.joined:
            instants.append(self._timekeeper.next_poll_local_ns)
            outbox = self._uplink.outbox
            locals_s = [self._downlink.asks_at_s(outbox), outbox.next_wakeup_s()]
            if self._sending:
                sessions.append(self._ledger.report_at)
                locals_s.append(self._uplink.beat_at_s)
            instants += [round(at_s * 1e9) + 1 for at_s in locals_s if at_s is not None]
        if sessions:
            # One more: `local_at` rounds, and to be woken a nanosecond early is to be woken twice.
            instants.append(self._timebase.local_at(min(sessions)) + 1)
        return max(min(instants), reading.local_ns)

    def _remember(self) -> None:
        """Put down what the next bridge needs, should this one be killed."""
        before = self.playout.taken_over
        self.memory.remember_unconfirmed(self.playout.unconfirmed(), before)
        self._downlink.remember(self.memory, self.playout.held_numbers(), before)

    def _is_ahead(self, event: Stamped) -> bool:
        """Tell whether an event without a verdict is still to be played, so that the others can hear it."""
        return self.playout.is_ahead(event.seq, self._timebase.session_at(self._awake_local_ns))
