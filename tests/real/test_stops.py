"""A stop that deadlocks plain Sonic Pi does no harm behind a bridge.

A stop with many notes ahead brings a thousand replies at once. Plain Sonic Pi 3.2.2 loses some of them, and
then its event thread blocks until Sonic Pi is restarted. Two members play at once, because the deadlock needs
a busy machine. No recorder stands between bridge and Sonic Pi, because the bridge measures how much Sonic Pi
has left unread.
"""

from collections.abc import Iterator

import pytest
from rehearsal.rigs import recording
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.stage import Stage

pytestmark = [pytest.mark.real, pytest.mark.unhurried]

NAMES = ("anna", "bob")
STOPS = 2
CHORDS = """
8.times do |i|
  live_loop :"chords#{i}" do
    use_sched_ahead_time 2
    play_chord [60, 64, 67, 71, 74, 77], release: 0.1, amp: 0.1
    sleep 0.125
  end
end
"""
CHORDS_S = 3.0
QUIET_S = 4.0
SIGN_OF_LIFE = "use_synth :pulse\nplay 60, release: 0.1"


@pytest.fixture(scope="module")
def jam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jam]:
    with Stage() as stage:
        jam = Jam(stage, tmp_path_factory.mktemp("stops"), list(NAMES), lead_ms=150)
        jam.start_relay()
        jam.boot()
        for _ in range(STOPS):
            for code, seconds in ((CHORDS, CHORDS_S), (SIGN_OF_LIFE, 1.0)):
                for performer in jam.performers.values():
                    performer.run_code(code)
                stage.play_for(seconds)
                for performer in jam.performers.values():
                    performer.stop_jobs()
                stage.play_for(QUIET_S)
        yield jam


@pytest.mark.parametrize("name", NAMES)
def test_every_run_after_a_stop_sounds(jam: Jam, name: str) -> None:
    read = recording.read(jam.performers[name].recording_path)
    asked = {one.args[1] for one in read.to_scsynth if one.args[:1] == ("sonic-pi-pulse",)}
    started = {one.args[0] for one in read.from_scsynth if one.address == "/n_go"}
    assert len(asked) == STOPS * len(NAMES), "of both members: scsynth plays everybody's"
    assert asked <= started
