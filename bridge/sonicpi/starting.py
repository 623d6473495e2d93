"""Start watch: checks whether the command of a join has started our scsynth, and gives advice if it hasn't.

Pure. Instants are seconds of any one clock.
"""

PATIENCE_S = 20.0
"""The advice is shown after this time (s). On a slow machine Sonic Pi's window takes up to 10 s until it
starts scsynth."""

INSTALL = "install Sonic Pi (Debian, Ubuntu: sudo apt install sonic-pi)"


class StartWatch:
    """Checks one command of a join.

    folder: the folder with our scsynth, which stands first in the command's PATH.
    """

    def __init__(self, command: str, folder: str, now_s: float) -> None:
        self._command = command
        self._folder = folder
        self._began_s = now_s
        self._done = False

    def news(self, now_s: float, *, started: bool, ended: bool = False) -> list[str]:
        """Return the lines to show to the player now, mostly none. The advice is returned once.

        started: our scsynth runs. ended: the command has ended by itself.
        """
        if self._done or not (started or ended or now_s - self._began_s >= PATIENCE_S):
            return []
        self._done = True
        if started:
            return []
        return self._it_ended() if ended else self._it_runs()

    def _it_runs(self) -> list[str]:
        return [
            f"You are NOT in the jam: {self._command} has run for {PATIENCE_S:.0f} s and has not started",
            "its sound engine (scsynth) through jamrelay. Nobody else hears what you play.",
            "Why that may be, and what to do:",
            "* It is still busy, or shows an error: once its engine starts, you are in.",
            "* A Sonic Pi was open before: close it, end this join with Ctrl-C, join again.",
            "* It takes scsynth from a place of its own, as on macOS and Windows and in",
            "  Flatpak and Snap, or needs none (Sonic Pi 5). This jamrelay needs Sonic Pi",
            "  3.2 to 4.6 on Linux, installed as an ordinary package.",
            "* It is a script that sets PATH. This folder must come first in it:",
            f"  {self._folder}",
        ]

    def _it_ended(self) -> list[str]:
        return [
            f"You were NOT in the jam: {self._command} has ended, and never started its sound engine",
            "(scsynth) through jamrelay. If it only starts Sonic Pi and ends, name the",
            "command that stays: jambridge join HOST -- COMMAND",
        ]


def cannot_start(command: str, why: str | None) -> str:
    """Return the text, with advice, for a command that can't be started. why: the system's reason."""
    return (
        f"can't start {command!r}: {why}; {INSTALL}, or name the command that starts yours: "
        "jambridge join HOST -- COMMAND"
    )
