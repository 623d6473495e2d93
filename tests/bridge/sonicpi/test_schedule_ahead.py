"""The tuner of Sonic Pi's schedule-ahead: which value it sets, and when."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from bridge.effects import Tell
from bridge.sonicpi.schedule_ahead import (
    ANSWER_S,
    ANSWER_S_MAX,
    FALL_LASTS_S,
    LOWER_LASTS_S,
    PLAYING_PAUSE_S,
    RESERVE_S,
    RISE_LASTS_S,
    RISE_S,
    SILENT_S,
    AheadTuner,
    RunCode,
    ahead_for,
)
from relay.wire.timetag import seconds, ticks

TICK_S = 0.25


@dataclass
class Stage:
    """A tuner, and a simulated Sonic Pi that obeys it while `up` is true."""

    lead_s: float | None = 0.2
    up: bool = True
    playing: bool = False
    note_every_s: float = TICK_S
    restarted: bool = False
    now_s: float = 100.0
    heard: int = 7
    runs: int = 0
    codes: list[tuple[float, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began_s = self.now_s
        self.tuner = AheadTuner(self.now_s, restarted=self.restarted)

    def run(self, seconds: float) -> None:
        """Let time (s) pass in steps of TICK_S, and carry out the tuner's effects."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += TICK_S
            self.heard += self.playing and self.now_s % self.note_every_s == 0
            for effect in self.tuner.wake(
                lead_s=self.lead_s, heard=self.heard, runs=self.runs, now_s=self.now_s
            ):
                match effect:
                    case RunCode(code):
                        self.codes.append((self.now_s - self.began_s, code))
                        if self.up and not self.playing:
                            self.heard += 1
                            self.runs += 1
                    case Tell(text):
                        self.told.append(text)

    def settle(self) -> None:
        """Wait for the tuner's first setting, then clear the record of it."""
        self.run(SILENT_S + 1.0)
        assert self.tuner.ahead_s is not None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Clear what was recorded. From now on, times in the record are measured from this moment."""
        self.codes.clear()
        self.told.clear()
        self.began_s = self.now_s

    @property
    def set_to(self) -> list[str]:
        return [code.removeprefix("set_sched_ahead_time! ") for _, code in self.codes]


# -- to what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lead_s", "ahead_s"),
    [
        (0.2, 0.35),
        (0.3, 0.45),
        (0.0, 0.15),
        (0.1001, 0.26),
        (0.1234, 0.28),
        (0.84, 0.99),
        (0.85, 1.0),
        (3, 1.0),
    ],
)
def test_what_is_needed_is_the_lead_and_a_reserve_in_whole_steps_up_to_a_second(
    lead_s: float, ahead_s: float
) -> None:
    assert ahead_for(lead_s) == ahead_s


@pytest.mark.parametrize("lead_ms", range(0, 500, 10))
def test_a_lead_that_has_been_in_ticks_asks_for_no_step_more(lead_ms: int) -> None:
    assert ahead_for(seconds(ticks(lead_ms / 1e3))) == round(lead_ms / 1e3 + RESERVE_S, 2)


# -- while silent ----------------------------------------------------------------------------------------


def test_it_is_set_once_when_sonic_pi_was_silent_for_two_seconds_and_never_again() -> None:
    stage = Stage()
    stage.run(600)
    assert stage.set_to == ["0.35"]
    assert stage.codes[0][0] == pytest.approx(SILENT_S, abs=2 * TICK_S)
    assert stage.told == ["Sonic Pi's schedule-ahead set to 0.35 s (its own is 0.50 s), for a lead of 200 ms"]


def test_outside_of_a_room_nothing_is_set() -> None:
    stage = Stage(lead_s=None)
    stage.run(60)
    assert stage.codes == []


def test_who_needs_just_sonic_pis_own_is_set_to_it_once_whatever_it_had_before() -> None:
    stage = Stage(lead_s=0.35)
    stage.run(60)
    assert stage.set_to == ["0.50"]


def test_a_lead_that_wanders_by_little_is_not_followed() -> None:
    stage = Stage()
    stage.settle()
    for lead_s in (0.205, 0.19, 0.215, 0.18, 0.22, 0.2) * 10:
        stage.lead_s = lead_s
        stage.run(15)
    assert stage.codes == []


def test_a_higher_lead_is_followed_at_once_and_a_lower_one_once_it_lasts() -> None:
    stage = Stage()
    stage.settle()
    stage.lead_s = 0.26
    stage.run(1)
    stage.lead_s = 0.2
    stage.run(LOWER_LASTS_S - 1)
    assert stage.set_to == ["0.41"]
    stage.run(2)
    assert stage.set_to == ["0.41", "0.35"]
    assert stage.told[-1] == "Sonic Pi's schedule-ahead set from 0.41 to 0.35 s, for a lead of 200 ms"


def test_a_lead_that_dips_now_and_then_is_followed_to_its_highest_only() -> None:
    stage = Stage()
    stage.settle()
    for _ in range(30):
        stage.lead_s = 0.1
        stage.run(LOWER_LASTS_S - 2)
        stage.lead_s = 0.2
        stage.run(2)
    assert stage.codes == []


def test_a_lead_that_fell_and_wanders_there_is_followed_to_the_highest_of_it() -> None:
    stage = Stage(lead_s=0.4)
    stage.settle()
    for lead_s in (0.1, 0.2, 0.1, 0.15, 0.1, 0.1):
        stage.lead_s = lead_s
        stage.run(LOWER_LASTS_S / 5)
    assert stage.set_to == ["0.35"]


# -- while playing ---------------------------------------------------------------------------------------


def test_while_it_plays_a_small_gain_waits_for_silence() -> None:
    stage = Stage(lead_s=0.27, playing=True)
    stage.run(600)
    assert stage.codes == []
    stage.playing = False
    stage.run(SILENT_S + 1)
    assert stage.set_to == ["0.42"]


def test_while_it_plays_a_great_gain_is_taken_once_it_lasted_a_minute() -> None:
    stage = Stage(lead_s=0.1, playing=True)
    stage.run(600)
    assert stage.set_to == ["0.25"]
    assert stage.codes[0][0] == pytest.approx(FALL_LASTS_S, abs=2 * TICK_S)
    assert stage.told[0].endswith("while it plays: the music has a jump there")


def test_while_it_plays_a_lead_that_moves_notes_is_followed_soon() -> None:
    stage = Stage()
    stage.settle()
    stage.playing = True
    stage.run(60)
    stage.lead_s = 0.25
    stage.begin_anew()
    stage.run(60)
    assert stage.set_to == ["0.40"]
    assert stage.codes[0][0] == pytest.approx(RISE_LASTS_S, abs=2 * TICK_S)


def test_while_it_plays_a_lead_that_rises_step_by_step_makes_few_jumps() -> None:
    stage = Stage()
    stage.settle()
    stage.playing = True
    stage.run(30)
    stage.begin_anew()
    for step in range(20):
        stage.lead_s = 0.2 + 0.03 * step
        stage.run(1)
    stage.run(30)
    assert float(stage.set_to[-1]) > ahead_for(stage.lead_s) - RISE_S
    assert len(stage.set_to) <= 1 + 20 / PLAYING_PAUSE_S


def test_a_short_spike_of_the_lead_makes_no_jump() -> None:
    stage = Stage()
    stage.settle()
    stage.playing = True
    stage.run(30)
    stage.begin_anew()
    stage.lead_s = 0.23
    stage.run(30)
    assert stage.codes == []


# -- answers ---------------------------------------------------------------------------------------------


def test_without_an_answer_it_is_sent_again_ever_more_rarely() -> None:
    stage = Stage(up=False)
    stage.run(600)
    instants = [at_s for at_s, _ in stage.codes]
    gaps = [later - earlier for earlier, later in pairwise(instants)]
    assert gaps == sorted(gaps)
    assert gaps[0] == pytest.approx(ANSWER_S, abs=2 * TICK_S)
    assert gaps[-1] == pytest.approx(ANSWER_S_MAX, abs=2 * TICK_S)
    assert len(instants) < 30
    assert stage.told == []
    stage.up = True
    stage.run(2 * ANSWER_S_MAX)
    assert len(stage.told) == 1
    assert stage.codes[-1][1] == "set_sched_ahead_time! 0.35"
    before = len(stage.codes)
    stage.run(600)
    assert len(stage.codes) == before


def test_music_too_slow_to_be_told_from_silence_is_an_answer_too() -> None:
    stage = Stage()
    stage.run(60)
    stage.begin_anew()
    stage.playing, stage.note_every_s = True, 7.0
    stage.lead_s = 0.3
    stage.run(600)
    assert len(stage.told) == 1
    assert set(stage.set_to) == {"0.45"}
    assert len(stage.codes) <= 3


def test_what_sonic_pi_sends_while_it_boots_is_no_answer() -> None:
    stage = Stage(up=False)
    stage.run(SILENT_S + TICK_S)
    stage.heard += 5
    stage.run(1)
    assert stage.told == []


# -- leaving ---------------------------------------------------------------------------------------------


def test_on_leaving_sonic_pi_gets_its_own_schedule_ahead_back() -> None:
    stage = Stage()
    stage.settle()
    assert stage.tuner.leave() == [
        RunCode("set_sched_ahead_time! 0.50"),
        Tell("Sonic Pi's schedule-ahead set back to 0.50 s"),
    ]


def test_who_leaves_before_anything_was_set_leaves_sonic_pi_alone() -> None:
    stage = Stage()
    stage.run(SILENT_S / 2)
    assert stage.tuner.leave() == []


def test_a_bridge_after_one_that_died_sets_it_anew_and_back_at_the_end() -> None:
    stage = Stage(lead_s=0.35, restarted=True)
    assert stage.tuner.leave() != []
    stage.run(60)
    assert stage.set_to == ["0.50"]


def test_a_bridge_after_one_that_died_knows_that_sonic_pi_is_up() -> None:
    stage = Stage(restarted=True, up=False)
    stage.run(SILENT_S + TICK_S)
    stage.heard += 1
    stage.run(TICK_S)
    assert len(stage.told) == 1
