"""Lead: how lead and shift follow what a room needs."""

from dataclasses import replace
from random import Random

import pytest

from relay.headroom import Headrooms
from relay.lead import CHANGE_AHEAD, RAMP, Caution, Demand, LeadKeeper, LeadPolicy
from relay.wire.errors import LocalError
from relay.wire.sequence import Kind, Stamped, Timing, Was
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.fakes import EPOCH, NOTE


def ms(duration: int) -> int:
    return round(duration / TICKS_PER_S * 1e3)


class Room:
    """A keeper, tuned once a second."""

    def __init__(self, **policy: object) -> None:
        self.keeper = LeadKeeper(LeadPolicy(**policy))
        self.notes = Headrooms()
        self.now = EPOCH
        self.events = 0
        self.timings = [self.keeper.timing]

    def play(self, ahead_s: float, notes: int = 100) -> None:
        """Let notes be judged that were emitted just now."""
        event = Stamped(1, self.now, self.now + ticks(ahead_s), Kind.TIMED, NOTE)
        for _ in range(notes):
            self.notes.judged(event, self.now)

    def need(
        self,
        need_s: float | None,
        seconds: int = 1,
        *,
        path_s: float = 0.0,
        usual_s: float = 0.0,
        settled_s: float | None = None,
        events_per_s: int = 60,
        silent: bool = False,
    ) -> None:
        """Let the room need so much for a while."""
        demand = Demand(
            None if need_s is None else ticks(need_s), ticks(path_s), ticks(usual_s),
            None if settled_s is None else ticks(settled_s),
        )  # fmt: skip
        for _ in range(seconds):
            self.now += TICKS_PER_S
            self.events += events_per_s
            demand = replace(demand, events=self.events)
            if self.keeper.tune(demand, self.notes, self.now, silent=silent):
                self.timings.append(self.keeper.timing)

    @property
    def lead_ms(self) -> int:
        return ms(self.keeper.timing.lead)

    @property
    def shift_ms(self) -> int:
        return ms(self.keeper.timing.shift)


# -- lead --------------------------------------------------------------------------------------------


def test_a_room_begins_with_200_ms_and_no_shift() -> None:
    room = Room()
    room.need(None, 100)
    assert (room.lead_ms, room.shift_ms, len(room.timings)) == (200, 0, 1)


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
    room.need(0.25, 480, events_per_s=3)
    assert room.lead_ms == 395
    room.need(0.25, 30, events_per_s=3)
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
    ("caution", "lead_ms"), [(Caution.QUICK, 160), (Caution.BALANCED, 160), (Caution.SAFE, 250)]
)
def test_a_safe_room_takes_a_fifth_more_and_never_less_than_its_least(caution: Caution, lead_ms: int) -> None:
    room = Room(caution=caution)
    room.need(0.160, 70)
    assert room.lead_ms == lead_ms
    room.need(0.400, 3)
    assert room.lead_ms == (480 if caution is Caution.SAFE else 400)


def test_more_caution_looks_at_worse_moments() -> None:
    assert [caution.rank(60) for caution in Caution] == [6, 3, 1]
    assert [caution.rank(10) for caution in Caution] == [2, 2, 1]


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
    room.play(0.4, 2000)
    room.need(0.7, 90)
    room.play(0.392, 2)
    room.need(0.7, 1)
    assert room.lead_ms == 395
    room.play(0.392)
    room.need(0.7, 1)
    assert room.lead_ms == 385
    room.play(0.1)
    room.need(0.7, 30)
    assert room.lead_ms == 200, "no room's lead goes below what it begins with for that"


def test_with_a_fixed_shift_the_lead_gives_way_to_what_notes_have_no_further_than_they_ask() -> None:
    room = Room(shift=0)
    room.play(0.5, 2000)
    room.need(0.7, 5)
    assert room.lead_ms == 495
    room.play(0.48)
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


# -- shift -------------------------------------------------------------------------------------------


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
    assert timing.shift_was == Was(0, last + 1, last + 1)
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
    room.play(2.1, 100_000)
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
    room.play(2.0, 20_000)
    room.need(0.6, 30)
    room.play(0.55, 40)
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
    assert was == Was(ticks(0.2), room.now + CHANGE_AHEAD, room.now + CHANGE_AHEAD)
