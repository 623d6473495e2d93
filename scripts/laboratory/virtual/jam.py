"""A whole jam in virtual time: the real cores of bridge and relay, no sockets, no sleeping.

One integer counts true nanoseconds. The relay's clock is the true one; every member has a local clock with a
rate error and a wall clock that is off by seconds. All dice come from the seed, and everything that is
delivered goes into one hash: same seed, same trace.
"""

import copy
import hashlib
import heapq
from collections.abc import Callable
from functools import partial
from random import Random
from typing import assert_never, cast

from msgspec import Struct

from bridge.effects import (
    Abandon,
    Effect,
    NextWake,
    Remember,
    RunCode,
    SendControl,
    SendDatagram,
    Tell,
    ToSonicPi,
    ToSynth,
)
from bridge.session.states import State
from clock.model import Reading
from laboratory.runs.oracle import way_name
from laboratory.virtual.host import (
    BOUND_EVERY_NS,
    START_UNIX_NS,
    TAP,
    Member,
    first_hello,
    start_bridge,
)
from laboratory.virtual.net import DOWN, UP, Meddler, Passage
from laboratory.virtual.stalls import Process
from laboratory.virtual.traffic import Sent
from relay.effects import CloseControl
from relay.effects import SendControl as RelayControl
from relay.effects import SendDatagram as RelayDatagram
from relay.hub.hub import RelayHub
from relay.lead.keeper import Caution, LeadPolicy
from relay.limits import HubLimits
from relay.netmodel.impairment import Leg
from relay.room.facets.standard import standard
from relay.wire import control
from relay.wire.sequence import Judged, Scheme
from relay.wire.stats import RoomStats
from relay.wire.timetag import from_unix_ns, ticks

RETRY_S = 0.5


