"""Session: a bridge's life in a room, from Hello to Leave; fed with bytes and time, returns effects.

Pure. Its parts number and send what the player emits, follow the room's numbers and keep the clock; here they
are put together, and here is the state (`bridge/session/states.py`) that says which of them is at work. While
the relay is away the player's own music is played as stamped, by the same rules.
"""

from collections.abc import Callable

from bridge import messages
from bridge.clocks.clock_client import Timekeeper
from bridge.clocks.timebase import Timebase
from bridge.effects import Abandon, Effect, SendControl, Tell, ToSynth
from bridge.playout.playout import Playout
from bridge.playout.seconds_ledger import SecondsLedger
from bridge.restart_state import Identity, Memory
from bridge.session.arrivals import Arrivals
from bridge.session.emission import Emission
from bridge.session.membership import Membership
from bridge.session.sealed_path import SealedPath
from bridge.session.silence_watch import QuietWatch
from bridge.session.standing import Standing
from bridge.session.states import CONNECTED, JOINED, Event, State
from bridge.session.uplink import Uplink
from clock.model import Reading
from relay.wire import control, frames
from relay.wire.carrier import UDP, Carrier
from relay.wire.errors import MalformedControl, MalformedDatagram, RemoteError
from relay.wire.sequence import Judged, Timing

WAKE_NS_MAX = 250_000_000
"""Nothing waits for a wake-up longer than this, whatever has been forgotten."""

