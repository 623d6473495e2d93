"""Extreme values for every control of every stock synthdef, for tests with a genuine scsynth.

Only what the guard accepts is played: offline from a score (`scsynth -N`), or in real time. Offline is fast
but hides writes beyond the end of a delay line. In real time scsynth runs under its own jackd, whose dummy
driver makes time pass faster.
"""

import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.proof.offline import BIG, HARMFUL_DEFS, SYNTHDEFS, framed

from relay.wire.errors import Refused
from relay.wire.guard import Guard
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, encode
from relay.wire.ranges import BY_SYNTHDEF

VALUES = (0.0, 1e-30, -1e-30, 1.0, -1.0, 1e5, -1e5, 1e9, -1e9, 3e38, -3e38)
WAYS = ("by /s_new", "by /n_set before it has run", "by /n_set on a running node")
BUSES = {"in_bus": 16.0, "out_bus": 20.0, "bus": 16.0}
STEREO, MONO = 1.0, 2.0
"""Buffer numbers. The buffer STEREO has two channels, MONO has one."""
BLOCK_S = 64 / 44_100
AT_ONCE = 12
SOURCE, FIRST = 100, 1000
"""Node ids. SOURCE is a saw on the bus that FX read. FIRST is the first case's synth."""

Controls = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Case:
    """A synth whose controls are set to given values. way: one of WAYS."""

    synthdef: str
    controls: Controls
    way: str

    def messages(self, node: int) -> tuple[bytes, bytes | None]:
        """Return (message that makes the synth, message that sets its controls).

        The second is None if the first one sets the controls too.
        """
        ids = {name: number for name, number in BUSES.items() if name in NAMES[self.synthdef]}
        buffers = {"buf": STEREO if "stereo" in self.synthdef else MONO, "buffer": STEREO, "rand_buf": MONO}
        ids |= {name: number for name, number in buffers.items() if name in NAMES[self.synthdef]}
        given: list[Arg] = [word for pair in ids.items() for word in pair]
        controls: list[Arg] = [word for pair in self.controls for word in pair]
        if self.way == WAYS[0]:
            return encode("/s_new", self.synthdef, node, 1, 0, *given, *controls), None
        return encode("/s_new", self.synthdef, node, 1, 0, *given), encode("/n_set", node, *controls)

    @property
    def passes(self) -> bool:
        """Whether the guard accepts all its messages."""
        guard = Guard()
        try:
            for message in self.messages(FIRST):
                guard.check(Meaning(message or b""), 0)
        except Refused:
            return False
        return True


def control_names(synthdef: bytes) -> list[str]:
    """Return the names of a compiled synthdef's controls.

    The file must hold one definition, in format SCgf 1 or 2.
    """
    width = 4 if int.from_bytes(synthdef[4:8]) == 2 else 2
    at = 10

    def count() -> int:
        nonlocal at
        at += width
        return int.from_bytes(synthdef[at - width : at])

    def name() -> str:
        nonlocal at
        end = at + 1 + synthdef[at]
        text, at = synthdef[at + 1 : end].decode("ascii"), end
        return text

    name()
    for _ in ("constants", "parameters"):
        numbers = count()
        at += 4 * numbers
    names = []
    for _ in range(count()):
        names.append(name())
        at += width
    return names


FILES = {path.stem: path for path in sorted(SYNTHDEFS.glob("*.scsyndef"))}
STOCK = sorted(FILES.keys() - set(HARMFUL_DEFS))
NAMES = {name: control_names(path.read_bytes()) for name, path in FILES.items()}


def extremes() -> Iterator[Case]:
    """Yield a case for every stock synthdef, control, extreme value and way that the guard accepts.

    Scopes are left out, since they share memory.
    """
    for synthdef in STOCK:
        for control in BY_SYNTHDEF[synthdef]:
            for value in VALUES:
                yield from passing(synthdef, ((control, value),))


def passing(synthdef: str, controls: Controls) -> Iterator[Case]:
    """Yield a case for each way of setting these controls that the guard accepts."""
    yield from (case for way in WAYS if (case := Case(synthdef, controls, way)).passes)


def mixtures(count: int, seed: int) -> Iterator[Case]:
    """Yield synths with about half of their controls set, each to an end of its range or an extreme within.

    count: synths for each synthdef.
    """
    chance = random.Random(seed)
    for synthdef in STOCK:
        for _ in range(count):
            controls = tuple(
                (name, chance.choice([low, high, *(value for value in VALUES if low <= value <= high)]))
                for name, (low, high, _) in sorted(BY_SYNTHDEF[synthdef].items())
                if chance.random() < 0.5
            )
            yield from passing(synthdef, controls)


