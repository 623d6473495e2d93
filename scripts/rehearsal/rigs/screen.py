"""Screen: a virtual X display with a window manager, pictures of it, and simulated keys and mouse.

Xvfb and openbox run beside the program that has the window. Other programs on this machine reach the display
by its socket in /tmp. xdotool types and clicks, Pillow takes the pictures.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageGrab

from rehearsal.rigs.machine import StageError

WIDTH, HEIGHT = 1280, 900
DISPLAYS = range(60, 99)
SOCKETS = Path("/tmp/.X11-unix")
TOOL_S = 15.0
POLL_S = 0.1
KEY_MS = 12
"""Pause (ms) between two typed letters. Qt's editor drops letters that come faster."""


class Screen:
    """One X display, named by its number. Run `command` to start it, and call `close` in the end."""

    def __init__(self) -> None:
        """Choose a display number that nobody uses, and reserve it. Raises StageError if all are taken."""
        _make_socket_folder()
        self.number = next(filter(_take, DISPLAYS), 0)
        if not self.number:
            raise StageError(f"all X displays from :{DISPLAYS[0]} to :{DISPLAYS[-1]} are taken")
        self.env = {"DISPLAY": f":{self.number}"}

    @property
    def command(self) -> list[str]:
        """The command that starts the display. It must run before any window can be shown."""
        size = f"{WIDTH}x{HEIGHT}x24"
        return ["Xvfb", f":{self.number}", "-screen", "0", size, "-nolisten", "tcp"]

    @property
    def socket(self) -> Path:
        """The display's socket in /tmp. The file exists once the display is ready."""
        return SOCKETS / f"X{self.number}"

    def close(self) -> None:
        """Release the display's number. The display's programs must have ended."""
        for path in (self.socket, _lock(self.number)):
            with contextlib.suppress(OSError):
                path.unlink()

    # -- eyes ----------------------------------------------------------------------------------------

    def picture(self, box: tuple[int, int, int, int] | None = None) -> Image.Image:
        """Return a picture of the screen, or of a box (left, top, right, bottom) of it in pixels."""
        whole = ImageGrab.grab(xdisplay=self.env["DISPLAY"])
        return whole if box is None else whole.crop(box)

    def windows(self, name: str) -> list[str]:
        """Return the ids of the visible windows whose title is `name`."""
        found = self._tool("search", "--onlyvisible", "--name", f"^{name}$", check=False)
        return found.split()

    # -- hands ---------------------------------------------------------------------------------------

    def wait_for(self, name: str, timeout_s: float) -> str:
        """Wait for a window with this title and return its id. Raises StageError."""
        return wait_until(lambda: next(iter(self.windows(name)), ""), f"window {name!r}", timeout_s)

    def activate(self, window: str) -> None:
        """Bring a window, given by its id, to the front."""
        self._tool("windowactivate", "--sync", window)

    def key(self, *keys: str) -> None:
        """Press keys or combinations such as alt+r."""
        self._tool("key", "--delay", str(KEY_MS), *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._tool("type", "--delay", str(KEY_MS), text)

    def click(self, x: int, y: int) -> None:
        """Click at a point of the screen."""
        self._tool("mousemove", str(x), str(y), "click", "1")

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press the mouse's button at one point, move to another, and release the button there."""
        self._tool("mousemove", *map(str, start), "mousedown", "1")
        self._tool("mousemove", *map(str, end), "mouseup", "1")

    def _tool(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=os.environ | self.env, capture_output=True, text=True, timeout=TOOL_S
        )
        if check and done.returncode:
            raise StageError(f"xdotool {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout


def wait_until(seen: Callable[[], str], what: str, timeout_s: float) -> str:
    """Call `seen` until it returns a string that isn't empty; return that string.

    what: the expected thing in words, for the error's text. Raises StageError after timeout_s.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (found := seen()):
        if time.monotonic() > deadline_s:
            raise StageError(f"no {what} within {timeout_s:.0f} s")
        time.sleep(POLL_S)
    return found


def _take(number: int) -> bool:
    """Reserve a display by creating its lock file; return False if the file exists.

    Xvfb replaces a lock file that names no process.
    """
    try:
        os.close(os.open(_lock(number), os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    return True


def _make_socket_folder() -> None:
    """Create the folder of all displays' sockets. If two X servers create it at once, one of them fails."""
    with contextlib.suppress(FileExistsError):
        SOCKETS.mkdir()
        SOCKETS.chmod(0o1777)


def _lock(number: int) -> Path:
    return Path(f"/tmp/.X{number}-lock")
