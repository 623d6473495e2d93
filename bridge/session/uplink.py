"""Uplink: numbers the player's events, keeps them until the relay has judged them, and sends heartbeats.

Pure. An event's number here is its seq, which it keeps for good. So an event that waits for the relay's
return is sent under the same seq. A note whose time is long over isn't sent again. Bound: PENDING_MAX events
without a verdict; the oldest are forgotten first.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.session.cancelled import bygone
from relay.wire import frames
from relay.wire.meaning import Meaning
from relay.wire.outbox import RIDE_S, Outbox
from relay.wire.sequence import Kind, Scheme, Stamped, Timing, base_due, raises_floor
from relay.wire.timetag import seconds, ticks

PENDING_MAX = 4096

BEATS_AFTER_EVENT_S = (0.015, 0.090)
"""Heartbeats follow this long after an event, s. They reveal at once that a phrase's last event was lost.
There are two, because one of them may be lost as well."""
BEATS_WHILE_LOSSY_S = (0.015, 0.040, 0.090)
BEAT_QUIET_S = 0.250
STALE_S = 0.250
"""A note isn't sent again when its due is past by more than this, s. After an outage the room would play all
such notes at once, long after their time. Groups, FX and frees are sent however late, because later events
need them."""
BEAT_BYTES = 23
STRUCTURE_KEEP = ticks(10.0)
"""Groups, FX and frees that were played while the relay was away are sent afterwards, if they are younger
than this (ticks). After that time all other hosts have freed the absent member's nodes anyway."""


