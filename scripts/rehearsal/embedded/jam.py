"""A jam of stand-ins: the real relay, bridges and recorders between replayers and sinks."""

import contextlib
import json
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

from rehearsal.embedded import REPLAYER, SINK, TRAFFIC, sounds
from rehearsal.embedded.replayer import BOOTED
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.machine import StageError, find_ports
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.recorder import die_with_parent

BOOT = TRAFFIC / "boot.jsonl"


def traffic() -> dict[str, Path]:
    """Return the files of the recorded runs: name of the example that was run -> file."""
    return {path.stem: path for path in sorted(TRAFFIC.glob("*.jsonl")) if path != BOOT}


def traffic_s() -> float:
    """Return the length (whole seconds) of the shortest recorded run, counted up to its stop."""
    stops = []
    for path in traffic().values():
        entries = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        stops.append(next(entry["t"] for entry in entries if "stop" in entry))
    return float(min(stops) // 1)


class StandIn(Performer):
    """A performer with a replayer in place of Sonic Pi and a sink in place of scsynth.

    It needs no jackd, no namespaces and no root rights. root: the folder that the replayer uses in place of
    Sonic Pi's own.
    """

    def __init__(self, name: str, index: int, home: Path, launcher: list[str | Path], root: Path) -> None:
        super().__init__(name, index, home, env={"REHEARSAL_SCSYNTH": str(SINK)}, launcher=launcher)
        self.root = root

    def start(self) -> None:
        if self.process is not None:
            raise StageError(f"{self.name}: already started")
        self.ports = find_ports(self.index)
        (self.home / "tmp").mkdir(mode=0o700, exist_ok=True)
        replayer = [sys.executable, "-I", "-S", REPLAYER, self.root, BOOT, self.ports.scsynth]
        self.started_at_s = time.monotonic()
        with self.server_log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.launcher, *map(str, replayer)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=self._environment("none"),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def poll(self) -> bool:
        if self.boot_s is None and BOOTED in self.log_text():
            self.boot_s = time.monotonic() - self.started_at_s
        return self.boot_s is not None

    def run_code(self, code: str) -> None:
        raise StageError(f"{self.name} is a stand-in for Sonic Pi and can't run code, only recorded traffic")

    def run_file(self, path: Path) -> None:
        self._say(f"play {path}")

    def stop_jobs(self) -> None:
        self._say("stop")

    def close_window(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def exit(self, timeout_s: float = 0.0) -> None:
        self.end()

    def _say(self, line: str) -> None:
        if self.process is None or self.process.stdin is None:
            raise StageError(f"{self.name}: not started, cannot {line}")
        with contextlib.suppress(BrokenPipeError):  # then `poll` of the stage tells that it has ended
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()


class EmbeddedJam(Jam):
    """A jam of stand-ins: they join a real relay through real bridges and recorders."""

    @cached_property
    def root(self) -> Path:
        """The folder that the stand-ins use in place of Sonic Pi's own."""
        return sounds.root(self.folder)

    def _performer(self, name: str, index: int) -> Performer:
        home = self.folder / name
        home.mkdir(parents=True)
        return StandIn(name, index, home, self.launcher(name), self.root)
