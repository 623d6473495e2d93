"""Sounds that only their own host can play as written: own synthdefs, sound output, sound input.

Plain Sonic Pi and anna play the same code at the same time; bob is another member. The sound of the three is
compared. Each scsynth records what it sends to its sound card, so sound that bypasses the bridge's mixers
counts too. A level is the energy of a take, which doesn't depend on the take's length.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import log10
from pathlib import Path

import numpy
import pytest
import soundfile
from rehearsal.rigs import recording, sound
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.machine import make_shim
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.tree import query

from tests.real import ownsynths

pytestmark = [pytest.mark.real, pytest.mark.unhurried]

SAME_DB = 1.0
SILENCE_DB = -120.0
SETTLE_S = 0.5
"""Time (s) to wait after the last note was sent, until the note has ended."""
REPORTED_S = 10.0
"""Time (s) within which the relay knows what has sounded. A bridge reports every second."""
PLAIN, HOME, ELSEWHERE = "plain", "anna", "bob"
INPUT_BUS = 4
"""Bus for the sound that is to come in: it plays on output 5, which jack connects to the input."""
LOOPED = {"SC_JACK_DEFAULT_INPUTS": "SuperCollider:out_5,SuperCollider:out_6"}
KICKS = "4.times do\n sample :bd_haus\n sleep 0.4\nend\n"
NOTES = "4.times do\n play 69, release: 0.3\n sleep 0.4\nend\n"
"""Notes for pieces that pass a master mixer at bob only. The mixer dampens the deepest bass by 1.5 dB."""


@dataclass(frozen=True)
class Piece:
    """Code that plain Sonic Pi and anna play.

    buses: the first of the two sound card channels to record, at plain, anna and bob. told: part of the
    message to anna.
    """

    name: str
    code: str
    length_s: float = 1.8
    buses: tuple[int, int, int] = (0, 0, 0)
    missed: int = 0
    """Number of sounds that only anna hears, by the statistics."""
    told: str = ""
    elsewhere: bool = True
    """Whether bob hears the piece as loud as anna. If False he must not hear it at all."""
    needs_input: bool = False


OWN = 'use_external_synths true\nload_synthdefs "{synths}"\n'
OPTIONS = (
    "opts = { rate: 1, start: 0, finish: 1, attack_level: 1, sustain_level: 1, env_curve: 2, norm: 0 }\n"
    "defaults = { pre_amp: 1, pan: 0, hpf: 20, threshold: 0.2, clamp_time: 0.01, slope_above: 0.5,\n"
    "             slope_below: 1, relax_time: 0.01, lpf_min: 20, hpf_max: 20, lpf: 90, amp: 0.5 }\n"
    "defaults.each do |name, value|\n"
    "  opts[name] = value\n"
    '  { "slide" => 0, "slide_shape" => 1, "slide_curve" => 0 }.each { |k, v| opts[:"#{name}_#{k}"] = v }\n'
    "end\n"
    "2.times do\n sample :bd_haus, opts\n sleep 0.4\nend\n"
)
PIECES = [
    Piece("sound-out", f"with_fx :sound_out_stereo, amp: 1 do\n{KICKS}end\n"),
    Piece(
        "own-synth",
        OWN + "4.times do\n synth :mybeep, release: 0.3\n sleep 0.4\nend\n",
        missed=4,
        told="mybeep is a synthdef of your own: only you hear it",
        elsewhere=False,
    ),
    Piece("all-options", OPTIONS, length_s=1.2),
]
FURTHER = [
    Piece("sound-out-mono", f"with_fx :sound_out, output: 2, amp: 0.5 do\n{KICKS}end\n"),
    Piece("sound-out-third", f"with_fx :sound_out, output: 3, amp: 0 do\n{NOTES}end\n", buses=(2, 2, 0)),
    Piece(
        "sound-out-moved",
        f"with_fx :sound_out, amp: 0 do |fx|\n control fx, output: 4\n sleep 0.1\n{NOTES}end\n",
        length_s=2.0,
        buses=(2, 2, 0),
    ),
    Piece("sound-out-beyond", f"with_fx :sound_out_stereo, output: 19 do\n{KICKS}end\n"),
    Piece("sound-out-low", f"set_volume! 0.4\nwith_fx :sound_out_stereo do\n{KICKS}end\nset_volume! 1\n"),
    Piece(
        "scope-out",
        f'use_external_synths true\nwith_fx "sonic-pi-fx_scope_out", amp: 0.5 do\n{KICKS}end\n',
    ),
    Piece(
        "own-fx",
        OWN + f"with_fx :mylevel, amp: 0.5 do |fx|\n{KICKS} control fx, amp: 1\n{KICKS}end\n",
        length_s=3.4,
        missed=1,
        told="mylevel is an FX of your own",
    ),
    Piece(
        "own-player",
        OWN + "b = sample_buffer :bd_haus\nsleep 0.5\n3.times do\n"
        " synth :myplayer, buf: b.to_i\n sleep 0.4\nend\n",
        length_s=2.2,
        missed=3,
        told="myplayer is a synthdef of your own: only you hear it",
        elsewhere=False,
    ),
    Piece(
        "record",
        f"b = buffer[:trial, 2]\nsleep 0.5\nwith_fx :record, buffer: b do\n{KICKS}end\n"
        "sleep 0.2\nsample b\nsleep 2\n",
        length_s=5.0,
    ),
    Piece(
        "live-audio",
        "with_fx :level, amp: 0.5 do\n live_audio :mic\n sleep 1\nend\nlive_audio :mic, :stop\n",
        length_s=2.5,
        missed=1,
        told="live_audio: sound input stays at home",
        elsewhere=False,
        needs_input=True,
    ),
    Piece(
        "sound-in",
        "with_fx :level do\n synth :sound_in, sustain: 1\nend\n",
        length_s=2.5,
        missed=1,
        told="sound_in: sound input stays at home",
        elsewhere=False,
        needs_input=True,
    ),
]


class LoopedJam(Jam):
    """A jam in which scsynth's output channels 5 and 6 are connected to its inputs."""

    def _performer(self, name: str, index: int) -> Performer:
        made = super()._performer(name, index)
        made.env |= LOOPED
        return made


