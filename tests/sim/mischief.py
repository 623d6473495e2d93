"""Mischief: what a Sonic Pi can send, or its network do, that strains the limits; in pieces that shrink.

Every node id stands for one thing, so every message is another; notes are sent into the run's group or an FX.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, get_args

from laboratory.virtual.net import Meddler
from laboratory.virtual.traffic import Sent

from relay.wire.osc import Arg, bundle, encode
from relay.wire.timetag import ticks

SOME_TAG = 0x8000_0000_0000_0002
AHEAD_S = 0.5
What = Literal["note", "group", "fx", "setting", "free"]
WHATS: tuple[What, ...] = get_args(What)
LargeWhat = Literal["groups", "frees", "mixed frees", "runs", "call", "fx", "setting", "values"]
LARGE: tuple[LargeWhat, ...] = get_args(LargeWhat)


@dataclass
class SonicPi:
    """One player: a run with its mixer, and what it sends, in seconds after its start."""

    sent: list[Sent] = field(default_factory=list)
    home_only: int = 0
    """Messages that can't travel."""
    ids: Iterator[int] = field(default_factory=lambda: count(100))
    run: int = 0

    def __post_init__(self) -> None:
        self.begin(0.0)

    def begin(self, at_s: float) -> None:
        """Begin a run."""
        self.run, mixer = next(self.ids), next(self.ids)
        self.bare(at_s, "/g_new", self.run, 1, 4)
        how = ("amp", 1.0, "in_bus", 36.0, "out_bus", 34.0)
        self.bare(at_s + 0.001, "/s_new", "sonic-pi-basic_mixer", mixer, 0, 2, *how)

    def bare(self, at_s: float, address: str, *args: Arg) -> None:
        """Send a message without a timetag."""
        self.sent.append(Sent(at_s, encode(address, *args), None))

    def timed(self, at_s: float, ahead_s: float, address: str, *args: Arg) -> None:
        """Send a bundle."""
        ahead = round((at_s + ahead_s) * 2**32)
        self.sent.append(Sent(at_s, bundle(SOME_TAG, encode(address, *args)), ahead))

    def note(self, at_s: float, ahead_s: float = AHEAD_S, group: int | None = None) -> int:
        """Play a note; return its node."""
        node = next(self.ids)
        target = self.run if group is None else group
        self.timed(at_s, ahead_s, "/s_new", "sonic-pi-beep", node, 0, target, "note", 60.0, "out_bus", 36.0)
        return node

    def with_fx(self, at_s: float) -> tuple[int, int]:
        """Open an FX as `with_fx` does; return the group that is freed at its end, and the one for notes."""
        outer, inner, fx = next(self.ids), next(self.ids), next(self.ids)
        self.bare(at_s, "/g_new", outer, 1, self.run)
        self.bare(at_s + 0.001, "/g_new", inner, 0, outer)
        self.bare(at_s + 0.002, "/s_new", "sonic-pi-fx_reverb", fx, 1, outer, "in_bus", 38.0, "out_bus", 36.0)
        return outer, inner

    def do(self, what: What, at_s: float, ahead_s: float) -> None:
        """Send one thing in a bundle."""
        match what:
            case "note":
                self.note(at_s, ahead_s)
            case "group":
                self.timed(at_s, ahead_s, "/g_new", next(self.ids), 1, self.run)
            case "fx":
                how = ("in_bus", 38.0, "out_bus", 36.0)
                self.timed(at_s, ahead_s, "/s_new", "sonic-pi-fx_echo", next(self.ids), 1, self.run, *how)
            case "setting":
                self.timed(at_s, ahead_s, "/n_set", self.note(at_s), "note", 60.0)
            case "free":
                outer, _ = self.with_fx(at_s)
                self.timed(at_s + 0.01, ahead_s, "/n_free", outer)


