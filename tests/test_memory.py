"""Memory: what the next bridge must not hand over again, and what it must."""

from bridge.memory import LISTED_MAX, Memory
from relay.wire.sequence import Kind
from tests.bridge_world import instant, judged, note


def memory() -> Memory:
    return Memory(
        slot=1, resume_key=(instant(5.0), 2, 50), highest_number=20, missing=(17,), unconfirmed=(33,)
    )


def covers(number: int, due_s: float, *, slot: int = 2, seq: int = 1, kind: Kind | None = None) -> bool:
    event = judged(number, due_s, note(), slot=slot, seq=seq, kind=kind)
    return memory().handed_over().covers(event, own=slot == 1)


def test_what_had_come_and_is_not_after_the_last_was_handed_over() -> None:
    assert covers(18, 4.9)
    assert covers(18, 5.0, seq=50)
    assert not covers(18, 5.0, seq=51)
    assert not covers(18, 5.1)


def test_what_had_not_come_was_not_whatever_its_due() -> None:
    assert not covers(17, 4.9), "it was missing"
    assert not covers(21, 4.9), "it was not even known"


def test_own_events_are_in_hand_before_their_number() -> None:
    assert covers(25, 4.9, slot=1)
    assert covers(25, 6.0, slot=1, seq=33), "played as stamped, then judged later than that"
    assert not covers(25, 6.0, slot=1, seq=34)


def test_a_resource_was_loaded_as_it_came() -> None:
    assert covers(18, 9.0, kind=Kind.RESOURCE)
    assert not covers(17, 9.0, kind=Kind.RESOURCE)


def test_where_too_much_is_missing_the_rest_counts_as_not_come() -> None:
    one = Memory()
    missing = list(range(100, 100 + 2 * LISTED_MAX))
    one.remember_missing(1000, missing)
    assert len(one.missing) == LISTED_MAX
    handed = one.handed_over()
    assert all(number in handed.missing or number > handed.highest for number in missing)
