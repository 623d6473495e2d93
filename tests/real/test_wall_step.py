"""One member's wall clock is set forward and back while all play. The other members' notes don't move.

Only that member's programs see the set clock: scsynth through libfaketime, Ruby and the bridge through hooks.
Their monotonic clocks aren't changed, as on a real computer. What happens at that member is printed;
docs/way-of-an-event.md describes it.
"""

import shutil
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from rehearsal import RECORDER
from rehearsal.proof import relaylog
from rehearsal.proof.doubled import script
from rehearsal.proof.relaylog import LoggedEvent
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.recording import RecordedMessage, Recording
from rehearsal.rigs.stage import Stage

from tests.real.inquiry import SECOND_NS, notes

pytestmark = pytest.mark.real

ANNA, BOB = "anna", "bob"
STEP_S = 2.0
BEAT_S = 0.125
CODE = f"""
sleep 0.5
live_loop :beat do
  synth :SYNTH, note: :e3, release: 0.1, amp: 0.2
  sleep {BEAT_S}
end
"""
SYNTHS = {ANNA: "saw", BOB: "tri"}
SETCLOCK = Path(__file__).parent / "setclock"
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
MOVED_MS_MAX = 1.0


class SteppedJam(Jam):
    """A jam in which the wall clock of bob's programs can be set."""

    def set_clock(self, offset_s: float) -> int:
        """Set bob's wall clock `offset_s` ahead of the true one; return when it was set, in ns of true
        time."""
        new = self.folder / "new"
        new.write_text(f"{offset_s:+.1f}\n")
        with (self.folder / "offset_ns").open("r+b" if self.performers else "wb") as file:
            file.write(struct.pack("<q", round(offset_s * SECOND_NS)))
            new.replace(self.folder / "offset")
        return time.time_ns()

    def launcher(self, name: str, scsynth: str | Path = RECORDER) -> list[str | Path]:
        """Return the command that starts a member's Sonic Pi. For bob it includes hooks that shift the
        clock."""
        usual = super().launcher(name, scsynth)
        if name != BOB:
            return usual
        fake = script(
            self.folder / "fake-scsynth",
            f"export LD_PRELOAD={LIBRARIES[0]} FAKETIME_TIMESTAMP_FILE={self.folder / 'offset'}\n"
            f'export FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1\nexec {genuine_scsynth()} "$@"\n',
        )
        return [
            "env", f"SETCLOCK_FILE={self.folder / 'offset_ns'}", f"PYTHONPATH={SETCLOCK}",
            f"RUBYOPT=-r{SETCLOCK / 'setclock.rb'}", f"REHEARSAL_SCSYNTH={fake}", *usual,
        ]  # fmt: skip


def genuine_scsynth() -> str:
    found = shutil.which("scsynth")
    assert found is not None
    return found


@dataclass(frozen=True)
class Stepped:
    """What was recorded. forward_ns, back_ns: true time at which bob's clock was set forward and back."""

    forward_ns: int
    back_ns: int
    end_ns: int
    slots: dict[str, int]
    recordings: dict[str, Recording]
    judged: list[LoggedEvent]
    warnings: list[str]
    log: str
    scsynth_log: str

    def of(self, player: str, at: str) -> list[RecordedMessage]:
        """Return the notes of a player's loop at one member's scsynth, in the order of their dues."""
        every = notes(self.recordings[at], self.slots[player], 0, 1 << 63)
        return [note for note in every if note.args[0] == f"sonic-pi-{SYNTHS[player]}"]

    def started_at_home(self) -> list[tuple[float, float]]:
        """Return (start, delay), in s of true time, for each note of anna's that bob's scsynth started.

        delay: how much later the note started than its due at anna's.
        """
        due_at_annas = {note.args[1]: note.due_ns for note in self.of(ANNA, ANNA)}
        return [
            (reply.t_ns / 1e9, (reply.t_ns - due_at_annas[reply.args[0]]) / 1e9)
            for reply in self.recordings[BOB].from_scsynth
            if reply.address == "/n_go" and reply.args[0] in due_at_annas
        ]


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stepped]:
    assert LIBRARIES, "libfaketime is missing: scripts/prepare installs it"
    folder = tmp_path_factory.mktemp("step")
    with Stage() as stage:
        jam = SteppedJam(stage, folder, [ANNA, BOB], event_log=folder / "events.jsonl")
        jam.set_clock(0.0)
        jam.start_relay()
        jam.boot()
        bob = jam.performers[BOB]

        def play(*names: str) -> None:
            for name in names:
                jam.performers[name].run_code(CODE.replace("SYNTH", SYNTHS[name]))

        stage.play_for(2.0)
        play(ANNA, BOB)
        stage.play_for(4.0)
        forward_ns = jam.set_clock(STEP_S)
        stage.play_for(8.0)
        bob.stop_jobs()
        stage.play_for(2.0)
        play(BOB)
        stage.play_for(4.0)
        back_ns = jam.set_clock(0.0)
        stage.play_for(8.0)
        slots = {name: int(member["slot"]) for name, member in jam.members().items()}
        yield Stepped(
            forward_ns, back_ns, time.time_ns() - SECOND_NS, slots, jam.recordings(),
            relaylog.read(folder / "events.jsonl"), bob.timing_warnings(), bob.log_text(), bob.scsynth_log(),
        )  # fmt: skip


