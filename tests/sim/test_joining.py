"""Who comes in the middle of the music has the nodes that the others have, whatever happens meanwhile."""

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.synthtree import SynthTree

from tests.sim.mischief import WHATS, Action, Aside, Burst, Reset, SonicPi, last_due_s
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot

pytestmark = pytest.mark.computes

EXAMPLES = max(8, settings.default.max_examples // 4)
LAN = NETWORKS["studio-lan"]
BOOT_AT_S, MUSIC_AT_S = 1.0, 3.4
SETTLES_S = 13.0
"""Time (s) from the last arrival or due to the end. By then all newcomers' copies are built."""
AT_S = st.integers(0, 60).map(lambda tenths: tenths / 10)
ACTIONS = st.one_of(
    st.builds(Burst, st.integers(1, 40), st.sampled_from([20, 100]), st.sampled_from([0, 3, 10])),
    st.builds(Aside, st.sampled_from(WHATS), st.sampled_from([-0.5, 0.0, 2.0, 8.0])),
    st.builds(Reset),
)
ACTS = st.lists(st.tuples(AT_S, ACTIONS), min_size=1, max_size=5)
ARRIVALS = st.lists(AT_S, min_size=1, max_size=2)


def perform(
    acts: Sequence[tuple[float, Action]], arrivals: Sequence[float], leaves_s: float | None
) -> tuple[list[Member], list[SynthTree]]:
    """Let ada play to bob while others arrive; return all members but her who leaves, and their trees.

    acts, arrivals: times (s) after the music's start. leaves_s: when ada leaves, likewise; None: she stays.
    """
    jam = Jam(seed=1, watch_bounds=False)
    here = [jam.join(name, LAN) for name in ("ada", "bob")]
    for index, member in enumerate(here):
        jam.play(member, boot(), BOOT_AT_S + 0.1 * index)
    player = SonicPi()
    for at_s, action in sorted(acts, key=lambda act: act[0]):
        action.play(player, 0.2 + at_s)
    until_s = last_due_s(player.sent)
    if leaves_s is not None:
        player.sent = [one for one in player.sent if one.at_s < leaves_s - 0.1]
        jam.at_s(MUSIC_AT_S + leaves_s, lambda: jam.leave(here[0]))
    jam.play(here[0], player.sent, MUSIC_AT_S)

    def come(name: str, at_s: float) -> None:
        here.append(jam.join(name, LAN, wall_offset_s=3.0, rate_ppm=20.0))
        jam.play(here[-1], boot(), at_s + 0.3)

    for index, after_s in enumerate(arrivals):
        at_s = MUSIC_AT_S + after_s
        jam.at_s(at_s, partial(come, f"newcomer{index}", at_s))
    end_s = MUSIC_AT_S + max(until_s, *arrivals, leaves_s or 0.0) + SETTLES_S
    jam.run(end_s)
    stay = here if leaves_s is None else here[1:]
    return stay, [SynthTree().run(member.handed, round(end_s * 1e9)) for member in stay]


def assert_same_trees(stay: Sequence[Member], trees: Sequence[SynthTree]) -> None:
    """Assert that all have the same nodes of ada and of each other; notes aren't compared."""
    for slot in range(1, len(stay) + 2):
        wanted = trees[0].slot(slot)
        for member, tree in zip(stay, trees, strict=True):
            found = tree.slot(slot)
            assert found == wanted, f"{member.name} has of slot {slot} {found}, {stay[0].name} has {wanted}"


@settings(max_examples=EXAMPLES)
@given(ACTS, ARRIVALS)
def test_newcomers_have_the_nodes_of_who_plays(
    acts: list[tuple[float, Action]], arrivals: list[float]
) -> None:
    stay, trees = perform(acts, arrivals, None)
    assert len(stay) == 2 + len(arrivals)
    assert trees[0].slot(1).children, "ada has her own nodes, so that there is something to compare"
    assert_same_trees(stay, trees)


@settings(max_examples=EXAMPLES)
@given(ACTS, ARRIVALS, AT_S)
def test_of_who_leaves_no_newcomer_keeps_a_node(
    acts: list[tuple[float, Action]], arrivals: list[float], leaves_s: float
) -> None:
    stay, trees = perform(acts, arrivals, 0.5 + leaves_s)
    assert len(stay) == 1 + len(arrivals)
    assert_same_trees(stay, trees)
    if max(arrivals) < 0.5 + leaves_s:  # else a newcomer has her slot, and own nodes in it
        assert not trees[0].slot(1).children, "bob still has nodes of ada"
