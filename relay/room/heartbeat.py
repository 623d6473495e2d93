"""Heartbeat: the times at which the relay sends a room's heartbeats.

Pure; instants are session timetags. The interval is BEAT_PENDING while a judged event is still to be played,
and BEAT_QUIET otherwise. One more heartbeat follows BEAT_AFTER_EVENT after the last event of a phrase: if
that event is lost, the heartbeat shows it.
"""

from relay.wire.timetag import ticks

BEAT_PENDING = ticks(0.050)
BEAT_QUIET = ticks(0.250)
BEAT_AFTER_EVENT = ticks(0.015)
"""Time from an event to the heartbeat that follows it. Another event within this time postpones the
heartbeat: its number shows a gap as well as a heartbeat does."""


class Heartbeat:
    """The times of one room's heartbeats."""

    __slots__ = ("_after_event_at", "_steady_at")

    def __init__(self) -> None:
        self._steady_at = 0
        self._after_event_at: int | None = None

    @property
    def due_at(self) -> int:
        """The session instant at which the next heartbeat must be sent."""
        if self._after_event_at is None:
            return self._steady_at
        return min(self._steady_at, self._after_event_at)

    def published(self, now: int) -> None:
        """Record that an event was published, and plan the heartbeats after it. now: session ticks."""
        self._after_event_at = now + BEAT_AFTER_EVENT
        self._steady_at = min(self._steady_at, now + BEAT_PENDING)

    def beat(self, now: int, *, pending: bool) -> None:
        """Record that a heartbeat was sent, and plan the next. pending: whether some judged event is not due
        yet."""
        self._after_event_at = None
        self._steady_at = now + (BEAT_PENDING if pending else BEAT_QUIET)