@dataclass(frozen=True)
class Burst:
    """Many notes, some of them in an FX of their own that is freed 0.3 s after it was opened."""

    notes: int
    per_s: int
    fx_every: int = 0

    def play(self, player: SonicPi, at_s: float) -> None:
        """Send it."""
        for index in range(self.notes):
            now_s, group = at_s + index / self.per_s, None
            if self.fx_every and index % self.fx_every == 0:
                outer, group = player.with_fx(now_s)
                player.bare(now_s + 0.3, "/n_free", outer)
            player.note(now_s, group=group)


@dataclass(frozen=True)
class Aside:
    """One thing with a timetag far ahead, or in the past (ahead_s < 0)."""

    what: What
    ahead_s: float

    def play(self, player: SonicPi, at_s: float) -> None:
        """Send it."""
        player.do(self.what, at_s, self.ahead_s)


@dataclass(frozen=True)
class Large:
    """One message that no datagram of the jam holds."""

    what: LargeWhat

    def play(self, player: SonicPi, at_s: float) -> None:
        """Send it."""
        options = [part for number in range(110) for part in (f"option_number_{number}", 0.5)]
        nodes = [next(player.ids) for _ in range(300)]
        match self.what:
            case "groups" | "frees" | "mixed frees" | "runs":
                groups = [part for node in nodes for part in (node, 1, player.run)]
                # In a bundle: bare ones behind a reset would be taken for part of Sonic Pi's start.
                player.timed(at_s, AHEAD_S, "/g_new", *groups)
                if self.what == "runs":
                    pairs = [part for node in nodes for part in (node, 0)]
                    player.timed(at_s + 0.1, AHEAD_S, "/n_run", *pairs)
                if self.what == "mixed frees":
                    nodes.insert(1, player.note(at_s + 0.05))
                if self.what in ("frees", "mixed frees"):
                    player.timed(at_s + 0.1, AHEAD_S, "/n_free", *nodes)
            case "call":
                player.timed(at_s, AHEAD_S, "/s_new", "sonic-pi-beep", nodes[0], 1, player.run, *options)
            case "fx":
                how = ("in_bus", 38.0, "out_bus", 36.0, *options * 5)
                player.timed(at_s, AHEAD_S, "/s_new", "sonic-pi-fx_echo", nodes[0], 1, player.run, *how)
            case "setting":
                player.timed(at_s, AHEAD_S, "/n_set", player.note(at_s), *options)
            case "values":
                player.timed(at_s, AHEAD_S, "/b_gen", 1, "sine1", 7, *[0.5] * 900)
                player.home_only += 1


@dataclass(frozen=True)
class Reset:
    """Everything is stopped and built anew, as Sonic Pi does it."""

    def play(self, player: SonicPi, at_s: float) -> None:
        """Send it."""
        player.bare(at_s, "/clearSched")
        player.bare(at_s + 0.001, "/g_freeAll", 0)
        for index, (group, action, target) in enumerate(((2, 0, 0), (3, 2, 2), (4, 2, 3), (5, 3, 2))):
            player.bare(at_s + 0.03 + index / 100, "/g_new", group, action, target)
        player.bare(at_s + 0.08, "/s_new", "sonic-pi-mixer", 6, 0, 2, "in_bus", 34.0)
        player.begin(at_s + 0.1)


Action = Burst | Aside | Large | Reset


@dataclass(frozen=True)
class Trouble:
    """A network that delays or loses (delay_s None) what enters it, one way, for a while."""

    member: str
    way: int
    from_s: float
    lasts_s: float
    delay_s: float | None = None


def meddler(troubles: list[Trouble]) -> Meddler:
    """Return what becomes of a datagram at a true instant."""

    def meddle(member: str, way: int, at_s: float) -> float | None:
        extra_s = 0.0
        for one in troubles:
            if (member, way) == (one.member, one.way) and one.from_s <= at_s < one.from_s + one.lasts_s:
                if one.delay_s is None:
                    return None
                extra_s += one.delay_s
        return extra_s

    return meddle


def last_due_s(sent: list[Sent]) -> float:
    """Return when all is over that a player sent, in seconds after its start."""
    return max(max(one.at_s, 0.0 if one.ahead is None else one.ahead / ticks(1.0)) for one in sent)
