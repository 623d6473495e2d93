"""Garbage: keeps Python's garbage collector from stopping a process for long.

A shell. A full collection looks at every object that may be part of a cycle: 35 ms with 64 busy rooms, in
which everybody waits. Nearly all objects of a relay end without the collector, by their reference counts. So
the objects that stay are exempted ten times a second, which takes microseconds, and a collection looks only
at what came since. Cycles among the exempted objects are freed by a full collection while nobody plays.
"""

import gc

EXEMPTED_EVERY_S = 0.1
COLLECTED_EVERY_S = 60.0
"""Least time between two full collections, s."""


class Garbage:
    """Decides when the collector does its work. `now_s` is of any clock that only goes forward."""

    def __init__(self, now_s: float) -> None:
        self._exempted_at_s = now_s
        self._collected_at_s = now_s

    def tend(self, now_s: float, *, quiet: bool) -> None:
        """Do what is due. quiet: nobody plays, so that nobody notices a full collection."""
        if quiet and now_s - self._collected_at_s >= COLLECTED_EVERY_S:
            self._collected_at_s = now_s
            gc.unfreeze()
            gc.collect()
        elif now_s - self._exempted_at_s < EXEMPTED_EVERY_S:
            return
        self._exempted_at_s = now_s
        gc.freeze()
