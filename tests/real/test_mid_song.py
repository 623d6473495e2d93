"""A member who joins mid-song hears the running music: each kind of it, by live takes of both synthesizers.

Anna plays all kinds of music at volume 0.3 and sets 1.6 while bob joins. Then bob plays, too.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from rehearsal.rigs.stage import Stage

from tests.real import midsong
from tests.real.midsong import ENDS_APART_S_MAX, FAINTEST_DBFS, SECOND_NS, Heard, MidSong, shown

pytestmark = pytest.mark.real

ANNA, BOB = "anna", "bob"
ALL_KINDS = midsong.CONTROLLED + midsong.NESTED + midsong.OPENING + midsong.REVERB + midsong.SAMPLES
DRONE_S = 19.0
"""The drone's sustain. It ends some seconds after bob has joined."""
BEFORE_S = 5.0
"""Time (s) for which anna plays before bob joins."""
LISTEN_S = 9
THIRDS_FROM_S = 5
FROM_S = 2


@dataclass(frozen=True, repr=False)
class Song:
    """What was heard and asked while bob joined anna's song.

    joined_ns: when bob's Sonic Pi had booted. built_ns: T, when bob's synthesizer had anna's music. until_ns:
    the end of the listening. bob_ns: from when on bob plays. drone_ns: when the drone ends, by its stamp.
    trees: both trees of anna's slot if they differed 2 s after T. troubles: figures that should be 0.
    """

    heard: Heard
    joined_ns: int
    built_ns: int | None
    until_ns: int
    bob_ns: int
    drone_ns: int
    trees: list[str]
    troubles: list[str]

    def after(self, seconds: float) -> int:
        return self.joined_ns + round(seconds * SECOND_NS)


def play(song: MidSong) -> Song:
    anna = song.join(ANNA)
    slot = song.slot(ANNA)
    anna.run_code("set_volume! 0.3")
    song.play_for(0.5)
    run_ns = time.time_ns()
    anna.run_code(midsong.DRONE.format(seconds=DRONE_S) + ALL_KINDS)
    song.play_for(BEFORE_S)
    bob = song.start(BOB)
    song.wait_welcomed(BOB)
    anna.run_code("set_volume! 1.6")
    song.settle(BOB)
    while (built_ns := song.built_ns(BOB, slot)) is None and time.time_ns() < song.booted_ns[
        BOB
    ] + 5 * SECOND_NS:
        song.play_for(0.3)
    if built_ns is not None:
        song.play_until(built_ns + 2 * SECOND_NS)
    trees = song.lasting_differences(slot, ANNA, BOB)
    bob.run_code(midsong.NESTED)
    bob_ns = time.time_ns() + 2 * SECOND_NS
    drone_ns = run_ns + round((DRONE_S + 0.6) * SECOND_NS)
    song.play_until(max(song.booted_ns[BOB] + LISTEN_S * SECOND_NS, drone_ns + 2 * SECOND_NS))
    until_ns = time.time_ns() - SECOND_NS // 2
    troubles = song.troubles()
    return Song(song.hear(), song.booted_ns[BOB], built_ns, until_ns, bob_ns, drone_ns, trees, troubles)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Song]:
    with Stage() as stage:
        yield play(MidSong(stage, tmp_path_factory.mktemp("mid-song"), slots=2))


def test_every_kind_of_music_is_heard_as_at_home_from_two_seconds_after_the_join(song: Song) -> None:
    home = song.heard.home(ANNA, song.after(FROM_S), song.until_ns)
    assert len(home) >= 6
    assert min(home) > FAINTEST_DBFS
    found = song.heard.differences(ANNA, BOB, song.after(FROM_S), song.until_ns)
    assert not found, shown(found)
    total_db, third_db = song.heard.worst(ANNA, BOB, song.after(FROM_S), song.until_ns)
    print(f"anna at bob: at most {total_db:.2f} dB, a third octave {third_db:.2f} dB, from home")


def test_the_third_octaves_are_those_at_home_from_five_seconds_on(song: Song) -> None:
    found = song.heard.third_differences(ANNA, BOB, song.after(THIRDS_FROM_S), song.until_ns)
    assert not found, shown(found)


def test_a_drone_that_began_before_the_join_ends_at_the_same_time(song: Song) -> None:
    stretch = song.drone_ns - 2 * SECOND_NS, song.drone_ns + SECOND_NS
    ends = [song.heard.tone_end_ns(ANNA, listener, *stretch) for listener in (ANNA, BOB)]
    assert ends[0] is not None
    assert ends[1] is not None, "it goes on for ever"
    apart_s = abs(ends[1] - ends[0]) / SECOND_NS
    print(f"the drone's ends are {apart_s * 1e3:.1f} ms apart")
    assert apart_s < ENDS_APART_S_MAX


def test_what_the_newcomer_plays_is_heard_by_who_was_there(song: Song) -> None:
    home = song.heard.home(BOB, song.bob_ns, song.until_ns)
    assert min(home) > FAINTEST_DBFS
    found = song.heard.differences(BOB, ANNA, song.bob_ns, song.until_ns)
    assert not found, shown(found)


def test_two_seconds_after_the_build_both_synthesizers_have_the_same_groups_fx_and_mixers(song: Song) -> None:
    assert song.built_ns is not None
    print(f"built {(song.built_ns - song.joined_ns) / SECOND_NS:+.2f} s after the boot")
    assert song.trees == []


def test_nothing_is_late_missing_retimed_or_not_heard_during_a_join(song: Song) -> None:
    assert song.troubles == []


def test_nothing_reaches_a_sound_card_past_the_strips(song: Song) -> None:
    for listener in (ANNA, BOB):
        assert song.heard.past_strips_dbfs(listener, song.after(0), song.until_ns) < -100.0
