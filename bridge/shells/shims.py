"""Shims: the processes that Sonic Pi has started as scsynth during one join, by their pid files.

A shell. Each shim writes `shim-PID.pid` into the join's folder when it starts, and removes the file when it
ends. If the process of a file doesn't run, the shim was killed.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

END_S = 4.0
"""How long shims may take to end once asked, s."""


class Shims:
    """The shims of one join. folder: the join's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen_dead_s: dict[Path, float] = {}

    def any_started(self) -> bool:
        """Return whether there is a pid file: that of a running shim, or of a killed one not reported by
        `killed` yet."""
        return any(self._folder.glob("shim-*.pid"))

    def pids(self) -> list[int]:
        """Return the process ids in the pid files."""
        return list(self._by_file().values())

    def killed(self, now_s: float, after_s: float) -> list[int]:
        """Return the process ids of shims that were killed `after_s` ago or earlier. Each is returned once,
        and its file is removed.

        now_s: an instant of any one clock, s.
        """
        dead = {path: pid for path, pid in self._by_file().items() if not _runs(pid)}
        self._seen_dead_s = {path: self._seen_dead_s.get(path, now_s) for path in dead}
        told = [path for path, since_s in self._seen_dead_s.items() if now_s - since_s >= after_s]
        for path in told:
            path.unlink(missing_ok=True)
        return [dead[path] for path in told]

    def end(self) -> None:
        """End the shims that still run because Sonic Pi ended without ending its scsynth."""
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + END_S
        while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in pids:
            if _runs(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _by_file(self) -> dict[Path, int]:
        found: dict[Path, int] = {}
        for path in self._folder.glob("shim-*.pid"):
            with contextlib.suppress(FileNotFoundError):  # its shim has ended meanwhile
                text = path.read_text().strip()
                if text:
                    found[path] = int(text)
        return found


def _runs(pid: int) -> bool:
    """Return whether a process runs. A process that has ended doesn't, even if Sonic Pi hasn't reaped it
    yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
