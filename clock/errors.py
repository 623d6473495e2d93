"""Errors of the clock. `clock` imports nothing else of this repository, so they have no common base there."""


class BadSample(Exception):
    """The exchange is impossible, or the datagram is no valid answer. Count it and drop it."""


class NotLocked(RuntimeError):
    """Session time was asked for before the first lock. A bug of ours: callers check `locked` first."""
