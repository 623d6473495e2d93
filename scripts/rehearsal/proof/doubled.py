"""Doubled recording: one recorder in front of a member's bridge and one behind it, in the same run.

The front recorder holds the messages that Sonic Pi sent, as plain scsynth would have got them. The back
recorder holds the messages that scsynth was handed instead. Both take kernel timestamps from the same clock.

    Sonic Pi -> front recorder -> the bridge's shim and bridge -> back recorder -> genuine scsynth

`jambridge join` puts its shim first in PATH for the command that it starts. Here that command is a launcher.
It puts the front recorder before the shim in PATH and then starts Sonic Pi.
"""

import shlex
import stat
from pathlib import Path

from rehearsal import RECORDER
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.performer import Performer

FRONT = "front.jsonl"
BACK = "recording.jsonl"
"""File name of the back recording: the name that Performer reads."""


class DoubledJam(Jam):
    """A jam in which every member has a second recorder in front of its bridge."""

    def add_performers(self, first_index: int) -> None:
        """Add all members to the stage without starting them, so that Stage.boot can boot several jams
        together.

        first_index: the first member's index on the stage.
        """
        for index, name in enumerate(self.names, first_index):
            self.performers[name] = self.stage.add(self._performer(name, index))

    def _performer(self, name: str, index: int) -> Performer:
        home = self.folder / name
        home.mkdir(parents=True)
        back, launcher = write_scripts(home.resolve())
        return Performer(name, index, home, launcher=[*self.launcher(name, back), launcher])


def front_path(performer: Performer) -> Path:
    """Return the path of the front recorder's file. The back recorder's is performer.recording_path."""
    return performer.home / FRONT


def write_scripts(home: Path) -> tuple[Path, Path]:
    """Write the scripts that start the two recorders; return (back recorder for --scsynth, launcher for Sonic
    Pi)."""
    recorder = shlex.quote(str(RECORDER))
    folder = home / "doubled"
    front = folder / "front" / "scsynth"
    front.parent.mkdir(parents=True)
    # The back recorder finds the genuine scsynth by itself: the shims in PATH are scripts.
    # It inherits the front recorder's environment, so the back recorder's file is named here.
    recording = shlex.quote(str(home / BACK))
    back = script(
        folder / "back",
        f'unset REHEARSAL_SCSYNTH\nexport REHEARSAL_RECORDING={recording}\nexec {recorder} "$@"\n',
    )
    script(
        front,
        f'export REHEARSAL_SCSYNTH="$DOUBLED_SHIM" REHEARSAL_RECORDING={shlex.quote(str(home / FRONT))}\n'
        f'exec {recorder} "$@"\n',
    )
    launcher = script(
        folder / "launcher",
        "DOUBLED_SHIM=$(command -v scsynth)\nexport DOUBLED_SHIM\n"
        f'PATH={shlex.quote(str(front.parent))}:$PATH exec "$@"\n',
    )
    return back, launcher


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path
