"""A process is stopped for three seconds. No burst of notes sounds afterwards, by the sound card.

Anna plays on a genuine Sonic Pi, and bob's sound card is recorded. All cases share one boot.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.stage import Stage

from tests.real.inquiry import SECOND_NS, notes
from tests.worlds.crowds import crowds
from tests.worlds.hearing import CROWD_MAX, WITHIN_NS

pytestmark = [pytest.mark.real, pytest.mark.exhaustive]

ANNA, BOB = "anna", "bob"
CODE = """
use_random_seed 7
live_loop :all do
  sample :drum_bass_hard, amp: 0.3
  sample :drum_cymbal_closed, amp: 0.3
  synth :tb303, note: :e2, release: 0.1, cutoff: 90, amp: 0.2
  sleep 0.125
end
"""
SETTLE_S, STOPPED_S, AFTER_S = 4.0, 3.0, 4.0
BEFORE_S = 2.0
"""Span (s) before the stall. Its loudest half second is compared with the sound after the stall."""
HALF_NS = SECOND_NS // 2
LOUDER_DB_MAX = 1.0


@dataclass(frozen=True)
class Heard:
    """What was heard around one stall.

    crowds: member -> greatest number of anna's notes within 10 ms. before_dbfs, after_dbfs: level at bob.
    """

    crowds: dict[str, int]
    before_dbfs: float
    after_dbfs: float
    heard_again: int
    """Number of anna's notes that are due at bob later than a second after the stall."""


@pytest.fixture(scope="module")
def jam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jam]:
    with Stage() as stage:
        jam = Jam(stage, tmp_path_factory.mktemp("stalls"), [ANNA, BOB], listened=True)
        jam.start_relay()
        jam.boot()
        stage.play_for(2.0)
        jam.performers[ANNA].run_code(CODE)
        yield jam


def relay_pid(jam: Jam) -> int:
    assert jam.relay is not None
    return jam.relay.pid


WHO: dict[str, Callable[[Jam], int]] = {
    "the relay": relay_pid,
    "anna's bridge": lambda jam: jam.bridge_of(ANNA).pid,
    "bob's bridge": lambda jam: jam.bridge_of(BOB).pid,
}


@pytest.fixture(scope="module", params=WHO)
def heard(jam: Jam, request: pytest.FixtureRequest) -> Heard:
    jam.stage.play_for(SETTLE_S)
    slot = int(jam.members()[ANNA]["slot"])
    pid = WHO[request.param](jam)
    began_ns = time.time_ns()
    os.kill(pid, signal.SIGSTOP)
    try:
        jam.stage.play_for(STOPPED_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    ended_ns = time.time_ns()
    jam.stage.play_for(AFTER_S)
    until_ns = ended_ns + round((AFTER_S - 1.0) * SECOND_NS)
    most, again = {}, 0
    for name, recorded in jam.recordings().items():
        played = notes(recorded, slot, began_ns - SECOND_NS, until_ns)
        most[name] = crowds([max(note.t_ns, note.due_ns) for note in played], WITHIN_NS)
        if name == BOB:
            again = sum(note.due_ns > ended_ns + SECOND_NS for note in played)
    take = jam.performers[BOB].take
    halves = [began_ns - (number + 1) * HALF_NS for number in range(round(BEFORE_S * 2))]
    return Heard(
        most,
        max(take.level_dbfs(from_ns, from_ns + HALF_NS) for from_ns in halves),
        take.level_dbfs(ended_ns, ended_ns + HALF_NS),
        again,
    )


def test_a_stall_lets_at_most_five_notes_sound_within_ten_milliseconds(heard: Heard) -> None:
    assert max(heard.crowds.values()) <= CROWD_MAX, heard


def test_the_half_second_after_a_stall_is_no_louder_at_the_others_sound_card(heard: Heard) -> None:
    assert heard.after_dbfs <= heard.before_dbfs + LOUDER_DB_MAX, heard


def test_the_music_goes_on_at_the_other_a_second_after_a_stall(heard: Heard) -> None:
    assert heard.heard_again >= 30, heard
