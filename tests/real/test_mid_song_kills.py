"""After a `kill -9` of bridge or relay mid-song all is heard alike again, by live takes.

Bob has joined anna's song. His bridge, anna's bridge and the relay are killed in turn, and the relay is
started again at once. Then cleo joins a relay that knows the song by the bridges alone. Dave joins last, and
his bridge is killed before it has built anything.
"""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from rehearsal.rigs.stage import Stage

from tests.real import midsong
from tests.real.midsong import FAINTEST_DBFS, SECOND_NS, Heard, MidSong, shown

pytestmark = [pytest.mark.real, pytest.mark.exhaustive]

ANNA, BOB, CLEO, DAVE = "anna", "bob", "cleo", "dave"
MUSIC = midsong.CONTROLLED + midsong.NESTED + midsong.REVERB + midsong.SAMPLES
AFTER_S = {"bob's bridge": 2, "anna's bridge": 2, "the relay": 5}
"""What is killed -> time (s) after which all is heard alike again."""
LATE = (CLEO, DAVE)
LISTEN_S = 6
SETTLE_S = 4.0


@dataclass(frozen=True, repr=False)
class Night:
    """What was heard.

    killed_ns: what was killed -> when. trees: what was killed, or who joined -> trees that differ. joined_ns:
    who joined late -> when. until_ns: who joined late -> the end of the listening.
    """

    heard: Heard
    killed_ns: dict[str, int]
    trees: dict[str, list[str]]
    joined_ns: dict[str, int]
    until_ns: dict[str, int]


def kill(song: MidSong, what: str) -> None:
    jam = song.jam
    if what == "the relay":
        assert jam.relay is not None
        os.kill(jam.relay.pid, signal.SIGKILL)
        jam.relay.wait()
        jam.start_relay()
    else:
        os.kill(jam.bridge_of(what.removesuffix("'s bridge")).pid, signal.SIGKILL)


def play(song: MidSong) -> Night:
    song.join(ANNA).run_code("set_volume! 0.3")
    slots = {ANNA: song.slot(ANNA)}
    song.jam.performers[ANNA].run_code(MUSIC)
    song.play_for(3.0)
    song.join(BOB).run_code("set_volume! 1.6")
    song.jam.performers[BOB].run_code(midsong.NESTED)
    slots[BOB] = song.slot(BOB)
    song.play_for(3.0)
    killed_ns: dict[str, int] = {}
    differing: dict[str, list[str]] = {}
    for what, after_s in AFTER_S.items():
        song.play_for(SETTLE_S)
        killed_ns[what] = time.time_ns()
        kill(song, what)
        song.play_until(killed_ns[what] + (after_s + 1) * SECOND_NS)
        differing[what] = [
            tree for slot in slots.values() for tree in song.lasting_differences(slot, ANNA, BOB)
        ]
        song.play_until(killed_ns[what] + (after_s + LISTEN_S) * SECOND_NS + SECOND_NS // 2)
    until_ns = {}
    for name in LATE:
        song.start(name)
        if name == DAVE:
            song.wait_welcomed(DAVE)
            kill(song, "dave's bridge")
        song.settle(name)
        song.play_for(3.0)
        differing[name] = [
            tree for slot in slots.values() for tree in song.lasting_differences(slot, ANNA, BOB, name)
        ]
        song.play_for(LISTEN_S)
        until_ns[name] = time.time_ns() - SECOND_NS // 2
    return Night(song.hear(), killed_ns, differing, song.booted_ns, until_ns)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with Stage() as stage:
        yield play(MidSong(stage, tmp_path_factory.mktemp("kills"), slots=4))


@pytest.mark.parametrize("what", AFTER_S)
def test_after_a_kill_all_is_heard_alike_again(night: Night, what: str) -> None:
    from_ns = night.killed_ns[what] + AFTER_S[what] * SECOND_NS
    stretch = from_ns, from_ns + LISTEN_S * SECOND_NS
    found = []
    for player, listener in ((ANNA, BOB), (BOB, ANNA)):
        assert min(night.heard.home(player, *stretch)) > FAINTEST_DBFS
        found += night.heard.differences(player, listener, *stretch)
    assert not found, shown(found)


@pytest.mark.parametrize("what", AFTER_S)
def test_after_a_kill_the_synthesizers_have_the_same_groups_fx_and_mixers(night: Night, what: str) -> None:
    assert night.trees[what] == []


@pytest.mark.parametrize("player", [ANNA, BOB])
@pytest.mark.parametrize("newcomer", LATE)
def test_who_joins_after_the_relay_was_started_anew_hears_what_plays(
    night: Night, player: str, newcomer: str
) -> None:
    stretch = night.joined_ns[newcomer] + 2 * SECOND_NS, night.until_ns[newcomer]
    assert min(night.heard.home(player, *stretch)) > FAINTEST_DBFS
    found = night.heard.differences(player, newcomer, *stretch)
    assert not found, shown(found)
    assert night.trees[newcomer] == []