def outlives_score(cases: Sequence[Case]) -> bool:
    """Return whether a scsynth renders all cases, one after the other, and exits with status 0."""
    used = sorted({"sonic-pi-saw", *(case.synthdef for case in cases)})
    score = [(0.0, encode("/d_recv", FILES[name].read_bytes())) for name in used]
    score += [(0.0, message) for message in _scenery()]
    at_s = 0.1
    for case in cases:
        made, told = case.messages(FIRST)
        score.append((at_s, made))
        if told is not None:
            at_s += BLOCK_S * (2 if case.way == WAYS[2] else 0)
            score.append((at_s, told))
        score.append((at_s + 3 * BLOCK_S, encode("/n_free", FIRST)))
        at_s += 4 * BLOCK_S
    score += [(at_s, encode("/g_freeAll", 0)), (at_s + 0.1, encode("/c_set", 0, 0.0))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "score.osc"
        path.write_bytes(b"".join(framed(at, raw) for at, raw in score))
        files = (str(path), "_", "/dev/null", "44100", "WAV", "int16")
        command = [
            "/usr/bin/scsynth",
            "-N",
            *files,
            "-o",
            "2",
            "-i",
            "0",
            "-D",
            "0",
            "-R",
            "0",
            "-V",
            "-1",
            *BIG,
        ]
        return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0


def culprits(cases: Sequence[Case]) -> list[Case]:
    """Return the cases that end a scsynth when they are rendered. It searches by halves."""
    if not cases or outlives_score(cases):
        return []
    if len(cases) == 1:
        return list(cases)
    half = len(cases) // 2
    return culprits(cases[:half]) + culprits(cases[half:])


class RealTime:
    """A genuine scsynth in real time, started with the same options as by a bridge."""

    def __init__(self, jack: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        flags = ("-a", "35968", "-b", "131072", "-c", "16384", "-n", "65536", "-m", "524288", "-l", "8")
        self.process = subprocess.Popen(
            ["/usr/bin/scsynth", "-u", str(self._port), "-R", "0", "-D", "0", "-V", "-1", *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "JACK_DEFAULT_SERVER": jack, "JACK_NO_AUDIO_RESERVATION": "1"},
        )
        assert any(self.answers(0.2) for _ in range(100)), "scsynth doesn't boot"
        for path in FILES.values():
            self._send(encode("/d_recv", path.read_bytes()))
        assert self.answers(10.0)
        for message in _scenery():
            self._send(message)

    def play(self, cases: Sequence[Case]) -> bool:
        """Play the cases, AT_ONCE at a time; return whether scsynth still answers afterwards."""
        for start in range(0, len(cases), AT_ONCE):
            later = []
            for node, case in enumerate(cases[start : start + AT_ONCE], FIRST):
                made, told = case.messages(node)
                if told is None or case.way == WAYS[2]:
                    self._send(made)
                    later += [] if told is None else [told]
                else:
                    self._send(_together(made, told))
            time.sleep(0.02)  # a few of jackd's periods: what runs is looked at afterwards
            for told in later:
                self._send(told)
            time.sleep(0.02 if later else 0.0)
            self._send(encode("/n_free", *range(FIRST, FIRST + AT_ONCE)))
        return self.answers(5.0)

    def answers(self, within_s: float) -> bool:
        """Return whether scsynth answers /sync within this time (s). By then it has executed all it was
        sent."""
        self._send(encode("/sync", 1))
        until = time.monotonic() + within_s
        while self.process.poll() is None and (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                if self._socket.recv(65536).startswith(b"/synced"):
                    return True
            except OSError:  # nothing yet
                time.sleep(0.02)
        return False

    def close(self) -> None:
        """End scsynth and remove its shared memory."""
        self._send(encode("/quit"))
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._socket.close()
        Path(f"/dev/shm/SuperColliderServer_{self._port}").unlink(missing_ok=True)

    def _send(self, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, ("127.0.0.1", self._port))
        except OSError:  # gone: `answers` says so
            return


@contextmanager
def jackd() -> Iterator[str]:
    """Run a jackd and yield its server name. Its dummy driver plays 23 ms of audio in about 2 ms."""
    name = f"extremes{os.getpid()}"
    command = ["jackd", "-n", name, "-d", "dummy", "-r", "44100", "-p", "1024", "-w", "2000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2.0)
        yield name
    finally:
        process.terminate()
        process.wait()


def _scenery() -> list[bytes]:
    """Return the messages that prepare scsynth for the cases.

    They make buffers with sine waves, and a saw on the bus that FX read.
    """
    return [
        encode("/b_alloc", 1, 44_100, 2),
        encode("/b_alloc", 2, 44_100, 1),
        encode("/b_gen", 1, "sine1", 7, 1.0, 0.5, 0.3),
        encode("/b_gen", 2, "sine1", 7, 1.0, 0.5, 0.3),
        encode("/s_new", "sonic-pi-saw", SOURCE, 0, 0, "out_bus", 16.0, "sustain", 1e6, "attack", 0.0),
    ]


def _together(*messages: bytes) -> bytes:
    parts = b"".join(len(message).to_bytes(4) + message for message in messages)
    return b"#bundle\0" + (1).to_bytes(8) + parts
