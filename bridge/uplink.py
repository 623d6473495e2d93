"""Uplink: numbers what the player sends, keeps it until the relay has judged it, and says how far it is.

Pure. Events keep their number for good: what waits when the relay comes back is sent again under it.
Bound: PENDING_MAX events without a verdict; the oldest are forgotten first.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from relay.wire import frames
from relay.wire.sequence import Kind, Scheme, Stamped, Timing, base_due, raises_floor
from relay.wire.timetag import ticks

PENDING_MAX = 4096
ANSWERED_MAX = 256
"""Frames sent again for one range of a NACK; the relay asks once more for the rest."""

BEAT_AFTER_EVENT = ticks(0.015)
"""So that the loss of a phrase's last event is noticed at once."""
BEAT_QUIET = ticks(0.250)


class Uplink:
    """The own events on their way to the relay. `now` is a session instant."""

    def __init__(self, next_seq: int = 1) -> None:
        self.next_seq = next_seq
        self.floor = 0
        self.beat_at = 0
        self._scheme = Scheme.JUDGED
        self._pending: dict[int, Stamped] = {}

    def follow(self, scheme: Scheme) -> None:
        """Reckon dues by the room's scheme: TIMESTAMP knows no floor."""
        self._scheme = scheme
        if scheme is Scheme.TIMESTAMP:
            self.floor = 0

    def stamp(
        self, kind: Kind, payload: bytes, *, emitted: int, timetag: int | None, foundation: bool
    ) -> Stamped:
        """Give the next number to an event."""
        event = Stamped(self.next_seq, emitted, timetag, kind, payload, foundation)
        self.next_seq += 1
        self._pending[event.seq] = event
        if len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        return event

    def due_as_stamped(self, event: Stamped, timing: Timing) -> int:
        """Return the due that the relay will give unless something is late; it raises the own floor."""
        due = self.due_at_home(event, timing)
        if self._scheme is Scheme.JUDGED and raises_floor(event.kind):
            self.floor = due
        return due

    def due_at_home(self, event: Stamped, timing: Timing) -> int:
        """Return the due of what only this host plays, in order with the own events; it raises nothing."""
        return max(base_due(event, timing), self.floor)

    def send(self, event: Stamped, now: int) -> bytes:
        """Return the frame of an event; a heartbeat follows soon."""
        self.beat_at = min(self.beat_at, now + BEAT_AFTER_EVENT)
        return frames.encode(event)

    def send_again(self, ranges: tuple[tuple[int, int], ...]) -> list[bytes]:
        """Return the frames that the relay asked for, of those that it hasn't judged yet."""
        wanted = (
            self._pending.get(seq)
            for first, last in ranges
            for seq in range(first, min(last, first + ANSWERED_MAX - 1) + 1)
        )
        return [frames.encode(event) for event in wanted if event is not None]

    def settle(self, seq: int) -> None:
        """Note that the relay has judged an event: it needs no more sending."""
        self._pending.pop(seq, None)

    def pending(self, is_wanted: Callable[[Stamped], bool]) -> list[Stamped]:
        """Return the events without a verdict that are still wanted, in order; forget the others."""
        self._pending = {seq: event for seq, event in self._pending.items() if is_wanted(event)}
        return list(self._pending.values())

    def instants(self) -> Iterator[int]:
        """Yield the instants that are this host's own reckoning, for `convert`."""
        yield self.floor
        for event in self._pending.values():
            yield event.emitted
            if event.timetag is not None:
                yield event.timetag

    def convert(self, instant_of: Callable[[int], int]) -> None:
        """Give the events without a verdict, and the floor, new instants: the clock was set."""
        self.floor = instant_of(self.floor)
        for seq, event in self._pending.items():
            timetag = None if event.timetag is None else instant_of(event.timetag)
            self._pending[seq] = replace(event, emitted=instant_of(event.emitted), timetag=timetag)

    def beat(self, complete_number: int, now: int) -> bytes:
        """Return a heartbeat, and note when the next one is due."""
        self.beat_at = now + BEAT_QUIET
        return frames.encode(frames.BeatUp(self.next_seq - 1, complete_number, now))
