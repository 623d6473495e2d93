"""After a stall of seconds nobody plays all at once what was missed meanwhile.

A stall of relay, bridge or network costs the other members some notes. Groups, FX, settings and frees still
reach everybody.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
from laboratory.virtual.host import Member
from laboratory.virtual.jam import Jam
from laboratory.virtual.net import DOWN, UP

from relay.netmodel.impairment import Leg, Way
from relay.wire.stats import RoomStats
from tests.sim.score import assert_same
from tests.sim.test_networks import BOOT_AT_S, CLOCKS, MUSIC_AT_S, trio
from tests.worlds.hearing import Heard, burst, hear, unbuilt
from tests.worlds.networks import NETWORKS
from tests.worlds.steady import Steady, steady
from tests.worlds.traffic import boot

pytestmark = pytest.mark.computes

BEFORE_S = 4.0
"""Length (s) of the music before the stall: 80 notes, enough to measure the usual delay."""
AFTER_S = 4.0
WHOLE_AFTER_S = 1.0
ROUND_TRIP_NOTES = 1
"""Number of chords that may be on their way when a stall ends. Their verdict still comes in time."""
FRESH_S = 0.35
"""A note emitted within this time (s) before a stall's end is due 0.15 s after it or later: it must be
heard."""
AT_S = MUSIC_AT_S + BEFORE_S
OWN_SLOT = 0
"""The slot in node ids as the relay sees them: they are the sender's own ids, not mapped yet."""

Stall = Callable[[Jam, list[Member], float], None]
"""(jam, members, until): starts a stall that lasts until that second. The first member plays, the third
listens."""


def still_ways(who: int, *directions: int) -> Stall:
    def stall(jam: Jam, members: list[Member], until_s: float) -> None:
        for direction in directions:
            jam.stall_way(members[who], direction, until_s)

    return stall


STALLS: dict[str, Stall] = {
    "the relay": lambda jam, _, until_s: jam.stall_relay(until_s),
    "the player's bridge": lambda jam, members, until_s: jam.stall_bridge(members[0], until_s),
    "a listener's bridge": lambda jam, members, until_s: jam.stall_bridge(members[2], until_s),
    "the player's way up": still_ways(0, UP),
    "the player's way down": still_ways(0, DOWN),
    "the player's ways": still_ways(0, UP, DOWN),
    "a listener's way up": still_ways(2, UP),
    "a listener's way down": still_ways(2, DOWN),
    "a listener's ways": still_ways(2, UP, DOWN),
}


@dataclass(frozen=True)
class Case:
    """One stall to test.

    what: what stands still. players: number of members that play. chord: number of notes in a chord.
    """

    what: str
    seconds: float
    players: int = 1
    chord: int = 1

    def __str__(self) -> str:
        notes = "chords" if self.chord > 1 else "notes"
        return f"{self.what} {self.seconds:.0f} s, {self.players} playing {notes}"


def quick_and_exhaustive() -> list[object]:
    """Return all cases. At least one of each kind always runs; the others are marked as exhaustive."""
    lengths = [Case(what, seconds) for what, seconds in itertools.product(STALLS, (2.0, 1.0, 5.0))]
    two = [Case(what, seconds, players=2) for what, seconds in itertools.product(STALLS, (2.0, 1.0, 5.0))]
    chords = [Case(what, seconds, chord=3) for what, seconds in itertools.product(STALLS, (2.0, 5.0))]
    always = {*(case for case in lengths if case.seconds == 2.0), two[0], chords[0]}
    return [
        pytest.param(case, id=str(case), marks=() if case in always else pytest.mark.exhaustive)
        for case in (*lengths, *two, *chords)
    ]


@dataclass(frozen=True)
class Outcome:
    """What a case has led to. heard: player -> member -> what the member heard of that player."""

    heard: dict[str, dict[str, Heard]]
    music: dict[str, Steady]
    numbered: dict[str, set[int]]
    """For each player the ids of the notes that the relay has judged."""
    same: str
    """How the members' events differ from 1 s after the stall on, as text; empty if they don't."""
    room: RoomStats

    def everywhere(self) -> list[tuple[str, str, Heard]]:
        """Return (player, member, what the member heard of the player) for all pairs."""
        return [(who, at, heard) for who, all_of in self.heard.items() for at, heard in all_of.items()]


