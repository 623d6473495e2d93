"""The downlink: which of the room's events have arrived, and which are asked for again."""

from bridge.playout.live_slot import Copy
from bridge.restart_state import Memory
from bridge.session.downlink import GAP_KEEP_S, PAST_KEEP_S, PAST_NUMBERS, Downlink
from relay.wire import frames
from relay.wire.outbox import Outbox
from relay.wire.sequence import Judged
from tests.worlds.bridge import judged, note


def event(number: int) -> Judged:
    return judged(number, 5.0, note())


def asked(downlink: Downlink, at_s: float) -> list[tuple[int, int]]:
    """Let the downlink ask for lost events; return the ranges of numbers that it asks for."""
    outbox = Outbox(lambda numbers, now_s: [])
    outbox.rtt_s = 0.02
    downlink.ask(outbox, at_s)
    nacks = [frame for text in outbox.flush(at_s) for frame in frames.decode(text)]
    return [bounds for nack in nacks if isinstance(nack, frames.Nack) for bounds in nack.ranges]


def test_each_event_is_taken_in_once() -> None:
    downlink = Downlink(0)
    assert [downlink.saw(event(number), 1.0) for number in (1, 3, 2, 3, 2, 1)] == [True] * 3 + [False] * 3
    assert downlink.complete_number == 3


def test_what_is_missing_is_asked_for_until_it_is_given_up_and_named() -> None:
    downlink = Downlink(0)
    downlink.saw(event(4), 1.0)
    assert asked(downlink, 1.01) == [(1, 3)]
    assert downlink.saw(event(2), 1.05)
    asked(downlink, 1.0 + GAP_KEEP_S)
    assert downlink.gave_up() == [(1, 1), (3, 3)]
    assert downlink.gave_up() == []
    assert downlink.complete_number == 4
    assert not downlink.saw(event(3), 9.0), "giving up is final"


def test_a_newcomer_asks_for_the_last_of_the_past_too_but_misses_none_of_it() -> None:
    downlink = Downlink(0)
    downlink.enter(1000, 1.0)
    assert asked(downlink, 1.01) == [(1001 - PAST_NUMBERS, 1000)]
    assert downlink.is_past(event(1000))
    assert not downlink.is_past(event(1001))
    assert [downlink.saw(event(number), 1.1) for number in (999, 999, 1001)] == [True, False, True]
    asked(downlink, 1.0 + PAST_KEEP_S)
    assert downlink.gave_up() == []
    assert (downlink.counts.expected, downlink.counts.lost) == (1, 0), "the past is no loss"
    assert downlink.asks_at_s(Outbox(lambda numbers, now_s: [])) is None


def test_a_room_without_a_past_is_not_asked() -> None:
    downlink = Downlink(0)
    downlink.enter(0, 1.0)
    assert downlink.asks_at_s(Outbox(lambda numbers, now_s: [])) is None


def test_a_nack_that_was_lost_is_repeated_in_time_and_over_again() -> None:
    downlink = Downlink(0)
    outbox = Outbox(lambda numbers, now_s: [])
    outbox.rtt_s = 0.1
    downlink.saw(event(2), 1.0)
    instants = []
    while (at_s := downlink.asks_at_s(outbox)) is not None and at_s < 1.5:
        downlink.ask(outbox, at_s)
        assert outbox.flush(at_s)
        instants.append(round(at_s, 6))
    assert instants == [1.005, 1.125, 1.245, 1.365, 1.485], "after 5 ms, then every 1.2 RTT"


def test_where_the_way_up_may_carry_no_more_a_gap_is_asked_for_later_and_not_forgotten() -> None:
    downlink = Downlink(0)
    outbox = Outbox(lambda numbers, now_s: [])
    while outbox.pay(1000, 1.0):
        pass
    downlink.saw(event(2), 1.0)
    downlink.ask(outbox, 1.01)
    assert outbox.flush(1.01) == []
    at_s = downlink.asks_at_s(outbox)
    assert at_s is not None
    downlink.ask(outbox, at_s)
    assert outbox.flush(at_s)


def test_a_leap_is_lost_in_one_word_and_the_sequence_goes_on() -> None:
    downlink = Downlink(0)
    downlink.saw(event(1), 1.0)
    downlink.saw(event(4), 1.0)
    assert downlink.saw(event(2**40), 1.0)
    assert downlink.gave_up() == [(2, 2), (3, 3), (5, 2**40 - 1)]
    downlink.announce(2**41, 1.0)
    assert downlink.gave_up() == [(2**40 + 1, 2**41)]
    assert downlink.saw(event(2**41 + 1), 1.0)


def test_what_came_early_is_kept_in_order_and_counts_as_not_yet_played() -> None:
    downlink, memory = Downlink(0), Memory()
    for number in (1, 2, 4):
        downlink.saw(event(number), 1.0)
        downlink.keep_early(event(number))
    downlink.remember(memory, [])
    assert (memory.complete_number, memory.highest_number) == (0, 4)
    assert sorted(memory.missing) == [1, 2, 3, 4]
    assert downlink.take_early(0) == ([], [event(1), event(2), event(4)])
    downlink.remember(memory, [2])
    assert (memory.complete_number, memory.missing) == (1, (3, 2))
    downlink.remember(memory, [])
    assert memory.complete_number == 2


def test_a_room_without_repair_asks_for_nothing_before_it_or_after() -> None:
    downlink = Downlink(0)
    downlink.repair(False)
    downlink.enter(1000, 1.0)
    downlink.saw(event(1003), 1.0)
    assert asked(downlink, 1.5) == []
    downlink.repair(True)
    assert (1001, 1002) in asked(downlink, 1.6)


def test_events_are_ready_up_to_the_first_gap() -> None:
    downlink = Downlink(0)
    downlink.enter(0, 1.0)
    downlink.saw(event(1), 1.0)
    downlink.announce(3, 1.1)
    downlink.saw(event(3), 1.1)
    assert downlink.ready_number == 1, "2 is missing, and what comes after it may have its timetag"
    downlink.saw(event(2), 1.3)
    assert downlink.ready_number == 3


def test_nothing_is_ready_for_a_newcomer_while_events_from_before_it_are_missing() -> None:
    downlink = Downlink(0)
    downlink.enter(2, 1.0)
    downlink.saw(event(3), 1.0)
    assert downlink.ready_number == 0
    downlink.saw(event(1), 1.0)
    downlink.saw(event(2), 1.0)
    assert downlink.ready_number == 3


def test_what_is_in_hand_but_not_handed_over_is_remembered_as_missing() -> None:
    downlink = Downlink(0)
    downlink.enter(0, 1.0)
    for number in (1, 2, 4, 5):
        downlink.saw(event(number), 1.0)
    memory = Memory()
    downlink.remember(memory, [2, 5])
    assert (memory.complete_number, memory.highest_number, memory.missing) == (1, 5, (3, 2, 5))


def test_the_live_states_of_another_epoch_are_forgotten_with_its_numbers() -> None:
    downlink = Downlink(0)
    downlink.keep_copy(Copy(slot=2, number=5000, at=0, pieces=()))
    downlink.enter(0, 1.0)
    assert downlink.take_early(0) == ([], [])


def test_an_event_due_far_ahead_that_comes_with_a_live_state_is_taken_once_however_old_its_number() -> None:
    downlink = Downlink(0)
    downlink.enter(5000, 1.0)
    old = event(10)
    assert downlink.saw(old, 1.0)
    assert not downlink.saw(old, 1.0)
    assert downlink.ready_number == 0 or not downlink._past.saw(10, 1.0)
