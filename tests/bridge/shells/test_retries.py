"""Pauses between connection attempts: short at first, then longer, and different for each member."""

from random import Random

from bridge.shells.retries import AGAIN_S, FIRST_S, LONGEST_S, Retries


def test_pauses_grow_up_to_the_longest_and_are_drawn_from_their_upper_half() -> None:
    for dice, share in ((lambda: 0.0, 0.5), (lambda: 0.5, 0.75), (lambda: 1.0, 1.0)):
        retries = Retries(dice)
        pauses_s = [retries.pause_s() for _ in range(6)]
        longest_s = [FIRST_S, 1.5, 2.25, 3.375, LONGEST_S, LONGEST_S]
        assert pauses_s == [longest * share for longest in longest_s]


def test_after_a_while_in_the_room_it_is_soon_again() -> None:
    retries = Retries(lambda: 1.0)
    retries.pause_s()
    retries.pause_s()
    assert retries.again_s() == AGAIN_S
    assert retries.pause_s() == FIRST_S


def test_members_who_lost_their_relay_at_one_instant_do_not_come_back_at_one() -> None:
    random = Random(1)
    members = [Retries(random.random) for _ in range(64)]
    back_s = sorted(one.again_s() + one.pause_s() + one.pause_s() for one in members)
    within_50_ms = max(sum(at_s <= other_s < at_s + 0.05 for other_s in back_s) for at_s in back_s)
    assert within_50_ms < 16
