"""Relay, bridge or network stands still for seconds while one member plays. No burst of notes follows.

The processes are real. The tests judge what came to each scsynth's socket, by the kernel's timestamps.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.real.standstill import AFTER_S, BEFORE_S, LISTENER, OVER_TLS, PLAYER, Found, Room, room
from tests.worlds.hearing import burst, unbuilt
from tests.worlds.steady import steady

pytestmark = pytest.mark.real

WHOLE_AFTER_S = 1.0
APART_NS_MAX = 10_000_000
"""Two members play a note at one instant if their times differ by less than this (ns)."""
IDS_OF_A_CASE = 2_000


@dataclass(frozen=True)
class Case:
    """One stall: the process that is stopped, for how many seconds, and who plays."""

    what: str
    seconds: float
    player: str = PLAYER

    def __str__(self) -> str:
        return f"{self.what} {self.seconds:.0f} s, {self.player} plays"


KINDS = [
    ("relay", PLAYER),
    (f"{PLAYER}'s bridge", PLAYER),
    (f"{LISTENER}'s bridge", PLAYER),
    (f"{PLAYER}'s carrier", PLAYER),
    (f"{LISTENER}'s carrier", PLAYER),
    (f"{OVER_TLS}'s carrier", OVER_TLS),
]
FURTHER = [(f"{OVER_TLS}'s carrier", PLAYER), (f"{OVER_TLS}'s bridge", OVER_TLS), ("relay", OVER_TLS)]


def cases() -> list[object]:
    """Return all cases. One of each kind always runs; the others are marked as exhaustive."""
    always = [Case(what, 2.0, player) for what, player in KINDS]
    further = [Case(what, 2.0, player) for what, player in FURTHER]
    further += [Case(kind[0], seconds, kind[1]) for kind, seconds in itertools.product(KINDS, (1.0, 5.0))]
    return [
        *(pytest.param(case, id=str(case)) for case in always),
        *(pytest.param(case, id=str(case), marks=pytest.mark.exhaustive) for case in further),
    ]


@pytest.fixture(scope="module")
def real_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("stalls")) as made:
        yield made


@pytest.fixture(scope="module", params=cases())
def found(real_room: Room, request: pytest.FixtureRequest) -> Found:
    case = request.param
    real_room.played += 1
    music = steady(BEFORE_S + case.seconds + AFTER_S, first_id=IDS_OF_A_CASE * real_room.played)
    return real_room.play(case.player, music, case.what, case.seconds)


def test_a_stall_makes_nobody_play_what_was_missed_at_once_or_late(found: Found) -> None:
    wrong = [
        words
        for member, heard in found.heard.items()
        for words in burst(member, heard, found.own, found.music, is_owner=member == found.player)
    ]
    assert not wrong, "; ".join(wrong)


def test_a_stall_takes_no_group_fx_setting_or_free_from_anybody_and_keeps_their_order(found: Found) -> None:
    wrong = [words for member, heard in found.heard.items() for words in unbuilt(member, heard, found.music)]
    assert not wrong, "; ".join(wrong)


def test_a_second_after_a_stall_all_hear_all_at_one_instant_again(found: Found) -> None:
    from_ns = found.end_ns + round(WHOLE_AFTER_S * 1e9)
    after = [
        note for note, at_s in found.music.emitted_s.items() if found.start_ns + round(at_s * 1e9) > from_ns
    ]
    assert len(after) > 10
    for member, heard in found.heard.items():
        missing = [note for note in after if note not in heard.notes]
        assert not missing, f"{len(missing)} of {len(after)} at {member}"
        apart_ns = max(abs(heard.notes[note] - found.own.notes[note]) for note in after)
        assert apart_ns < APART_NS_MAX, f"{apart_ns / 1e6:.1f} ms apart at {member}"
