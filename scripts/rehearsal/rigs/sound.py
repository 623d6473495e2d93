"""Sound: WAV files of a scsynth's output, written by scsynth itself in real time.

Commands go straight to the genuine scsynth's port (Recording.scsynth_port), past recorder and bridge. Ids are
of slot 0, the host's own. The synth that records has the synthdef `sonic-pi-recorder`, which Sonic Pi has
loaded. It is at the tail of the root group, so it runs after all other synths and records everything that
they write to its bus.
"""

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import soundfile

from rehearsal.rigs.livetake import dbfs_of
from rehearsal.rigs.osc import ANSWER_S, message
from rehearsal.rigs.recording import parse_message

BUFFER = 4000
"""Id of the first buffer: in slot 0's range (0..4095), above those that Sonic Pi uses in a rehearsal."""
NODE = 900
BUFFER_FRAMES = 131_072
"""Frames of a buffer: 2.7 s at 48 kHz. DiskOut writes half a buffer at a time. If the disk is slower, sound
is lost."""


class SoundError(RuntimeError):
    """scsynth refused a command or didn't answer. The text names the command."""


@dataclass(frozen=True, slots=True)
class Take:
    """A recording in progress. port: scsynth's. buffer, node: the ids it uses. `stop` ends it."""

    port: int
    path: Path
    buffer: int
    node: int


def start(port: int, wav_path: Path, in_bus: int = 0, buffer: int = BUFFER, node: int = NODE) -> Take:
    """Start to record the stereo pair of buses in_bus and in_bus + 1 to wav_path (16 bit). port: scsynth's.

    Takes that run at the same time need different buffers and nodes. Raises SoundError if scsynth doesn't
    answer or can't write the file.
    """
    path = wav_path.resolve()
    path.unlink(missing_ok=True)
    with Connection(port) as ask:
        ask("/b_alloc", buffer, BUFFER_FRAMES, 2)
        ask("/b_write", buffer, str(path), "wav", "int16", 0, 0, 1)
        if not path.exists():
            raise SoundError(f"scsynth at UDP {port} didn't create {path}; may it write there?")
        # addAction 1: tail of the root group (0).
        ask("/s_new", "sonic-pi-recorder", node, 1, 0, "out-buf", buffer, "in_bus", in_bus)
    return Take(port, path, buffer, node)


def stop(take: Take) -> Path:
    """End a take, wait until its file is whole, and return its path. Raises SoundError."""
    with Connection(take.port) as ask:
        ask("/n_free", take.node)
        ask("/b_close", take.buffer)
        ask("/b_free", take.buffer)
    return take.path


class Connection:
    """A connection to the scsynth at UDP `port`. As a context manager it gives `ask`, which sends a command.

    `ask` waits until scsynth has executed the command. Raises SoundError if scsynth refuses it or doesn't
    answer.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.synced = 0

    def __enter__(self) -> Callable[..., None]:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", self.port))
        self.sock.settimeout(ANSWER_S)
        return self.ask

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, address: str, *args: int | str) -> None:
        # /sync is answered after all asynchronous commands before it; /fail comes before that.
        self.synced += 1
        deadline_s = time.monotonic() + ANSWER_S
        try:
            self.sock.send(message(address, *args))
            self.sock.send(message("/sync", self.synced))
            while time.monotonic() < deadline_s:
                answer, words = parse_message(self.sock.recv(65_536))
                if answer == "/fail":
                    raise SoundError(f"{address} {args}: scsynth at UDP {self.port} says {words}")
                if answer == "/synced" and words == (self.synced,):
                    return
        except OSError as error:
            raise SoundError(f"{address}: no answer from scsynth at UDP {self.port} ({error})") from error
        raise SoundError(f"{address}: not done by scsynth at UDP {self.port} in {ANSWER_S:.0f} s")


def level_dbfs(path: Path) -> float:
    """Return the RMS level of a sound file in dB of full scale; SILENCE_DBFS if it is silent or empty."""
    samples, _ = soundfile.read(path, dtype="float64", always_2d=True)
    return dbfs_of(float(numpy.mean(samples**2)) if samples.size else 0.0)


def window_levels_dbfs(takes: Sequence[tuple[Path, float]], window_s: float, count: int) -> list[float]:
    """Return the RMS levels (dB of full scale) of `count` consecutive windows of window_s each.

    takes: sound files of two channels each, with the position (s) in the file where the first window begins.
    The powers of the files are added, so a sound counts the same in any of them. Outside a file there is
    silence.
    """
    read = [(*soundfile.read(path, dtype="float64", always_2d=True), from_s) for path, from_s in takes]
    levels: list[float] = []
    for window in range(count):
        square = 0.0
        for samples, rate, from_s in read:
            first = round((from_s + window * window_s) * rate)
            part = samples[max(0, first) : max(0, first + round(window_s * rate))]
            square += float(numpy.sum(part**2)) / (round(window_s * rate) * samples.shape[1])
        levels.append(dbfs_of(square))
    return levels
