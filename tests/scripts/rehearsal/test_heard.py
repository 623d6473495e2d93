"""Each part at each listener is compared with the part at home, second by second, in made-up live takes."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy
import pytest
import soundfile
from rehearsal.demo.heard import Hearing, hear, keep, own_level_dbfs
from rehearsal.demo.story import Stay
from rehearsal.rigs.livetake import HEADER, MAGIC, SILENCE_DBFS
from rehearsal.rigs.performer import Performer

RATE, FRAMES = 48_000, 480
EACH_S = RATE // FRAMES
BEGAN_NS = 1_795_000_000_000_000_000
SECOND_NS = 1_000_000_000
LENGTH_S = 10
CHANNELS = 6

Amplitudes = list[float]
"""A part's amplitude in each second."""


def stay(
    folder: Path,
    label: str,
    slot: int,
    heard: Mapping[int, Amplitudes],
    *,
    from_s: float = 0,
    to_s: float = LENGTH_S,
) -> Stay:
    """Return a stay whose live take has these parts. heard: slot -> amplitudes."""
    performer = Performer(label, slot, folder / label)
    performer.home.mkdir()
    with performer.take_path.open("wb") as file:
        file.write(HEADER.pack(MAGIC, RATE, FRAMES, CHANNELS))
        for number in range(LENGTH_S * EACH_S):
            samples = numpy.zeros((CHANNELS, FRAMES), dtype="<f4")
            for part, amplitudes in heard.items():
                samples[2 * part : 2 * part + 2] = amplitudes[number // EACH_S]
            file.write(struct.pack("<qq", BEGAN_NS + number * SECOND_NS // EACH_S, number * FRAMES))
            file.write(samples.tobytes())
    began_ns, ended_ns = (BEGAN_NS + round(at_s * SECOND_NS) for at_s in (from_s, to_s))
    name = label.removesuffix("-again")
    return Stay(label, name, performer, slot, began_ns, ended_ns, began_ns)


def heard_by_bo(folder: Path, amplitudes: Amplitudes, **stretch: float) -> Hearing:
    """Return Ada's part at Bo. At home it has the amplitude 0.1 all the time."""
    stays = [
        stay(folder, "ada", 1, {1: [0.1] * LENGTH_S}),
        stay(folder, "bo", 2, {1: amplitudes, 2: [0.2] * LENGTH_S}, **stretch),
    ]
    hearings = hear(stays, BEGAN_NS, BEGAN_NS + LENGTH_S * SECOND_NS)
    assert [(one.player, one.listener) for one in hearings] == [("ada", "bo"), ("bo", "ada")]
    return hearings[0]


def test_a_part_at_the_same_level_in_every_second_is_heard_alike(tmp_path: Path) -> None:
    found = heard_by_bo(tmp_path, [0.1] * LENGTH_S)
    assert (found.worst[1], found.trouble) == (0.0, None)
    assert [at_s for at_s, _, _ in found.seconds] == list(range(LENGTH_S))
    assert found.seconds[0][1:] == (pytest.approx(-20.0), pytest.approx(-20.0))


@pytest.mark.parametrize(
    ("amplitude", "words"), [(0.115, "1.2 dB too loud"), (0.0, "100.0 dB too quiet"), (0.111, "")]
)
def test_one_second_at_another_level_is_named(tmp_path: Path, amplitude: float, words: str) -> None:
    found = heard_by_bo(tmp_path, [0.1] * 6 + [amplitude] + [0.1] * 3).trouble
    assert found == (f"ada's part at bo was {words} in second 6" if words else None)


def test_who_came_later_is_judged_from_two_seconds_after_it_had_the_music_on(tmp_path: Path) -> None:
    found = heard_by_bo(tmp_path, [0.0] * 5 + [0.1] * 5, from_s=2.5)
    assert (found.trouble, [at_s for at_s, _, _ in found.seconds]) == (None, [5, 6, 7, 8, 9])


def test_two_seconds_after_it_had_the_music_it_must_hear_all(tmp_path: Path) -> None:
    assert "second 5" in (heard_by_bo(tmp_path, [0.0] * 6 + [0.1] * 4, from_s=2.5).trouble or "")


def test_nothing_is_compared_after_a_listener_has_left(tmp_path: Path) -> None:
    found = heard_by_bo(tmp_path, [0.1] * 4 + [0.0] * 6, to_s=4.5)
    assert (found.trouble, len(found.seconds)) == (None, 4)


def test_silence_at_both_is_no_music_and_nothing_compared_is_no_success(tmp_path: Path) -> None:
    silent = [stay(tmp_path, name, slot, {1: [0.0] * LENGTH_S}) for name, slot in (("ada", 1), ("bo", 2))]
    for found in hear(silent, BEGAN_NS, BEGAN_NS + LENGTH_S * SECOND_NS):
        assert "could not be compared: no second of music" in (found.trouble or "")


def test_a_take_that_lacks_the_stretch_is_told(tmp_path: Path) -> None:
    found = heard_by_bo(tmp_path, [0.1] * LENGTH_S, to_s=LENGTH_S)
    assert found.trouble is None
    ada = stay(tmp_path, "ada-again", 1, {1: [0.1] * LENGTH_S})
    ada.performer.take_path.write_bytes(b"")
    bo = stay(tmp_path, "cyd", 2, {1: [0.1] * LENGTH_S})
    assert "no take" in (hear([ada, bo], BEGAN_NS, BEGAN_NS + 5 * SECOND_NS)[0].trouble or "")
    assert own_level_dbfs(ada) == SILENCE_DBFS


def test_two_stays_of_one_member_are_not_compared_with_each_other(tmp_path: Path) -> None:
    first = stay(tmp_path, "ada", 1, {1: [0.1] * LENGTH_S}, to_s=6)
    second = stay(tmp_path, "ada-again", 1, {1: [0.1] * LENGTH_S}, from_s=2)
    other = stay(tmp_path, "bo", 2, {1: [0.1] * LENGTH_S})
    hearings = hear([first, second, other], BEGAN_NS, BEGAN_NS + LENGTH_S * SECOND_NS)
    assert {(one.player, one.listener) for one in hearings} == {
        *(("ada", "bo"), ("bo", "ada")),
        *(("ada-again", "bo"), ("bo", "ada-again")),
    }


def test_what_each_heard_and_its_own_part_are_kept(tmp_path: Path) -> None:
    bo = stay(tmp_path, "bo", 2, {1: [0.1] * LENGTH_S, 2: [0.2] * LENGTH_S}, from_s=4)
    keep(bo, [1, 2], BEGAN_NS, tmp_path)
    for name, amplitude in (("bo", 0.3), ("bo-stem", 0.2)):
        samples, rate = soundfile.read(tmp_path / f"{name}.wav")
        assert (rate, samples.shape) == (RATE, (6 * RATE, 2))
        assert samples.mean() == pytest.approx(amplitude, abs=1e-3)
    assert own_level_dbfs(bo) == pytest.approx(-13.98, abs=0.01)
