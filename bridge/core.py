"""Bridge: the core of one member's bridge, where all its parts are put together.

Pure: it is fed bytes and clock readings, and returns one list of effects from `flush`. Any number of inputs
may come between two calls of `flush`. The service, the virtual laboratory, the fuzzer and the tests all use
it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.clocks.timebase import Timebase
from bridge.effects import Effect, NextWake, Remember, ToSonicPi, ToSynth
from bridge.file_jobs import Answer as Answered
from bridge.playout.fault_injection import FaultKind
from bridge.playout.playout import Playout
from bridge.playout.second_reports import SecondsLedger
from bridge.restart_state import Identity, Memory
from bridge.scsynth.id_space import Origin
from bridge.scsynth.samples import ResourceFolders
from bridge.session.connection_status import Standing
from bridge.session.session import JamSession
from bridge.session.states import JOINED
from bridge.sonicpi.schedule_ahead import AheadTuner
from bridge.stock.stock import Stock
from bridge.tap.answers import Address, Answer
from bridge.tap.tap import Player
from clock.model import Reading
from relay.wire import control, write
from relay.wire.carrier import UDP, Carrier
from relay.wire.sequence import Timing
from relay.wire.timetag import ticks

DEFAULT_TIMING = Timing(lead=ticks(0.200), shift=0)
"""Lead and shift (session ticks) until a relay sends its own."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings and the restart state with which a bridge starts.

    own: the member's slot and hardware channels. need: scsynth must get a bundle this many ticks before the
    bundle's timetag. memory: the restart state that a previous bridge process left; this bridge keeps it up
    to date. standing: the state of the connection so far; None for a new one. carrier: the transport of the
    events. tunes: whether the bridge sets Sonic Pi's schedule-ahead. fetches: whether it gets files from
    other members, and gives them its own.

    restarted: whether a previous bridge process left a record. client, synthdefs_loaded: as in the last
    `Remember` of that process.
    """

    identity: Identity
    own: Origin
    need: int
    memory: Memory
    folders: ResourceFolders
    standing: Standing | None = None
    carrier: Carrier = UDP
    tunes: bool = False
    fetches: bool = False
    restarted: bool = False
    client: Address | None = None
    synthdefs_loaded: bool = False


class Bridge:
    """The core of a member's bridge: tap, session, playout, paced replies, schedule-ahead, and restart
    state."""

    def __init__(self, setup: Setup, reading: Reading, *, playout: type[Playout] = Playout) -> None:
        """playout: the class to use; tests give a subclass that observes it."""
        identity, own, memory = setup.identity, setup.own, setup.memory
        memory.slot = own.slot
        self.timebase = Timebase(reading)
        self.ledger = SecondsLedger()
        self.stock = Stock(own.slot, fetches=setup.fetches)
        self.ledger.count(self.stock.named)
        self.playout = playout(
            own, self.timebase, setup.folders, self.ledger, self.stock,
            need=setup.need, release_advance=identity.release_advance,
        )  # fmt: skip
        self.session = JamSession(
            identity, self.playout, self.timebase, self.ledger, DEFAULT_TIMING, memory, reading,
            carrier=setup.carrier, standing=setup.standing,
        )  # fmt: skip
        self.player = Player(self.session.emission, self.playout, setup.folders)
        self.ledger.count(self.player.named)
        self.player.client = setup.client
        self._tuner = AheadTuner(reading.local_s, restarted=setup.restarted) if setup.tunes else None
        self._effects: list[Effect] = [ToSynth(write.register())]
        self._answers: list[Answer] = []
        if setup.synthdefs_loaded:
            self.playout.synthdefs_loaded()
        if setup.restarted:
            self.playout.inherit()

    # -- what comes in -------------------------------------------------------------------------------

    def tap(self, datagram: bytes, source: Address, *, received_local_ns: int, reading: Reading) -> None:
        """Process one datagram of the local Sonic Pi. received_local_ns: when the tap's socket received
        it."""
        self.player.receive(datagram, source, received_local_ns=received_local_ns, reading=reading)

    def synth_says(self, datagram: bytes) -> bool:
        """Process one datagram of the local scsynth. Return whether the datagram concerns this host. If not,
        there are no effects."""
        return self.player.reply(datagram)

    def relay_says(self, message: control.Down, reading: Reading) -> None:
        """Process one control message of the relay.

        Raises MalformedControl if the message is illegal in the present state.
        """
        self.session.receive_control(message, reading)
        self.stock.take_in(message, reading.local_s)

    def files_say(self, answer: Answered) -> None:
        """Process the shell's answer to a job with files."""
        self.stock.files_say(answer)

    def datagram(self, payload: bytes, *, received_local_ns: int, reading: Reading) -> None:
        """Process one datagram of the relay. received_local_ns: when the socket received it."""
        self.session.receive_datagram(payload, received_local_ns=received_local_ns, reading=reading)

    def hello(self, reading: Reading) -> control.Hello:
        """Return Hello, the first message of a new connection to the relay."""
        return self.session.hello(reading)

    def disconnected(self) -> None:
        """Note that the connection to the relay has ended."""
        self.session.disconnected()

    @property
    def asks_unread(self) -> int | None:
        """The UDP port of Sonic Pi's socket if the shell should call `unread` now; else None."""
        return self.player.asks_unread

    def unread(self, unread_bytes: int, reading: Reading) -> None:
        """Store how many bytes lie unread in Sonic Pi's socket. If there are many, replies to Sonic Pi
        wait."""
        self.player.unread(unread_bytes, reading.local_ns)

    def leave(self) -> list[Effect]:
        """Note that the player leaves. Return the bridge's last effects."""
        tuned = [] if self._tuner is None or self.player.left else self._tuner.leave()
        return [*tuned, *self.session.leave()]

    @property
    def left(self) -> bool:
        """Whether Sonic Pi has quit."""
        return self.player.left

    def count(self, *named: Callable[[], Mapping[str, int]]) -> None:
        """Add the shell's counts to the reports. Each function returns totals by name."""
        self.ledger.count(*named)

    def plant(self, kind: FaultKind) -> None:
        """Inject a fault into the next suitable note. Tests use this to check that the room notices
        faults."""
        self.playout.plant(kind)

    # -- time and what goes out ----------------------------------------------------------------------

    def wake(self, reading: Reading) -> None:
        """Do all work that is due by the clocks. `flush` returns the effects."""
        self.session.wake(reading)
        answers, own = self.player.drain()
        self._effects += [ToSynth(payload) for payload in own]
        self._answers += answers

    def flush(self, reading: Reading) -> list[Effect]:
        """Return all effects since the last flush, in the order in which to carry them out. The next wake-up
        comes last.

        Call this right after `wake`, with a new reading of the clocks, because a clock request to the relay
        is stamped with that reading.
        """
        effects, self._effects = self._effects, []
        effects += self.stock.flush(reading.local_s, in_room=self.session.state in JOINED)
        effects += self.session.flush(reading)
        answers, self._answers = self._answers, []
        answers += self.player.replies(reading.local_ns)
        effects += [ToSonicPi(answer.to, answer.payload) for answer in answers]
        if self._tuner is not None:
            counts = self.player.counts
            effects += self._tuner.wake(
                lead_s=self.session.lead_s, heard=counts.messages, runs=counts.runs, now_s=reading.local_s
            )
        effects.append(self._memory())
        wakeups = [self.session.next_wakeup_ns(reading), self.player.next_wakeup_ns()]
        if (gives_at_s := self.stock.next_at_s()) is not None:
            wakeups.append(max(round(gives_at_s * 1e9) + 1, reading.local_ns))
        effects.append(NextWake(min(at_ns for at_ns in wakeups if at_ns is not None)))
        return effects

    def _memory(self) -> Remember:
        return Remember(self.player.client, self.playout.has_synthdefs)
