"""Window: a genuine Sonic Pi with its window, on a screen of its own, played by keyboard and mouse.

It is a performer whose command starts the window, which starts Sonic Pi's server. It needs a network of its
own (`place`): a window always uses the same ports, so plain Sonic Pi 3.2 allows one window per network. Needs
Debian's `sonic-pi`, Xvfb, openbox and xdotool.
"""

import contextlib
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy
import psutil
from PIL import Image

from rehearsal.rigs.machine import Place, Ports, StageError
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.screen import WIDTH, Screen

TITLE = "Sonic Pi"
WELCOME = "Welcome to Sonic Pi"
SAVE_RECORDING = "Save Recording"
PROGRAMS = ("sonic-pi", "Xvfb", "openbox", "xdotool")
APT = "apt-get install sonic-pi xvfb openbox xdotool"
SHOWN_S = 30.0
SETTLE_S = 0.5
"""Time (s) until the window has drawn the effect of a click or key."""

# Where things are in the window of 3.2.2 when it fills the screen.
EDITOR = (400, 300)
SCOPE_BOX = (895, 92, 1275, 182)
PREFERENCES_BOX = (760, 130, WIDTH, 480)
KNOB_COLOUR = (255, 20, 147)
"""Colour of the volume slider's knob. In the left half of the preferences nothing else of this colour is as
tall."""
SLIDER_Y = (192, 434)
"""y (pixels) of the knob's middle at the greatest volume, and at none."""

AFTERWARDS = "left.txt"
WRAPPER = """
until [ -S "$1" ]; do sleep 0.05; done
openbox >/dev/null 2>&1 &
left=$2
shift 2
"$@"
status=$?
ps -e -o args= >"$left.part"
ls /dev/shm >>"$left.part"
mv "$left.part" "$left"
exit $status
"""
"""Shell code that waits for the display and runs a command. Then it lists the processes and the files in
shared memory that are left."""


class Window(Performer):
    """A performer with a genuine Sonic Pi window. boot_s: time (s) from start until the window can be
    used."""

    def __init__(
        self, name: str, index: int, home: Path, place: Place, launcher: Sequence[str | Path] = ()
    ) -> None:
        """Reserve a screen. launcher: `jambridge join ... --`, or empty for plain Sonic Pi.

        Raises StageError if a program or a free screen is missing.
        """
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing:
            raise StageError(f"not found: {', '.join(missing)}; {APT}")
        self.screen = Screen()
        super().__init__(
            name, index, home, env=self.screen.env, launcher=launcher, place=place, listened=True
        )
        self.afterwards_path = self.home / AFTERWARDS

    def _beside(self) -> list[list[str]]:
        return [*super()._beside(), self.screen.command]

    def _command(self, server: Path, ports: Ports) -> list[str]:
        words = ["sh", "-c", WRAPPER, "sh", str(self.screen.socket), str(self.afterwards_path)]
        return [*words, *map(str, self.launcher), "sonic-pi"]

    def log_text(self) -> str:
        """Return the output of all programs started here, and of the Ruby server that the window started."""
        served = ""
        with contextlib.suppress(OSError):
            served = (self.home / ".sonic-pi/log/server-output.log").read_text(errors="replace")
        return super().log_text() + served

    def wait_shown(self) -> None:
        """Wait until the window can be used, and close the welcome window that covers it at its first
        start."""
        self.wait_booted()
        self.screen.wait_for(TITLE, SHOWN_S)
        self.screen.activate(self.screen.wait_for(WELCOME, SHOWN_S))
        self.screen.key("alt+F4")
        self.to_front()

    def to_front(self) -> None:
        """Bring the window to the front."""
        self.screen.activate(self.screen.wait_for(TITLE, SHOWN_S))
        time.sleep(SETTLE_S)

    # -- what a person does ------------------------------------------------------------------------------

    def run_code(self, code: str) -> None:
        """Replace the editor's content by code of one line, and run it."""
        self.screen.click(*EDITOR)
        self.screen.key("alt+a", "BackSpace")
        self.screen.type(code)
        self.screen.key("Escape", "alt+r")  # Escape: no completion may take a key

    def stop_jobs(self) -> None:
        """Stop all runs, by the key for that."""
        self.screen.key("alt+s")

    def record(self) -> None:
        """Press the key of the record button. The first press starts a recording. The second one ends the
        recording and opens a window that asks for a file."""
        self.screen.key("shift+alt+r")

    def save_recording(self, path: Path) -> None:
        """Save the recording that has just ended as `path`, in the window that asks for a file."""
        self.screen.activate(self.screen.wait_for(SAVE_RECORDING, SHOWN_S))
        self.screen.key("ctrl+a")
        self.screen.type(str(path))
        self.screen.key("Return")
        self.to_front()

    def show_preferences(self) -> None:
        """Show the preferences, where the volume is; hide them if they are shown."""
        self.screen.key("alt+p")
        time.sleep(SETTLE_S)

    def slide_volume(self, share: float) -> None:
        """Drag the volume's knob to `share` of the slider's length, from its lower end. The knob must be
        visible."""
        x, y = self.volume_knob()
        top, bottom = SLIDER_Y
        self.screen.drag((x, y), (x, round(bottom - share * (bottom - top))))
        time.sleep(SETTLE_S)

    def volume_knob(self) -> tuple[int, int]:
        """Return (x, y), in pixels, of the middle of the volume's knob. Raises StageError if the knob isn't
        visible."""
        left, top, right, bottom = PREFERENCES_BOX
        pixels = numpy.asarray(self.screen.picture((left, top, (left + right) // 2, bottom)))
        rows, columns = numpy.nonzero((pixels[:, :, :3] == KNOB_COLOUR).all(axis=2))
        if not len(rows):
            raise StageError(f"{self.name}: the volume's knob isn't to be seen")
        return left + int(sorted(columns)[len(rows) // 2]), top + int(rows[len(rows) // 2])

    def scope(self) -> Image.Image:
        """Return a picture of the oscilloscope."""
        return self.screen.picture(SCOPE_BOX)

    def close(self) -> None:
        """Close the window as its user does."""
        self.to_front()
        self.screen.key("alt+F4")

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does, to this window's `jambridge join`. Raises StageError if none runs."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "jambridge":
                    process.send_signal(signal.SIGINT)
                    return
        raise StageError(f"{self.name}: no join runs")

    # -- what is left ------------------------------------------------------------------------------------

    def wait_gone(self, timeout_s: float) -> list[str]:
        """Wait until all programs have ended. Return a line for each process and file in shared memory that
        is left.

        Raises StageError after timeout_s.
        """
        assert self.process is not None
        with contextlib.suppress(Exception):
            self.process.wait(timeout_s)
        if not self.afterwards_path.exists():
            raise StageError(f"{self.name}: still there after {timeout_s:.0f} s\n{self._log_tails()}")
        ours = ("sh -c", "jackd", "Xvfb", "openbox", "ps -e", "inside.py", "livetake.py", "jack")
        lines = self.afterwards_path.read_text().splitlines()
        return [line for line in lines if not any(word in line for word in ours)]

    def kill(self) -> None:
        super().kill()
        self.screen.close()
