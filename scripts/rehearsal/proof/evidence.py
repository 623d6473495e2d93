"""Evidence: reads a jam's recordings and the relay's log once the room is quiet, and proves the jam from
them.

The judging itself is in `prove`, which does no I/O. This module reads the files, waits and renders.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy
import soundfile

from rehearsal.proof import offline, relaylog
from rehearsal.proof.prove import Proof, Renderer, prove
from rehearsal.proof.relaylog import LoggedEvent
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.livetake import dbfs_of
from rehearsal.rigs.machine import StageError
from rehearsal.rigs.recording import Recording, timetag_at

QUIET_S = 1.0
"""The room is quiet if the last event was due at least this long (s) ago. Then the recordings have every due
event."""
FLUSH_S = 0.5
"""Time (s) for the recorders to write to their files. They need at most 0.2 s."""
QUIET_S_MAX = 20.0
"""Longest wait (s) for quiet: Sonic Pi frees the last FX up to 8 s after a stop."""


def settled(jam: Jam) -> tuple[dict[str, Recording], list[LoggedEvent]]:
    """Wait until the room is quiet. Return (recordings by member, the relay's log), both of that moment.

    The log has the same length before and after the recordings are read. Raises StageError, RelayLogError.
    """
    if jam.event_log is None:
        raise StageError("the relay was started without an event log")
    deadline_s = time.monotonic() + QUIET_S_MAX
    while True:
        before = relaylog.read(jam.event_log)
        now = timetag_at(time.time_ns() - round(QUIET_S * 1e9))
        jam.stage.play_for(FLUSH_S)
        recordings = jam.recordings()
        after = relaylog.read(jam.event_log)
        if len(before) == len(after) and all(event.due <= now for event in after):
            return recordings, after
        if time.monotonic() > deadline_s:
            raise StageError(f"the room isn't quiet {QUIET_S_MAX:.0f} s after the stop")


def renderer(synthdefs: Path = offline.SYNTHDEFS, engine: offline.Engine = offline.run_scsynth) -> Renderer:
    """Return a function that renders a score with this engine and these synthdefs."""

    def render(score: Sequence[tuple[float, bytes]], wav: Path, channels: int) -> tuple[str, list[float]]:
        sha256 = offline.render(score, wav, synthdefs=synthdefs, channels=channels, engine=engine)
        return sha256, pair_levels_dbfs(wav)

    return render


def pair_levels_dbfs(wav: Path) -> list[float]:
    """Return the RMS level (dB of full scale) of each pair of channels of a WAV file."""
    frames = 0
    with soundfile.SoundFile(wav) as opened:
        squares = numpy.zeros(opened.channels)
        for block in opened.blocks(1 << 16, dtype="float64", always_2d=True):
            squares += (block**2).sum(axis=0)
            frames += len(block)
    means = squares.reshape(-1, 2).mean(axis=1) / max(frames, 1)
    return [dbfs_of(mean) for mean in means]


def keep_mix(multichannel: Path, stereo: Path) -> None:
    """Copy the first two channels of a render, which are the sum of all members, to a stereo file to listen
    to."""
    with (
        soundfile.SoundFile(multichannel) as opened,
        soundfile.SoundFile(stereo, "w", opened.samplerate, 2, "PCM_16") as written,
    ):
        for block in opened.blocks(1 << 16, dtype="int16", always_2d=True):
            written.write(block[:, :2])


def prove_jam(
    jam: Jam,
    slots: Mapping[str, int],
    render: Renderer | None,
    why_silent: str,
    output: Path,
    progress: Callable[[], None] = lambda: None,
    owners: Mapping[str, int] | None = None,
) -> Proof:
    """Prove the jam that has just been played. slots, owners: as in `prove`, for all players.

    render: renders a recording; None if this machine can't. why_silent: the reason for None, in words.
    progress: called as each member is done. The rendered mix is written to proof.wav in `output`. Raises
    StageError, RelayLogError.
    """
    recordings, log = settled(jam)
    proof = prove(recordings, slots, log, render, jam.folder, progress, why_silent, owners)
    wavs = [wav for name in recordings if (wav := jam.folder / f"{name}-proof.wav").exists()]
    if wavs:
        keep_mix(wavs[0], output / "proof.wav")
    return proof
