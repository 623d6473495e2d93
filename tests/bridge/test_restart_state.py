"""A bridge's memory across a restart: which events the next bridge must hand over, and which it mustn't."""

from bridge.restart_state import LISTED_MAX, Memory
from tests.worlds.bridge import judged, note


def covers(number: int, *, slot: int = 2, seq: int = 1) -> bool:
    memory = Memory(slot=1, highest_number=20, missing=(17,), unconfirmed=(33,))
    return memory.handed_over().covers(judged(number, 5.0, note(), slot=slot, seq=seq), own=slot == 1)


def test_all_numbers_up_to_the_highest_were_handed_over_but_those_that_are_listed() -> None:
    assert covers(18)
    assert covers(20)
    assert not covers(17), "it was missing, or still held"
    assert not covers(21), "it was not even known"


def test_own_events_that_were_played_as_stamped_are_known_by_their_own_numbers() -> None:
    assert covers(25, slot=1, seq=33)
    assert not covers(25, slot=1, seq=34)
    assert not covers(25, slot=2, seq=33), "another member's"
    assert covers(18, slot=1, seq=34)


def test_where_too_much_is_missing_the_rest_counts_as_not_handed_over() -> None:
    one = Memory()
    missing = list(range(100, 100 + 2 * LISTED_MAX))
    one.remember_missing(1000, missing)
    assert len(one.missing) == LISTED_MAX
    handed = one.handed_over()
    assert all(number in handed.missing or number > handed.highest for number in missing)


def test_a_bridge_that_is_killed_before_it_has_heard_all_leaves_what_the_one_before_knew() -> None:
    before = Memory(highest_number=950, missing=(930, 940), unconfirmed=(33,)).handed_over()
    memory = Memory()
    # It knows of 900 to 935: 930 has come and was handed over, 935 has not, but the one before had it.
    memory.remember_missing(935, [935], before)
    memory.remember_unconfirmed((34,), before)
    after = memory.handed_over()
    assert [number for number in range(895, 960) if not after.has(number)] == [940, *range(951, 960)]
    assert after.unconfirmed == {33, 34}


def test_what_neither_of_two_bridges_has_handed_over_is_still_missing() -> None:
    before = Memory(highest_number=950, missing=(930,)).handed_over()
    memory = Memory()
    memory.remember_missing(960, [930, 955], before)
    assert [number for number in range(920, 962) if not memory.handed_over().has(number)] == [930, 955, 961]


def test_the_newest_of_what_was_played_as_stamped_is_kept() -> None:
    before = Memory(unconfirmed=tuple(range(LISTED_MAX))).handed_over()
    memory = Memory()
    memory.remember_unconfirmed((900, 901), before)
    assert len(memory.unconfirmed) == LISTED_MAX
    assert memory.unconfirmed[-2:] == (900, 901)