@cache
def outcome(case: Case) -> Outcome:
    """Play a jam with the case's stall; return what everybody heard."""
    jam = Jam(seed=14)
    members = trio(jam, NETWORKS["studio-lan"])
    seconds = BEFORE_S + case.seconds + AFTER_S
    per_s = 20.0 if case.chord == 1 else 8.0
    music = {
        member.name: steady(seconds, per_s=per_s, chord=case.chord, offset_s=0.021 * index)
        for index, member in enumerate(members[: case.players])
    }
    for member in members[: case.players]:
        jam.play(member, music[member.name].sent, MUSIC_AT_S)
    jam.at_s(AT_S, lambda: STALLS[case.what](jam, members, AT_S + case.seconds))
    jam.run(MUSIC_AT_S + seconds + 3.0)
    return judged(jam, members, music, AT_S + case.seconds + WHOLE_AFTER_S)


def judged(jam: Jam, members: list[Member], music: dict[str, Steady], whole_s: float) -> Outcome:
    slots = {member.name: member.memory.slot for member in members}
    heard = {
        player: {
            member.name: hear(
                [(one.at_ns, one.timetag_ns, one.timetag, one.message) for one in member.handed],
                slots[player],
                steadily,
            )
            for member in members
        }
        for player, steadily in music.items()
    }
    numbered = {}
    for player, steadily in music.items():
        told = [(0, None, 0, event.payload) for event in jam.judged if event.slot == slots[player]]
        numbered[player] = set(hear(told, OWN_SLOT, steadily).notes)
    same = ""
    try:
        assert_same(jam, *members, after_s=whole_s)
    except AssertionError as error:
        same = str(error)
    return Outcome(heard, music, numbered, same, jam.stats())


stalls = pytest.mark.parametrize("case", quick_and_exhaustive())


@stalls
def test_a_stall_makes_nobody_play_what_was_missed_at_once_or_late_or_half_a_chord(case: Case) -> None:
    found = outcome(case)
    wrong = [
        words
        for player, member, heard in found.everywhere()
        for words in burst(
            member, heard, found.heard[player][player], found.music[player], is_owner=player == member
        )
    ]
    assert not wrong, "; ".join(wrong)


@stalls
def test_a_stall_takes_no_group_fx_setting_or_free_from_anybody_and_keeps_their_order(case: Case) -> None:
    found = outcome(case)
    wrong = [
        words
        for player, member, heard in found.everywhere()
        for words in unbuilt(member, heard, found.music[player])
    ]
    assert not wrong, "; ".join(wrong)


@stalls
def test_a_second_after_a_stall_all_is_the_same_again(case: Case) -> None:
    assert not outcome(case).same


@stalls
def test_what_a_stall_did_not_age_is_heard_by_everybody(case: Case) -> None:
    found = outcome(case)
    end_s = BEFORE_S + case.seconds
    for player, member, heard in found.everywhere():
        music = found.music[player]
        lost_s = [at_s for note, at_s in music.emitted_s.items() if note not in heard.notes]
        aged = [at_s for at_s in lost_s if BEFORE_S - 0.5 < at_s < end_s - FRESH_S]
        assert lost_s == aged, f"{player}'s at {member}: lost, by emission: {lost_s}"


@pytest.mark.parametrize(
    "case", [param for param in quick_and_exhaustive() if "bridge" not in str(param.values[0])]
)
def test_a_stall_of_relay_or_network_takes_nothing_from_the_player_himself(case: Case) -> None:
    found = outcome(case)
    for player, music in found.music.items():
        lost = music.emitted_s.keys() - found.heard[player][player].notes.keys()
        # What was judged to have missed its time before he had played it nobody plays.
        assert len(lost) <= ROUND_TRIP_NOTES * len(music.emitted_s) / len(set(music.emitted_s.values()))
        for member, heard in found.heard[player].items():
            assert not lost & heard.notes.keys(), member


@stalls
def test_what_a_stall_took_from_a_member_is_counted_as_missing_there(case: Case) -> None:
    found = outcome(case)
    for member in found.room.members:
        lost = sum(
            len(found.numbered[player] - found.heard[player][member.name].notes.keys())
            for player in found.music
            if player != member.name
        )
        # Structure that comes seconds late was given up before it came.
        structure = sum(len(music.structure) + len(music.settings) for music in found.music.values())
        assert lost <= member.missing <= lost + structure, member.name


