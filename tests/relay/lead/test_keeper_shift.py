"""The shift: when it rises and falls, and how a rise of the lead waits for a rise of the shift."""

import pytest

from relay.lead.keeper import CHANGE_AHEAD, RAMP
from relay.lead.note_headroom import Headrooms
from relay.wire.sequence import Ramp
from relay.wire.timetag import ticks
from tests.worlds.lead_room import Room


def test_the_shift_is_0_while_the_lead_fits_into_what_notes_have() -> None:
    room = Room()
    room.play(0.5)
    room.need(0.45, 30)
    assert (room.lead_ms, room.shift_ms) == (455, 0)


def test_where_many_notes_would_be_moved_the_shift_rises_in_one_step_behind_all_judged_timetags() -> None:
    room = Room()
    room.play(0.5)
    last = room.notes.last_timetag + ticks(30.0)
    room.notes.last_timetag = last
    room.need(0.62, 1)
    timing = room.keeper.timing
    assert 120 <= room.shift_ms <= 140
    assert timing.shift_was == Ramp(0, last + 1, last + 1)
    assert timing.shift_at(last) == 0
    assert timing.shift_at(last + 1) == timing.shift


def test_a_lead_that_asks_for_more_shift_waits_for_it_so_that_no_note_is_moved_meanwhile() -> None:
    room = Room()
    room.play(0.5)
    room.need(0.62, 1)
    lead, shift = room.lead_ms, room.shift_ms
    assert shift >= lead - 500 > 0
    for _ in range(8):
        room.play(0.5)
        room.need(0.9, 1)
        assert room.lead_ms - room.shift_ms <= 500
    room.need(0.9, 4)
    assert room.lead_ms == 900
    assert 400 <= room.shift_ms <= 420
    assert len(room.timings) <= 4


def test_a_lead_that_rises_after_a_greater_shift_waits_until_that_is_forgotten() -> None:
    room = Room(lead_max=ticks(2.0))
    room.play(0.5)
    room.need(1.9, 30)
    assert room.shift_ms == 1400
    room.play(2.1, 100_000, seconds=60)
    room.need(1.9, 63)
    assert room.shift_ms == 0, "on its way down, for 70 s"
    room.need(1.0, 66)
    assert room.lead_ms == 1360  # the most of its minute: it never went below the shift
    room.need(1.38, 5)  # Timing would refuse it: of old there was a shift of 1.4 s
    assert room.lead_ms == 1360
    room.need(1.38, 30)
    assert room.lead_ms == 1385


def test_what_nearly_every_event_needs_is_not_put_off() -> None:
    room = Room()
    room.play(0.5)
    room.need(0.62, 1)
    room.need(0.9, 3, usual_s=0.8)
    assert room.lead_ms == 800


def test_a_lead_that_rises_while_the_shift_comes_down_waits_for_nothing() -> None:
    room = Room()
    room.play(0.5)
    room.need(0.9, 1)
    while room.keeper.timing.shift:
        room.need(0.4, 1)
    room.need(0.7, 3)
    assert room.lead_ms == 700


@pytest.mark.parametrize("ahead_s", [0.1, 0.06])
def test_where_notes_have_little_lead_and_shift_come_down_too(ahead_s: float) -> None:
    room = Room()
    room.play(ahead_s)
    room.need(1.0, 1)
    assert (room.lead_ms, room.shift_ms) == (1000, 1000 - round(ahead_s * 1e3))
    room.need(0.15, 3600)
    assert room.lead_ms <= 165
    assert room.shift_ms <= 120


def test_a_shift_that_may_rise_for_few_notes_lets_the_lead_rise_at_once() -> None:
    room = Room()
    room.play(0.5, 9950)
    room.play(0.3, 50)
    room.need(0.4, 1)
    assert room.keeper.timing.shift_was is not None
    room.need(0.48, 1)
    assert room.lead_ms == 480


def test_a_shift_comes_down_to_the_most_that_was_wanted_in_the_minute() -> None:
    room = Room(lead=ticks(0.6))
    room.play(0.45, 20)
    room.need(0.6, 20)
    assert room.shift_ms == 160
    room.play(2.0, 20_000, seconds=60)
    room.need(0.6, 30)
    room.play(0.55, 80, seconds=30)
    room.need(0.6, 5)
    room.play(2.0, 60_000)
    room.need(0.6, 40)
    assert room.shift_ms == 60


def test_where_few_notes_would_be_moved_the_shift_rises_by_a_ramp() -> None:
    room = Room()
    room.play(0.5, 9950)
    room.play(0.3, 50)
    room.need(0.4, 1)
    timing = room.keeper.timing
    assert timing.shift_was is not None
    assert 100 <= room.shift_ms <= 120
    assert timing.shift == pytest.approx(RAMP * (timing.shift_was.until - timing.shift_was.since), rel=1e-6)


def test_the_shift_comes_down_by_a_ramp_while_people_play_and_at_once_where_nobody_does() -> None:
    for silent, pace in ((False, RAMP), (True, 1.0)):
        room = Room()
        room.play(0.5)
        room.need(0.7, 30)
        assert room.shift_ms >= 200
        was = room.keeper.timing.shift
        room.need(0.3, 150, silent=silent)
        timing = room.keeper.timing
        assert (timing.shift, timing.lead) == (0, ticks(0.3))
        assert timing.shift_was is not None
        lasted = timing.shift_was.until - timing.shift_was.since
        assert was == pytest.approx(pace * lasted, rel=1e-6), silent


def test_a_shift_that_could_be_a_little_less_stays() -> None:
    room = Room()
    room.play(0.5)
    room.need(0.7, 30)
    shift, count = room.shift_ms, len(room.timings)
    room.need(0.68, 600)
    assert (room.shift_ms, len(room.timings)) == (shift, count)


def test_the_lead_stays_over_a_shift_that_is_still_on_its_way_down() -> None:
    room = Room(lead_max=ticks(4.0))
    room.play(2.0)
    room.need(3.5, 30)
    room.need(0.15, 400)  # Timing itself refuses a shift over the lead
    assert (room.lead_ms, room.shift_ms) == (150, 0)


def test_a_change_begins_after_bridges_have_heard_of_it() -> None:
    room = Room()
    room.need(0.3)
    was = room.keeper.timing.lead_was
    assert was == Ramp(ticks(0.2), room.now + CHANGE_AHEAD, room.now + CHANGE_AHEAD)


def test_with_a_fixed_shift_the_lead_follows_what_notes_have_only_where_that_is_worth_it() -> None:
    room = Room(shift=0)
    room.play(0.491)
    room.need(1.0, 5)
    assert room.lead_ms == 485
    for ahead_s, lead_ms in ((0.498, 485), (0.501, 495)):
        room.notes = Headrooms()
        room.play(ahead_s)
        room.need(1.0, 5)
        assert room.lead_ms == lead_ms
