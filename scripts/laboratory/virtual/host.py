"""One host of a virtual jam: its clocks, its bridge while one runs, and the messages handed to its scsynth.

One object, the bridge's core, stands for the bridge's process. `Jam.kill` removes this object and leaves the
rest of the host.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from rehearsal.rigs.recording import walk as parts_of

from bridge.clocks.timebase import Timebase
from bridge.core import Bridge, Setup
from bridge.effects import Remember
from bridge.file_jobs import Answer, Job
from bridge.playout.holdback_queue import Held
from bridge.playout.playout import Playout
from bridge.restart_state import Identity, Memory
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from bridge.session import greeting
from bridge.session.connection_status import Standing
from bridge.session.states import Event
from clock.model import Reading
from laboratory.runs.generator import node_of
from laboratory.runs.tallying import Handed
from laboratory.virtual.net import Passage
from relay.wire import control
from relay.wire.osc import Message, encode, single_message, timetag_of
from relay.wire.sequence import Judged
from relay.wire.timetag import ticks, to_unix_ns

START_UNIX_NS = 1_795_000_000_000_000_000
FOLDERS = ResourceFolders()
TAP = ("127.0.0.1", 51_000)
NEED_S, ADVANCE_S = 0.024, 0.049
"""Need and release advance (s) of a bridge whose scsynth has 256 frames a hardware buffer.

Need is how early scsynth must have a bundle. Netlab's stand-in for scsynth reports this hardware buffer too.
"""
BOUND_EVERY_NS = 20_000_000
"""Interval (ns) at which a clock is asked for its bound. Asking at every wake-up would take longer than the
rest of the jam."""


class WatchedPlayout(Playout):
    """A playout that records its verdicts, and can lose messages on purpose, for tests."""

    verdicts: list[Judged]
    confirmed_ns: dict[int, int]
    """The member's own number (seq) of each own event -> local instant (ns) of the first verdict on it."""
    arrived_ns: dict[int, int]
    """The room's number of each event -> local instant (ns) at which the bridge first had it."""
    swallow: Callable[[bytes], bool] | None = None
    """Decides for each numbered event's message, before it is handed over, whether it is lost (True).

    In the ledger a lost message counts as handed over.
    """

    def judged(self, event: Judged, reading: Reading) -> None:
        """Record the arrival of a verdict, then process the verdict as any playout does."""
        self.verdicts.append(event)
        self.arrived_ns.setdefault(event.number, reading.local_ns)
        if event.slot == self.own.slot:
            self.confirmed_ns.setdefault(event.seq, reading.local_ns)
        super().judged(event, reading)

    def _deliver(self, batch: list[Held], now: int, reading: Reading) -> None:
        kept = [
            held
            for held in batch
            if self.swallow is None or held.number is None or not self.swallow(held.meaning.payload)
        ]
        super()._deliver(kept, now, reading)


