"""Every effect of a bridge is needed: if the shell ignores one kind, something visible fails."""

from collections.abc import Callable
from functools import partial
from typing import get_args

import pytest
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.net import DOWN, UP

from bridge import effects
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot, generated

pytestmark = pytest.mark.computes

MUSIC_AT_S, DEAD_AT_S, DEAD_S, END_S = 4.0, 12.0, 30.0, 28.0


WORKED: dict[type, Callable[[Jam, Member, Member], bool]] = {
    effects.ToSynth: lambda _, ann, bob: bool(ann.handed),
    effects.ToSonicPi: lambda _, ann, bob: bool(ann.heard),
    effects.SendDatagram: lambda jam, ann, bob: jam.relay.hub.figures.datagrams_in > 0,
    effects.SendControl: lambda jam, ann, bob: jam.stats().seconds_compared > 0,
    effects.Tell: lambda _, ann, bob: bool(ann.told),
    effects.RunCode: lambda _, ann, bob: bool(ann.ran),
    effects.Abandon: lambda _, ann, bob: ann.connections > 1,
    effects.Remember: lambda _, ann, bob: ann.remembered.synthdefs_loaded,
    effects.AskFiles: lambda _, ann, bob: bool(ann.jobs) and bool(bob.jobs),
    effects.NextWake: lambda _, ann, bob: ann.wakeups > 0,
}
"""For each kind of effect a check that passes only if the shell carries it out."""


def perform(undone: type[effects.Effect] | None = None) -> tuple[Jam, Member, Member]:
    """Play a jam of ann and bob, in which ann's network fails silently in the end; return (jam, ann, bob).

    undone: a kind of effect that the shell ignores.
    """
    jam = Jam(seed=3)
    jam.leaves_undone = () if undone is None else (undone,)
    members = []
    for at, name in enumerate(("ann", "bob")):
        members.append(jam.join(name, NETWORKS["studio-lan"], tunes=True))
        jam.play(members[-1], boot(), 1.0 + 0.1 * at)
        jam.play(members[-1], generated(at, seconds=3.0), MUSIC_AT_S)
    for way in (UP, DOWN):
        jam.at_s(DEAD_AT_S, partial(jam.stall_way, members[0], way, DEAD_AT_S + DEAD_S))
    jam.run(END_S)
    ann, bob = members
    return jam, ann, bob


def test_every_effect_is_known_here() -> None:
    assert WORKED.keys() == set(get_args(effects.Effect))


def test_where_all_is_done_all_works() -> None:
    scene = perform()
    assert [effect.__name__ for effect, works in WORKED.items() if not works(*scene)] == []


@pytest.mark.parametrize("undone", WORKED, ids=lambda effect: effect.__name__)
def test_an_effect_that_is_not_done_is_missed(undone: type[effects.Effect]) -> None:
    assert not WORKED[undone](*perform(undone))
