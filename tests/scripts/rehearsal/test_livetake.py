"""Live takes of a sound card: the level between two instants, or an error if more than 1 % is lost."""

import struct
from pathlib import Path

import numpy
import pytest
from rehearsal.rigs.livetake import HEADER, MAGIC, SILENCE_DBFS, LiveTake, TakeError

RATE, FRAMES = 48_000, 256
BEGAN_NS = 1_795_000_000_000_000_000
SECOND_NS = 1_000_000_000


def block_ns(number: int) -> int:
    return BEGAN_NS + number * FRAMES * SECOND_NS // RATE


def take(path: Path, amplitudes: list[float | None], first_frame: int = 2**32 - 512) -> LiveTake:
    """Write and open a take in which each block has one amplitude.

    None: the block was lost. first_frame: JACK's frame counter at the start; it wraps at 2**32.
    """
    with path.open("wb") as file:
        file.write(HEADER.pack(MAGIC, RATE, FRAMES, 2))
        for number, amplitude in enumerate(amplitudes):
            if amplitude is None:
                continue
            frame = (first_frame + number * FRAMES) % 2**32
            file.write(struct.pack("<qq", block_ns(number), frame))
            file.write(numpy.full(2 * FRAMES, amplitude, dtype="<f4").tobytes())
    return LiveTake(path)


def test_a_level_is_that_of_its_own_stretch(tmp_path: Path) -> None:
    read = take(tmp_path / "a", [0.0] * 100 + [0.1] * 100)
    assert read.level_dbfs(block_ns(0), block_ns(100)) == SILENCE_DBFS
    assert read.level_dbfs(block_ns(100), block_ns(200)) == pytest.approx(-20.0)
    assert read.level_dbfs(block_ns(0), block_ns(200)) == pytest.approx(-23.01, abs=0.01)
    assert read.between(block_ns(100), block_ns(150)).shape == (2, 50 * FRAMES)


def test_what_was_written_half_is_left_out(tmp_path: Path) -> None:
    read = take(tmp_path / "a", [0.1] * 100)
    with read.path.open("ab") as file:
        file.write(b"half a block")
    assert read.level_dbfs(block_ns(0), block_ns(100)) == pytest.approx(-20.0)


@pytest.mark.parametrize(("first", "last"), [(-50, 50), (50, 150), (150, 200), (-200, -100)])
def test_a_stretch_that_the_take_has_not_has_no_level(tmp_path: Path, first: int, last: int) -> None:
    read = take(tmp_path / "a", [0.1] * 100)
    with pytest.raises(TakeError, match="is not in the take"):
        read.level_dbfs(block_ns(first), block_ns(last))


def test_lost_blocks_are_known_and_more_than_a_hundredth_is_no_level(tmp_path: Path) -> None:
    amplitudes: list[float | None] = [0.1] * 200
    amplitudes[70] = None
    assert take(tmp_path / "a", amplitudes).level_dbfs(block_ns(0), block_ns(200)) == pytest.approx(-20.0)
    amplitudes[80:83] = [None] * 3
    with pytest.raises(TakeError, match="1024 of 51200 frames are missing"):
        take(tmp_path / "b", amplitudes).level_dbfs(block_ns(0), block_ns(200))


@pytest.mark.parametrize("content", [b"", b"LIV", b"RIFF" + bytes(20)])
def test_what_is_no_take_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(TakeError, match="no take"):
        LiveTake(tmp_path / "a").level_dbfs(0, 1)


def test_the_greatest_step_is_between_neighbouring_samples_only(tmp_path: Path) -> None:
    read = take(tmp_path / "a", [0.1] * 100 + [0.3] * 100)
    assert read.greatest_step(block_ns(0), block_ns(200)) == pytest.approx(0.2)
    assert read.greatest_step(block_ns(0), block_ns(100)) == 0.0
    across_a_loss = take(tmp_path / "b", [0.1] * 100 + [None] + [0.3] * 100)
    assert across_a_loss.greatest_step(block_ns(0), block_ns(201)) == 0.0