@dataclass(slots=True)
class Member:
    """One host: clocks, scsynth, Sonic Pi's socket, and the bridge's process while it runs.

    up, down: the two directions of its leg. wall_offset_ns: how far its wall clock is ahead of true time.
    local_base_ns: reading of its local clock at true time 0.
    """

    name: str
    up: Passage
    down: Passage
    wall_offset_ns: int
    rate_ppm: float
    local_base_ns: int
    wall_ppm: float = 0.0
    """Rate error (ppm) of the wall clock; > 0: it is too fast. `rate_ppm` is that of the local clock."""
    memory: Memory = field(default_factory=Memory)
    standing: Standing = field(default_factory=Standing)
    """State of the bridge's connection to the room. A starting bridge gets a new one with its first Hello."""
    bridge: Bridge | None = None
    tunes: bool = False
    """True if the bridge sets the schedule-ahead of its Sonic Pi."""
    connection: int | None = None
    connections: int = 0
    """Number of control connections that the host has opened so far."""
    life: int = 0
    wakeups: int = 0
    again: int = 0
    """Number of wake-ups in a row after each of which the bridge asked to be woken again at once."""
    timer: int = 0
    unread: list[tuple[bytes, int]] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    verdicts: list[Judged] = field(default_factory=list)
    confirmed_ns: dict[int, int] = field(default_factory=dict)
    arrived_ns: dict[int, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    remembered: Remember = field(default_factory=lambda: Remember(TAP, False))
    """The state that the bridge last stored for the next bridge on this host, in addition to `memory`."""
    ran: list[str] = field(default_factory=list)
    """The pieces of code that the bridge sent to its Sonic Pi to run."""
    disk: Callable[[Job], Answer | None] = lambda _: None
    """Does the bridge's jobs with files. None: no answer comes."""
    jobs: list[Job] = field(default_factory=list)
    """The jobs with files that its bridge has asked for."""
    bounds_s: list[float] = field(default_factory=list)
    """Bounds (s) of the session clock's error, as stated by the bridge, one every BOUND_EVERY_NS."""
    bound_at_ns: int = 0

    @property
    def playout(self) -> WatchedPlayout | None:
        """The bridge's playout; None while no bridge runs."""
        playout = None if self.bridge is None else self.bridge.playout
        assert playout is None or isinstance(playout, WatchedPlayout)
        return playout

    @property
    def timebase(self) -> Timebase | None:
        """The bridge's estimate of session time; None while no bridge runs."""
        return None if self.bridge is None else self.bridge.timebase

    def local_ns(self, true_ns: int) -> int:
        """Return the local clock's reading (ns) at a true instant."""
        return self.local_base_ns + true_ns + round(true_ns * self.rate_ppm * 1e-6)

    def true_ns(self, local_ns: int) -> int:
        """Return the first true instant (ns) at which the local clock shows `local_ns` or later."""
        true = round((local_ns - self.local_base_ns) / (1 + self.rate_ppm * 1e-6))
        while self.local_ns(true) < local_ns:
            true += 1
        return true

    def wall_ns(self, true_ns: int) -> int:
        """Return the wall clock's reading (Unix ns) at a true instant."""
        return START_UNIX_NS + true_ns + self.wall_offset_ns + round(true_ns * self.wall_ppm * 1e-6)

    def true_of_wall_ns(self, wall_ns: int) -> int:
        """Return the true instant (ns, rounded) at which the wall clock shows `wall_ns` (Unix ns)."""
        return true_duration_ns(wall_ns - START_UNIX_NS - self.wall_offset_ns, self.wall_ppm)

    def take_in(self, datagram: bytes, true_ns: int) -> list[bytes]:
        """Record a datagram that scsynth is handed at a true instant (ns); return scsynth's answers."""
        if node_of(datagram[20:]) is not None and int.from_bytes(datagram[16:20]) == len(datagram) - 20:
            # One note of the generator: walking every one of them would cost a tenth of the whole run.
            timetag = timetag_of(datagram)
            tag_ns = self.true_of_wall_ns(to_unix_ns(timetag))
            self.handed.append(Handed(true_ns, tag_ns, datagram[20:], timetag))
            return []
        replies = []
        for index, (tag, message) in enumerate(parts_of(datagram)):
            bundled_ns = None if tag is None else self.true_of_wall_ns(to_unix_ns(tag))
            self.handed.append(Handed(true_ns, bundled_ns, message, tag or 0, index > 0))
            replies.append(synth_reply(single_message(message)))
        return [reply for reply in replies if reply is not None]

    def reading(self, true_ns: int) -> Reading:
        """Return the readings of both clocks at a true instant (ns)."""
        return Reading(self.local_ns(true_ns), self.wall_ns(true_ns))


def true_duration_ns(shown_ns: int, ppm: float) -> int:
    """Return the true duration (ns) of an interval that a clock with a rate error of `ppm` measures as
    `shown_ns`."""
    return shown_ns - round(shown_ns * (ppm * 1e-6 / (1 + ppm * 1e-6)))


def synth_reply(message: Message) -> bytes | None:
    """Return the virtual scsynth's answer to a message; None if the bridge's core waits for no answer."""
    match message.address:
        case "/d_loadDir" | "/d_recv":
            return encode("/done", message.address)
        case "/b_alloc" | "/b_allocRead":
            return encode("/done", message.address, int(message.args[0]))
        case "/sync":
            return encode("/synced", int(message.args[0]))
        case "/n_query":
            return encode("/n_info", int(message.args[0]), -1, -1, -1, 0)
    return None


def first_hello(member: Member) -> control.Hello:
    """Return the first Hello of a starting bridge, made from the memory of the bridge that ran before."""
    memory, member.standing = member.memory, Standing()
    member.standing.see(Event.HELLO)
    return greeting.hello(_identity(member), memory, outs=16, ins=16, next_seq=memory.next_seq)


def _identity(member: Member) -> Identity:
    return Identity("main", member.name, "sim", ticks(ADVANCE_S))


def start_bridge(member: Member, slot: int, reading: Reading) -> Bridge:
    """Start the member's bridge with the stored state of the bridge that ran before. slot: the member's
    slot."""
    known = member.remembered
    setup = Setup(
        identity=_identity(member),
        own=Origin(slot),
        need=ticks(NEED_S),
        memory=member.memory,
        folders=FOLDERS,
        standing=member.standing,
        tunes=member.tunes,
        restarted=member.life > 0,
        fetches=True,
        client=known.client,
        synthdefs_loaded=known.synthdefs_loaded,
    )
    bridge = member.bridge = Bridge(setup, reading, playout=WatchedPlayout)
    playout = member.playout
    assert playout is not None, "just made"
    playout.verdicts, playout.confirmed_ns = member.verdicts, member.confirmed_ns
    playout.arrived_ns = member.arrived_ns
    return bridge
