"""The shims of a join: a killed shim is found once; a shim that has ended by itself isn't reported."""

import os
import signal
import subprocess
from pathlib import Path

from bridge.shells.shims import Shims
from bridge.sonicpi.ending import shim_killed


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that stands for a shim, with its pid file."""
    process = subprocess.Popen(["sleep", "60"])
    (folder / f"shim-{process.pid}.pid").write_text(str(process.pid))
    return process


def test_a_killed_shim_is_found_once_though_nobody_has_reaped_it(tmp_path: Path) -> None:
    shims = Shims(tmp_path)
    shim = start(tmp_path)
    assert shims.killed(100.0, after_s=2.0) == []
    shim.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, shim.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has looked
    assert shims.killed(100.1, after_s=2.0) == [], "a Sonic Pi that ends kills it, too"
    assert shims.killed(102.0, after_s=2.0) == []
    assert shims.killed(102.1, after_s=2.0) == [shim.pid]
    assert shims.killed(110.0, after_s=2.0) == []
    assert not shims.any_started()
    shim.wait()


def test_a_shim_that_has_ended_by_itself_is_not_told_of(tmp_path: Path) -> None:
    shims = Shims(tmp_path)
    shim = start(tmp_path)
    shim.kill()
    shim.wait()
    assert shims.killed(100.0, after_s=2.0) == []
    (tmp_path / f"shim-{shim.pid}.pid").unlink()
    assert shims.killed(103.0, after_s=2.0) == []


def test_the_player_is_told_what_died_and_what_to_do_in_80_columns() -> None:
    lines = shim_killed(4_194_304)
    assert max(map(len, lines)) <= 80
    text = " ".join(lines)
    for words in ("NOT in the jam any more", "scsynth (process 4194304) has died", "Start Sonic Pi again"):
        assert words in text
