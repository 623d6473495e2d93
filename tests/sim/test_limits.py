"""All scsynths have the same nodes in the end, whatever is sent and whatever the network does.

The statistics contain all that differed in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.net import DOWN, UP
from laboratory.virtual.synthtree import SynthTree

import relay.room.channel
from bridge.scsynth.id_space import NODE_BITS
from relay.wire.meaning import Meaning
from relay.wire.osc import single_message
from relay.wire.sequence import Flag
from relay.wire.stats import RoomStats
from tests.sim.mischief import (
    LARGE,
    WHATS,
    Action,
    Aside,
    Burst,
    Large,
    LargeWhat,
    Reset,
    SonicPi,
    Trouble,
    What,
    last_due_s,
    meddler,
)
from tests.sim.unlike import Unlike, unlike
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot

pytestmark = pytest.mark.computes

EXAMPLES = max(12, settings.default.max_examples // 2)
LAN = NETWORKS["studio-lan"]
NAMES = ("ada", "bob", "cyd")
BOOT_AT_S, MUSIC_AT_S = 1.0, 3.4
FAR_S = 60.0
SETTLES_S = 13.0
"""Time (s) from the last due to the end, for the last repairs, the reports and their comparison."""
FEW_PER_S, FEW_AT_ONCE = 30, 40
"""A limit on a member's events (a second, and at once) that is so low that a short burst exceeds it."""


@dataclass
class Performance:
    """A finished jam, with the nodes that each scsynth has in the end."""

    jam: Jam
    members: list[Member]
    players: list[SonicPi]
    end_s: float
    trees: list[SynthTree] = field(init=False)

    def __post_init__(self) -> None:
        until_ns = round(self.end_s * 1e9)
        self.trees = [SynthTree().run(member.handed, until_ns) for member in self.members]

    @property
    def stats(self) -> RoomStats:
        """The relay's statistics of the room."""
        return self.jam.stats()

    def heard_nowhere(self) -> int:
        """Return how many notes count as missing at the other members though no member played them.

        Some missed their time before even their own player had played them. Others were due too far ahead:
        the relay refused them, and a reset removed them at their player too.
        """
        played = {
            int(single_message(one.message).arg(1))
            for member in self.members
            for one in member.handed
            if one.message.startswith(b"/s_new\0")
        }
        missed = (event for event in self.jam.judged if Flag.MISSED in event.flags)
        nodes = (event.slot << NODE_BITS | int(single_message(event.payload).arg(1)) for event in missed)
        far = [
            slot << NODE_BITS | int(single_message(one.datagram[20:]).arg(1))
            for slot, player in enumerate(self.players, 1)
            for one in player.sent
            if one.ahead is not None
            and one.ahead / 2**32 - one.at_s > FAR_S
            and Meaning(one.datagram[20:]).is_note
        ]
        return sum(node not in played for node in [*nodes, *far])

    def unlike(self) -> Unlike:
        """Return the events that differ between the members since the music began."""
        return unlike(self.members, from_ns=round(MUSIC_AT_S * 1e9))

    def assert_same_trees(self) -> None:
        """Assert that every scsynth has the same nodes in every slot. Notes aren't compared."""
        for slot in range(1, len(self.members) + 1):
            wanted = self.trees[slot - 1].slot(slot)
            for name, tree in zip(NAMES, self.trees, strict=False):
                found = tree.slot(slot)
                assert found == wanted, f"{name} has of {NAMES[slot - 1]} {found}; he himself has {wanted}"

    def assert_counted(self) -> None:
        """Assert that the statistics count every event that differed once, and no other."""
        differed, room = self.unlike(), self.stats
        divergent = room.divergent - self.heard_nowhere()
        assert differed.allows(divergent), f"{divergent} divergent, {differed}; {room.incidents}"
        assert (room.divergence > 0) == (room.divergent > 0)
        for member, player in zip(room.members, self.players, strict=True):
            assert member.local_only == player.home_only


def perform(
    acts: Mapping[int, Sequence[tuple[float, Action]]],
    troubles: Sequence[Trouble] = (),
    *,
    members: int = 2,
    few: bool = True,
) -> Performance:
    """Let members play and return the finished jam.

    acts: member's index -> (seconds after the music's start, action). The times of `troubles` are measured
    from the music's start, too. few: with the low limits FEW_PER_S and FEW_AT_ONCE.
    """
    with pytest.MonkeyPatch.context() as patch:
        if few:
            patch.setattr(relay.room.channel, "EVENTS_PER_S", FEW_PER_S)
            patch.setattr(relay.room.channel, "EVENTS_BURST", FEW_AT_ONCE)
        jam = Jam(seed=1, watch_bounds=False)
        here, players, last_s = [], [], 0.0
        for index, name in enumerate(NAMES[:members]):
            here.append(jam.join(name, LAN, wall_offset_s=2.0 * index, rate_ppm=20.0 * index))
            jam.play(here[-1], boot(), BOOT_AT_S + 0.1 * index)
            player = SonicPi()
            for at_s, action in sorted(acts.get(index, ()), key=lambda act: act[0]):
                action.play(player, 0.2 + at_s)
            players.append(player)
            jam.play(here[-1], player.sent, MUSIC_AT_S)
            last_s = max(last_s, last_due_s(player.sent))
        jam.wires.meddle = meddler(
            [Trouble(t.member, t.way, MUSIC_AT_S + t.from_s, t.lasts_s, t.delay_s) for t in troubles]
        )
        end_s = MUSIC_AT_S + last_s + SETTLES_S
        jam.run(end_s)
    return Performance(jam, here, players, end_s)


