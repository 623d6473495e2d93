"""Errors of the clock. They don't derive from the other errors of this repository, since `clock` imports
nothing else of it."""


class BadSample(Exception):
    """The times of an exchange are impossible, or a datagram is no valid answer. The caller counts this and
    goes on."""


class NotLocked(RuntimeError):
    """Session time was asked for before it exists. This is a bug of the caller, which must check `locked`
    first."""
