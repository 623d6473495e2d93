"""Doubled recording: a recorder in front of a member's bridge and one behind it, in the same run.

The front recorder holds the messages of Sonic Pi, as plain scsynth would have played them. The back recorder
holds the messages that scsynth was handed instead. Their kernel timestamps are of one clock.

    Sonic Pi -> front recorder -> the bridge's shim and bridge -> back recorder -> genuine scsynth

`jambridge join` puts its shim first in PATH for the command it starts. A launcher between it and Sonic Pi
remembers that shim and puts the front recorder before it.
"""

import shlex
import stat
from pathlib import Path

from rehearsal import RECORDER
from rehearsal.rigs.jam import Jam
from rehearsal.rigs.performer import Performer

FRONT = "front.jsonl"
BACK = "recording.jsonl"
"""The recording's name, as Performer expects it."""


class DoubledJam(Jam):
    """A jam in which every member has a second recorder in front of its bridge."""

    def add_performers(self, first_index: int) -> None:
        """Add all members to the stage, not started, so that several jams can boot together (Stage.boot)."""
        for index, name in enumerate(self.names, first_index):
            self.performers[name] = self.stage.add(self._performer(name, index))

    def _performer(self, name: str, index: int) -> Performer:
        home = self.folder / name
        home.mkdir(parents=True)
        back, launcher = write_scripts(home.resolve())
        return Performer(name, index, home, launcher=[*self.launcher(name, back), launcher])


def front_path(performer: Performer) -> Path:
    """Return where a member's front recorder writes; the back one has performer.recording_path."""
    return performer.home / FRONT


def write_scripts(home: Path) -> tuple[Path, Path]:
    """Write the scripts that put the recorders in place; return (program for --scsynth, launcher)."""
    recorder = shlex.quote(str(RECORDER))
    folder = home / "doubled"
    front = folder / "front" / "scsynth"
    front.parent.mkdir(parents=True)
    # The back recorder finds the genuine scsynth by itself: the shims in PATH are scripts.
    # It inherits the front recorder's environment through the shim, so its own file is named here.
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
