"""Heartbeat: the instants at which the relay sends a room's heartbeats.

Pure; instants are session timetags. Heartbeats are fast while a judged event is still to be played, and slow
otherwise. One also follows soon after the last event of a phrase. If that event is lost, nothing else reveals
it.
"""

from relay.wire.timetag import ticks

BEAT_PENDING = ticks(0.050)
BEAT_QUIET = ticks(0.250)
BEAT_AFTER_EVENT = ticks(0.015)
"""Time from an event to the heartbeat that follows it. An event that comes sooner postpones the heartbeat,
since it reveals a gap by itself."""


class Heartbeat:
    """The heartbeat schedule of one room."""

    __slots__ = ("_after_event_at", "_steady_at")

    def __init__(self) -> None:
        self._steady_at = 0
        self._after_event_at: int | None = None

    @property
    def due_at(self) -> int:
        """The instant of the next heartbeat, session ticks."""
        if self._after_event_at is None:
            return self._steady_at
        return min(self._steady_at, self._after_event_at)

    def published(self, now: int) -> None:
        """Note that an event was published, so that something is pending. now: session ticks."""
        self._after_event_at = now + BEAT_AFTER_EVENT
        self._steady_at = min(self._steady_at, now + BEAT_PENDING)

    def beat(self, now: int, *, pending: bool) -> None:
        """Note that a heartbeat was sent. pending: some judged event is not due yet."""
        self._after_event_at = None
        self._steady_at = now + (BEAT_PENDING if pending else BEAT_QUIET)
