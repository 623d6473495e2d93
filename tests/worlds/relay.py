"""A relay's hub and bridges connected to it, in virtual time: no sockets, no sleeping, a seeded Random.

Everything travels as bytes: control messages are encoded and decoded, datagrams sealed and opened.
"""

from collections.abc import Sequence
from random import Random

from relay.effects import CloseControl, Effect, SendControl, SendDatagram
from relay.hub.hub import RelayHub
from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.room.facet import FacetKind
from relay.room.facets.standard import standard
from relay.wire import control, frames
from relay.wire.datagram import Opener, Sealer
from relay.wire.osc import encode
from relay.wire.sequence import Judged, Kind, Scheme, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks
from relay.wire.version import PROTOCOL_VERSION

EPOCH = 3_990_000_000 << 32
"""The session clock at the start (ticks): a whole second in 2026."""

NOTE = encode("/s_new", "sonic-pi-beep", 1001, 0, 4)
GROUP = encode("/g_new", 5, 0, 2)


class FakeBridge:
    """A bridge as the hub sees it. Apart from heartbeats it sends only what a test tells it to."""

    def __init__(self, jam: "Jam", name: str = "ann", room: str = "main") -> None:
        self.jam = jam
        self.name = name
        self.room = room
        self.address: tuple[str, int] = ("192.0.2.1", 40_000 + len(jam.bridges))
        self.connection = 0
        self.closed = True
        self.alive = True
        """Whether it sends a heartbeat every 250 ms by itself."""
        self.said: list[control.Down] = []
        self.frames: list[frames.Frame] = []
        self.next_seq = 1
        jam.bridges.append(self)

    def hello(self, **changes: object) -> control.Down:
        """Open a new connection and send Hello on it; return the relay's answer.

        changes: fields of the Hello that differ from the usual.
        """
        self.jam.connections += 1
        self.connection, self.closed = self.jam.connections, False
        known: dict[str, object] = {
            "protocol": PROTOCOL_VERSION,
            "software": "fake",
            "room": self.room,
            "name": self.name,
            "next_seq": self.next_seq,
            "release_advance": ticks(0.020),
        }
        count = len(self.said)
        self.say(control.Hello(**(known | changes)))
        answer = next(message for message in self.said[count:] if not isinstance(message, control.Settings))
        if isinstance(answer, control.Welcome):
            self.welcome = answer
            self.sealer = Sealer(answer.key_up, answer.channel)
            self.opener = Opener(answer.key_down, answer.channel)
            self.next_seq = max(self.next_seq, answer.next_seq)
            self.beat()
        return answer

    def again(self, **changes: object) -> control.Down:
        """Connect again, with the ticket of the last Welcome; return the relay's answer."""
        return self.hello(ticket=self.welcome.ticket, epoch=self.welcome.epoch, **changes)

    def say(self, message: control.Up) -> None:
        """Send a control message over the connection."""
        decoded = self.jam.hub.codec.decode_up(control.encode(message))
        effects = self.jam.hub.receive_control(self.connection, decoded, self.jam.now, host=self.address[0])
        self.jam.do(effects)
        self.jam.settle()

    def hang_up(self) -> None:
        """Close the connection."""
        if not self.closed:
            self.closed = True
            self.jam.do(self.jam.hub.control_closed(self.connection, self.jam.now))
            self.jam.settle()

    def send(self, *parts: frames.Frame) -> bytes:
        """Send frames in one datagram; return it."""
        return self.send_plain(b"".join(map(frames.encode, parts)))

    def send_plain(self, plaintext: bytes) -> bytes:
        """Seal any bytes and send them as one datagram; return it."""
        datagram = self.sealer.seal(plaintext)
        self.jam.datagram(datagram, self.address)
        return datagram

    def beat(self) -> None:
        """Send a heartbeat."""
        self.send(frames.BeatUp(self.next_seq - 1, 0, self.jam.now))

    def stamp(
        self,
        payload: bytes = NOTE,
        *,
        kind: Kind = Kind.TIMED,
        ahead_s: float = 0.3,
        emitted: int | None = None,
    ) -> Stamped:
        """Give an event the next sequence number; return it without sending it.

        ahead_s: from emission to timetag. emitted: session ticks; by default now.
        """
        at = self.jam.now if emitted is None else emitted
        timetag = at + ticks(ahead_s) if kind is Kind.TIMED else None
        event = Stamped(self.next_seq, at, timetag, kind, payload)
        self.next_seq += 1
        return event

    def play(self, payload: bytes = NOTE, *, kind: Kind = Kind.TIMED) -> Stamped:
        """Stamp an event and send it."""
        event = self.stamp(payload, kind=kind)
        self.send(event)
        return event

    @property
    def judged(self) -> list[Judged]:
        """Return the judged events received so far, each once even if the relay repeated it."""
        events = [frame for frame in self.frames if isinstance(frame, Judged)]
        return list({event.number: event for event in events}.values())

    def heard(self, kind: type) -> list:
        """Return the control messages of one type received so far."""
        return [message for message in self.said if isinstance(message, kind)]


