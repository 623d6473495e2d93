"""Headroom: the time from a note's emission to its timetag."""

import pytest

from relay.lead.note_headroom import BIN, Headrooms
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.relay import EPOCH, NOTE


def note(headrooms: Headrooms, at_s: float, ahead_s: float | None) -> None:
    emitted = EPOCH + ticks(at_s)
    kind = Kind.UNTIMED if ahead_s is None else Kind.TIMED
    timetag = None if ahead_s is None else emitted + ticks(ahead_s)
    headrooms.judged(Stamped(1, emitted, timetag, kind, NOTE), emitted)


def test_before_there_were_notes_nothing_is_known() -> None:
    headrooms = Headrooms()
    note(headrooms, 0.0, None)
    assert headrooms.low() is None
    assert headrooms.share_below(ticks(9.0)) == 0.0
    assert (headrooms.last_timetag, headrooms.last_emitted) == (0, EPOCH)


def test_all_but_one_note_in_a_thousand_have_the_low_headroom() -> None:
    headrooms = Headrooms()
    for index in range(4000):
        note(headrooms, index * 0.1, 0.301 if index % 600 == 0 else 0.501)
    low = headrooms.low()
    assert low is not None
    assert 0 <= ticks(0.301) - low < BIN
    for index in range(4000):
        note(headrooms, 400.0 + index * 0.05, 0.501)
    low = headrooms.low()
    assert low is not None
    assert 0 <= ticks(0.501) - low < BIN


def test_the_first_two_notes_of_a_run_decide_nothing() -> None:
    headrooms = Headrooms()
    for ahead_s in (0.1, 0.15, 0.5, 0.5):
        note(headrooms, 0.0, ahead_s)
    low = headrooms.low()
    assert low is not None
    assert low > ticks(0.49)


def test_notes_in_real_time_are_no_measure_for_others() -> None:
    headrooms = Headrooms()
    for index in range(1000):
        note(headrooms, index * 0.1, 0.001)
    assert headrooms.low() is None
    assert headrooms.share_below(ticks(1.0)) == 0.0


def test_ten_minutes_with_notes_are_kept_however_long_the_pauses() -> None:
    headrooms = Headrooms()
    for index in range(60):
        note(headrooms, index * 3600.0, 0.2)
    assert headrooms.share_below(ticks(0.3)) == 1.0
    for index in range(60):
        note(headrooms, 60 * 3600.0 + index * 10.0, 0.5)
    assert headrooms.share_below(ticks(0.3)) == 0.0
    assert len(headrooms._blocks) == 60


def low_ms(headrooms: Headrooms) -> int:
    low = headrooms.low()
    assert low is not None
    return round(low / TICKS_PER_S * 1e3)


class Played:
    """The headroom of one or more hosts that each play 20 notes a second, usually 0.481 s ahead."""

    def __init__(self) -> None:
        self.headrooms = Headrooms()
        self.at_s = 0.0

    def play(self, seconds: float, *, hosts: int = 1, ahead_s: float = 0.481) -> None:
        for _ in range(round(seconds * 20)):
            for _ in range(hosts):
                note(self.headrooms, self.at_s, ahead_s)
            self.at_s += 0.05

    def stall(self, seconds: float, *, hosts: int = 1) -> None:
        """Let the hosts stand still for some seconds and then emit all missed notes at once."""
        since_s = self.at_s
        self.at_s += seconds
        for index in range(round(seconds * 20)):
            for _ in range(hosts):
                note(self.headrooms, self.at_s, 0.481 - (self.at_s - since_s - index * 0.05))


@pytest.mark.parametrize("seconds", [1, 2, 5])
@pytest.mark.parametrize("age_s", [10, 30, 60, 600])
@pytest.mark.parametrize("hosts", [1, 2])
def test_a_host_that_stood_still_once_moves_nothing(seconds: int, age_s: int, hosts: int) -> None:
    played = Played()
    played.play(age_s, hosts=2)
    played.stall(seconds, hosts=hosts)
    for _ in range(30):
        assert (low_ms(played.headrooms), played.headrooms.share_below(ticks(0.45))) == (480, 0.0)
        played.play(1.0, hosts=2)


def test_nor_do_several_hosts_that_do_so_within_ten_seconds() -> None:
    played = Played()
    played.play(30)
    for _ in range(4):
        played.stall(2.0)
        played.play(1.0)
    assert low_ms(played.headrooms) == 480


def test_hosts_that_stood_still_three_times_in_ten_minutes_are_what_a_room_is_good_for() -> None:
    played = Played()
    played.play(60)
    for _ in range(3):
        played.stall(2.0)
        played.play(60)
    assert low_ms(played.headrooms) < 200
    assert 0.0 < played.headrooms.share_below(ticks(0.45)) < 0.01


def test_who_has_little_from_some_moment_on_is_believed_within_16_s() -> None:
    played = Played()
    played.play(300)
    played.play(16.0, ahead_s=0.201)
    assert low_ms(played.headrooms) == 200


def test_in_a_young_room_who_has_little_is_believed_at_once() -> None:
    played = Played()
    played.play(0.25, ahead_s=0.201)
    assert low_ms(played.headrooms) == 200
    played.play(30, ahead_s=0.201)
    assert low_ms(played.headrooms) == 200
