"""Offline: renders messages with scsynth without real time (`scsynth -N`), to the same bits every time.

All random generators of Sonic Pi's synthdefs use scsynth's generator 0. A synth at the start of each render
seeds that generator. So two renders of a score by the same scsynth are equal bit by bit (measured, 93 of 93
synthdefs). Renders of different scsynth versions can't be compared. WAV files are int16, because a float WAV
contains the time of day at which it was written.
"""

import contextlib
import hashlib
import shutil
import struct
import subprocess
import tempfile
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

from rehearsal.rigs.osc import message
from rehearsal.rigs.recording import parse_message

SYNTHDEFS = Path("/usr/share/sonic-pi/synthdefs/compiled")
SAMPLE_RATE = 48_000
TAIL_S = 1.0
"""Time (s) rendered after the last message, unless a length is given."""
TIMEOUT_S = 300.0
BIG = ("-a", "65536", "-b", "65536", "-n", "16384", "-m", "524288", "-d", "4096", "-w", "256")
"""Options of scsynth that allow the ids and buses of 16 slots. Large limits cost nothing (measured)."""
OPENING_SAMPLES = 512
"""Length (samples, whole blocks) of the part before time 0, in which the seeding synth runs. At time 0 the
score may free all nodes."""
SEED_DEF = "rehearsal-seed"

Engine = Callable[[Path, Path, int, int], None]
"""A function that renders a score file to a WAV file. Arguments: score, WAV, sample rate (Hz), channels.
Raises RenderError."""

HARMFUL_DEFS = ("sonic-pi-scope", "sonic-pi-fx_scope_out", "sonic-pi-recorder", "sonic-pi-server-info")
"""Synthdefs left out of renders. ScopeOut2 crashes scsynth -N (3.13, measured), and the recorder would write
files."""
MUSICAL = (
    *(
        "/s_new",
        "/g_new",
        "/p_new",
        "/n_set",
        "/n_setn",
        "/n_free",
        "/n_run",
        "/n_map",
        "/n_mapa",
        "/n_order",
    ),
    *("/n_before", "/n_after", "/g_freeAll", "/g_deepFree", "/g_head", "/g_tail", "/c_set"),
    *("/b_alloc", "/b_allocRead", "/b_free", "/b_zero", "/b_set", "/b_fill", "/d_recv", "/d_load"),
)
"""Commands that are rendered. All others make no sound or do harm, such as those about files."""


class RenderError(RuntimeError):
    """scsynth is missing or failed. The text ends with scsynth's last output."""


def seed_synthdef() -> bytes:
    """Return a compiled synthdef (SCgf version 1) that seeds scsynth's random generator 0 and then frees
    itself.

    The seed is its control `seed`. It has three unit generators: Control, RandSeed.ir(1, seed), FreeSelf(1).
    Source: SuperCollider's "Synth Definition File Format".
    """

    def pstring(text: str) -> bytes:
        return bytes([len(text)]) + text.encode("ascii")

    def ugen(name: str, rate: int, inputs: Sequence[tuple[int, int]], outputs: Sequence[int]) -> bytes:
        head = pstring(name) + struct.pack(">bhhh", rate, len(inputs), len(outputs), 0)
        return head + b"".join(struct.pack(">hh", *each) for each in inputs) + bytes(outputs)

    scalar, control = 0, 1
    constant_one = (-1, 0)  # ugen -1: the table of constants
    seed_control = (0, 0)  # first output of the first ugen
    definition = b"".join(
        (
            pstring(SEED_DEF),
            struct.pack(">hf", 1, 1.0),  # constants
            struct.pack(">hf", 1, 0.0),  # parameters and their defaults
            struct.pack(">h", 1) + pstring("seed") + struct.pack(">h", 0),  # names, with their index
            struct.pack(">h", 3),
            ugen("Control", scalar, [], [scalar]),
            ugen("RandSeed", scalar, [constant_one, seed_control], [scalar]),
            ugen("FreeSelf", control, [constant_one], [control]),
            struct.pack(">h", 0),  # variants
        )
    )
    return b"SCgf" + struct.pack(">ih", 1, 1) + definition