News = control.Roster | control.Settings | control.Notice | control.Foundation | control.DigestRequest


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
        """carrier: of the events. standing: where the bridge stood with its relay before it was a bridge."""
        self._playout = playout
        self._timebase = timebase
        self._timekeeper = Timekeeper(timebase, reading)
        self._standing = standing or Standing()
        self._quiet = QuietWatch(carrier, local_ns=reading.local_ns)
        uplink = Uplink(memory.next_seq)
        self.emission = Emission(
            uplink, playout, timebase, ledger, memory, self._standing, timing, copies=not carrier.reliable
        )
        self._arrivals = Arrivals(uplink, playout, timebase, ledger, memory, self._standing)
        self._path = SealedPath(uplink.outbox, self._timekeeper)
        self._membership = Membership(identity, memory, playout.own)
        self._effects: list[Effect] = []
        self._awake_local_ns = reading.local_ns
        ledger.counters.append(self._path.named)

    @property
    def state(self) -> State:
        """Where the bridge stands with its relay."""
        return self._standing.state

    @property
    def lead_s(self) -> float | None:
        """The room's lead, None outside of a room."""
        return self.emission.lead_s if self.state in JOINED else None

    # -- the connection ------------------------------------------------------------------------------

    def hello(self, reading: Reading) -> control.Hello:
        """Return the first word of a new connection."""
        self._standing.see(Event.HELLO)
        self._awake_local_ns = reading.local_ns
        self._quiet.restart(reading.local_ns)
        return self._membership.hello(self.emission.first_wanted(self._timebase.session_at(reading.local_ns)))

    def disconnected(self) -> None:
        """Note that the connection ended: from now on this host plays as stamped."""
        self._effects += self._standing.ended(self._awake_local_ns)
        self._path.close()

    def leave(self) -> list[Effect]:
        """Note that the player leaves for good; return the last word to the relay."""
        said: list[Effect] = [SendControl(control.Leave())] if self.state in CONNECTED else []
        self._standing.see(Event.LEFT)
        self._path.close()
        return said

    # -- control messages ----------------------------------------------------------------------------

    def receive_control(self, message: control.Down, reading: Reading) -> None:
        """Take in one control message of the relay. Raises MalformedControl if no relay says that there."""
        self._quiet.said(reading.local_ns)
        match message:
            case control.Welcome():
                self._welcome(message, reading)
            case control.Refused():
                self._effects += self._standing.refused(message, reading.local_ns)
                if message.final:
                    self._path.close()
            case (
                control.Roster()
                | control.Settings()
                | control.Notice()
                | control.Foundation()
                | control.DigestRequest()
            ):
                self._standing.see(Event.NEWS)
                if self.state in JOINED:
                    self._news(message, reading)
            case _:
                raise MalformedControl(f"{type(message).__name__}: no relay says that to a bridge")

    def _welcome(self, welcome: control.Welcome, reading: Reading) -> None:
        if not self._membership.is_ours(welcome):
            self._standing.see(Event.WELCOME_ELSEWHERE)
            self._effects += [SendControl(control.Leave()), self._membership.place_lost()]
            return
        self._standing.see(Event.WELCOME)
        now = self._timebase.session_at(reading.local_ns)
        self._path.open(welcome)
        self._follow(welcome)
        if not self._membership.enter(welcome):
            self._enter(welcome.number, reading)
        self._timekeeper.restart(reading)
        self.emission.number_from(welcome.next_seq)
        if self._timebase.in_time:
            self._begin(reading)
        self._arrivals.count_from(now)
        self._quiet.restart(reading.local_ns)
        self._membership.follow(welcome.members)  # whoever is there already is no news
        self._meet()
        if not self._standing.is_out:  # else it isn't over before a datagram has come
            self._effects += self._standing.inside(self._membership.where())

    def _enter(self, number: int, reading: Reading) -> None:
        """Come into a room anew, or into another epoch of the relay: its numbers and instants are others."""
        self._arrivals.enter(number, reading)
        self._timekeeper.relock()
        boot_state = self.emission.boot_state(self._timebase.session_at(self._awake_local_ns))
        self._effects += [SendControl(one) for one in boot_state]

    def _news(self, message: News, reading: Reading) -> None:
        match message:
            case control.Roster():
                self._effects += self._membership.follow(message.members)
                self._meet()
            case control.Settings():
                self._follow(message)
            case control.Notice():
                self._effects.append(Tell(message.text, warning=True))
            case control.Foundation():
                self.emission.learn(message)
                self._arrivals.told(message, reading)
            case control.DigestRequest():
                self._effects.append(SendControl(self._arrivals.detail(message.second)))

    def _follow(self, room: control.Welcome | control.Settings) -> None:
        self.emission.follow(room)
        self._arrivals.follow(room)

    def _meet(self) -> None:
        for origin in self._membership.others():
            self._playout.meet(origin)

    # -- datagrams -----------------------------------------------------------------------------------

    def receive_datagram(self, payload: bytes, *, received_local_ns: int, reading: Reading) -> None:
        """Take in one datagram from the relay's address."""
        try:
            parts = self._path.receive(payload)
        except RemoteError:
            self._path.refused += 1
            return
        self._quiet.heard(reading.local_ns)
        if self._standing.is_out:
            self._effects += self._standing.inside(self._membership.where())
        for frame in parts:
            try:
                self._frame(frame, received_local_ns, reading)
            except RemoteError:
                self._path.refused += 1

    def _frame(self, frame: frames.Frame, received_local_ns: int, reading: Reading) -> None:
        match frame:
            case Judged():
                self._arrivals.event(frame, received_local_ns, reading)
            case frames.BeatDown():
                self._arrivals.beat(frame, received_local_ns, reading)
            case frames.Nack():
                self.emission.send_again(frame, reading)
            case frames.Clock():
                self._set_clock(self._timekeeper.answer(frame.ntp, received_local_ns, reading), reading)
            case _:
                raise MalformedDatagram(f"{type(frame).__name__} on a member's channel: no relay says that")

    # -- time ----------------------------------------------------------------------------------------

    def _set_clock(self, convert: Callable[[int], int] | None, reading: Reading) -> None:
        """If the clock was set in one step, own reckonings move with it, at their local instants."""
        if convert is None:
            return
        moved = self._playout.convert(convert)
        self.emission.convert(convert)
        self._arrivals.count_from(self._timebase.session_at(reading.local_ns))
        self._effects.append(messages.clock_set(self._timebase.error_bound_s, moved))
        if self.state is State.IN_TIME:
            self._standing.see(Event.CLOCK_SET)
        else:
            self._begin(reading)

    def _begin(self, reading: Reading) -> None:
        """Joined and in time: send what waits, and take in what came early."""
        self._standing.see(Event.CLOCK_SET)
        self.emission.begin(reading)
        self._arrivals.begin(reading)

    def wake(self, reading: Reading) -> None:
        """Do what time asks for: releases, clock requests, gaps, heartbeats, reports."""
        self._awake_local_ns = reading.local_ns
        self._effects += messages.wall_moved(self._timekeeper.watch(reading))
        self._playout.release(reading, self._arrivals.ready_number, alone=self.state not in JOINED)
        if self.state in CONNECTED and self._quiet.gives_up(reading.local_ns):
            self._effects += [*self._standing.out(messages.NOTHING, reading.local_ns), Abandon()]
        if self.state not in JOINED:
            return
        if self.state is State.IN_ROOM:
            self._set_clock(self._timekeeper.lock_if_ready(reading), reading)
        self._path.reckon_with(self._timebase.rtt_s if self.state is State.IN_TIME else None)
        self._arrivals.ask(reading)
        if self.state is State.IN_TIME:
            self.emission.beat(self._arrivals.complete_number, reading)
            self._effects += [SendControl(report) for report in self._arrivals.reports(reading)]
        self._effects += self._standing.out(self._quiet.news(reading.local_ns), reading.local_ns)

    def flush(self, reading: Reading) -> list[Effect]:
        """Return all effects since the last flush; frames are joined into as few datagrams as they fit."""
        own, self._effects = self._effects, []
        effects: list[Effect] = [*map(ToSynth, self._playout.drain()), *self._playout.news()]
        effects += [*self.emission.news(), *own, *self._path.flush(reading)]
        self._arrivals.remember()
        return effects

    def next_wakeup_ns(self, reading: Reading) -> int:
        """Return the local instant (ns) of the next `wake`."""
        instants = [reading.local_ns + WAKE_NS_MAX]
        release = self._playout.next_release()
        sessions = [] if release is None else [release]
        if self.state in JOINED:
            instants.append(self._timekeeper.next_poll_local_ns)
            locals_s = [self._arrivals.asks_at_s(), self._path.next_wakeup_s()]
            if self.state is State.IN_TIME:
                sessions.append(self._arrivals.report_at)
                locals_s.append(self.emission.beat_at_s)
            instants += [round(at_s * 1e9) + 1 for at_s in locals_s if at_s is not None]
        if sessions:
            # One more: `local_at` rounds, and to be woken a nanosecond early is to be woken twice.
            instants.append(self._timebase.local_at(min(sessions)) + 1)
        return max(min(instants), reading.local_ns)
