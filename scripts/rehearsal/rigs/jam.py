"""A whole jam on this machine: a relay, and performers that join it through real bridges and recorders.

Used by `scripts/demo` and the real tests. A Stage owns all processes and ends them.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from rehearsal import RECORDER
from rehearsal.proof.hosttree import first_bus
from rehearsal.rigs import recording
from rehearsal.rigs.machine import StageError
from rehearsal.rigs.parts import ears
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.stage import Stage, wait_for_text

BIN = Path(sys.executable).parent
RELAY_READY = "relay ready on port "
HERE_S = 15.0
STATS_S = 10.0
LATE = re.compile(r"(?:^|\s)late \d")
"""Finds scsynth's report of a late bundle in a line. The recorder has put the time before it."""


@dataclass(eq=False)
class Jam:
    """One relay and some performers, in one room.

    Use inside a Stage. folder: gets a home for each performer and the relay's files. names: the performers.
    """

    stage: Stage
    folder: Path
    names: Sequence[str]
    lead_ms: float = 200
    shift_ms: float = 0
    self_tuned: bool = False
    """True if the relay tunes lead and shift. Then lead_ms and shift_ms aren't used."""
    impair: str | None = None
    """The bad network that every bridge emulates for its datagrams (`jambridge join --impair`)."""
    event_log: Path | None = None
    """The file in which the relay logs judged events (see relaylog.py)."""
    transport: str = "udp"
    """The bridges' transport of events: "udp" or "tls"."""
    tuned: Collection[str] = ()
    """Names of the members whose bridge sets their Sonic Pi's schedule-ahead (`--tune-sonic-pi`)."""
    listened: bool = False
    """True if each member's sound card is recorded (Performer.take)."""
    fetchless: Collection[str] = ()
    """Names of the members that neither get nor give files of Sonic Pi (`--no-fetch`)."""
    servers: Mapping[str, Path] = field(default_factory=dict)
    """Name -> Ruby server of the member's Sonic Pi (Performer.server). The others have the installed one."""
    parts: int = 0
    """The number of slots whose parts are recorded each by itself (see parts.py). Needs `listened`."""
    port: int = field(default=0, init=False)
    relay: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    performers: dict[str, Performer] = field(default_factory=dict, init=False)

    def start_relay(self) -> None:
        """Start the relay on a free port. If it ran before, it gets the same port again.

        Raises StageError with the end of the relay's log.
        """
        log = self.folder / "relay.log"
        before = len(log.read_bytes()) if log.exists() else 0
        logging: list[str | Path] = [] if self.event_log is None else ["--event-log", self.event_log]
        fixed = ["--lead-ms", str(self.lead_ms), "--shift-ms", str(self.shift_ms)]
        self.relay = self.stage.spawn(
            [BIN / "jamrelay", "serve", "--port", str(self.port), "--data-dir", self.folder / "relay",
             *([] if self.self_tuned else fixed), *logging],
            log,
        )  # fmt: skip
        self.port = int(wait_for_text(log, RELAY_READY, before, self.relay).split(",", 1)[0])

    def boot(self, progress: Callable[[Performer], None] | None = None) -> None:
        """Boot all performers through their bridges and wait until the relay counts all as present.

        progress: called with each performer once it has booted.
        """
        for index, name in enumerate(self.names):
            self.performers[name] = self.stage.add(self._performer(name, index))
        self.stage.boot(progress=progress)
        self.wait_here(len(self.names))

    def _performer(self, name: str, index: int) -> Performer:
        home = self.folder / name
        home.mkdir(parents=True)
        return Performer(
            name, index, home, launcher=self.launcher(name), listened=self.listened,
            further_ears=ears(self.parts), server=self.servers.get(name),
        )  # fmt: skip

    def join(self, name: str, label: str | None = None) -> Performer:
        """Start one more performer with a bridge of its own. Don't wait for its boot.

        label: what it is called here, if a performer of this name was here before; by default its name.
        """
        label = name if label is None else label
        self.performers[label] = performer = self.stage.add(self._performer(label, len(self.performers)))
        if label != name:
            performer.launcher = self.launcher(name)
        performer.start()
        return performer

    def dismiss(self, name: str) -> None:
        """Let a performer leave, as closing its Sonic Pi's window does, and wait until it has left the room.

        Its recording stays. Raises StageError.
        """
        performer = self.performers[name]
        self.stage.performers.remove(performer)
        performer.close_window()
        deadline_s = time.monotonic() + HERE_S
        while name in self.members():
            if time.monotonic() > deadline_s:
                raise StageError(f"{name} is still in the room {HERE_S:.0f} s after its window was closed")
            self.stage.play_for(0.2)
        performer.end()

    def launcher(self, name: str, scsynth: str | Path = RECORDER) -> list[str | Path]:
        """Return the command that joins the room as `name` and starts a program. The program's command is to
        be appended.

        scsynth: the program that the bridge starts as scsynth.
        """
        impaired = [] if self.impair is None else ["--impair", self.impair]
        tuned = ["--tune-sonic-pi"] if name in self.tuned else []
        fetchless = ["--no-fetch"] if name in self.fetchless else []
        return [
            BIN / "jambridge", "join", f"localhost:{self.port}", "--name", name, "--scsynth", scsynth,
            "--transport", self.transport, *impaired, *tuned, *fetchless, "--",
        ]  # fmt: skip

    def wait_here(self, count: int) -> None:
        """Wait until `count` members are present. Raises StageError."""
        deadline_s = time.monotonic() + HERE_S
        while (here := sum(member["present"] for member in self.members().values())) < count:
            if time.monotonic() > deadline_s:
                raise StageError(f"{here} members after {HERE_S:.0f} s, expected {count}")
            self.stage.play_for(0.2)

    def stats(self) -> dict[str, Any]:
        """Return the decoded output of `jamrelay stats --json`. Raises StageError."""
        done = subprocess.run(
            [BIN / "jamrelay", "stats", f"localhost:{self.port}", "--json"],
            env={**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder / "data")},
            capture_output=True, text=True, timeout=STATS_S,
        )  # fmt: skip
        if done.returncode:
            raise StageError(f"jamrelay stats: {done.stderr.strip()}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def room(self) -> dict[str, Any]:
        """Return the statistics of the room; {} before the first join."""
        rooms = self.stats()["rooms"]
        return dict(rooms[0]) if rooms else {}

    def members(self) -> dict[str, dict[str, Any]]:
        """Return the members' statistics by name."""
        return {member["name"]: member for member in self.room().get("members", [])}

    def recordings(self) -> dict[str, recording.Recording]:
        """Return name -> the recording so far of the performer's scsynth."""
        return {name: recording.read(performer.recording_path) for name, performer in self.performers.items()}

    def bridge_of(self, name: str) -> psutil.Process:
        """Return a performer's bridge process: the one that has a journal open. A spare bridge has none."""
        for process in self._processes(name, "bridge.shells.service"):
            if any("journal" in mapped.path for mapped in process.memory_maps()):
                return process
        raise StageError(f"{name} has no bridge")

    def shim_of(self, name: str) -> psutil.Process:
        """Return a performer's shim process: the bridge's parent, which Sonic Pi started as scsynth."""
        for process in self._processes(name, "bridge.shells.shim"):
            return process
        raise StageError(f"{name} has no shim")

    def _processes(self, name: str, module: str) -> Iterator[psutil.Process]:
        for process in self.performers[name].processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if module in process.cmdline():
                    yield process

    def stem_bus(self, name: str) -> int:
        """Return the audio bus on which a member's own sound reaches its mixer strip."""
        return first_bus(int(self.members()[name]["slot"]))


def late_lines(performer: Performer, since_s: float = 0.0) -> list[str]:
    """Return the lines in which scsynth reports late bundles, written at Unix time since_s (s) or later."""
    lines = performer.scsynth_log().splitlines()
    return [line for line in lines if LATE.search(line) and printed_at_s(line) >= since_s]


def printed_at_s(line: str) -> float:
    # The recorder writes the Unix time before each line. A line without it may be of any time.
    word = line.partition(" ")[0]
    return float(word) if word.replace(".", "", 1).isdigit() else float("inf")
