"""The lead keeper: how the lead follows what a room needs, and where other rules limit it."""

from random import Random

import pytest

from relay.lead.keeper import CHANGE_AHEAD, LEAD_START, LeadPolicy, Safety
from relay.wire.errors import LocalError
from relay.wire.sequence import Timing
from relay.wire.timetag import ticks
from tests.worlds.lead_room import Room, ms


def test_a_room_begins_with_200_ms_and_no_shift() -> None:
    room = Room()
    room.need(None, 100)
    assert (room.lead_ms, room.shift_ms, len(room.timings)) == (200, 0, 1)


def test_a_rise_while_nobody_plays_holds_for_what_is_played_next() -> None:
    for silent, ahead in ((True, 1), (False, CHANGE_AHEAD)):
        room = Room()
        room.need(None, path_s=0.3, silent=silent)
        was = room.keeper.timing.lead_was
        assert was is not None
        assert was.since == room.now + ahead


def test_a_safe_room_begins_with_its_least_lead() -> None:
    room = Room(safety=Safety.SAFE)
    room.need(None, 1)
    room.need(0.1, 200)
    assert (room.lead_ms, len(room.timings)) == (250, 1)


def test_a_path_that_needs_more_is_believed_before_anybody_has_played() -> None:
    room = Room()
    room.need(None, path_s=0.262)
    assert room.lead_ms == 265


def test_the_lead_follows_a_need_up_within_seconds() -> None:
    room = Room()
    room.need(0.231, 3)
    assert room.lead_ms == 235
    room.need(0.287, 3)
    assert room.lead_ms == 290


def test_a_rise_takes_a_step_more_than_needed_where_that_moves_no_note() -> None:
    room = Room()
    room.play(0.5)
    room.need(0.45, 30)
    assert room.lead_ms == 455
    room.need(0.455, 30)
    assert room.lead_ms == 455, "what is a little worse changes nothing"
    room.need(0.5, 30)
    assert (room.lead_ms, room.shift_ms) == (500, 0), "5 ms more would move every note"


def test_a_rises_reserve_is_not_beyond_the_longest_lead() -> None:
    room = Room(lead_max=ticks(0.4))
    room.play(0.5)
    room.need(0.4, 30)
    assert room.lead_ms == 400


def test_a_rises_reserve_keeps_no_shift_up() -> None:
    room = Room()
    room.play(0.2, 100)
    room.need(0.24, 100)
    assert (room.lead_ms, room.shift_ms) == (240, 40)
    room.need(0.205, 63)
    room.need(0.22, 200)
    assert (room.lead_ms, room.shift_ms) == (220, 20)


def test_the_lead_comes_down_when_less_has_done_for_a_minute_and_to_the_most_of_that_minute() -> None:
    room = Room()
    room.need(0.395, 3)
    room.need(0.180, 30)
    room.need(0.240, 1)
    room.need(0.180, 29)
    assert room.lead_ms == 395
    room.need(0.180, 2)
    assert room.lead_ms == 240


def test_where_little_is_played_less_must_have_done_for_longer() -> None:
    room = Room()
    room.need(0.395, 3)
    room.need(0.25, 490, events_per_s=4)
    assert room.lead_ms == 395
    room.need(0.25, 15, events_per_s=4)
    assert room.lead_ms == 250


def test_with_a_note_a_second_of_each_of_three_less_must_have_done_for_ten_thousand_events() -> None:
    room = Room()
    room.need(0.395, 3)
    room.need(0.25, 3_320, events_per_s=3)
    assert room.lead_ms == 395
    room.need(0.25, 20, events_per_s=3)
    assert room.lead_ms == 250


def test_the_lead_comes_down_to_no_less_than_all_moments_but_one_needed() -> None:
    room = Room()
    room.need(0.395, 3)
    room.need(0.2, 90, settled_s=0.395)
    assert room.lead_ms == 395
    room.need(0.2, 90, settled_s=0.28)
    assert room.lead_ms == 280
    room.need(0.2, 90, settled_s=0.5)
    assert room.lead_ms == 280, "nothing rises for that"


def test_a_little_less_changes_nothing_however_long_it_lasts() -> None:
    room = Room()
    room.need(0.300, 3)
    room.need(0.275, 3600)
    assert (room.lead_ms, len(room.timings)) == (300, 2)


def test_what_one_member_needs_beyond_the_longest_lead_is_not_waited_for() -> None:
    room = Room(lead_max=ticks(0.5))
    room.need(3.0, 5)
    assert room.lead_ms == 500


