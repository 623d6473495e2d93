"""Levels of parts: of a second, of a band, of a third octave; and the end of a tone."""

from typing import Any

import numpy
import pytest
from rehearsal.rigs import levels, parts
from rehearsal.rigs.livetake import SILENCE_DBFS

RATE = 48_000


def tone(hertz: float, amplitude: float = 0.1, seconds: float = 1.0) -> Any:
    at = numpy.arange(round(RATE * seconds)) / RATE
    return numpy.tile(amplitude * numpy.sin(2 * numpy.pi * hertz * at), (2, 1))


def test_a_tones_level_is_found_in_its_band_and_nowhere_else() -> None:
    samples = tone(440.0) + tone(3000.0, 0.01)
    bands = [(300.0, 600.0), (2000.0, 4000.0), (6000.0, 9000.0)]
    low, high, none = levels.band_levels(samples, bands, RATE)
    assert low == pytest.approx(-23.01, abs=0.01)
    assert high == pytest.approx(-43.01, abs=0.01)
    assert none < -110.0
    assert levels.level_of(samples) == pytest.approx(-22.97, abs=0.01)


def test_silence_has_the_lowest_level() -> None:
    assert levels.band_levels(numpy.zeros((2, RATE)), [(20.0, 20_000.0)], RATE) == [SILENCE_DBFS]


def test_third_octaves_are_side_by_side_and_ten_make_a_decade() -> None:
    thirds = levels.third_octaves()
    assert [high for _, high in thirds[:-1]] == pytest.approx([low for low, _ in thirds[1:]])
    assert thirds[10][0] / thirds[0][0] == pytest.approx(10.0)
    assert thirds[0][0] < 50.0
    assert thirds[-1][1] > 16_000.0


@pytest.mark.parametrize("end_s", [1.0, 1.9, 2.5])
def test_the_end_of_a_tone_is_found_among_other_music(end_s: float) -> None:
    samples = tone(300.0, 0.4, 3.0)
    samples[:, : round(end_s * RATE)] += tone(1760.0, 0.1, end_s)
    found_s = levels.tone_end_s(samples, 1760.0, RATE)
    assert found_s == pytest.approx(end_s, abs=0.005)


def test_a_tone_that_goes_on_has_no_end() -> None:
    assert levels.tone_end_s(tone(1760.0, 0.1, 3.0), 1760.0, RATE) is None


def test_each_slots_ears_are_the_outputs_that_its_strip_is_sent_to() -> None:
    places = ["left", "right", *parts.ears(3)]
    assert [places.index(f"SuperCollider:out_{slot * 2 + 1}") for slot in (1, 2, 3)] == [
        parts.first_output(slot) for slot in (1, 2, 3)
    ]
    assert parts.ears(parts.SLOTS_MAX)[-1] == "SuperCollider:out_16"
    with pytest.raises(ValueError, match="enough for 7"):
        parts.ears(parts.SLOTS_MAX + 1)