class Jam:
    """A relay's hub, its bridges, and the virtual time."""

    def __init__(
        self,
        *,
        lead_s: float = 0.2,
        shift_s: float = 0.0,
        rooms_max: int = 4,
        members_max: int = 4,
        scheme: Scheme = Scheme.JUDGED,
        policy: LeadPolicy | None = None,
        verdicts: list[tuple[str, Judged]] | None = None,
        more_facets: Sequence[FacetKind] = (),
    ) -> None:
        """Set up a hub with fixed lead_s and shift_s, or with a `policy` that chooses them.

        verdicts: a list to which all verdicts are added, as (room, event).
        """
        self.random = Random(7)
        self.now = EPOCH
        self.hub = RelayHub(
            facets=[
                *standard(policy or LeadPolicy(ticks(lead_s), ticks(shift_s)), verdicts),
                *more_facets,
            ],
            limits=HubLimits(rooms_max=rooms_max, members_max=members_max),
            entropy=self.random.randbytes,
            now=self.now,
            software="jamrelay test",
            scheme=scheme,
        )
        self.connections = 0
        self.bridges: list[FakeBridge] = []
        self.strangers: list[SendDatagram] = []
        """Datagrams to addresses that belong to no bridge."""
        self.sent: list[SendDatagram] = []

    def join(self, name: str, room: str = "main") -> FakeBridge:
        """Connect a new bridge, join a room and return the bridge. Fails if the relay refuses it."""
        bridge = FakeBridge(self, name, room)
        answer = bridge.hello()
        assert isinstance(answer, control.Welcome), answer
        return bridge

    def datagram(self, payload: bytes, source: object) -> list[Effect]:
        """Let a datagram reach the hub now; return the hub's immediate effects."""
        effects = self.hub.receive_datagram(payload, source, received=self.now, now=self.now)
        self.do(effects)
        self.settle()
        return effects

    def do(self, effects: list[Effect]) -> None:
        """Carry out the hub's effects: deliver each datagram and message at once, without loss."""
        for effect in effects:
            match effect:
                case SendDatagram(to, payload):
                    self.sent.append(effect)
                    bridge = next((one for one in self.bridges if one.address == to), None)
                    if bridge is None:
                        self.strangers.append(effect)
                    elif bridge.alive:
                        bridge.frames += frames.decode(bridge.opener.open(payload))
                case SendControl(connection, message):
                    decoded = self.hub.codec.decode_down(control.encode(message))
                    for bridge in self.bridges:
                        if bridge.connection == connection and not bridge.closed:
                            bridge.said.append(decoded)
                case CloseControl(connection):
                    for bridge in self.bridges:
                        if bridge.connection == connection:
                            bridge.hang_up()

    def settle(self) -> None:
        """Flush the hub. The real shell does so after every call."""
        self.do(self.hub.flush(self.now))

    def wake(self) -> None:
        """Wake the hub now."""
        self.do(self.hub.wake(self.now))
        self.settle()

    def finish_gathering(self) -> None:
        """Wake the hub, at one and the same instant, until all statistics being gathered are complete."""
        while self.hub.next_wakeup() == 0:
            self.wake()

    def advance(self, seconds: float) -> None:
        """Let time (s) pass and wake the hub whenever it wants to be. Fails if a wake-up does nothing."""
        end = self.now + ticks(seconds)
        beat_at = self.now
        while True:
            wakeup = self.hub.next_wakeup()
            self.now = min(max(wakeup, self.now), beat_at, end)
            if self.now == beat_at:
                beat_at += ticks(0.25)
                for bridge in self.bridges:
                    if bridge.alive and not bridge.closed:
                        bridge.beat()
            for _ in range(1 + len(self.hub.rooms)):  # each wake-up holds the round of one room only
                if self.hub.next_wakeup() <= self.now:
                    self.wake()
            assert self.hub.next_wakeup() > self.now, "nothing was done at the wake-up"
            if self.now >= end:
                return

    def at_s(self) -> float:
        """Return the seconds since the start."""
        return (self.now - EPOCH) / TICKS_PER_S