def is_musical(raw: bytes) -> bool:
    """Tell whether a message belongs in a render: it changes the sound, and `scsynth -N` can execute it
    safely."""
    address, args = parse_message(raw)
    if address == "/n_run":
        return args[:1] != (0,)  # Sonic Pi pauses the root while no run plays; at rest it is silent anyhow
    return address in MUSICAL and not (address == "/s_new" and args[:1] and args[0] in HARMFUL_DEFS)


def run_scsynth(score: Path, wav: Path, sample_rate: int, channels: int) -> None:
    """Render `score` to `wav` with this machine's genuine scsynth. sample_rate: Hz. Raises RenderError."""
    scsynth = shutil.which("scsynth", path="/usr/bin:/usr/local/bin") or shutil.which("scsynth")
    if scsynth is None:
        raise RenderError("no scsynth found; apt-get install supercollider-server")
    files = (str(score), "_", str(wav), str(sample_rate), "WAV", "int16")
    command = [scsynth, "-N", *files, "-o", str(channels), "-i", "0", "-D", "0", "-R", "0", *BIG]
    run_engine(command, wav)


def run_engine(command: Sequence[str], wav: Path) -> None:
    """Run a command that writes `wav`. Raises RenderError with the end of its output."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RenderError(f"the render isn't done after {TIMEOUT_S:.0f} s") from error
    if done.returncode or not wav.exists():
        output = (done.stdout + done.stderr)[-1000:]
        raise RenderError(f"{Path(command[0]).name} ended with {done.returncode}: {output}")


def render(
    messages: Sequence[tuple[float, bytes]],
    wav: Path,
    seed: int = 1,
    *,
    length_s: float | None = None,
    synthdefs: Path = SYNTHDEFS,
    channels: int = 2,
    engine: Engine = run_scsynth,
) -> str:
    """Render (time_s, OSC message) pairs to an int16 WAV and return the SHA-256 (hex) of its samples.

    Times are seconds from the start, >= 0. Messages of equal time run in the order given. Messages that
    aren't musical (`is_musical`) are left out. The WAV begins OPENING_SAMPLES before time 0. It ends at
    length_s, by default TAIL_S after the last message. Raises RenderError if the engine fails, ValueError for
    a negative time.
    """
    kept = sorted(((at_s, raw) for at_s, raw in messages if is_musical(raw)), key=lambda pair: pair[0])
    if kept and kept[0][0] < 0:
        raise ValueError(f"time {kept[0][0]} s: a score starts at 0")
    end_s = length_s if length_s is not None else (kept[-1][0] if kept else 0.0) + TAIL_S
    opening = [
        message("/d_loadDir", str(synthdefs)),
        message("/d_recv", seed_synthdef()),
        message("/s_new", SEED_DEF, 999, 0, 0, "seed", float(seed)),
    ]
    opening_s = OPENING_SAMPLES / SAMPLE_RATE
    pairs = [(0.0, raw) for raw in opening]
    pairs += [(opening_s + at_s, raw) for at_s, raw in kept if at_s <= end_s]
    # Without the last free, scsynth 3.14 crashes on its way out (measured).
    pairs.append((opening_s + end_s, message("/g_freeAll", 0)))
    wav.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        score = Path(folder) / "score.osc"
        score.write_bytes(b"".join(framed(at_s, raw) for at_s, raw in pairs))
        engine(score, wav, SAMPLE_RATE, channels)
    return pcm_sha256(wav)


def framed(at_s: float, raw: bytes) -> bytes:
    """Return one message in the format of a score: its length, then a bundle with a timetag counted from the
    start."""
    bundle = b"#bundle\0" + struct.pack(">Qi", round(at_s * 2**32), len(raw)) + raw
    return struct.pack(">i", len(bundle)) + bundle


def pcm_sha256(wav: Path) -> str:
    """Return the SHA-256 (hex) of a WAV's samples, without its header."""
    digest = hashlib.sha256()
    with contextlib.closing(wave.open(str(wav), "rb")) as opened:
        while frames := opened.readframes(65_536):
            digest.update(frames)
    return digest.hexdigest()