class Jam:
    """Members, their networks, and a relay, driven by one heap of instants."""

    def __init__(
        self,
        seed: int,
        *,
        lead_s: float | None = 0.2,
        shift_s: float | None = 0.0,
        caution: Caution = Caution.BALANCED,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
        watch_bounds: bool = True,
    ) -> None:
        """lead_s, shift_s: None where they tune themselves. repair: missing events are asked for.
        watch_bounds: keep the clock bound that each bridge reports."""
        self.seed = seed
        self.repair = repair
        self.scheme = scheme
        self.watch_bounds = watch_bounds
        self.dice = Random(seed)
        self.now_ns = 0
        self.policy = LeadPolicy(
            lead=None if lead_s is None else ticks(lead_s),
            shift=None if shift_s is None else ticks(shift_s),
            caution=caution,
        )
        self.members: dict[str, Member] = {}
        self.verdicts: list[tuple[str, Judged]] = []
        """All verdicts, of all epochs, as the relay gave them."""
        self.meddle: Meddler | None = None
        self.trace = hashlib.sha256()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._entries = 0
        self._connections: dict[int, str] = {}
        self._next_connection = 1
        self._relay_timer = 0
        self.leaves_undone: tuple[type[Effect], ...] = ()
        """Effects of bridges that aren't carried out, to see the consequences."""
        self.relay_skew_ns = 0
        self.relay_down = False
        self._effects: list[object] = []
        """Effects of the relay after its latest input."""
        self._relay = Process(self._settle_relay)
        self._bridges: dict[str, Process] = {}
        self._ways_still_ns: dict[tuple[str, int], int] = {}
        self.start_relay()

    # -- time -------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The relay's session time, which is true time unless a test skews it."""
        return from_unix_ns(START_UNIX_NS + self.now_ns + self.relay_skew_ns)

    def at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do something at a true instant."""
        self._entries += 1
        heapq.heappush(self._heap, (max(true_ns, self.now_ns), self._entries, action))

    def at_s(self, true_s: float, action: Callable[[], None]) -> None:
        """Do something at a true instant in seconds."""
        self.at(round(true_s * 1e9), action)

    def run(self, until_s: float) -> None:
        """Let time pass. A failure on the way names the seed."""
        until_ns = round(until_s * 1e9)
        while self._heap and self._heap[0][0] <= until_ns:
            self.now_ns, _, action = heapq.heappop(self._heap)
            action()
        self.now_ns = until_ns

    # -- stalls -----------------------------------------------------------------------------------------

    def stall_relay(self, until_s: float) -> None:
        """Stop the relay's process now, as SIGSTOP does, until a true instant."""
        self._stall(self._relay, until_s)

    def stall_bridge(self, member: Member, until_s: float) -> None:
        """Stop a bridge's process now, as SIGSTOP does, until a true instant."""
        self._stall(self._bridges[member.name], until_s)

    def stall_way(self, member: Member, direction: int, until_s: float) -> None:
        """Let a member's way, UP or DOWN, stand still from now until a true instant, control included."""
        self._ways_still_ns[member.name, direction] = round(until_s * 1e9)

    def _stall(self, process: Process, until_s: float) -> None:
        until_ns = round(until_s * 1e9)
        process.stop(until_ns)
        self.at(until_ns, process.go_on)

    # -- the relay --------------------------------------------------------------------------------------

    def start_relay(self) -> None:
        """Start a relay that knows nothing: a new epoch."""
        self.hub = RelayHub(
            facets=standard(self.policy, self.verdicts),
            limits=HubLimits(),
            entropy=self.dice.randbytes,
            now=self.now,
            software="sim",
            repair=self.repair,
            scheme=self.scheme,
        )
        self.relay_down = False
        self._settle_relay()

    def stop_relay(self) -> None:
        """End the relay; TCP tells the bridges."""
        self.relay_down = True
        self._relay_timer += 1
        for connection, name in list(self._connections.items()):
            self._disconnect(name, connection)

    @property
    def judged(self) -> list[Judged]:
        """The relay's verdicts so far, in its order."""
        return [event for _, event in self.verdicts]

    def stats(self) -> RoomStats:
        """Return the room's statistics."""
        return self.hub.stats("main", self.now).rooms[0]

    def _settle_relay(self) -> None:
        effects, self._effects = self._effects, []
        if self.relay_down:
            return
        for effect in [*effects, *self.hub.wake(self.now), *self.hub.flush(self.now)]:
            match effect:
                case RelayDatagram(to, payload):
                    self._down(cast(tuple[str, int], to)[0], payload)
                case RelayControl(connection, message):
                    self._control_down(connection, message)
                case CloseControl(connection):
                    self._close_control(connection)
        self._relay_timer += 1
        mine = self._relay_timer
        wait_ns = max(0, (self.hub.next_wakeup() - self.now) * 1_000_000_000 >> 32) + 1000
        self.at(self.now_ns + wait_ns, lambda: self._relay_woken(mine))

    def _close_control(self, connection: int) -> None:
        name = self._connections.get(connection)
        if name is None:
            return
        member = self.members[name]
        arrival_s = member.down.control_arrival_s(self.now_ns / 1e9)
        self._arrive_at(arrival_s, member, DOWN, lambda: self._disconnect(name, connection))

    def _relay_woken(self, timer: int) -> None:
        if timer == self._relay_timer and not self._relay.is_still(self.now_ns):
            self._settle_relay()

    # -- the networks -----------------------------------------------------------------------------------

    def _up(self, member: Member, payload: bytes) -> None:
        def arrive() -> None:
            received = self.now

            def read() -> None:
                if not self.relay_down:
                    self.trace.update(b"u%d " % self.now_ns + payload)
                    self._effects += self.hub.receive_datagram(
                        payload, (member.name, 0), received=received, now=self.now
                    )

            self._relay.receive("events", read, self.now_ns)

        self._travel(member, UP, len(payload), arrive)

    def _down(self, name: str, payload: bytes) -> None:
        member = self.members[name]
        life = member.life

        def arrive() -> None:
            received_ns = member.local_ns(self.now_ns)

            def read() -> None:
                if member.bridge is not None and member.life == life:
                    self.trace.update(b"d%d " % self.now_ns + payload)
                    reading = member.reading(self.now_ns)
                    member.bridge.datagram(payload, received_local_ns=received_ns, reading=reading)

            self._bridges[name].receive("events", read, self.now_ns)

        self._travel(member, DOWN, len(payload), arrive)

    def _travel(self, member: Member, direction: int, size: int, arrive: Callable[[], None]) -> None:
        extra = self._meddled(member, direction)
        if extra is None:
            return
        passage = member.up if direction == UP else member.down
        for at_s in passage.arrivals_s(self.now_ns / 1e9, size):
            self._arrive_at(at_s + extra, member, direction, arrive)

    def _arrive_at(self, true_s: float, member: Member, direction: int, arrive: Callable[[], None]) -> None:
        def come_out() -> None:
            until_ns = self._ways_still_ns.get((member.name, direction), 0)
            if self.now_ns < until_ns:
                self.at(until_ns, arrive)
            else:
                arrive()

        self.at_s(true_s, come_out)

    def _meddled(self, member: Member, direction: int) -> float | None:
        """Return the delay (s) that the meddler adds to a datagram sent now; None to lose it."""
        return 0.0 if self.meddle is None else self.meddle(member.name, direction, self.now_ns / 1e9)

    def _control_up(self, member: Member, message: control.Up) -> None:
        connection = member.connection
        wire = control.encode(message)
        # Nothing is lost on it, whatever the meddler says of datagrams.
        arrival_s = member.up.control_arrival_s(self.now_ns / 1e9) + (self._meddled(member, UP) or 0.0)

        def read() -> None:
            if connection is not None and connection in self._connections and not self.relay_down:
                self.trace.update(b"U%d " % self.now_ns)
                self._effects += self.hub.receive_control(
                    connection, control.decode_up(wire), self.now, host=member.name
                )

        def arrive() -> None:
            self._relay.receive("control", read, self.now_ns)

        self._arrive_at(arrival_s, member, UP, arrive)

    def _control_down(self, connection: int, message: Struct) -> None:
        name = self._connections.get(connection)
        if name is None:
            return
        member = self.members[name]
        wire = control.encode(message)
        arrival_s = member.down.control_arrival_s(self.now_ns / 1e9) + (self._meddled(member, DOWN) or 0.0)

        def read() -> None:
            if member.connection == connection:
                self.trace.update(b"D%d " % self.now_ns)
                self._hear(member, control.decode_down(wire))

        def arrive() -> None:
            self._bridges[name].receive("control", read, self.now_ns)

        self._arrive_at(arrival_s, member, DOWN, arrive)

    # -- members ----------------------------------------------------------------------------------------

    def join(
        self,
        name: str,
        leg: Leg,
        *,
        wall_offset_s: float = 0.0,
        rate_ppm: float = 0.0,
        wall_ppm: float = 0.0,
        tunes: bool = False,
    ) -> Member:
        """Bring in a host and start its bridge, which asks the relay for its slot first."""
        base_ns = 1_000_000_000_000 + self.dice.randrange(10**12)
        up = Passage(leg.up, seed=self.seed, name=way_name(name, "up"))
        down = Passage(leg.down, seed=self.seed, name=way_name(name, "down"))
        member = Member(name, up, down, round(wall_offset_s * 1e9), rate_ppm, base_ns, wall_ppm)
        member.tunes = tunes
        self.members[name] = member
        self._bridges[name] = Process(partial(self.settle, member))
        self._connect(member)
        return member

    def start_alone(self, member: Member) -> None:
        """Begin without a word of the relay, as a bridge does that doesn't find it."""
        if member.bridge is None:
            self._begin(member, member.memory.slot or 1)

    def kill(self, member: Member) -> None:
        """kill -9: only memory and scsynth stay."""
        member.memory = copy.deepcopy(member.memory)
        member.bridge = None
        member.life += 1
        member.timer += 1
        if member.connection is not None:
            connection, member.connection = member.connection, None
            self._connections.pop(connection, None)
            self._effects += self.hub.control_closed(connection, self.now)
            self._settle_relay()

    def restart(self, member: Member) -> None:
        """Start the bridge again from its memory."""
        self._connect(member)

    def leave(self, member: Member) -> None:
        """Leave for good: the last word is sent, then the process ends."""
        assert member.bridge is not None, "gone already"
        for effect in member.bridge.leave():
            self._do(member, effect, member.reading(self.now_ns))
        member.bridge = None
        member.life += 1
        member.timer += 1

    def cut_control(self, member: Member) -> None:
        """Break the TCP connection; both sides notice."""
        assert member.connection is not None
        connection = member.connection
        self._disconnect(member.name, connection)
        self._effects += self.hub.control_closed(connection, self.now)
        self._settle_relay()

    def play(self, member: Member, sent: list[Sent], at_s: float) -> None:
        """Let the member's Sonic Pi send something from a true instant on."""
        start = from_unix_ns(member.wall_ns(round(at_s * 1e9)))
        for one in sent:
            datagram = one.stamped(start)
            self.at_s(at_s + one.at_s, partial(self.tap, member, datagram))

    def _connect(self, member: Member) -> None:
        bridge = member.bridge
        if member.connection is not None or (bridge is not None and bridge.session.state is State.GONE):
            return
        if self.relay_down:
            self.at(self.now_ns + round(RETRY_S * 1e9), lambda: self._connect(member))
            return
        member.connections += 1
        member.connection = self._next_connection
        self._next_connection += 1
        self._connections[member.connection] = member.name
        hello = first_hello(member) if bridge is None else bridge.hello(member.reading(self.now_ns))
        self._control_up(member, hello)

    def _disconnect(self, name: str, connection: int) -> None:
        self._connections.pop(connection, None)
        member = self.members[name]
        if member.connection != connection:
            return
        member.connection = None

        def read() -> None:
            if member.bridge is not None:
                member.bridge.disconnected()
                self.at(self.now_ns + round(RETRY_S * 1e9), lambda: self._connect(member))

        self._bridges[name].receive("control", read, self.now_ns)

    def _begin(self, member: Member, slot: int) -> None:
        reading = member.reading(self.now_ns)
        bridge = start_bridge(member, slot, reading)
        unread, member.unread = member.unread, []
        for datagram, received_ns in unread:
            bridge.tap(datagram, TAP, received_local_ns=member.local_ns(received_ns), reading=reading)

    def _hear(self, member: Member, message: control.Down) -> None:
        if member.bridge is None:
            if not isinstance(message, control.Welcome):
                return
            self._begin(member, message.slot)
        assert member.bridge is not None
        member.bridge.relay_says(message, member.reading(self.now_ns))

    def tap(self, member: Member, datagram: bytes) -> None:
        """Let the member's Sonic Pi send a datagram now."""
        self.trace.update(b"t%d " % self.now_ns + datagram)
        received_ns = self.now_ns

        def read() -> None:
            if member.bridge is None:
                member.unread.append((datagram, received_ns))
                return
            local_ns, reading = member.local_ns(received_ns), member.reading(self.now_ns)
            member.bridge.tap(datagram, TAP, received_local_ns=local_ns, reading=reading)

        self._bridges[member.name].receive("tap", read, self.now_ns)

    def settle(self, member: Member) -> None:
        """Carry out the effects of a member's latest input, like bridge/shells/service.py."""
        bridge = member.bridge
        if bridge is None:
            return
        reading = member.reading(self.now_ns)
        bridge.wake(reading)
        if bridge.asks_unread is not None:
            bridge.unread(0, reading)  # this Sonic Pi reads at once
        for effect in bridge.flush(reading):
            self._do(member, effect, reading)
        if self.watch_bounds and self.now_ns >= member.bound_at_ns:
            member.bound_at_ns = self.now_ns + BOUND_EVERY_NS
            clock = bridge.timebase.clock
            if clock.locked and not clock.relocking:
                member.bounds_s.append(clock.error_bound_s)

    def _do(self, member: Member, effect: Effect, reading: Reading) -> None:
        if isinstance(effect, self.leaves_undone):
            return
        match effect:
            case ToSynth(payload):
                self._to_synth(member, payload)
            case ToSonicPi(_, payload):
                member.heard.append(payload)
            case SendDatagram(payload):
                self._up(member, payload)
            case SendControl(message):
                self._control_up(member, message)
            case Abandon():
                self.at(self.now_ns, partial(self._abandon, member, member.connection))
            case RunCode(code):
                member.ran.append(code)
            case Tell(text, _):
                member.told.append(text)
            case Remember():
                member.remembered = effect
            case NextWake(local_ns):
                # Once is right: where the clock was set by this very wake-up, what is due by it comes next.
                member.again = member.again + 1 if local_ns <= reading.local_ns else 0
                assert member.again < 2, f"seed {self.seed}: {member.name} would be woken for ever"
                member.timer += 1
                mine = member.timer
                self.at(member.true_ns(local_ns), lambda: self._woken(member, mine))
            case _:
                assert_never(effect)

    def _abandon(self, member: Member, connection: int | None) -> None:
        """Close a connection from the bridge's side."""
        if connection is not None and member.connection == connection:
            self.cut_control(member)

    def _woken(self, member: Member, timer: int) -> None:
        if timer == member.timer and not self._bridges[member.name].is_still(self.now_ns):
            member.wakeups += 1
            self.settle(member)

    def _to_synth(self, member: Member, datagram: bytes) -> None:
        self.trace.update(b"s%d " % self.now_ns + datagram)
        for reply in member.take_in(datagram, self.now_ns):
            self.at(self.now_ns + 20_000_000, partial(self._synth_says, member, reply))

    def _synth_says(self, member: Member, reply: bytes) -> None:
        def read() -> None:
            if member.bridge is not None:
                member.bridge.synth_says(reply)

        self._bridges[member.name].receive("scsynth", read, self.now_ns)
