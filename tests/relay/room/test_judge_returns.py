"""The judge when members go and return: slot resets by the relay, and who owns the numbers afterwards."""

from relay.wire.sequence import FADE, FADE_REST, Flag, Kind, reset_over_at
from relay.wire.timetag import ticks
from tests.relay.room.test_judge import EPOCH, a_judge, event


def test_a_reset_takes_the_next_number_and_drops_what_waits() -> None:
    judge = a_judge()
    judge.judge(1, event(1), EPOCH)
    judge.judge(1, event(3), EPOCH)
    reset = judge.reset(1, EPOCH, silenced=True)
    assert (reset.seq, reset.kind, reset.flags) == (2, Kind.RESET, Flag.SILENCED)
    assert judge.next_wakeup() is None
    assert judge.next_seq(1) == 3


def test_a_number_that_a_reset_took_is_its_senders_again_when_he_is_back() -> None:
    judge = a_judge()
    judge.judge(1, event(1), EPOCH)
    judge.reset(1, EPOCH, silenced=True)
    judge.reset(1, EPOCH, silenced=True)
    assert judge.next_seq(1) == 4
    assert judge.skip_to(1, 2, EPOCH) == []
    assert judge.next_seq(1) == 2
    assert [one.seq for one in judge.judge(1, event(2), EPOCH)] == [2]
    assert judge.skip_to(1, 2, EPOCH) == []
    assert judge.next_seq(1) == 3, "judged is judged"


def test_a_sender_who_has_given_none_of_them_away_goes_on_behind_what_a_reset_took() -> None:
    judge = a_judge()
    judge.judge(1, event(1), EPOCH)
    judge.reset(1, EPOCH, silenced=True)
    judge.skip_to(1, 5, EPOCH)
    assert judge.next_seq(1) == 5
    judge.forget(1)
    judge.skip_to(1, 2, EPOCH)
    assert judge.next_seq(1) == 5, "another owner has none of them"


def test_skipping_ahead_judges_what_waited_below_and_never_goes_back() -> None:
    judge = a_judge()
    judge.judge(1, event(5), EPOCH)
    judge.judge(1, event(7), EPOCH)
    assert [one.seq for one in judge.skip_to(1, 10, EPOCH)] == [5, 7]
    assert judge.next_wakeup() is None
    assert judge.skip_to(1, 4, EPOCH) == []
    assert judge.next_seq(1) == 10
    assert [one.seq for one in judge.judge(1, event(10), EPOCH)] == [10]


def test_skipping_ahead_to_what_waits_judges_it() -> None:
    judge = a_judge()
    judge.judge(1, event(5), EPOCH)
    assert [one.seq for one in judge.skip_to(1, 5, EPOCH)] == [5]


def test_a_new_owner_goes_on_with_the_numbers_and_the_floor_but_not_with_the_counts() -> None:
    judge = a_judge()
    judge.judge(1, event(1), EPOCH)
    reset = judge.reset(1, EPOCH + ticks(10), silenced=True)
    judge.forget(1)
    assert judge.next_seq(1) == 3
    assert judge.counts(1).judged == 0
    (first,) = judge.judge(1, event(3, at=EPOCH + ticks(9.99), ahead_s=0.15), EPOCH + ticks(10))
    assert first.due == reset_over_at(reset.due, reset.flags)


def test_whatever_a_slot_plays_next_is_due_when_the_fade_of_its_last_owner_is_over() -> None:
    for forget in (True, False):  # a new owner, or the old one, who is back
        judge = a_judge()
        reset = judge.reset(1, EPOCH, silenced=True)
        if forget:
            judge.forget(1)
        (at_once,) = judge.judge(1, event(2, at=EPOCH, ahead_s=0.15), EPOCH)
        assert at_once.due == reset.due + FADE + FADE_REST
        (later,) = judge.judge(1, event(3, at=EPOCH + ticks(0.3), ahead_s=0.5), EPOCH + ticks(0.3))
        assert later.due == EPOCH + ticks(0.8), "as it said"


def test_a_reset_by_the_player_delays_nothing() -> None:
    judge = a_judge()
    reset = judge.reset(1, EPOCH, silenced=False)
    (first,) = judge.judge(1, event(2, at=EPOCH, ahead_s=0.15), EPOCH)
    assert first.due == reset.due
