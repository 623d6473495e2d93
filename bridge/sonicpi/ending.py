"""Endings: the text for a player whose sound engine is gone while Sonic Pi still runs.

Pure.
"""

KILLED_AFTER_S = 2.0
"""A shim must have been dead for this time (s) until its player is told. A Sonic Pi that ends kills it
first."""


def shim_killed(pid: int) -> list[str]:
    """Return the lines for a shim that was killed, and with it scsynth and bridge. pid: the shim's."""
    return [
        "You are NOT in the jam any more: the program of jamrelay that stands in for",
        f"scsynth (process {pid}) has died, and with it your sound engine and your",
        "bridge. Sonic Pi still runs, and makes no sound. The others play on without",
        "you. Start Sonic Pi again: end this join with Ctrl-C, and join again.",
    ]
