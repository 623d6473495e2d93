"""The hold-back queue: scsynth executes the room's order, in whatever order events arrive."""

from hypothesis import given
from hypothesis import strategies as st

import bridge.playout.holdback_queue
from bridge.playout.holdback_queue import UNNUMBERED, Held, HoldbackQueue
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from relay.wire.sequence import Kind

DUES = st.lists(st.integers(0, 5), max_size=30)
"""The dues of events 1, 2, 3 and so on."""


NOTE = encode("/s_new", "sonic-pi-beep", 21, 0, 20)


def held(
    due: int, slot: int = 2, seq: int = 1, *, number: int | None = 1, sub: int = 0, payload: bytes = NOTE
) -> Held:
    return Held(due, slot, seq, Kind.TIMED, Meaning(payload), sub, number)


def numbered(dues: list[int]) -> list[Held]:
    return [held(due, seq=number, number=number) for number, due in enumerate(dues, start=1)]


def keys(events: list[Held]) -> list[tuple[int, int]]:
    return [event.key for event in events]


def as_scsynth_runs(events: list[Held]) -> list[tuple[int, int]]:
    """Return the events' keys in the order in which scsynth executes them: by due, then by arrival."""
    return [event.key for event in sorted(events, key=lambda event: event.due)]


@given(DUES, st.data())
def test_scsynth_runs_due_and_number_whatever_the_arrival_and_the_time(dues, data) -> None:
    events = numbered(dues)
    queue = HoldbackQueue(own_slot=1)
    handed: list[Held] = []
    come: set[int] = set()
    now = -10
    for event in data.draw(st.permutations(events)):
        queue.push(event)
        come.add(event.number or 0)
        ready = next(number for number in range(len(events) + 1) if number + 1 not in come)
        now = data.draw(st.integers(now, -2))
        handed += queue.release(-100, ready=ready, ahead=now + 5, room=data.draw(st.integers(0, 4)))
    handed += queue.release(-100, ready=len(events), ahead=10)
    assert as_scsynth_runs(handed) == sorted(keys(events))
    assert len(queue) == 0


@given(DUES, st.integers(0, 30), st.integers(0, 6), st.integers(0, 6), st.integers(0, 9))
def test_what_goes_early_is_ready_near_and_no_more_than_there_is_room_for(
    dues, ready, ahead, until, room
) -> None:
    queue = HoldbackQueue(own_slot=1)
    for event in numbered(dues):
        queue.push(event)
    released = queue.release(until, ready=ready, ahead=ahead, room=room)
    assert all(event.due <= until or (event.due <= ahead and event.number <= ready) for event in released)
    assert sum(event.due > until for event in released) <= room
    assert all(event.due > until for event in queue.held()), "at release time nothing waits"
    near = [event for event in queue.held() if event.due <= ahead and event.number <= ready]
    assert not near or len(released) >= room
    assert queue.next_due() == min((event.due for event in queue.held()), default=None)


@given(DUES, st.permutations(range(30)))
def test_release_by_due_is_the_rooms_order_too(dues, order) -> None:
    queue = HoldbackQueue(own_slot=1)
    events = numbered(dues)
    for at in order:
        if at < len(events):
            queue.push(events[at])
    assert keys(queue.release(10)) == sorted(keys(events))


def test_what_stands_behind_a_gap_waits_for_its_due_and_what_is_far_for_its_time() -> None:
    queue = HoldbackQueue(own_slot=1)
    for event in (held(5, seq=1, number=1), held(50, seq=2, number=2), held(6, seq=4, number=4)):
        queue.push(event)
    assert keys(queue.release(0, ready=2, ahead=20)) == [(5, 1)]
    assert queue.next_far() == 50
    assert keys(queue.release(6, ready=2, ahead=20)) == [(6, 4)]
    assert keys(queue.release(6, ready=2, ahead=50)) == [(50, 2)]
    assert queue.next_far() is None


