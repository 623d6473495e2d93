"""Live take: the sound of a performer's sound card, sample by sample, with the wall time of every block.

As a program it is a client of the jackd that JACK_DEFAULT_SERVER names. From its start until SIGTERM it
records its places, and follows new connections. A place is a JACK port. At a port of the sound card
(`system:playback_1`) it records everything that reaches the card there, from any program and any bus of
scsynth. At an output of a program (`SuperCollider:out_3`) it records that output. (A take of `sound` records
one bus inside scsynth, so it can't show a fault behind that bus.) `performer` starts a live take for each
performer that asks for one.

LiveTake reads the file, also while it is being written. Every block carries JACK's own count of frames, so
lost blocks are noticed. (On two cores, with jackd at 256 frames: 2 % of one core, no block lost.)
"""

import contextlib
import gc
import re
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy

MAGIC = b"LIVE"
HEADER = struct.Struct("<4sIII")
"""The file's head: magic, frames a second, frames a block, channels. Blocks follow. A block has its instant
(Unix ns, i8), JACK's frame count (i8), and for one channel after the other all samples (f4)."""
SOUND_CARD = ("system:playback_1", "system:playback_2")
PAIR = 2
"""Channels that are read together: left and right."""
SILENCE_DBFS = -120.0
WRITE_S = 0.05
LOST_SHARE_MAX = 0.01
"""Greatest share of a stretch of sound that may be lost. A loss of 1 % changes the level by 0.04 dB."""
EDGE_NS = 100_000_000
"""Greatest distance (ns) from an edge of the stretch to the nearest block in it. A block's instant is when
JACK asked for the block; on a busy machine that is late."""


class TakeError(RuntimeError):
    """The take lacks a part of the stretch of sound. The text says how much it has."""


@dataclass(frozen=True)
class LiveTake:
    """A take's file, as it was at the first read.

    An instant is when JACK asked for the sound, in Unix ns. That is a few ms before the sound is due (11 to
    17 ms at 256 frames), equally at every performer.
    """

    path: Path
    first: int = 0
    """The first of the two channels that are read; 0: the sound card's."""

    @cached_property
    def _read(self) -> tuple[int, int, Any]:
        data = self.path.read_bytes()
        if len(data) < HEADER.size or data[:4] != MAGIC:
            raise TakeError(f"{self.path}: no take, or it has not begun")
        _, rate, frames, channels = HEADER.unpack_from(data)
        block = numpy.dtype([("t_ns", "<i8"), ("frame", "<i8"), ("samples", "<f4", (channels, frames))])
        count = (len(data) - HEADER.size) // block.itemsize
        return rate, frames, numpy.frombuffer(data, dtype=block, count=count, offset=HEADER.size)

    @property
    def rate(self) -> int:
        """Frames a second."""
        return self._read[0]

    def between(self, from_ns: int, to_ns: int) -> Any:
        """Return the samples of the stretch [from_ns, to_ns) in Unix ns, one row per channel.

        Raises TakeError if the take begins too late or ends too soon, or if more than LOST_SHARE_MAX was
        lost.
        """
        rate, frames, blocks = self._read
        inside = blocks[(blocks["t_ns"] >= from_ns) & (blocks["t_ns"] < to_ns)]
        if not len(inside) or inside["t_ns"][0] > from_ns + EDGE_NS or inside["t_ns"][-1] < to_ns - EDGE_NS:
            raise TakeError(
                f"{self.path}: the stretch of {(to_ns - from_ns) / 1e9:.2f} s is not in the take, which has "
                f"{len(blocks) * frames / rate:.2f} s"
            )
        # JACK counts frames in 32 bits.
        passed = int(inside["frame"][-1] - inside["frame"][0]) % 2**32 + frames
        lost = passed - len(inside) * frames
        if lost > LOST_SHARE_MAX * passed:
            raise TakeError(
                f"{self.path}: {lost} of {passed} frames are missing: too busy a machine to listen"
            )
        return numpy.concatenate(list(inside["samples"][:, self.first : self.first + PAIR]), axis=1)

    def level_dbfs(self, from_ns: int, to_ns: int) -> float:
        """Return the RMS level of a stretch, both channels together, in dB of full scale; at least
        SILENCE_DBFS.

        from_ns, to_ns: Unix ns. Raises TakeError.
        """
        samples = self.between(from_ns, to_ns).astype("float64")
        return dbfs_of(float(numpy.mean(samples**2)))

    def greatest_step(self, from_ns: int, to_ns: int) -> float:
        """Return the greatest difference between two neighbouring samples of a channel in a stretch. A cut is
        such a step. Where blocks were lost, nothing is neighbouring. Raises TakeError."""
        samples, frames = self.between(from_ns, to_ns), self._read[1]
        blocks = self._read[2]
        inside = blocks[(blocks["t_ns"] >= from_ns) & (blocks["t_ns"] < to_ns)]
        steps = numpy.abs(numpy.diff(samples.astype("float64"), axis=1))
        lost = numpy.nonzero(numpy.diff(inside["frame"]) % 2**32 != frames)[0]
        steps[:, (lost + 1) * frames - 1] = 0.0
        return float(steps.max())


def dbfs_of(square: float) -> float:
    """Return the level in dB of full scale of a mean square; at least SILENCE_DBFS."""
    return max(SILENCE_DBFS, 10 * float(numpy.log10(square))) if square > 0 else SILENCE_DBFS


def command(path: Path, further: Sequence[str] = ()) -> list[str]:
    """Return the command that writes a take to `path`. further: places that it records besides the sound
    card."""
    return [sys.executable, "-P", str(Path(__file__).resolve()), str(path), *SOUND_CARD, *further]


def record(path: Path, places: Sequence[str]) -> None:
    """Record each place as a channel to `path` until SIGTERM. Needs JACK-Client and a running jackd."""
    import jack  # only here: whoever reads a take needs no libjack

    gc.disable()  # a pause for garbage collection would lose a block
    sys.setswitchinterval(0.0002)
    blocks: deque[bytes] = deque()
    client = jack.Client("live-take", no_start_server=True)
    ears = [client.inports.register(f"in_{channel + 1}") for channel in range(len(places))]

    @client.set_process_callback  # type: ignore[untyped-decorator]  # JACK-Client has no types
    def listen(_frames: int) -> None:
        heard = [bytes(ear.get_buffer()) for ear in ears]
        blocks.append(struct.pack("<qq", time.time_ns(), client.last_frame_time) + b"".join(heard))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with path.open("wb", buffering=0) as file:
        file.write(HEADER.pack(MAGIC, client.samplerate, client.blocksize, len(places)))
        with client:
            try:
                while True:
                    for place, ear in zip(places, ears, strict=True):
                        connected = {port.name for port in client.get_all_connections(ear)}
                        for port in client.get_ports(f"^{re.escape(place)}$"):
                            for source in client.get_all_connections(port) if port.is_input else [port]:
                                if source.name not in connected:
                                    with contextlib.suppress(jack.JackError):  # it has just gone
                                        client.connect(source, ear)
                    time.sleep(WRITE_S)
                    file.write(b"".join(blocks.popleft() for _ in range(len(blocks))))
            finally:
                file.write(b"".join(blocks))


if __name__ == "__main__":
    record(Path(sys.argv[1]), sys.argv[2:])
