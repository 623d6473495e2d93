"""What can go wrong with a clock. `clock` imports nothing of ours, so these stand by themselves."""


class BadSample(Exception):
    """An exchange that cannot have happened as told, or an answer that isn't one: count it, drop it."""


class NotLocked(RuntimeError):
    """Session time was asked for before there is any: our bug, for the caller must look at `locked` first."""