def test_what_is_played_at_home_only_follows_the_event_before_it() -> None:
    for ready in (0, 9):
        queue = HoldbackQueue(own_slot=1)
        number = iter((1, 2)) if ready else iter((None, None))
        events = [held(5, 1, 3, number=next(number)), held(5, 1, 4, number=next(number))]
        for event in (
            events[0],
            held(5, 1, 3, number=None, sub=1),
            held(5, 1, 3, number=None, sub=2),
            events[1],
        ):
            queue.push(event)
        order = [(e.seq, e.sub) for e in queue.release(5, ready=ready, ahead=9)]
        assert order == [(3, 0), (3, 1), (3, 2), (4, 0)]


def test_what_is_played_at_home_only_does_not_overtake_its_event() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 1, 3, number=None))
    queue.push(held(5, 1, 3, number=None, sub=1))
    assert queue.release(0, ready=7, ahead=9) == [], "the event has no verdict"
    event = queue.own(3)
    assert event is not None
    event.number = 8
    queue.push(event)
    assert [e.sub for e in queue.release(0, ready=8, ahead=9)] == [0, 1]
    queue.push(held(6, 1, 3, number=None, sub=2))
    assert [e.sub for e in queue.release(0, ready=8, ahead=9)] == [2], "its event has gone"


def test_of_equal_dues_what_has_no_number_yet_comes_last() -> None:
    queue = HoldbackQueue(own_slot=1)
    for event in (held(5, 1, 1, number=None), held(5, 3, 9, number=900), held(5, 2, 1, number=7)):
        queue.push(event)
    assert keys(queue.release(5)) == [(5, 7), (5, 900), (5, UNNUMBERED)]


def test_an_event_of_the_same_number_replaces_the_one_in_hand() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 1, 3, number=None))
    queue.push(held(7, 1, 3, number=9))
    assert queue.release(6) == []
    assert [(e.due, e.number) for e in queue.release(7)] == [(7, 9)]


def test_a_verdict_on_an_event_in_hand_moves_it_and_never_doubles_it() -> None:
    queue = HoldbackQueue(own_slot=1)
    event = held(5, 1, 3, number=None)
    queue.push(event)
    event.due, event.number = 9, 4
    queue.push(event)
    assert queue.release(8) == []
    assert queue.release(8, ready=4, ahead=9) == [event]
    assert queue.release(99, ready=99, ahead=99) == []


def test_a_reset_takes_out_only_what_its_sender_sent_before_it_and_is_due_later_than_that() -> None:
    queue = HoldbackQueue(own_slot=1)
    for key in ((9, 2, 3), (5, 2, 2), (5, 2, 8), (5, 3, 2)):
        queue.push(held(*key))
    assert [(e.due, e.seq) for e in queue.drop_before(2, 5, due=4)] == [(5, 2), (9, 3)]
    queue.push(held(5, 2, 2))
    assert queue.drop_before(2, 5, due=5) == []
    assert sorted((e.slot, e.seq) for e in queue.release(9)) == [(2, 2), (2, 8), (3, 2)]


def test_conversion_moves_own_reckonings_and_leaves_judged_dues_alone() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 1, 3, number=None))
    queue.push(held(6, 1, 3, number=None, sub=1))
    queue.push(held(5, 2, 3, number=7))
    assert queue.convert(lambda due: due + 100) == 2
    assert [(e.due, e.slot) for e in queue.release(50)] == [(5, 2)]
    assert [(e.due, e.sub) for e in queue.release(106)] == [(105, 0), (106, 1)]


def test_numbers_of_a_former_epoch_are_forgotten_but_the_events_are_not() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 2, 3, number=900))
    queue.push(held(6, 1, 4, number=None))
    assert queue.numbers() == [900]
    queue.enter_epoch()
    assert queue.numbers() == []
    assert queue.release(0, ready=1000, ahead=99) == []
    assert queue.convert(lambda due: due + 1) == 2, "their dues were the former relay's"
    assert [(e.due, e.counted) for e in queue.release(9)] == [(6, False), (7, True)]


