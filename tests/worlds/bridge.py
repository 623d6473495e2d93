"""Shared by the tests of the bridge's cores: readings, judged events, a playout that records."""

from dataclasses import dataclass, field

from bridge.core import Bridge, Setup
from bridge.restart_state import Identity, Memory
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from bridge.scsynth.samples import ResourceFolders
from bridge.session.session import JamSession
from bridge.tap.tap import Player
from clock.model import Reading
from relay.wire.carrier import UDP, Carrier
from relay.wire.osc import encode, single_message, timetag_of, walk
from relay.wire.sequence import Flag, Judged, Kind, Stamped, Timing
from relay.wire.timetag import from_unix_ns, ticks

UNIX_NS = 1_795_000_000_000_000_000
TAP = ("127.0.0.1", 51_000)
NEED_S, ADVANCE_S = 0.020, 0.065


def reading(at_s: float) -> Reading:
    """Read clocks that agree with session time until there is a lock: local 0 is session second 0."""
    at_ns = round(at_s * 1e9)
    return Reading(at_ns, UNIX_NS + at_ns)


def instant(at_s: float) -> int:
    """Return the session instant (and wall timetag) of a second."""
    return from_unix_ns(UNIX_NS) + ticks(at_s)


def note(node: int = 100, target: int = 4) -> bytes:
    """Return an /s_new in Sonic Pi's numbers."""
    return encode("/s_new", "sonic-pi-beep", node, 0, target, "note", 60.0, "out_bus", 34.0)


def group(node: int, target: int = 4) -> bytes:
    """Return a /g_new in Sonic Pi's numbers."""
    return encode("/g_new", node, 1, target)


def judged(
    number: int,
    due_s: float,
    payload: bytes = b"",
    *,
    slot: int = 2,
    seq: int | None = None,
    kind: Kind | None = None,
    flags: Flag = Flag.NONE,
    judged_s: float | None = None,
) -> Judged:
    """Return a verdict, given at its due unless told otherwise; without a payload a slot reset."""
    kind = kind if kind is not None else (Kind.TIMED if payload else Kind.RESET)
    at = instant(due_s if judged_s is None else judged_s)
    return Judged(number, slot, seq if seq is not None else number, instant(due_s), at, kind, flags, payload)


@dataclass
class Bench:
    """A playout in slot 1 that has its synthdefs."""

    folders: ResourceFolders = field(default_factory=ResourceFolders)

    def __post_init__(self) -> None:
        self._begin(Memory(slot=1))

    def session(
        self,
        memory: Memory | None = None,
        *,
        lead_s: float = 0.2,
        shift_s: float = 0.0,
        carrier: Carrier = UDP,
    ) -> JamSession:
        """Return the session: another bridge's, if it is to remember something or its carrier isn't UDP."""
        if memory is not None or carrier is not UDP:
            self._begin(memory if memory is not None else Memory(slot=1), carrier=carrier)
        self.bridge.session.emission.timing = Timing(ticks(lead_s), ticks(shift_s))
        return self.bridge.session

    def player(self, *, lead_s: float = 0.2, shift_s: float = 0.0) -> Player:
        """Return a player that plays alone."""
        self.session(lead_s=lead_s, shift_s=shift_s)
        return self.bridge.player

    def _begin(self, memory: Memory, *, carrier: Carrier = UDP) -> None:
        self.memory = memory
        identity = Identity("main", "ada", "test", ticks(ADVANCE_S))
        setup = Setup(identity, Origin(1), ticks(NEED_S), memory, self.folders, carrier=carrier)
        self.bridge = Bridge(setup, reading(0.0))
        self.timebase, self.ledger, self.playout = (
            self.bridge.timebase, self.bridge.ledger, self.bridge.playout
        )  # fmt: skip
        self.playout.synthdefs_loaded()
        self.playout.drain()

    def hold(self, seq: int, due_s: float, payload: bytes | None = None) -> None:
        """Take in an own event as stamped, without a verdict: a note, unless told otherwise."""
        payload = payload if payload is not None else note(seq)
        at = instant(due_s)
        event = Stamped(seq, at, at, Kind.TIMED, payload)
        self.playout.hold_own(event, at, home=remap(single_message(payload), Origin(1)))

    def release(self, at_s: float, ready: int = 0) -> list[tuple[float, bytes]]:
        """Release the events that are due, and those that are near and have a number up to `ready`.

        Return the bundles for scsynth as (timetag in seconds after `instant(0)`, message).
        """
        self.playout.release(reading(at_s), ready)
        return bundles(self.playout.drain())

    def passes(self, from_s: float, until_s: float, ready: int = 0) -> list[tuple[float, bytes]]:
        """Let time pass at a host that is awake: `release` every 20 ms."""
        steps = round((until_s - from_s) / 0.02)
        return [one for step in range(steps + 1) for one in self.release(from_s + step * 0.02, ready)]

    def counts(self) -> dict[str, int]:
        """Return all counts beside the ledger's own figures, without those that are 0."""
        return {name: total for name, total in self.ledger.counts().items() if total}

    def digest(self, second: int) -> list[tuple[int, bytes]]:
        """Return the ledger's (number, digest) of a second after `instant(0)`."""
        return self.ledger.detail((instant(0) >> 32) + second).events


def bundles(datagrams: list[bytes]) -> list[tuple[float, bytes]]:
    """Return (timetag in seconds after `instant(0)`, message) of the bundles among datagrams."""
    found = []
    for datagram in datagrams:
        for timetag, message in walk(datagram):
            if timetag is not None:
                assert timetag == timetag_of(datagram)
                found.append((round((timetag - instant(0)) / 2**32, 6), message.raw))
    return found
