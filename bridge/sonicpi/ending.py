"""Endings: the text for a player whose sound engine is gone while Sonic Pi still runs.

Pure.
"""

KILLED_AFTER_S = 2.0
"""Time (s) from the death of a shim to the message to its player. A Sonic Pi that ends kills the shim before
it ends itself, and then no message is wanted."""


def shim_killed(pid: int) -> list[str]:
    """Return the lines that tell the player that the shim `pid` has died, with scsynth and the bridge."""
    return [
        "You are NOT in the jam any more: the program of jamrelay that stands in for",
        f"scsynth (process {pid}) has died, and with it your sound engine and your",
        "bridge. Sonic Pi still runs, and makes no sound. The others play on without",
        "you. Start Sonic Pi again: end this join with Ctrl-C, and join again.",
    ]