def off_beat_ms(dues_ns: list[int]) -> float:
    """Return how far (ms) at most the time between two neighbouring notes is from a whole number of beats."""
    beat_ns = BEAT_S * SECOND_NS
    return max(
        abs((later - earlier) / beat_ns - round((later - earlier) / beat_ns)) * BEAT_S * 1e3
        for earlier, later in pairwise(dues_ns)
    )


def test_a_set_clock_moves_no_event_of_the_others(stepped: Stepped) -> None:
    own = [note.due_ns for note in stepped.of(ANNA, ANNA) if note.due_ns < stepped.end_ns]
    assert len(own) > 20 / BEAT_S
    assert off_beat_ms(own) < MOVED_MS_MAX
    assert max(later - earlier for earlier, later in pairwise(own)) < 1.5 * BEAT_S * SECOND_NS
    assert min(note.due_ns - note.t_ns for note in stepped.of(ANNA, ANNA)) > 100e6
    annas = [event for event in stepped.judged if event.slot == stepped.slots[ANNA] and event.kind == "TIMED"]
    assert len(annas) > 20 / BEAT_S
    assert not [event.name for event in annas if event.flags & {"RETIMED", "MOVED"}]


def test_what_the_member_plays_is_the_same_to_the_others_before_and_long_after(stepped: Stepped) -> None:
    heard = [note.due_ns for note in stepped.of(BOB, ANNA)]
    before = [due_ns for due_ns in heard if due_ns < stepped.forward_ns]
    again = [due_ns for due_ns in heard if stepped.back_ns - 2 * SECOND_NS < due_ns < stepped.back_ns]
    assert len(before) > 2 / BEAT_S
    assert off_beat_ms(before) < MOVED_MS_MAX
    assert len(again) > 1 / BEAT_S, "a stop and a run, and he is heard again"
    assert off_beat_ms(again) < MOVED_MS_MAX
    # By the true clock: with the old offset to his wall clock he would be two seconds away, on the beat.
    ahead = [note.due_ns - note.t_ns for note in stepped.of(BOB, ANNA) if note.due_ns in {*before, *again}]
    assert min(ahead) > 0.1 * SECOND_NS
    assert max(ahead) < 0.6 * SECOND_NS


def test_home_is_told(stepped: Stepped) -> None:
    assert "this computer's clock was set by" in stepped.log
    for what, at_ns in (("forward", stepped.forward_ns), ("back", stepped.back_ns)):
        until_ns = at_ns + 7 * SECOND_NS
        heard = [note for note in stepped.of(BOB, ANNA) if at_ns < note.due_ns < until_ns]
        gap = max((b.due_ns - a.due_ns for a, b in pairwise(heard)), default=0) / SECOND_NS
        last = (heard[-1].due_ns - at_ns) / SECOND_NS if heard else 0.0
        # The bridge hands everything over in both cases; what becomes of it is scsynth's.
        of_anna = [note for note in stepped.of(ANNA, BOB) if at_ns < note.t_ns < until_ns]
        print(
            f"{what} by {STEP_S} s: others hear {len(heard)} of bob's notes in 7 s, widest gap {gap:.2f} s,"
        )
        print(f"last after {last:.2f} s; bob is handed {len(of_anna)} of anna's")
        assert len(of_anna) > 5 / BEAT_S
        off = [(at_s, by_s) for at_s, by_s in stepped.started_at_home() if 0 < at_s - at_ns / 1e9 < 8]
        wrong = [(at_s - at_ns / 1e9, by_s) for at_s, by_s in off if abs(by_s) > 0.05]
        print(f"bob's scsynth started {len(wrong)} of {len(off)} of anna's more than 50 ms off: {wrong[::8]}")
    back = [note.due_ns for note in stepped.of(BOB, ANNA) if note.due_ns > stepped.back_ns + 4 * SECOND_NS]
    assert len(back) > 2 / BEAT_S, "set back, he goes on by himself"
