"""Hostile or unlucky traffic for virtual jams: what a Sonic Pi may send, and what its network may do to it.

It is made of small pieces, so that a failing test can be shrunk. No two messages are equal, since no node id
is used twice. Each note plays in the group of its run or of an FX.
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
    """One player's traffic: a run with its mixer, and what tests add. Times are seconds after its start."""

    sent: list[Sent] = field(default_factory=list)
    home_only: int = 0
    """Number of messages too large to travel, which only the player's own scsynth gets."""
    ids: Iterator[int] = field(default_factory=lambda: count(100))
    run: int = 0

    def __post_init__(self) -> None:
        self.begin(0.0)

    def begin(self, at_s: float) -> None:
        """Begin a run: add its group and mixer."""
        self.run, mixer = next(self.ids), next(self.ids)
        self.bare(at_s, "/g_new", self.run, 1, 4)
        how = ("amp", 1.0, "in_bus", 36.0, "out_bus", 34.0)
        self.bare(at_s + 0.001, "/s_new", "sonic-pi-basic_mixer", mixer, 0, 2, *how)

    def bare(self, at_s: float, address: str, *args: Arg) -> None:
        """Add a message without a timetag."""
        self.sent.append(Sent(at_s, encode(address, *args), None))

    def timed(self, at_s: float, ahead_s: float, address: str, *args: Arg) -> None:
        """Add a message in a bundle, with a timetag `ahead_s` after at_s."""
        ahead = round((at_s + ahead_s) * 2**32)
        self.sent.append(Sent(at_s, bundle(SOME_TAG, encode(address, *args)), ahead))

    def note(self, at_s: float, ahead_s: float = AHEAD_S, group: int | None = None) -> int:
        """Add a note; return its node id. By default it plays in the run's group."""
        node = next(self.ids)
        target = self.run if group is None else group
        self.timed(at_s, ahead_s, "/s_new", "sonic-pi-beep", node, 0, target, "note", 60.0, "out_bus", 36.0)
        return node

    def with_fx(self, at_s: float) -> tuple[int, int]:
        """Add an FX: two groups and a synth. Return (outer group, inner group).

        The outer group is freed at the FX's end. The inner one holds the FX's notes.
        """
        outer, inner, fx = next(self.ids), next(self.ids), next(self.ids)
        self.bare(at_s, "/g_new", outer, 1, self.run)
        self.bare(at_s + 0.001, "/g_new", inner, 0, outer)
        self.bare(at_s + 0.002, "/s_new", "sonic-pi-fx_reverb", fx, 1, outer, "in_bus", 38.0, "out_bus", 36.0)
        return outer, inner

    def do(self, what: What, at_s: float, ahead_s: float) -> None:
        """Add one thing of the given kind, with a timetag `ahead_s` after at_s."""
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
    """Many notes. Every `fx_every`th note opens an FX, whose groups are freed 0.3 s later. With 0 none
    does."""

    notes: int
    per_s: int
    fx_every: int = 0

    def play(self, player: SonicPi, at_s: float) -> None:
        """Add the notes to a player's traffic."""
        for index in range(self.notes):
            now_s, group = at_s + index / self.per_s, None
            if self.fx_every and index % self.fx_every == 0:
                outer, group = player.with_fx(now_s)
                player.bare(now_s + 0.3, "/n_free", outer)
            player.note(now_s, group=group)


@dataclass(frozen=True)
class Aside:
    """A single message with an unusual timetag, far ahead or in the past (ahead_s < 0)."""

    what: What
    ahead_s: float

    def play(self, player: SonicPi, at_s: float) -> None:
        """Add the message to a player's traffic."""
        player.do(self.what, at_s, self.ahead_s)


@dataclass(frozen=True)
class Large:
    """A single message that is too long for one datagram of the jam."""

    what: LargeWhat

    def play(self, player: SonicPi, at_s: float) -> None:
        """Add the message, and whatever it needs, to a player's traffic."""
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
    """A full stop, as Sonic Pi does it: free everything and build the basic groups again."""

    def play(self, player: SonicPi, at_s: float) -> None:
        """Add the reset to a player's traffic, and begin a new run."""
        player.bare(at_s, "/clearSched")
        player.bare(at_s + 0.001, "/g_freeAll", 0)
        for index, (group, action, target) in enumerate(((2, 0, 0), (3, 2, 2), (4, 2, 3), (5, 3, 2))):
            player.bare(at_s + 0.03 + index / 100, "/g_new", group, action, target)
        player.bare(at_s + 0.08, "/s_new", "sonic-pi-mixer", 6, 0, 2, "in_bus", 34.0)
        player.begin(at_s + 0.1)


Action = Burst | Aside | Large | Reset


@dataclass(frozen=True)
class Trouble:
    """A time during which a member's network loses or delays what is sent one way.

    way: UP or DOWN. delay_s: extra delay; None: everything is lost.
    """

    member: str
    way: int
    from_s: float
    lasts_s: float
    delay_s: float | None = None


def meddler(troubles: list[Trouble]) -> Meddler:
    """Return a function that gives a datagram's extra delay (s) from all troubles; None: it is lost."""

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
    """Return the latest instant (s after the player's start) at which any of the messages is sent or due."""
    return max(max(one.at_s, 0.0 if one.ahead is None else one.ahead / ticks(1.0)) for one in sent)
