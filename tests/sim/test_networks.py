"""Jams over the named networks: all members get the same events in time, whatever their clocks show."""

import pytest
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam

from relay.netmodel.impairment import Leg
from tests.sim.score import (
    assert_at_due,
    assert_coherent,
    assert_in_time,
    assert_same,
    events,
)
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import boot, generated, recorded

pytestmark = pytest.mark.computes

CLOCKS = [(0.0, 0.0), (3.7, 50.0), (-2.9, -50.0)]
"""Wall offset (s) and rate error (ppm) of each member."""

BOOT_AT_S, MUSIC_AT_S = 1.0, 3.4


def trio(jam: Jam, leg: Leg) -> list[Member]:
    """Let three members with different clocks join and their Sonic Pis start; return the members."""
    members = []
    for index, (offset_s, ppm) in enumerate(CLOCKS):
        name = ("ada", "bob", "cyd")[index]
        member = jam.join(name, leg, wall_offset_s=offset_s, rate_ppm=ppm)
        jam.play(member, boot(), BOOT_AT_S + 0.1 * index)
        members.append(member)
    return members


@pytest.mark.parametrize("name", NETWORKS)
def test_every_scsynth_gets_one_sequence_in_time(name: str) -> None:
    jam = Jam(seed=11)
    members = trio(jam, NETWORKS[name])
    for index, member in enumerate(members):
        jam.play(member, generated(index, seconds=4.0), MUSIC_AT_S + 0.07 * index)
    jam.run(13.0)
    assert assert_same(jam, *members) > 150
    assert_in_time(jam, *members)
    assert_coherent(jam)
    for member in members:
        assert_at_due(jam, member)
    assert jam.stats().retimed == 0, f"seed {jam.seed}"
    assert all(member.seconds >= 8 for member in jam.stats().members)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    traces = []
    for seed in (5, 5, 6):
        jam = Jam(seed)
        members = trio(jam, NETWORKS["lossy-2-percent"])
        jam.play(members[0], generated(1, seconds=1.0), MUSIC_AT_S)
        jam.run(5.5)
        traces.append(jam.trace.hexdigest())
    assert traces[0] == traces[1] != traces[2]


@pytest.mark.slow
def test_two_percent_loss_leaves_nothing_missing_over_many_seeds() -> None:
    for seed in range(20, 23):
        jam = Jam(seed)
        members = trio(jam, NETWORKS["lossy-2-percent"])
        jam.play(members[0], generated(seed, seconds=3.0, per_s=25.0), MUSIC_AT_S)
        jam.run(11.0)
        assert_same(jam, *members)
        assert_coherent(jam)
        assert any(member.loss_percent > 0 for member in jam.stats().members), f"seed {seed}: no loss tried"


def test_recorded_sessions_of_three_players_are_one_sequence_everywhere() -> None:
    jam = Jam(seed=3)
    members = trio(jam, NETWORKS["hotel-wifi"])
    for member, name in zip(members, ("ex_magician_acid", "ll_fx_inner", "misc2"), strict=True):
        jam.play(member, recorded(name, until_s=6.0), MUSIC_AT_S)
    jam.run(13.5)
    assert assert_same(jam, *members) > 100
    assert_in_time(jam, *members)
    assert_coherent(jam)


def test_home_only_nodes_reach_no_other_member() -> None:
    jam = Jam(seed=4)
    members = trio(jam, NETWORKS["studio-lan"])
    jam.play(members[0], recorded("misc2", until_s=8.0), MUSIC_AT_S)
    jam.run(13.0)
    for word in (b"sonic-pi-scope", b"live_audio", b"/b_write"):
        assert any(word in handed.message for handed in members[0].handed), word
    others = [handed.message for member in members[1:] for handed in member.handed]
    assert not any(b"live_audio" in message or b"/b_write" in message for message in others)
    for member in members:  # its own one and no other
        scopes = [handed for handed in member.handed if b"sonic-pi-scope" in handed.message]
        assert len(scopes) == 1
    assert len(events(members[1])) > 10