@dataclass
class Trio:
    stage: Stage
    jam: LoopedJam
    performers: dict[str, Performer]
    folder: Path

    def port(self, name: str) -> int:
        return recording.read(self.performers[name].recording_path).scsynth_port

    def play(self, piece: Piece) -> dict[str, float]:
        """Let plain Sonic Pi and anna play a piece; return the level (dB) at each of the three scsynths."""
        code = piece.code.replace("{synths}", str(self.folder / "synths"))
        takes = {
            name: sound.start(self.port(name), self.folder / f"{piece.name}-{name}.wav", in_bus=bus)
            for name, bus in zip(self.performers, piece.buses, strict=True)
        }
        inputs = (PLAIN, HOME) if piece.needs_input else ()
        for name in inputs:
            with sound.Connection(self.port(name)) as ask:
                ask("/s_new", "sonic-pi-beep", 950, 0, 0, "out_bus", INPUT_BUS, "sustain", 30)
        for name in (PLAIN, HOME):
            self.performers[name].run_code(code)
        self.stage.play_for(piece.length_s + SETTLE_S)
        levels = {name: energy_db(sound.stop(take)) for name, take in takes.items()}
        for name in inputs:
            with sound.Connection(self.port(name)) as ask:
                ask("/n_free", 950)
        for name in (PLAIN, HOME):
            self.performers[name].stop_jobs()
        return levels

    def wait_missed(self, count: int) -> None:
        """Wait until the statistics count this number of sounds that only anna heard."""
        deadline_s = time.monotonic() + REPORTED_S
        while (missed := self.jam.members()[HOME]["local_only"]) != count:
            assert time.monotonic() < deadline_s, f"{missed} sounds that only anna heard, expected {count}"
            self.stage.play_for(0.2)


def energy_db(path: Path) -> float:
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    energy = float(numpy.sum(samples**2)) / rate
    return 10 * log10(energy) if energy > 0 else SILENCE_DB


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    folder = tmp_path_factory.mktemp("chain")
    ownsynths.write(
        folder / "synths",
        mybeep="sonic-pi-beep", mylevel="sonic-pi-fx_level", myplayer="sonic-pi-stereo_player",
    )  # fmt: skip
    with Stage() as stage:
        jam = LoopedJam(stage, folder / "jam", [HOME, ELSEWHERE])
        jam.folder.mkdir()
        jam.start_relay()
        shim = make_shim(folder / "shim")
        plain = stage.add(Performer(PLAIN, 2, folder / PLAIN, shim, env=LOOPED))
        jam.boot()
        yield Trio(stage, jam, {PLAIN: plain, **jam.performers}, folder)


@pytest.mark.parametrize(
    "piece",
    [
        *(pytest.param(piece, id=piece.name) for piece in PIECES),
        *(pytest.param(piece, id=piece.name, marks=pytest.mark.exhaustive) for piece in FURTHER),
    ],
)
def test_it_sounds_as_in_plain_at_home_and_elsewhere_or_is_counted_and_told(trio: Trio, piece: Piece) -> None:
    before = trio.jam.members()[HOME]
    levels = trio.play(piece)
    assert levels[PLAIN] > -50, "plain Sonic Pi plays nothing: what is compared?"
    assert levels[HOME] == pytest.approx(levels[PLAIN], abs=SAME_DB), levels
    if piece.elsewhere:
        assert levels[ELSEWHERE] == pytest.approx(levels[HOME], abs=SAME_DB), levels
    else:
        assert levels[ELSEWHERE] == SILENCE_DB
    trio.wait_missed(before["local_only"] + piece.missed)
    said = [
        line for line in trio.performers[HOME].log_text().splitlines() if "`jamrelay stats` counts" in line
    ]
    assert sum(piece.told in line for line in said) == (1 if piece.told else len(said))


def test_all_that_was_compared_was_the_same_everywhere(trio: Trio) -> None:
    room = trio.jam.room()
    assert room["seconds_compared"] > 0
    assert (room["divergent"], room["incidents"]) == (0, [])
    assert {member["name"]: member["refused"] for member in room["members"]} == {HOME: 0, ELSEWHERE: 0}


def test_nothing_is_left_of_it_once_it_has_ended(trio: Trio) -> None:
    trio.stage.play_for(2.0)
    for name in (HOME, ELSEWHERE):
        left = [
            str(node) for node in query(trio.port(name)).below() if "fx_" in node.name or "my" in node.name
        ]
        assert left == [], name
