"""Errors of the clock. Since `clock` imports nothing else of this repository, they don't derive from its
other errors."""


class BadSample(Exception):
    """The times of an exchange are impossible, or a datagram is no valid answer. The caller counts it and
    drops it."""


class NotLocked(RuntimeError):
    """Session time was asked for before it exists. That is a bug of ours: callers must check `locked`
    first."""