@stalls
def test_what_missed_its_time_at_the_relay_is_counted_with_its_player(case: Case) -> None:
    found = outcome(case)
    nowhere = {
        player: len(
            numbered
            - {note for at, heard in found.heard[player].items() if at != player for note in heard.notes}
        )
        for player, numbered in found.numbered.items()
    }
    assert {member.name: member.missed for member in found.room.members if member.name in nowhere} == nowhere
    assert found.room.missed == sum(nowhere.values())
    if case.what in ("the relay", "the player's way up", "the player's ways"):
        assert found.room.missed > 0
    elif case.what != "the player's bridge":  # what it still held when it stopped may be missed, or not
        assert found.room.missed == 0


FAR = Leg.both(Way(delay_ms=400.0))
FAR_S = 20.0


def far_room(music_at_s: float, seconds: float) -> tuple[dict[str, Steady], dict[str, dict[str, Heard]]]:
    """Play a jam with bob 400 ms from the relay and a lead fixed at 100 ms.

    Returns (music by player, what was heard by player and member). ada and bob play.
    """
    jam = Jam(seed=15, lead_s=0.1)
    legs = {"ada": NETWORKS["studio-lan"], "bob": FAR, "cyd": NETWORKS["studio-lan"]}
    members = []
    for index, (name, leg) in enumerate(legs.items()):
        offset_s, ppm = CLOCKS[index]
        members.append(jam.join(name, leg, wall_offset_s=offset_s, rate_ppm=ppm))
        jam.play(members[-1], boot(), BOOT_AT_S + 0.1 * index)
    music = {"ada": steady(seconds), "bob": steady(seconds, offset_s=0.021)}
    for member in members[:2]:
        jam.play(member, music[member.name].sent, music_at_s)
    jam.run(music_at_s + seconds + 4.0)
    return music, judged(jam, members, music, 0.0).heard


@pytest.mark.parametrize(
    ("music_at_s", "seconds"),
    [(MUSIC_AT_S + 2.0, FAR_S), (BOOT_AT_S + 1.5, 5.0)],
    ids=["for 20 s", "directly after joining"],
)
def test_who_is_much_farther_than_the_lead_is_heard_whole_by_everybody(
    music_at_s: float, seconds: float
) -> None:
    music, heard = far_room(music_at_s, seconds)
    for player, at in heard.items():
        for member, one in at.items():
            lost = music[player].emitted_s.keys() - one.notes.keys()
            assert not lost, f"{len(lost)} of {player}'s lost at {member}"
            assert not one.twice


LONGER_S = 0.3
USED_TO_IT_S = 5.0


@pytest.mark.parametrize(
    "ahead_s",
    [0.2, pytest.param(0.5, marks=pytest.mark.exhaustive)],
    ids=lambda ahead_s: f"{ahead_s} s ahead",
)
@pytest.mark.parametrize(
    "ways",
    [(UP, DOWN), *(pytest.param((way,), marks=pytest.mark.exhaustive) for way in (UP, DOWN))],
    ids=["both", "up", "down"],
)
@pytest.mark.parametrize("who", ["the player's", "a listener's"])
def test_five_seconds_after_a_way_became_longer_for_good_all_hear_all_again(
    who: str, ways: tuple[int, ...], ahead_s: float
) -> None:
    jam = Jam(seed=16)
    members = trio(jam, NETWORKS["studio-lan"])
    name = members[0 if who == "the player's" else 2].name
    music = {"ada": steady(BEFORE_S + 12.0, ahead_s=ahead_s)}
    jam.play(members[0], music["ada"].sent, MUSIC_AT_S)
    jam.wires.meddle = lambda member, way, at_s: (
        LONGER_S if member == name and way in ways and at_s > AT_S else 0.0
    )
    jam.run(MUSIC_AT_S + BEFORE_S + 16.0)
    for member, one in judged(jam, members, music, 0.0).heard["ada"].items():
        lost_s = [at_s for note, at_s in music["ada"].emitted_s.items() if note not in one.notes]
        lasting = [at_s for at_s in lost_s if not BEFORE_S - 0.5 < at_s < BEFORE_S + USED_TO_IT_S]
        assert not lasting, f"at {member}: lost, by emission: {lost_s}"
        assert not unbuilt(member, one, music["ada"])
