"""Hold-back queue: the room's order, whatever the order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

import bridge.holdback
from bridge.holdback import Held, HoldbackQueue
from relay.wire.sequence import Kind

KEYS = st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(1, 30))


def held(due: int, slot: int = 2, seq: int = 1, *, number: int | None = 1, sub: int = 0) -> Held:
    return Held(due, slot, seq, Kind.TIMED, b"", sub, number)


def keys(events: list[Held]) -> list[tuple[int, int, int]]:
    return [event.key for event in events]


@given(st.lists(KEYS, unique_by=lambda key: key[1:]), st.randoms(use_true_random=False))
def test_release_is_by_due_slot_and_seq_whatever_the_arrival(arrivals, dice) -> None:
    queue = HoldbackQueue(own_slot=1)
    dice.shuffle(arrivals)
    for key in arrivals:
        queue.push(held(*key))
    assert keys(queue.release(10)) == sorted(arrivals)


@given(st.lists(KEYS, unique_by=lambda key: key[1:]), st.integers(0, 6))
def test_nothing_leaves_before_its_time_and_nothing_due_stays(arrivals, until) -> None:
    queue = HoldbackQueue(own_slot=1)
    for key in arrivals:
        queue.push(held(*key))
    released = keys(queue.release(until))
    assert all(due <= until for due, _, _ in released)
    assert len(queue) == len(arrivals) - len(released)
    assert queue.next_due() == min((due for due, _, _ in arrivals if due > until), default=None)


def test_what_is_played_at_home_only_follows_the_event_before_it() -> None:
    queue = HoldbackQueue(own_slot=1)
    events = [held(5, 1, 3, sub=2), held(5, 1, 3), held(5, 1, 4), held(5, 1, 3, sub=1)]
    for event in events:
        queue.push(event)
    assert [(e.seq, e.sub) for e in queue.release(5)] == [(3, 0), (3, 1), (3, 2), (4, 0)]


def test_an_event_of_the_same_number_replaces_the_one_in_hand() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 1, 3, number=None))
    queue.push(held(7, 1, 3, number=9))
    assert queue.release(6) == []
    assert [(e.due, e.number) for e in queue.release(7)] == [(7, 9)]


def test_a_new_due_for_an_event_in_hand_moves_it_and_never_doubles_it() -> None:
    queue = HoldbackQueue(own_slot=1)
    event = held(5, 1, 3, number=None)
    queue.push(event)
    for due in (9, 5, 9):
        event.due = due
        queue.push(event)
    assert queue.release(8) == []
    assert queue.release(9) == [event]
    assert queue.release(99) == []


def test_a_reset_takes_out_only_what_its_sender_sent_before_it() -> None:
    queue = HoldbackQueue(own_slot=1)
    for key in ((9, 2, 3), (5, 2, 2), (5, 2, 8), (5, 3, 2)):
        queue.push(held(*key))
    assert keys(queue.drop_before(2, 5)) == [(5, 2, 2), (9, 2, 3)]
    assert keys(queue.release(9)) == [(5, 2, 8), (5, 3, 2)]


def test_conversion_moves_own_reckonings_and_leaves_judged_dues_alone() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 1, 3, number=None))
    queue.push(held(6, 1, 3, number=None, sub=1))
    queue.push(held(5, 2, 3, number=7))
    assert sorted(queue.unjudged_dues()) == [5, 6]
    assert queue.convert(lambda due: due + 100) == 2
    assert [(e.due, e.slot) for e in queue.release(50)] == [(5, 2)]
    assert [(e.due, e.sub) for e in queue.release(106)] == [(105, 0), (106, 1)]


def test_numbers_of_a_former_epoch_are_forgotten_but_the_events_are_not() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 2, 3, number=900))
    queue.push(held(6, 1, 4, number=None))
    assert queue.lowest_number() == 900
    queue.enter_epoch()
    assert queue.lowest_number() is None
    assert queue.convert(lambda due: due + 1) == 2, "their dues were the former relay's"
    assert [(e.due, e.counted) for e in queue.release(9)] == [(6, False), (7, True)]


def test_a_full_queue_drops_what_comes_on_top_but_still_takes_new_dues(monkeypatch) -> None:
    monkeypatch.setattr(bridge.holdback, "CAPACITY", 2)
    queue = HoldbackQueue(own_slot=1)
    events = [held(5, 1, seq, number=None) for seq in (1, 2, 3)]
    for event in events:
        queue.push(event)
    assert queue.overflows == 1
    assert queue.convert(lambda due: due + 5) == 2
    assert keys(queue.release(10)) == [(10, 1, 1), (10, 1, 2)]
    assert len(queue) == 0


@given(st.lists(KEYS, unique_by=lambda key: key[1:]), st.integers(0, 6), st.integers(0, 6))
def test_what_is_closed_goes_early_in_the_same_order_and_never_past_what_has_no_verdict(
    arrivals, until, closed
) -> None:
    queue = HoldbackQueue(own_slot=1)
    for due, slot, seq in arrivals:
        queue.push(held(due, slot, seq, number=None if slot == 1 else 1))
    released = queue.release(until, closed)
    left = sorted(event.key for event in queue.held())
    assert [*keys(released), *left] == sorted(arrivals)
    assert all(event.due <= until or (event.due <= closed and event.number) for event in released)
    first = next((event for event in sorted(queue.held(), key=lambda e: e.key)), None)
    assert first is None or first.due > until
    assert first is None or first.due > closed or first.number is None