AT_S = st.integers(0, 40).map(lambda tenths: tenths / 10)
ACTIONS = st.one_of(
    st.builds(Burst, st.integers(1, 60), st.sampled_from([50, 200, 400]), st.sampled_from([0, 5, 20])),
    st.builds(Aside, st.sampled_from(WHATS), st.sampled_from([-3.0, -0.5, 0.0, 2.0, 58.0, 62.0, 70.0])),
    st.builds(Large, st.sampled_from(LARGE)),
    st.builds(Reset),
)
ACTS = st.lists(st.tuples(AT_S, ACTIONS), max_size=4)
TROUBLES = st.lists(
    st.builds(
        Trouble,
        st.sampled_from(NAMES[:2]),
        st.sampled_from([UP, DOWN]),
        AT_S,
        st.sampled_from([0.1, 0.4, 1.0]),
        st.sampled_from([None, 0.1, 0.4, 1.0, 3.0]),
    ),
    max_size=2,
)


@settings(derandomize=True, max_examples=EXAMPLES, report_multiple_bugs=False)
@given(st.fixed_dictionaries({0: ACTS, 1: ACTS}), TROUBLES, st.sampled_from([2, 3]))
def test_whatever_is_sent_all_trees_are_the_same_at_the_end_and_what_differed_is_counted(
    acts: dict[int, list[tuple[float, Action]]], troubles: list[Trouble], members: int
) -> None:
    played = perform(acts, troubles, members=members)
    played.assert_same_trees()
    played.assert_counted()


STRUCTURE = tuple(what for what in WHATS if what != "note")
SINGING = Burst(20, 20, fx_every=5)
"""One second of notes with four FX, each of which is freed while the notes go on."""


def test_where_nothing_is_strained_nothing_differs() -> None:
    acts = [(0.0, SINGING), (0.5, Reset()), (1.0, SINGING), (1.5, Aside("note", -3.0))]
    played = perform({0: acts, 1: acts, 2: acts}, members=3)
    played.assert_same_trees()
    assert not played.unlike().certain
    assert played.stats.divergent == 0


def test_over_the_limit_only_notes_are_refused_and_each_is_in_the_divergence() -> None:
    played = perform({0: [(0.0, Burst(150, 400, fx_every=5))]})
    played.assert_same_trees()
    assert {message[:6] for message, _ in played.unlike().certain} == {b"/s_new"}
    played.assert_counted()
    assert played.stats.members[0].alone == played.stats.divergent > 50


def test_nodes_freed_together_are_freed_everywhere_though_a_note_among_them_was_refused() -> None:
    played = perform({0: [(0.0, Burst(300, 200)), (0.5, Large("mixed frees"))]})
    played.assert_same_trees()
    played.assert_counted()


@pytest.mark.parametrize("what", WHATS)
def test_a_note_too_far_ahead_is_in_the_divergence_and_anything_else_reaches_everybody(what: What) -> None:
    played = perform({0: [(0.0, Aside(what, 62.0))]})
    played.assert_same_trees()
    played.assert_counted()
    assert played.stats.members[0].alone == (what == "note")


@pytest.mark.parametrize("what", LARGE)
def test_what_is_too_long_for_one_event_reaches_everybody(what: LargeWhat) -> None:
    played = perform({0: [(0.0, Large(what))]}, few=False)
    played.assert_same_trees()
    played.assert_counted()
    assert played.stats.divergent == 0


TROUBLED = {
    "a lossy way up": Trouble("ada", UP, 0.3, 0.4),
    "a lossy way up for a second": Trouble("ada", UP, 0.3, 1.0),
    "a slow way up": Trouble("ada", UP, 0.3, 0.4, 1.0),
    "a very slow way up": Trouble("ada", UP, 0.3, 1.0, 3.0),
    "a lossy way down": Trouble("bob", DOWN, 0.3, 1.0),
    "a very slow way down": Trouble("bob", DOWN, 0.3, 1.0, 3.0),
}


@pytest.mark.parametrize("name", TROUBLED)
def test_groups_and_frees_leave_the_same_tree_whatever_the_network_does(name: str) -> None:
    perform({0: [(0.0, SINGING)]}, [TROUBLED[name]]).assert_same_trees()


@pytest.mark.parametrize("name", TROUBLED)
def test_what_plays_at_another_instant_elsewhere_is_in_the_divergence(name: str) -> None:
    perform({0: [(0.0, SINGING)]}, [TROUBLED[name]]).assert_counted()


@pytest.mark.parametrize("delay_s", [None, 1.0, 3.0])
def test_a_group_that_the_relay_asks_for_in_vain_for_two_seconds_reaches_everybody(
    delay_s: float | None,
) -> None:
    troubles = [Trouble("ada", UP, 0.3, 0.4), Trouble("ada", DOWN, 0.3, 2.0, delay_s)]
    played = perform({0: [(0.0, Burst(40, 20)), (0.2, Aside("group", 0.5))]}, troubles, few=False)
    played.assert_same_trees()
    played.assert_counted()


def test_notes_that_an_outage_took_are_in_the_divergence() -> None:
    outage = [Trouble("ada", way, 5.0, 5.0) for way in (UP, DOWN)]
    played = perform({0: [(0.0, Burst(452, 20))]}, outage, few=False)
    assert len(played.unlike().certain) > 80
    played.assert_counted()


@pytest.mark.slow
def test_of_700_messages_a_second_for_six_seconds_no_group_is_left_behind() -> None:
    played = perform({0: [(0.0, Burst(2330, 389, fx_every=5))]}, few=False)
    played.assert_same_trees()
    played.assert_counted()
    assert played.stats.members[0].alone == played.stats.divergent > 60
