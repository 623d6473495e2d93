"""A whole jam in virtual time: the real cores of bridge and relay, without sockets and sleeping.

Every member has a local clock with a rate error and a wall clock that is off by seconds. All random numbers
come from the seed, and everything that is delivered goes into one hash. So the same seed gives the same hash.
"""

import copy
import hashlib
from functools import partial
from random import Random
from typing import assert_never, cast

from msgspec import Struct

from bridge import effects
from bridge.session.states import State
from laboratory.runs.oracle import way_name
from laboratory.virtual.agenda import Agenda
from laboratory.virtual.host import TAP, Member, first_hello, start_bridge
from laboratory.virtual.net import DOWN, UP, Passage
from laboratory.virtual.relayhost import RelayHost
from laboratory.virtual.shell import Shell
from laboratory.virtual.stalls import Process
from laboratory.virtual.traffic import Sent
from laboratory.virtual.wires import Wires
from relay import effects as of_relay
from relay.hub.hub import RelayHub
from relay.lead.keeper import LeadPolicy, Safety
from relay.limits import HubLimits
from relay.netmodel.impairment import Leg
from relay.room.facets.standard import standard
from relay.wire import control
from relay.wire.sequence import Judged, Scheme
from relay.wire.stats import RoomStats
from relay.wire.timetag import from_unix_ns, ticks

RETRY_S = 0.5


