"""Session: a bridge's membership in a room. It is fed bytes and clock readings, and returns effects.

Pure. Its parts are joined here. They number and send the player's events, track the room's events, keep
session time and exchange control messages with the relay. The state (`bridge/session/states.py`) decides
which of them is at work. While the relay is away, the local player's music is played by the same rules, at
dues that this bridge computes.
"""

from bridge.clocks.clock_client import ClockClient
from bridge.clocks.timebase import Timebase
from bridge.effects import Effect, SendControl, ToSynth
from bridge.playout.playout import Playout
from bridge.playout.second_reports import SecondsLedger
from bridge.restart_state import Identity, Memory
from bridge.session.arrivals import Arrivals
from bridge.session.connection_status import Standing
from bridge.session.conversation import Conversation
from bridge.session.emission import Emission
from bridge.session.membership import Membership
from bridge.session.own_live import endings
from bridge.session.room_clock import RoomClock
from bridge.session.sealed_path import SealedPath
from bridge.session.silent_udp import QuietWatch
from bridge.session.states import JOINED, State
from bridge.session.uplink import Uplink
from clock.model import Reading
from relay.wire import control, frames
from relay.wire.carrier import UDP, Carrier
from relay.wire.errors import MalformedDatagram, RemoteError
from relay.wire.sequence import Judged, Timing

WAKE_NS_MAX = 250_000_000
"""The longest time between two wake-ups (ns). If the code forgets to ask for a wake-up, nothing is delayed by
more than this."""


class JamSession:
    """A bridge's membership in a room, over all its connections to the relay."""

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
        """carrier: the transport of the events (UDP or TLS).

        standing: the bridge's state towards the relay so far; None for a new bridge, which plays alone.
        """
        self._standing = standing = standing or Standing()
        self._playout = playout
        uplink, clock_client = Uplink(memory.next_seq), ClockClient(timebase, reading)
        self.emission = Emission(
            uplink, playout, timebase, ledger, memory, standing, timing, copies=not carrier.reliable
        )
        self._arrivals = Arrivals(uplink, playout, timebase, ledger, memory, standing)
        self._path = SealedPath(uplink.outbox, clock_client)
        self._clock = RoomClock(clock_client, timebase, playout, self.emission, self._arrivals, standing)
        quiet = QuietWatch(carrier, local_ns=reading.local_ns)
        membership = Membership(identity, memory, playout.own)
        self._conversation = Conversation(
            standing, quiet, membership, self._path, self._clock, self.emission, self._arrivals, playout,
            local_ns=reading.local_ns,
        )  # fmt: skip
        self._effects: list[Effect] = []
        ledger.count(self._path.named)

    @property
    def state(self) -> State:
        """The state of the bridge towards its relay."""
        return self._standing.state

    @property
    def lead_s(self) -> float | None:
        """The room's lead, s; None outside of a room."""
        return self.emission.lead_s if self.state in JOINED else None

    # -- control messages ----------------------------------------------------------------------------

    def hello(self, reading: Reading) -> control.Hello:
        """Return the first message of a new connection."""
        return self._conversation.hello(reading)

    def receive_control(self, message: control.Down, reading: Reading) -> None:
        """Process one control message of the relay. `flush` returns its effects.

        Raises MalformedControl if the message is illegal in the present state.
        """
        self._effects += self._conversation.take_in(message, reading)

    def disconnected(self) -> None:
        """Note that the connection ended. From now on this bridge computes the dues of the local player's
        events."""
        self._effects += self._conversation.disconnected()

    def leave(self) -> list[Effect]:
        """Note that the player leaves for good. Return the last message to the relay; nothing if there is no
        connection."""
        return self._conversation.leave()

    # -- datagrams -----------------------------------------------------------------------------------

    def receive_datagram(self, payload: bytes, *, received_local_ns: int, reading: Reading) -> None:
        """Process one datagram from the relay's address. Bad ones are counted and dropped.

        received_local_ns: when the socket received it.
        """
        try:
            parts = self._path.receive(payload)
        except RemoteError:
            self._path.refused += 1
            return
        self._effects += self._conversation.heard(reading)
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
                self.emission.send_again(frame.ranges, reading)
            case frames.Clock():
                self._effects += self._clock.answer(frame, received_local_ns, reading)
            case _:
                raise MalformedDatagram(f"{type(frame).__name__} on a member's channel: no relay says that")

    # -- time ----------------------------------------------------------------------------------------

    def wake(self, reading: Reading) -> None:
        """Do the work that is due: releases, requests for missing events, heartbeats, reports."""
        self._conversation.awake(reading)
        self._effects += self._clock.watch(reading)
        self._playout.release(reading, self._arrivals.ready_number, alone=self.state not in JOINED)
        self._effects += self._conversation.given_up(reading)
        if self.state not in JOINED:
            return
        if self.state is State.IN_ROOM:
            self._effects += self._clock.lock_if_ready(reading)
        self._path.reckon_with(self._clock.rtt_s)
        self._arrivals.ask(reading)
        if self.state is State.IN_TIME:
            self.emission.beat(self._arrivals.complete_number, reading)
            self._effects += [SendControl(report) for report in self._arrivals.reports(reading)]
            self._effects += [SendControl(one) for one in endings(self._playout.own_ended())]
            self._effects += self._conversation.late_copies(reading)
        self._effects += self._conversation.complaints(reading)

    def flush(self, reading: Reading) -> list[Effect]:
        """Return all effects since the last flush. Frames are put into as few datagrams as possible."""
        own, self._effects = self._effects, []
        effects: list[Effect] = [*map(ToSynth, self._playout.drain()), *self._playout.news()]
        effects += [*self.emission.news(), *own, *self._path.flush(reading)]
        self._arrivals.remember()
        return effects

    def next_wakeup_ns(self, reading: Reading) -> int:
        """Return the local instant (ns) at which `wake` must be called next."""
        instants = [reading.local_ns + WAKE_NS_MAX]
        release = self._playout.next_release()
        sessions = [] if release is None else [release]
        if self.state in JOINED:
            instants.append(self._clock.next_poll_local_ns)
            locals_s = [self._arrivals.asks_at_s(), self._path.next_wakeup_s()]
            if self.state is State.IN_TIME:
                sessions.append(self._arrivals.report_at)
                locals_s.append(self.emission.beat_at_s)
            instants += [round(at_s * 1e9) + 1 for at_s in locals_s if at_s is not None]
        if sessions:
            # One more: `local_at` rounds, and to be woken a nanosecond early is to be woken twice.
            instants.append(self._clock.local_at(min(sessions)) + 1)
        return max(min(instants), reading.local_ns)
