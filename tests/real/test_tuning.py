"""`--tune-sonic-pi` with two genuine Sonic Pis that play the same. One is tuned; later its bridge leaves."""

import re
import time
from dataclasses import dataclass
from statistics import median

import pytest
from rehearsal.proof import stream
from rehearsal.proof.compare import NEEDED_MS
from rehearsal.proof.doubled import DoubledJam, front_path
from rehearsal.proof.stream import NODE_BITS, Pair
from rehearsal.rigs import recording
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.recording import RecordedMessage
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.tree import Node, query

from tests.real.inquiry import wait_for

pytestmark = pytest.mark.real

MS = 1_000_000
LEAD_MS = 200.0
AHEAD_MS = 350.0
OWN_AHEAD_MS = 500.0
TUNED, PLAIN = "ada", "bob"
TOLD = "Sonic Pi's schedule-ahead set to 0.35 s (its own is 0.50 s), for a lead of 200 ms"
SET_S = 15.0
"""Longest time (s) from booting until the schedule-ahead is set. It includes 2 s of silence."""
MUSIC = """
use_bpm 120
live_loop :notes do
  use_synth :beep
  8.times do
    play scale(60, :minor_pentatonic).choose, release: 0.1
    sleep 0.25
  end
end
live_loop :drums do
  with_fx :echo, mix: 0.2 do
    sample :bd_haus
    sleep 0.5
    sample :sn_dub
    sleep 0.5
  end
end
"""
MUSIC_S = 8.0
FADE_S = 4.0
SAYS = re.compile(r"Schedule ahead time set to ([\d.]+)")


@dataclass(frozen=True, repr=False)
class Heard:
    """What one Sonic Pi sent, and what its scsynth was handed for it."""

    notes: list[Pair]
    lost: list[str]
    stats: dict[str, int]
    tree: Node
    before: list[RecordedMessage]
    """Messages that Sonic Pi sent between its boot and the music."""

    @property
    def lead_ms(self) -> float:
        return median(pair.front.lead_ns for pair in self.notes) / MS

    @property
    def sounds_after_ms(self) -> float:
        """The median time (ms) from a note's emission to its due."""
        return median(pair.out.message.due_ns - pair.front.came_ns for pair in self.notes) / MS

    @property
    def margin_ms(self) -> float:
        """The least time (ms) from handing a note to scsynth to its due."""
        return min(pair.out.message.due_ns - pair.out.message.t_ns for pair in self.notes) / MS


@dataclass(frozen=True, repr=False)
class Session:
    heard: dict[str, Heard]
    settings: list[str]
    """The schedule-ahead (s) that Sonic Pi confirmed each time it was set, while the bridge was there."""
    told: str
    settings_after: list[str]
    answer_after: str
    """The schedule-ahead (s) that Sonic Pi reports after the bridge has left."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("tuning")
    with Stage() as stage:
        jam = DoubledJam(stage, folder, [TUNED, PLAIN], lead_ms=LEAD_MS, tuned=[TUNED])
        jam.start_relay()
        jam.add_performers(first_index=1)
        stage.boot()
        jam.wait_here(2)
        booted_ns = time.time_ns()
        tuned = jam.performers[TUNED]
        assert wait_for(stage, lambda: TOLD in tuned.log_text(), SET_S) < SET_S
        began_ns = time.time_ns()
        for performer in jam.performers.values():
            performer.run_code(MUSIC)
        stage.play_for(MUSIC_S)
        for performer in jam.performers.values():
            performer.stop_jobs()
        stage.play_for(FADE_S)
        heard = {name: heard_of(jam, name, booted_ns, began_ns) for name in (TUNED, PLAIN)}
        set_to = settings(tuned)
        jam.shim_of(TUNED).terminate()  # as Ctrl-C does where Sonic Pi was started apart
        wait_for(stage, lambda: len(settings(tuned)) > len(set_to), SET_S)
        tuned.run_code('puts "it is #{current_sched_ahead_time}"')
        wait_for(stage, lambda: "it is " in tuned.log_text(), SET_S)
        return Session(
            heard, set_to, tuned.server_log_path.read_text(), settings(tuned)[len(set_to) :],
            tuned.log_text().rpartition("it is ")[2].split()[0].strip('"'),
        )  # fmt: skip


def settings(performer: Performer) -> list[str]:
    """Return the schedule-ahead (s) that Sonic Pi confirmed each time it was set."""
    return SAYS.findall("\n".join(performer.gui_lines()))


def heard_of(jam: DoubledJam, name: str, booted_ns: int, began_ns: int) -> Heard:
    performer = jam.performers[name]
    member = jam.members()[name]
    slot = int(member["slot"])
    out, read = recording.read(performer.recording_path), recording.read(front_path(performer))
    pairing = stream.pair_up(stream.read_plain(read), stream.read_slot(out, slot))
    music = [pair for pair in pairing.pairs if pair.front.message.t_ns > began_ns]
    return Heard(
        [pair for pair in music if pair.is_timed and pair.front.is_note],
        [str(said) for said in (*pairing.front_only, *pairing.out_only)],
        member,
        query(out.scsynth_port, slot << NODE_BITS),
        [message for message in read.to_scsynth if booted_ns < message.t_ns <= began_ns],
    )


def test_it_is_set_once_to_what_the_room_needs_and_sonic_pi_says_so(session: Session) -> None:
    assert session.settings == [f"{AHEAD_MS / 1e3}"]
    assert session.told.count("Sonic Pi's schedule-ahead set") == 2, "at the beginning, and at the end"


def test_setting_it_leaves_nothing_behind(session: Session) -> None:
    tuned, plain = (session.heard[name] for name in (TUNED, PLAIN))
    assert {message.address for message in tuned.before} == {"/n_run"}
    assert plain.before == []
    assert shape(tuned.tree) == shape(plain.tree)


def shape(node: Node) -> list[object]:
    """Return a tree's names without node ids. The ids of members in different slots differ."""
    return [node.name, [shape(child) for child in node.children]]


def test_notes_sound_sooner_by_what_was_set(session: Session) -> None:
    tuned, plain = (session.heard[name] for name in (TUNED, PLAIN))
    for name, heard in session.heard.items():
        print(
            f"{name}: {len(heard.notes)} notes, lead p50 {heard.lead_ms:.1f} ms, sound p50 "
            f"{heard.sounds_after_ms:.1f} ms after emission, {heard.stats['moved']} moved"
        )
    assert plain.lead_ms == pytest.approx(OWN_AHEAD_MS, abs=30)
    assert tuned.lead_ms == pytest.approx(AHEAD_MS, abs=30)
    assert tuned.sounds_after_ms == pytest.approx(AHEAD_MS, abs=30)


def test_no_note_is_late_or_lost(session: Session) -> None:
    for heard in session.heard.values():
        assert len(heard.notes) > 4 * MUSIC_S
        assert heard.lost == []
        # By the recorder, not by scsynth's own word: on a busy machine that is late by itself.
        assert heard.margin_ms > NEEDED_MS
        for count in ("missing", "late", "out_of_order", "different", "refused"):
            assert heard.stats[count] == 0, count


def test_when_the_bridge_has_left_sonic_pi_has_its_own_again(session: Session) -> None:
    assert session.settings_after == ["0.5"]
    assert session.answer_after == "0.5"
    assert "Sonic Pi's schedule-ahead set back to 0.50 s" in session.told
