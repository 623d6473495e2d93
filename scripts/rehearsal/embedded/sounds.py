"""Sounds without Sonic Pi: its synthdefs and samples from npm, and an engine from PyPI to render with.

    python -m rehearsal.embedded.sounds      fetches missing files into .cache/ (scripts/prepare runs it)

Synthdefs: npm's supersonic-scsynth-synthdefs (MIT). Samples: supersonic-scsynth-samples (CC0). Both are by
Sonic Pi's author. Engine: nanosynth (scsynth 3.14 as a Python module, GPL; the extra `render`). None of them
is part of this repository. The engine reads no FLAC, so samples are kept as WAV. Neither package has Sonic
Pi's rand-stream.wav: the file of that name here is another stream of random numbers.
"""

import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy
import soundfile

from rehearsal.embedded import TRAFFIC
from rehearsal.proof.offline import Engine, run_engine
from rehearsal.rigs.recording import parse_message

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "sonic-pi"
SYNTHDEFS = "supersonic-scsynth-synthdefs@0.59.0"
SAMPLES = "supersonic-scsynth-samples@0.84.2"
FETCH_S = 600.0

RAND_STREAM = "rand-stream.wav"
RAND_FRAMES, RAND_RATE, RAND_SEED = 441_000, 44_100, 20_120
PLACEHOLDER_FRAMES = 4_410


class FetchError(RuntimeError):
    """npm is missing, or a package couldn't be fetched or used."""


def needed_samples() -> list[str]:
    """Return the names (without suffix) of the samples that the recorded traffic loads."""
    return sorted({path.stem for path in loaded_paths() if path.parent.name == "samples"})


def loaded_paths() -> Iterator[Path]:
    for traffic in TRAFFIC.glob("*.jsonl"):
        for line in traffic.read_text(encoding="ascii").splitlines():
            address, args = parse_message(bytes.fromhex(json.loads(line)["hex"]))
            if address == "/b_allocRead":
                yield Path(str(args[1]))


def is_complete(root: Path) -> bool:
    """Tell whether a folder has all that the recorded traffic needs."""
    files = [root / "samples" / f"{name}.wav" for name in needed_samples()]
    mixer = root / "synthdefs" / "compiled" / "sonic-pi-mixer.scsyndef"
    return all(path.is_file() for path in (*files, root / "buffers" / RAND_STREAM, mixer))


def root(folder: Path) -> Path:
    """Return a folder laid out as Sonic Pi's own: the cache if it is complete, else a new folder in `folder`.

    The new folder holds short silent files in place of the samples. Bridges need the files to exist: a
    command that loads a missing file isn't passed on.
    """
    if is_complete(CACHE):
        return CACHE
    made = folder / "sonic-pi"
    (made / "synthdefs" / "compiled").mkdir(parents=True)
    write_rand_stream(made)
    (made / "samples").mkdir()
    for name in needed_samples():
        silence = numpy.zeros((PLACEHOLDER_FRAMES, 2))
        soundfile.write(made / "samples" / f"{name}.wav", silence, RAND_RATE, "PCM_16")
    return made


def engine() -> tuple[Engine | None, str]:
    """Return (an engine that renders on this machine, "").

    If the engine, the synthdefs or the samples are missing, return (None, the reason in words).
    """
    if not is_complete(CACHE):
        return None, "no synthdefs and samples; scripts/prepare --embedded fetches them if npm is there"
    if importlib.util.find_spec("nanosynth") is None:
        return None, "nanosynth isn't installed; pip install 'jamrelay[render]'"
    return run_nanosynth, ""


def run_nanosynth(score: Path, wav: Path, sample_rate: int, channels: int) -> None:
    """Render `score` to `wav` with nanosynth, in a new process.

    A process can have only one of nanosynth's scsynths in its life. sample_rate: Hz.
    """
    nano = Path(__file__).resolve().parent / "nano.py"
    run_engine([sys.executable, str(nano), str(score), str(wav), str(sample_rate), str(channels)], wav)


def fetch() -> None:
    """Fetch synthdefs and samples with npm into the cache, if the cache isn't complete. Raises FetchError."""
    if is_complete(CACHE):
        return
    if shutil.which("npm") is None:
        raise FetchError("no npm here: the demo will prove the sequence, but render no sound")
    CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as name:
        folder = Path(name)
        made = folder / "sonic-pi"
        (made / "synthdefs" / "compiled").mkdir(parents=True)
        (made / "samples").mkdir()
        for file, content in unpack(pack(SYNTHDEFS, folder)):
            if file.suffix == ".scsyndef":
                (made / "synthdefs" / "compiled" / file.name).write_bytes(content)
        wanted = needed_samples()
        for file, content in unpack(pack(SAMPLES, folder)):
            if file.stem in wanted:
                sound, rate = soundfile.read(io.BytesIO(content), dtype="float64")
                soundfile.write(made / "samples" / f"{file.stem}.wav", sound, rate, "PCM_16")
        write_rand_stream(made)
        if not is_complete(made):
            raise FetchError(f"{SYNTHDEFS} and {SAMPLES} don't hold all of {', '.join(wanted)}")
        shutil.rmtree(CACHE, ignore_errors=True)
        os.replace(made, CACHE)


def pack(package: str, folder: Path) -> Path:
    """Fetch a package's tarball with npm and return its path. Raises FetchError."""
    command = ["npm", "pack", package, "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_S, check=True, cwd=folder
        )
        return folder / done.stdout.split()[-1]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise FetchError(f"npm pack {package}: {error}") from error


def unpack(tarball: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield (path in the archive, content) of each file of a tarball.

    The files are read into memory, so the archive can't choose where they are written.
    """
    with tarfile.open(tarball) as archive:
        for member in archive:
            if member.isfile() and (opened := archive.extractfile(member)) is not None:
                yield Path(member.name), opened.read()


def write_rand_stream(folder: Path) -> None:
    """Write a file of random numbers from 0 to 1, the same on every machine, as long as Sonic Pi's own
    file."""
    (folder / "buffers").mkdir()
    stream = numpy.random.default_rng(RAND_SEED).random(RAND_FRAMES)
    soundfile.write(folder / "buffers" / RAND_STREAM, stream, RAND_RATE, "PCM_16")


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as error:
        raise SystemExit(str(error)) from None
