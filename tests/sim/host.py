"""One host of a virtual jam: its clocks, what its scsynth was handed, its bridge if that lives.

The process of the bridge is four objects of the real cores; `kill` takes them and leaves the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.memory import Memory
from bridge.player import Player
from bridge.playout import Playout
from bridge.report import SecondsLedger
from bridge.session import JamSession
from bridge.timebase import Timebase
from clock.model import Reading
from relay.wire.osc import encode
from relay.wire.sequence import Judged
from tests.sim.net import Network

START_UNIX_NS = 1_795_000_000_000_000_000
NEED_S, ADVANCE_S = 0.020, 0.065


@dataclass(frozen=True, slots=True)
class Handed:
    """A datagram as it reached a member's scsynth: true instant, wall timetag as a true instant, message."""

    at_ns: int
    timetag_ns: int | None
    message: bytes


class WatchedPlayout(Playout):
    """A playout whose verdicts and mishaps a test can see."""

    verdicts: list[Judged]
    swallow: Callable[[bytes], bool] | None = None
    """Given a datagram for scsynth: True loses it, although the ledger has it as handed over."""

    def judged(self, event: Judged, reading: Reading) -> None:
        """Note the verdict, then go on."""
        self.verdicts.append(event)
        super().judged(event, reading)

    def _hand_over(self, held, reading):
        if self.swallow is not None and held.number is not None and self.swallow(held.payload):
            return
        super()._hand_over(held, reading)


@dataclass(slots=True)
class Member:
    """One host: clocks, scsynth, Sonic Pi's socket, and the bridge's process if it lives."""

    name: str
    network: Network
    wall_offset_ns: int
    rate_ppm: float
    local_base_ns: int
    memory: Memory = field(default_factory=Memory)
    session: JamSession | None = None
    player: Player | None = None
    playout: WatchedPlayout | None = None
    ledger: SecondsLedger | None = None
    timebase: Timebase | None = None
    connection: int | None = None
    life: int = 0
    wakeups: int = 0
    timer: int = 0
    up_control_ns: int = 0
    down_control_ns: int = 0
    unread: list[tuple[bytes, int]] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    verdicts: list[Judged] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    synthdefs_loaded: bool = False
    bounds_s: list[float] = field(default_factory=list)

    def local_ns(self, true_ns: int) -> int:
        """Return the local clock's reading."""
        return self.local_base_ns + true_ns + round(true_ns * self.rate_ppm * 1e-6)

    def true_ns(self, local_ns: int) -> int:
        """Return the first true instant at which the local clock is not before `local_ns`."""
        true = round((local_ns - self.local_base_ns) / (1 + self.rate_ppm * 1e-6))
        while self.local_ns(true) < local_ns:
            true += 1
        return true

    def wall_ns(self, true_ns: int) -> int:
        """Return the wall clock's reading."""
        return START_UNIX_NS + true_ns + self.wall_offset_ns

    def reading(self, true_ns: int) -> Reading:
        """Read both clocks."""
        return Reading(self.local_ns(true_ns), self.wall_ns(true_ns))


def synth_reply(address: str, args: tuple[object, ...]) -> bytes | None:
    """What the virtual scsynth answers: just what the cores wait for."""
    if address == "/d_loadDir":
        return encode("/done", address)
    if address in ("/b_alloc", "/b_allocRead"):
        return encode("/done", address, int(str(args[0])))
    if address == "/sync":
        return encode("/synced", int(str(args[0])))
    return None