def test_a_full_queue_takes_no_note_says_so_and_still_takes_new_dues(monkeypatch) -> None:
    monkeypatch.setattr(bridge.playout.holdback_queue, "CAPACITY", 2)
    queue = HoldbackQueue(own_slot=1)
    events = [held(5, 1, seq, number=None, payload=NOTE) for seq in (1, 2, 3)]
    assert [queue.push(event) for event in events] == [True, True, False]
    assert queue.push(events[0])
    assert queue.own(3) is None
    assert queue.convert(lambda due: due + 5) == 2
    assert [(e.due, e.seq) for e in queue.release(10)] == [(10, 1), (10, 2)]
    assert len(queue) == 0
    assert queue.push(events[2])


def test_a_full_queue_takes_groups_frees_and_resets_up_to_a_second_bound(monkeypatch) -> None:
    monkeypatch.setattr(bridge.playout.holdback_queue, "CAPACITY", 2)
    monkeypatch.setattr(bridge.playout.holdback_queue, "STRUCTURE_CAPACITY", 6)
    queue = HoldbackQueue(own_slot=1)
    fx = encode("/s_new", "sonic-pi-fx_echo", 22, 1, 20)
    payloads = [NOTE, NOTE, encode("/g_new", 20, 1, 4), fx, encode("/n_free", 20), b"", b"", NOTE]
    taken = [queue.push(held(5, seq=seq, payload=payload)) for seq, payload in enumerate(payloads)]
    assert taken == [True] * 6 + [False, False]
    assert [event.seq for event in queue.release(5)] == [0, 1, 2, 3, 4, 5]


def test_what_was_played_at_home_only_leaves_nothing_behind_though_no_relay_is_there() -> None:
    queue = HoldbackQueue(own_slot=1)
    for sub in range(1, 100):
        queue.push(held(sub, 1, 3, number=None, sub=sub))
    assert len(queue.release(100)) == 99
    assert len(queue._home) == 0


def test_what_is_played_at_home_only_goes_before_the_next_own_event_though_its_own_never_was_here() -> None:
    queue = HoldbackQueue(own_slot=1)
    queue.push(held(5, 1, 5, number=None, sub=1))  # after a load, which is not held back
    queue.push(held(5, 1, 6, number=1))
    assert [(e.seq, e.sub) for e in queue.release(0, ready=1, ahead=9)] == [(5, 1), (6, 0)]


def test_a_second_verdict_on_what_lies_far_ahead_does_not_double_it() -> None:
    queue = HoldbackQueue(own_slot=1)
    event = held(50, 1, 1, number=1)
    queue.push(event)
    assert queue.release(0, ready=1, ahead=9) == []
    event.number = 2
    queue.push(event)
    assert queue.release(0, ready=2, ahead=50) == [event]


def test_one_member_cannot_fill_everybodys_queue() -> None:
    queue = HoldbackQueue(1)
    most = bridge.playout.holdback_queue.STRUCTURE_CAPACITY
    for seq in range(1, most + 1):
        queue.push(Held(60, 2, seq, Kind.TIMED, Meaning(encode("/g_new", 30, 1, 4)), 0, seq))
    assert queue.push(
        Held(
            1,
            3,
            1,
            Kind.UNTIMED,
            Meaning(encode("/n_free", 7)),
            0,
            bridge.playout.holdback_queue.STRUCTURE_CAPACITY + 1,
        )
    )


def test_what_is_late_goes_by_due_since_scsynth_runs_it_as_it_comes() -> None:
    queue = HoldbackQueue(own_slot=1)
    for event in (
        held(9, seq=1, number=1),
        held(4, seq=2, number=2),
        held(12, seq=3, number=3),
        held(11, seq=4, number=4),
    ):
        queue.push(event)
    released = queue.release(0, ready=4, ahead=20, now=10)
    assert keys(released) == [(4, 2), (9, 1), (12, 3), (11, 4)]