class Jam(Agenda):
    """Members, their networks and a relay. Everything that happens is an action on one agenda."""

    def __init__(
        self,
        seed: int,
        *,
        lead_s: float | None = 0.2,
        shift_s: float | None = 0.0,
        safety: Safety = Safety.BALANCED,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
        watch_bounds: bool = True,
    ) -> None:
        """Start a relay. lead_s, shift_s: fixed values (s); None: the value tunes itself.

        repair: the relay asks for missing events. watch_bounds: keep the clock bounds that each bridge
        states.
        """
        super().__init__()
        self.seed = seed
        self.repair = repair
        self.scheme = scheme
        self.watch_bounds = watch_bounds
        self.dice = Random(seed)
        self.policy = LeadPolicy(
            lead=None if lead_s is None else ticks(lead_s),
            shift=None if shift_s is None else ticks(shift_s),
            safety=safety,
        )
        self.members: dict[str, Member] = {}
        self.verdicts: list[tuple[str, Judged]] = []
        """(room, verdict) of all relays that have run here, in the order in which they judged."""
        self.trace = hashlib.sha256()
        self._connections: dict[int, str] = {}
        self._next_connection = 1
        self.leaves_undone: tuple[type[effects.Effect], ...] = ()
        """Types of effects that members' bridges don't carry out, so that tests see what follows.

        It affects only members who join after it was set.
        """
        self.wires = Wires(self)
        self.relay = RelayHost(self, self._make_hub, self._do_of_relay)
        self._shells: dict[str, Shell] = {}
        self.relay.start()

    # -- stalls -----------------------------------------------------------------------------------------

    def stall_relay(self, until_s: float) -> None:
        """Stop the relay's process, as SIGSTOP does, from now until a true instant (s). Then it goes on."""
        self._stall(self.relay.process, until_s)

    def stall_bridge(self, member: Member, until_s: float) -> None:
        """Stop a bridge's process, as SIGSTOP does, from now until a true instant (s). Then it goes on."""
        self._stall(self._shells[member.name].process, until_s)

    def stall_way(self, member: Member, direction: int, until_s: float) -> None:
        """Hold back everything in one direction (UP or DOWN) of a member's leg, from now until a true instant
        (s).

        Control messages are held back too.
        """
        self.wires.hold(member, direction, until_s)

    def _stall(self, process: Process, until_s: float) -> None:
        until_ns = round(until_s * 1e9)
        process.stop(until_ns)
        self.at(until_ns, process.go_on)

    # -- the relay --------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The relay's session time (ticks)."""
        return self.relay.now

    def _make_hub(self, now: int) -> RelayHub:
        return RelayHub(
            facets=standard(self.policy, self.verdicts),
            limits=HubLimits(),
            entropy=self.dice.randbytes,
            now=now,
            software="sim",
            repair=self.repair,
            scheme=self.scheme,
        )

    def stop_relay(self) -> None:
        """End the relay. Its TCP connections end, and so the bridges notice."""
        self.relay.stop()
        for connection, name in list(self._connections.items()):
            self._disconnect(name, connection)

    @property
    def judged(self) -> list[Judged]:
        """All verdicts so far, in the order in which they were given."""
        return [event for _, event in self.verdicts]

    def stats(self) -> RoomStats:
        """Return the relay's statistics of the room "main"."""
        return self.relay.hub.stats("main", self.now).rooms[0]

    def _do_of_relay(self, effect: of_relay.Effect) -> None:
        match effect:
            case of_relay.SendDatagram(to, payload):
                self._down(cast(tuple[str, int], to)[0], payload)
            case of_relay.SendControl(connection, message):
                self._control_down(connection, message)
            case of_relay.CloseControl(connection):
                self._close_control(connection)
            case _:
                assert_never(effect)

    # -- the networks -----------------------------------------------------------------------------------

    def _up(self, member: Member, payload: bytes) -> None:
        def arrive() -> None:
            received = self.now

            def read() -> list[of_relay.Effect]:
                self.trace.update(b"u%d " % self.now_ns + payload)
                source = (member.name, 0)
                return self.relay.hub.receive_datagram(payload, source, received=received, now=self.now)

            self.relay.receive("events", read)

        self.wires.datagram(member, UP, len(payload), arrive)

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

            self._shells[name].receive("events", read)

        self.wires.datagram(member, DOWN, len(payload), arrive)

    def _control_up(self, member: Member, message: control.Up) -> None:
        connection = member.connection
        wire = control.encode(message)

        def read() -> list[of_relay.Effect]:
            if connection is None or connection not in self._connections:
                return []
            self.trace.update(b"U%d " % self.now_ns)
            decoded = control.decode_up(wire)
            return self.relay.hub.receive_control(connection, decoded, self.now, host=member.name)

        self.wires.control(member, UP, lambda: self.relay.receive("control", read))

    def _control_down(self, connection: int, message: Struct) -> None:
        name = self._connections.get(connection)
        if name is None:
            return
        member = self.members[name]
        wire = control.encode(message)

        def read() -> None:
            if member.connection == connection:
                self.trace.update(b"D%d " % self.now_ns)
                self._hear(member, control.decode_down(wire))

        def arrive() -> None:
            self._shells[name].receive("control", read)

        self.wires.control(member, DOWN, arrive)

    def _close_control(self, connection: int) -> None:
        name = self._connections.get(connection)
        if name is not None:
            member = self.members[name]
            self.wires.control(member, DOWN, lambda: self._disconnect(name, connection), meddled=False)

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
        """Add a host. Its bridge asks the relay for a slot, and starts when it has one.

        wall_offset_s: how far its wall clock is ahead. rate_ppm, wall_ppm: rate errors of its local and its
        wall clock. tunes: its bridge sets the schedule-ahead of its Sonic Pi.
        """
        base_ns = 1_000_000_000_000 + self.dice.randrange(10**12)
        up = Passage(leg.up, seed=self.seed, name=way_name(name, "up"))
        down = Passage(leg.down, seed=self.seed, name=way_name(name, "down"))
        member = Member(name, up, down, round(wall_offset_s * 1e9), rate_ppm, base_ns, wall_ppm)
        member.tunes = tunes
        self.members[name] = member
        self._shells[name] = Shell(
            self,
            member,
            self.trace,
            send=partial(self._up, member),
            say=partial(self._control_up, member),
            cut=partial(self.cut_control, member),
            undone=self.leaves_undone,
            watch_bounds=self.watch_bounds,
            name=f"seed {self.seed}",
        )
        self._connect(member)
        return member

    def start_alone(self, member: Member) -> None:
        """Start the member's bridge without an answer from the relay, as if the relay can't be reached."""
        if member.bridge is None:
            self._begin(member, member.memory.slot or 1)
            self._shells[member.name].settle()

    def kill(self, member: Member) -> None:
        """End the bridge's process, as kill -9 does. The member's memory and scsynth remain."""
        member.memory = copy.deepcopy(member.memory)
        member.bridge = None
        member.life += 1
        member.timer += 1
        if member.connection is not None:
            connection, member.connection = member.connection, None
            self._connections.pop(connection, None)
            self.relay.closed(connection)

    def restart(self, member: Member) -> None:
        """Start the bridge again from the member's memory."""
        self._connect(member)

    def leave(self, member: Member) -> None:
        """Let the member leave for good: its bridge sends its last messages, then its process ends."""
        assert member.bridge is not None, "gone already"
        for effect in member.bridge.leave():
            self._shells[member.name].do(effect, member.reading(self.now_ns))
        member.bridge = None
        member.life += 1
        member.timer += 1

    def cut_control(self, member: Member) -> None:
        """Break the member's TCP connection. Both sides notice."""
        assert member.connection is not None
        connection = member.connection
        self._disconnect(member.name, connection)
        self.relay.closed(connection)

    def play(self, member: Member, sent: list[Sent], at_s: float) -> None:
        """Let the member's Sonic Pi send datagrams. at_s: true instant (s) that is second 0 of the datagrams'
        own times."""
        start = from_unix_ns(member.wall_ns(round(at_s * 1e9)))
        for one in sent:
            datagram = one.stamped(start)
            self.at_s(at_s + one.at_s, partial(self.tap, member, datagram))

    def _connect(self, member: Member) -> None:
        bridge = member.bridge
        if member.connection is not None or (bridge is not None and bridge.session.state is State.GONE):
            return
        if self.relay.down:
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

        self._shells[name].receive("control", read)

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

        self._shells[member.name].receive("tap", read)
