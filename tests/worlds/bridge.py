"""Helpers for tests of the bridge's cores: clock readings, judged events, and a playout to drive by hand."""

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
    """Return a reading of the local and the wall clock, `at_s` seconds after the start."""
    at_ns = round(at_s * 1e9)
    return Reading(at_ns, UNIX_NS + at_ns)


def instant(at_s: float) -> int:
    """Return the instant `at_s` seconds after the start, in session ticks. Its wall-clock timetag is
    equal."""
    return from_unix_ns(UNIX_NS) + ticks(at_s)


def note(node: int = 100, target: int = 4) -> bytes:
    """Return an /s_new message for a note, with Sonic Pi's own node ids."""
    return encode("/s_new", "sonic-pi-beep", node, 0, target, "note", 60.0, "out_bus", 34.0)


def group(node: int, target: int = 4) -> bytes:
    """Return a /g_new message for a group, with Sonic Pi's own node ids."""
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
    """Return a judged event as the relay sends it.

    payload: its message; without one the event is a slot reset. judged_s: when the relay judged it; by
    default at its due.
    """
    kind = kind if kind is not None else (Kind.TIMED if payload else Kind.RESET)
    at = instant(due_s if judged_s is None else judged_s)
    return Judged(number, slot, seq if seq is not None else number, instant(due_s), at, kind, flags, payload)


@dataclass
class Bench:
    """A bridge core with one member, in slot 1. Its synthdefs are loaded, so its playout can play at once."""

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
        """Return the bench's session, with a fixed lead and shift.

        With a `memory` of an earlier run, or a carrier other than UDP, the bench first builds a new bridge.
        """
        if memory is not None or carrier is not UDP:
            self._begin(memory if memory is not None else Memory(slot=1), carrier=carrier)
        self.bridge.session.emission.timing = Timing(ticks(lead_s), ticks(shift_s))
        return self.bridge.session

    def player(self, *, lead_s: float = 0.2, shift_s: float = 0.0) -> Player:
        """Return the bench's tap for Sonic Pi. The bridge isn't connected to a relay."""
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
        """Give the playout an own event that has no verdict yet; by default a note.

        due_s: its timetag, in seconds after `instant(0)`.
        """
        payload = payload if payload is not None else note(seq)
        at = instant(due_s)
        event = Stamped(seq, at, at, Kind.TIMED, payload)
        self.playout.hold_own(event, at, home=remap(single_message(payload), Origin(1)))

    def release(self, at_s: float, ready: int = 0) -> list[tuple[float, bytes]]:
        """Wake the playout at second `at_s`; return the bundles that it hands to scsynth.

        ready: events up to this number may be handed over early. A bundle is (timetag in seconds after
        `instant(0)`, message).
        """
        self.playout.release(reading(at_s), ready)
        return bundles(self.playout.drain())

    def passes(self, from_s: float, until_s: float, ready: int = 0) -> list[tuple[float, bytes]]:
        """Call `release` every 20 ms from from_s to until_s; return all bundles for scsynth."""
        steps = round((until_s - from_s) / 0.02)
        return [one for step in range(steps + 1) for one in self.release(from_s + step * 0.02, ready)]

    def counts(self) -> dict[str, int]:
        """Return the counts of the bridge's ledger that aren't 0, by name."""
        return {name: total for name, total in self.ledger.counts().items() if total}

    def digest(self, second: int) -> list[tuple[int, bytes]]:
        """Return (number, digest) of the events that the ledger holds for one second after `instant(0)`."""
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
