"""Three members join in every order, or two at once. Each is heard by the others as at home.

Each plays other music at another volume, and the next one joins five seconds later. The volume of the first
changes while the last joins.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations

import pytest
from rehearsal.rigs.stage import Stage

from tests.real import midsong
from tests.real.midsong import FAINTEST_DBFS, SECOND_NS, Heard, MidSong, shown

pytestmark = [pytest.mark.real, pytest.mark.exhaustive]

ANNA, BOB, CLEO = "anna", "bob", "cleo"
CODE = {
    ANNA: midsong.NESTED + midsong.CONTROLLED,
    BOB: midsong.REVERB + midsong.SAMPLES,
    CLEO: midsong.NESTED,
}
"""The members' music. Cleo has a drone besides."""
VOLUMES = {ANNA: 0.3, BOB: 1.6, CLEO: 0.3}
OTHER = {0.3: 1.6, 1.6: 0.3}
APART_S = 5.0
JOIN_S_MAX = 11.0
"""Longest time (s) that one more member takes, APART_S included. The drone outlasts all joins."""
LISTEN_S = 8.0
FROM_S, THIRDS_FROM_S = 2, 5
ORDERS = {
    "-".join(order): tuple((name,) for name in order)
    for order in ((ANNA, BOB, CLEO), (BOB, CLEO, ANNA), (CLEO, ANNA, BOB))
} | {"two-at-once": ((ANNA,), (BOB, CLEO)), "two-to-a-drone": ((CLEO,), (ANNA, BOB))}


@dataclass(frozen=True, repr=False)
class Round:
    """What was heard of one order.

    began_ns: player -> when it ran its music. trees: player -> the trees of its slot if they differ.
    """

    heard: Heard
    joined_ns: dict[str, int]
    began_ns: dict[str, int]
    drone_ns: int
    until_ns: int
    trees: dict[str, list[str]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def stretch(self, player: str, listener: str, from_s: int) -> tuple[int, int]:
        """Return the stretch in which a player is judged at a listener."""
        begun = max(self.joined_ns[listener] + from_s * SECOND_NS, self.began_ns[player] + 2 * SECOND_NS)
        return begun, self.until_ns


def play(song: MidSong, order: tuple[tuple[str, ...], ...]) -> Round:
    began_ns: dict[str, int] = {}
    drone_ns, leader = 0, order[0][0]
    for at, names in enumerate(order):
        for name in names:
            song.start(name)
        if at == len(order) - 1:
            song.wait_welcomed(names[-1])
            song.jam.performers[leader].run_code(f"set_volume! {OTHER[VOLUMES[leader]]}")
        song.settle(*names)
        for name in names:
            song.jam.performers[name].run_code(f"set_volume! {VOLUMES[name]}")
        song.play_for(0.5)
        for name in names:
            code, began_ns[name] = CODE[name], time.time_ns()
            if name == CLEO:
                seconds = (len(order) - 1 - at) * JOIN_S_MAX + LISTEN_S
                drone_ns = began_ns[name] + round((seconds + 0.6) * SECOND_NS)
                code += midsong.DRONE.format(seconds=seconds)
            song.jam.performers[name].run_code(code)
        song.play_for(APART_S)
    slots = {name: song.slot(name) for name in CODE}
    differing = {name: song.lasting_differences(slot, *CODE) for name, slot in slots.items()}
    last_ns = max(song.booted_ns.values())
    song.play_until(max(last_ns + round(LISTEN_S * SECOND_NS), drone_ns + 2 * SECOND_NS))
    until_ns = time.time_ns() - SECOND_NS // 2
    return Round(
        song.hear(), song.booted_ns, began_ns, drone_ns, until_ns,
        {name: trees for name, trees in differing.items() if trees}, song.troubles(),
    )  # fmt: skip


@pytest.fixture(scope="module", params=ORDERS)
def song(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    with Stage() as stage:
        yield play(MidSong(stage, tmp_path_factory.mktemp("orders")), ORDERS[request.param])


def test_each_part_is_heard_by_each_as_at_home_from_two_seconds_after_the_join(song: Round) -> None:
    found = []
    for player, listener in permutations(CODE, 2):
        stretch = song.stretch(player, listener, FROM_S)
        home = song.heard.home(player, *stretch)
        assert len(home) >= 4
        assert min(home) > FAINTEST_DBFS
        found += song.heard.differences(player, listener, *stretch)
        total_db, third_db = song.heard.worst(player, listener, *stretch)
        print(f"{player} at {listener}, {len(home)} s: at most {total_db:.2f} dB, a third {third_db:.2f} dB")
    assert not found, shown(found)


def test_the_third_octaves_are_those_at_home_from_five_seconds_on(song: Round) -> None:
    found = []
    for player, listener in permutations(CODE, 2):
        found += song.heard.third_differences(
            player, listener, *song.stretch(player, listener, THIRDS_FROM_S)
        )
    assert not found, shown(found)


def test_the_drone_ends_at_the_same_time_everywhere(song: Round) -> None:
    stretch = song.drone_ns - 2 * SECOND_NS, song.drone_ns + round(1.4 * SECOND_NS)
    ends = {listener: song.heard.tone_end_ns(CLEO, listener, *stretch) for listener in CODE}
    known = [end for end in ends.values() if end is not None]
    assert len(known) == len(CODE), ends
    print(f"the drone's ends are {(max(known) - min(known)) / 1e6:.1f} ms apart")
    assert max(known) - min(known) < midsong.ENDS_APART_S_MAX * SECOND_NS


def test_all_synthesizers_have_the_same_groups_fx_and_mixers(song: Round) -> None:
    assert song.trees == {}


def test_nothing_is_late_missing_retimed_or_not_heard(song: Round) -> None:
    assert song.troubles == []