class Uplink:
    """The local player's events on their way to the relay.

    `now` is session ticks. `now_s` is the local clock (s), by which sending is timed, because session time
    may be set in one step.
    """

    def __init__(self, next_seq: int = 1) -> None:
        self.next_seq = next_seq
        self.floor = 0
        self.beat_at_s = 0.0
        self.outbox = Outbox(self._fetch)
        self._scheme = Scheme.JUDGED
        self._event_at_s = 0.0
        self._pending: dict[int, Stamped] = {}
        self._due_s: dict[int, float] = {}
        """Seq -> local instant (s) of an event's due as this bridge computed it. Only events that were sent
        are here."""

    def follow(self, scheme: Scheme) -> None:
        """Compute dues by the room's scheme. With TIMESTAMP there is no floor."""
        self._scheme = scheme
        if scheme is Scheme.TIMESTAMP:
            self.floor = 0

    def repair(self, *, copies: bool, ahead_s: float) -> None:
        """Set whether events are sent twice without a request.

        ahead_s: how long before its due (s) an event must be at the relay.
        """
        self.outbox.copies, self.outbox.ahead_s = copies, ahead_s

    def stamp(self, kind: Kind, meaning: Meaning, *, emitted: int, timetag: int | None) -> Stamped:
        """Give the next seq to an event. emitted, timetag: session ticks."""
        event = Stamped(self.next_seq, emitted, timetag, kind, meaning.payload, meaning=meaning)
        self.next_seq += 1
        self._pending[event.seq] = event
        if len(self._pending) > PENDING_MAX:
            self.settle(next(iter(self._pending)))
        return event

    def due_as_stamped(self, event: Stamped, timing: Timing) -> int:
        """Return the due (session ticks) that the relay will give an event if nothing is late.

        The floor is the earliest due that a later event of the local player can get. Events of some kinds
        (`raises_floor`) move it to their own due.
        """
        due = self.due_at_home(event, timing)
        if self._scheme is Scheme.JUDGED and raises_floor(event.kind):
            self.floor = due
        return due

    def due_at_home(self, event: Stamped, timing: Timing) -> int:
        """Return the due (session ticks) of a message that only this host plays, in order with the local
        player's events.

        The floor stays as it is.
        """
        return max(base_due(event, timing), self.floor)

    def send(self, event: Stamped, timing: Timing, *, now: int, now_s: float) -> None:
        """Send an event. Heartbeats follow soon after it."""
        self._event_at_s = now_s
        self.beat_at_s = min(self.beat_at_s, now_s + BEATS_AFTER_EVENT_S[0])
        due_s = now_s + seconds(base_due(event, timing) - now)
        self._due_s[event.seq] = due_s
        always = raises_floor(event.kind)
        self.outbox.put(event.seq, frames.encode(event), now_s, due_s=due_s, always=always)

    def send_pending(
        self, is_ahead: Callable[[Stamped], bool], timing: Timing, *, now: int, now_s: float
    ) -> None:
        """Send a heartbeat and the waiting events that are still wanted, because the relay can be reached
        now.

        is_ahead: tells whether an event is still to be played here.
        """
        self.beat_at_s = now_s
        for event in self.pending(is_ahead, now=now):
            self.send(event, timing, now=now, now_s=now_s)

    def send_again(self, ranges: tuple[tuple[int, int], ...], now_s: float) -> None:
        """Send again the unjudged events that the relay asks for. ranges: (first, last) of their seqs.

        Raises Refused if the relay asks for too much.
        """
        kept = range(next(iter(self._pending), self.next_seq), self.next_seq)
        self.outbox.answer(ranges, kept, now_s)

    def settle(self, seq: int) -> None:
        """Forget an event, because the relay has judged it or it is no longer wanted."""
        self._pending.pop(seq, None)
        self._due_s.pop(seq, None)

    def pending(self, is_ahead: Callable[[Stamped], bool], *, now: int) -> list[Stamped]:
        """Return the unjudged events to send again, oldest first, and drop the rest.

        Kept: events not yet played here (`is_ahead`); played groups, FX and frees younger than
        STRUCTURE_KEEP, because later notes may depend on them. Dropped: played notes; groups created and
        freed before the relay was told.
        """
        over = {event.seq for event in self._pending.values() if not is_ahead(event)}
        for event in [self._pending[seq] for seq in over]:
            if event.emitted <= now - STRUCTURE_KEEP or event.meaning.is_note:
                self.settle(event.seq)
        untold = [event for event in self._pending.values() if event.seq not in self._due_s]
        for seq in bygone(untold, lambda event: event.seq in over):
            self.settle(seq)
        return list(self._pending.values())

    def unjudged(self) -> list[Stamped]:
        """Return the events without a verdict, in order."""
        return list(self._pending.values())

    def convert(self, instant_of: Callable[[int], int]) -> None:
        """Convert the floor and the instants of unjudged events, because session time was set in one step.

        instant_of: maps an old session instant to the new one.
        """
        self.floor = instant_of(self.floor)
        for seq, event in self._pending.items():
            timetag = None if event.timetag is None else instant_of(event.timetag)
            self._pending[seq] = replace(event, emitted=instant_of(event.emitted), timetag=timetag)

    def beat(self, complete_number: int, *, now: int, now_s: float) -> None:
        """Send a heartbeat if one is due. It is also sent if it is almost due and a datagram leaves anyway.

        complete_number: the room number up to which every event has arrived or was given up.
        """
        if self.beat_at_s > now_s + (RIDE_S if self.outbox.leaves(now_s) else 0.0):
            return
        self.outbox.say(frames.encode(frames.BeatUp(self.next_seq - 1, complete_number, now)))
        often = self.outbox.lossy and self.outbox.spares(BEAT_BYTES, now_s)
        follow_s = BEATS_WHILE_LOSSY_S if often else BEATS_AFTER_EVENT_S
        instants = (self._event_at_s + after_s for after_s in follow_s)
        self.beat_at_s = next((at_s for at_s in instants if at_s > now_s + RIDE_S), now_s + BEAT_QUIET_S)

    def _fetch(self, seqs: Iterable[int], now_s: float) -> list[bytes]:
        """Return the frames of the events with these seqs. Judged events and notes that are too old are left
        out."""
        events = (self._pending.get(seq) for seq in seqs)
        return [
            frames.encode(event) for event in events if event is not None and not self._is_stale(event, now_s)
        ]

    def _is_stale(self, event: Stamped, now_s: float) -> bool:
        return event.meaning.is_note and now_s > self._due_s.get(event.seq, now_s) + STALE_S
