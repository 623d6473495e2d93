"""Programs of a real run: the relay, and members made of a feeder, a bridge and a sink.

A shell. Each program has a folder of its own for all its files. Its environment shares nothing with other
runs or with the user's own settings.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from rehearsal.embedded import SINK, SINK_RECORDING
from rehearsal.rigs.machine import tail

from laboratory.runs.feeder import BOOTED
from laboratory.star.star import Host
from relay.wire.sequence import Scheme

BIN = Path(sys.executable).parent
SKEW = Path(__file__).resolve().parent / "skew"
"""Folder of the sitecustomize.py that skews a bridge's clock. Python imports that file if the folder is in
PYTHONPATH."""
SKEW_ENV = "LAB_SKEW_PPM"
HERE = Path(__file__).resolve().parents[1]
PYTHONPATH = os.pathsep.join([str(HERE.parent), str(HERE.parents[1])])

RELAY_PORT = 7707
LOOPBACK = "127.0.0.1"
RELAY_READY = "relay ready on port "
RELAY_READY_S = 20.0
LEAD_CHANGED = re.compile(r"lead changed room=\S+ lead_ms=(\d+) was_ms=\d+ shift_ms=(\d+)")
CLOCK_SET = "clock set to the room's"
SLOT = re.compile(r"bridge up slot=(\d+)")
SCSYNTH_PORT = 4556
"""Port of every member's scsynth. All members can use the same port, because each has a loopback of its
own."""
POLL_S = 0.05


class RunFailed(RuntimeError):
    """A run can't be counted. The text has the reason and the ends of the logs."""


@dataclass
class Relay:
    """The relay of a run. It logs every judged event to events.jsonl in `folder`.

    repair: it asks for missing events. shift_auto: the shift tunes itself; otherwise it is 0.
    """

    host: Host
    folder: Path
    lead_ms: float | None
    """The room's fixed lead (ms); None: the lead tunes itself."""
    repair: bool
    scheme: Scheme
    shift_auto: bool = False
    process: "subprocess.Popen[bytes] | None" = None
    name: ClassVar = "relay"

    @property
    def log(self) -> Path:
        return self.folder / "relay.log"

    @property
    def command(self) -> list[str | Path]:
        return [
            BIN / "jamrelay", "serve", "--host", "0.0.0.0", "--port", str(RELAY_PORT),
            *(() if self.lead_ms is None else ("--lead-ms", str(self.lead_ms))),
            *(() if self.shift_auto else ("--shift-ms", "0")), "--data-dir", self.folder / "relay",
            "--event-log", self.folder / "events.jsonl", "--scheme", self.scheme.value,
            "--repair" if self.repair else "--no-repair",
        ]  # fmt: skip

    def start(self) -> None:
        """Start the relay and wait until it listens. Raises RunFailed."""
        with self.log.open("wb") as log:
            self.process = self.host.popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(self.folder)
            )
        deadline_s = time.monotonic() + RELAY_READY_S
        while RELAY_READY not in self.log.read_text(errors="replace"):
            if self.has_ended or time.monotonic() > deadline_s:
                raise RunFailed(f"the relay isn't ready\n{tail(self.log)}")
            time.sleep(POLL_S)
        # A relay usually has a machine of its own. Here it shares one with its members, so it gets priority.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(self.process.pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))

    def lead_and_shift_ms(self) -> tuple[float, float] | None:
        """Return the last lead and shift (ms) that the relay has logged; None if it never changed them."""
        changes = LEAD_CHANGED.findall(self.log.read_text(errors="replace"))
        return (float(changes[-1][0]), float(changes[-1][1])) if changes else None

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def leave(self) -> None:
        """Ask the relay to end; don't wait for it."""
        if self.process is not None:
            self.process.terminate()


class Seated(Protocol):
    """A member of a run, as `realrun` uses it. Its notes come from a feeder or from a genuine Sonic Pi."""

    name: str
    starts: int

    def start(self, relay: str, options: Sequence[str | float]) -> None:
        """Start the member, for the first time or again. Don't wait until it is ready. relay: its address."""
        ...

    def leave(self) -> None:
        """Ask the member to end; don't wait for it."""
        ...

    @property
    def log(self) -> Path: ...
    @property
    def is_ready(self) -> bool: ...
    @property
    def has_ended(self) -> bool: ...


@dataclass
class Player:
    """One member: a feeder, its bridge, and a sink in scsynth's place.

    skew_ppm: rate (ppm) by which the bridge's local clock runs faster than the machine's. beside_relay: the
    member is on the relay's host (`host`), and reaches the relay by loopback.
    """

    name: str
    index: int
    host: Host
    folder: Path
    transport: str
    skew_ppm: float = 0.0
    beside_relay: bool = False
    starts: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    _log_from: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "join.log"

    @property
    def sent(self) -> Path:
        """Path of the feeder's log, which has the notes that it sent."""
        return self.folder / "sent.jsonl"

    @property
    def handed(self) -> Path:
        """Path of the sink's recording, which has the messages that it was handed in scsynth's place."""
        return self.folder / "handed.jsonl"

    def start(self, relay: str, schedule: Sequence[str | float]) -> None:
        """Start the member, for the first time or again. Don't wait until it is ready.

        relay: the relay's address. schedule: the feeder's options.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        address = LOOPBACK if self.beside_relay else relay
        join: list[str | Path] = [
            BIN / "jambridge", "join", f"{address}:{RELAY_PORT}", "--name", self.name,
            "--transport", self.transport, "--scsynth", SINK, "--",
        ]  # fmt: skip
        feeder: list[str | Path] = [
            sys.executable, "-m", "laboratory.runs.feeder", "--port", str(SCSYNTH_PORT), "--log", self.sent,
            "--member", str(self.index), *map(str, schedule),
        ]  # fmt: skip
        recorded = {SINK_RECORDING: str(self.handed), "REHEARSAL_PYTHON": sys.executable}
        self.starts += 1
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = self.host.popen(
                [*join, *feeder],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=skewed(environment(self.folder), self.skew_ppm) | recorded,
            )

    @property
    def text(self) -> str:
        """The part of the member's log that was written since its last start."""
        return self.log.read_bytes()[self._log_from :].decode(errors="replace")

    @property
    def is_ready(self) -> bool:
        """True if the feeder has booted and the bridge's clock is set to the room's."""
        text = self.text
        return BOOTED in text and CLOCK_SET in text

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def slot(self) -> int:
        """The member's slot in the room, read from its bridge's log. Raises RunFailed if the log has none."""
        found = SLOT.findall(self.text)
        if not found:
            raise RunFailed(f"{self.name} has no slot\n{tail(self.log)}")
        return int(found[-1])

    def say(self, line: str) -> None:
        """Write a line to the feeder's standard input. Raises RunFailed if the feeder has ended."""
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise RunFailed(f"{self.name} ended before the music began\n{tail(self.log)}") from None

    def leave(self) -> None:
        """Let the feeder end. Its bridge then leaves the room."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


def skewed(variables: dict[str, str], ppm: float) -> dict[str, str]:
    """Return environment variables with which a bridge's local clock runs fast by `ppm`. Others are
    unchanged."""
    if not ppm:
        return variables
    path = os.pathsep.join([str(SKEW), variables["PYTHONPATH"]])
    return variables | {SKEW_ENV: repr(ppm), "PYTHONPATH": path}


def environment(home: Path) -> dict[str, str]:
    """Return environment variables that share nothing with other runs or with the user's own files.

    home: the folder that replaces the user's home.
    """
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "JAMBRIDGE_"))}
    return kept | {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONPATH": PYTHONPATH,
    }