@pytest.mark.parametrize(
    ("safety", "lead_ms"), [(Safety.QUICK, 160), (Safety.BALANCED, 160), (Safety.SAFE, 250)]
)
def test_a_safe_room_takes_a_fifth_more_and_never_less_than_its_least(safety: Safety, lead_ms: int) -> None:
    room = Room(safety=safety)
    room.need(0.160, 70)
    assert room.lead_ms == lead_ms
    room.need(0.400, 3)
    assert room.lead_ms == (480 if safety is Safety.SAFE else 400)


def test_more_caution_looks_at_worse_moments() -> None:
    assert [safety.rank(60) for safety in Safety] == [6, 3, 2]
    assert [safety.rank(10) for safety in Safety] == [2, 2, 2]


def test_a_fixed_lead_stays_and_a_fixed_shift_too() -> None:
    room = Room(lead=ticks(0.3), shift=ticks(0.1))
    room.play(0.5)
    room.need(0.9, 100)
    assert room.timings == [Timing(ticks(0.3), ticks(0.1))]


def test_with_a_fixed_shift_the_lead_takes_no_more_than_notes_have() -> None:
    room = Room(shift=0)
    room.play(0.4)
    room.need(0.7, 5)
    assert room.lead_ms == 395


def test_with_a_fixed_shift_the_lead_comes_down_at_once_where_it_moves_more_than_one_note_in_1000() -> None:
    room = Room(shift=0)
    room.play(0.4, 2000, seconds=30)
    room.need(0.7, 90)
    room.play(0.392, 50, seconds=10)
    room.need(0.7, 1)
    assert room.lead_ms == 395, "an accident"
    room.play(0.392, seconds=40)
    room.need(0.7, 1)
    assert room.lead_ms == 385
    room.need(0.7, 40)
    room.play(0.1, seconds=40)
    room.need(0.7, 30)
    assert room.lead_ms == 200, "no room's lead goes below what it begins with for that"


def test_with_a_fixed_shift_the_lead_gives_way_to_what_notes_have_no_further_than_they_ask() -> None:
    room = Room(shift=0)
    room.play(0.5, 2000)
    room.need(0.7, 5)
    assert room.lead_ms == 495
    room.need(0.7, 40)
    room.play(0.48, seconds=40)
    room.need(0.2, 1, settled_s=0.45)
    assert 470 <= room.lead_ms <= 475


@pytest.mark.parametrize("sd_s", [0.003, 0.01, 0.02])
def test_with_a_fixed_shift_the_lead_follows_no_wobble_of_what_notes_have(sd_s: float) -> None:
    room, random = Room(shift=0), Random(1)
    for second in range(1800):
        for _ in range(5):
            room.play(random.gauss(0.45, sd_s), 1)
        room.need(0.7)
        if second == 600:
            changes = len(room.timings)
    assert len(room.timings) <= changes + 5


def test_a_fixed_shift_over_the_longest_tuned_lead_changes_nothing_again_and_again() -> None:
    room = Room(shift=ticks(3.0))
    room.need(None, 30)
    room.play(0.5)
    room.need(0.2, 30)
    assert len(room.timings) <= 2


def test_a_heard_lead_comes_down_for_what_nearly_all_moments_need() -> None:
    room = Room()
    room.play(0.3, 1000)
    room.need(0.55, 30)
    assert room.shift_ms == 260
    room.need(0.2, 200, settled_s=0.55, events_per_s=3)
    assert (room.lead_ms <= 260, room.shift_ms) == (True, 0)


def test_a_lead_that_nobody_needs_any_more_gives_way_rather_than_shift_the_notes() -> None:
    room = Room()
    room.need(0.45, 10)
    room.play(0.3)
    room.need(0.2, 3, settled_s=0.45)
    assert (295 <= room.lead_ms <= 300, room.shift_ms) == (True, 0)


def test_a_shift_over_the_lead_is_refused() -> None:
    with pytest.raises(LocalError, match="between 0 and the lead"):
        LeadPolicy(lead=ticks(0.1), shift=ticks(0.2))
    assert LeadPolicy(shift=ticks(0.4)).first() == Timing(ticks(0.4), ticks(0.4))


def test_a_quick_room_does_not_wait_for_many_events() -> None:
    room = Room(safety=Safety.QUICK)
    room.need(0.395, 3)
    room.need(0.250, 62, events_per_s=1)
    assert room.lead_ms == 250


def test_where_nobody_has_played_for_long_the_lead_is_what_a_room_begins_with() -> None:
    room = Room()
    room.need(0.395, 3)
    room.need(None, 62, events_per_s=0)
    assert room.lead_ms == ms(LEAD_START)
