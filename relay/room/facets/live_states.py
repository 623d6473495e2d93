"""Live states: the part of each member's music that exists now, kept for members who join later or come
back.

Pure; instants are session timetags. The live state of each slot is computed from its judged events
(`relay.room.live_slot`). A newcomer gets a copy of each live state, in parts. The parts are paced, so that
they never hold up events for long. If the relay doesn't know a member's live state, the member may send it.
The other members then get copies of it. Long work is done in turns of TURN_EVERY, one step a turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from relay.effects import Effect
from relay.limits import TokenBucket
from relay.room.channel import Channel
from relay.room.facet import Facet, FacetKind
from relay.room.live_slot import Copy, LiveSlot
from relay.room.room import Room
from relay.room.seat import Seat
from relay.wire.control import Ended, LivePart, LiveRequest
from relay.wire.control.live import FAMILY, PART_BYTES
from relay.wire.live.state import BYTES_MAX, PARTS_MAX
from relay.wire.sequence import Flag, Judged, Scheme
from relay.wire.timetag import TICKS_PER_S, ticks

TURN_EVERY = ticks(0.002)
"""Time from one step of work to the next. A step takes about 1 ms."""
PART_EVERY = ticks(0.020)
"""Least time between two parts to one member."""
PARTS_PER_S = 8.0
"""How many parts a second one member gets in the long run: 1 Mbit/s. A member that reads more slowly would
leave so much unread that its connection is closed."""
PARTS_BURST = 64
SHARED_FOR = ticks(0.25)
"""How long a copy may be given to further members, counted from the instant at which it was ordered."""

UPLOADS_PER_S, UPLOADS_BURST = 0.5, 2
"""How often a member may send its own live state. It is limited because all other members get a copy each
time. A burst of two is allowed, since the connection may break right after the first."""
UPLOADS_MAX = 8
"""How many live states a member may send on one connection."""
UPLOAD_PART_BYTES = 2 * PART_BYTES
"""Greatest size of one part that a member sends, bytes. A part with a single piece may be larger."""
MESSAGE_BYTES = 32
UPLOAD_BYTES = BYTES_MAX + 2 * MESSAGE_BYTES * PARTS_MAX
"""Greatest size of a live state that a member sends, bytes, with MESSAGE_BYTES added for each message."""
REQUESTS_PER_S, REQUESTS_BURST = 1.0, 32
"""How often a member may ask for copies."""


@dataclass(slots=True)
class _Queue:
    """The copies that wait for one member.

    wanted: by slot, the room number up to which the copy must include events. sending: the copy that is
    being sent. sent: how many of its parts were sent. at: session instant of the next part.
    """

    channel: Channel
    pace: TokenBucket
    wanted: dict[int, int] = field(default_factory=dict)
    sending: Copy | None = None
    sent: int = 0
    at: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.wanted and self.sending is None


@dataclass(slots=True)
class _Upload:
    """The parts of a live state that a member has sent so far. size: their bytes."""

    parts: list[LivePart] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class _Allowance:
    """How much a member may still ask for. uploads: live states that it has sent on this connection."""

    often: TokenBucket = field(default_factory=lambda: TokenBucket(UPLOADS_PER_S, UPLOADS_BURST))
    requests: TokenBucket = field(default_factory=lambda: TokenBucket(REQUESTS_PER_S, REQUESTS_BURST))
    pace: TokenBucket = field(default_factory=lambda: TokenBucket(PARTS_PER_S, PARTS_BURST))
    uploads: int = 0


class LiveStates(Facet):
    """The live states of one room's members, by slot."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._slots: dict[int, LiveSlot] = {}
        self._copies: dict[int, tuple[int, Copy]] = {}
        """By slot: (instant at which the latest copy was ordered, that copy). It is kept for SHARED_FOR."""
        self._queues: dict[int, _Queue] = {}
        self._uploads: dict[int, _Upload] = {}
        self._allowed: dict[int, _Allowance] = {}
        self._now = 0

    def joined(self, seat: Seat, now: int) -> None:
        """Drop the transfers that the member's earlier connection left unfinished."""
        self._now = max(self._now, now)
        self._queues.pop(seat.slot, None)
        self._uploads.pop(seat.slot, None)
        self._allowance(seat.slot).uploads = 0

    def newcomer(self, seat: Seat) -> list[Effect]:
        """Queue copies for the newcomer: its own live state if there is one, and the live states of all
        other members.

        The copy is empty for a member that is silenced or has played nothing. It shows the newcomer that
        nothing more will come from that slot. If the newcomer itself was silenced, all others get a copy of
        its live state.
        """
        if self._slots.get(seat.slot):
            self._want(seat, seat.slot)
        for slot, other in sorted(self._room.seats.items()):
            if other is not seat:
                self._want(seat, slot)
                if seat.silenced:
                    self._want(other, seat.slot)
        return []

    def left(self, slot: int) -> None:
        """Forget all of the member that had the slot."""
        for table in (self._slots, self._copies, self._queues, self._uploads, self._allowed):
            table.pop(slot, None)
        for queue in self._queues.values():
            queue.wanted.pop(slot, None)
            if queue.sending is not None and queue.sending.slot == slot:
                queue.sending = None

    def published(self, events: Sequence[Judged], now: int) -> None:
        """Add these events to the live states of their slots. Events with a flag of _LEFT_OUT are passed
        over."""
        now_s = now / TICKS_PER_S
        for event in events:
            if event.flags & _LEFT_OUT:
                continue
            for judged in self._room.ring.get((event.number,), now_s):
                self._slot(event.slot).add(event.seq, judged)

    def part(self, seat: Seat, message: LivePart, now: int) -> list[Effect]:
        """Store one part of a live state that its own member sends. After the last part, this live state
        replaces the one that the relay has, and all other members get a copy."""
        upload = self._uploads.pop(seat.slot, None)
        if message.index == 0:
            upload = _Upload() if self._may_upload(seat.slot, now) else None
        if upload is None or message.index != len(upload.parts) or message.events:
            seat.refused += 1
            return []
        size, messages = _size(message)
        upload.parts.append(message)
        upload.size += size + messages * MESSAGE_BYTES
        is_long = size > UPLOAD_PART_BYTES and len(message.pieces) > 1
        if is_long or upload.size > UPLOAD_BYTES:
            seat.refused += 1
        elif not message.last:
            self._uploads[seat.slot] = upload
        else:
            judge = self._room.judge
            self._slot(seat.slot).replace(
                upload.parts, judge.guard(seat.slot), lambda: judge.last_due, partial(self._replaced, seat)
            )
        return []

    def ended(self, seat: Seat, message: Ended, now: int) -> list[Effect]:
        """Forget notes that have ended."""
        kept = self._slots.get(seat.slot)
        if kept is not None:
            kept.end(message.seqs)
        return []

    def asked(self, seat: Seat, message: LiveRequest, now: int) -> list[Effect]:
        """Queue a copy for a member that asks for it, unless one is queued already."""
        if message.slot not in self._room.seats or not self._allowance(seat.slot).requests.take(now):
            seat.refused += 1
        elif not self._is_queued(seat, message.slot):
            self._want(seat, message.slot)
        return []

    def wake(self, now: int) -> list[Effect]:
        """Do one step of work, and send the parts that are due."""
        self._now = now
        self._copies = {slot: one for slot, one in self._copies.items() if now - one[0] <= SHARED_FOR}
        for kept in self._slots.values():
            kept.look(now)
        busy = next((slot for slot, kept in self._slots.items() if kept.busy), None)
        if busy is not None:
            kept = self._slots.pop(busy)
            self._slots[busy] = kept  # at the end, so that each has its turn
            kept.work()
        effects: list[Effect] = []
        for slot, queue in list(self._queues.items()):
            seat = self._room.seats.get(slot)
            if seat is None or seat.channel is not queue.channel or queue.is_empty:
                del self._queues[slot]
            elif now >= queue.at:
                effects += self._send(seat, queue, now)
        return effects

    def next_wakeup(self) -> int | None:
        """Return the instant of the next step, or of the next part."""
        wakeups = [queue.at for queue in self._queues.values() if queue.at > self._now]
        if any(kept.busy for kept in self._slots.values()) or len(wakeups) < len(self._queues):
            wakeups.append(self._now + TURN_EVERY)
        return min(wakeups, default=None)

    def stats(self) -> dict[str, Any]:
        """Return how much is kept: parts (nodes, settings, buffers and buses), their bytes, waiting events.
        Return also how many messages could not be applied."""
        kept = self._slots.values()
        return (
            {}
            if not kept
            else {
                "live_parts": sum(one.state.tree.cost.count for one in kept),
                "live_bytes": sum(one.state.tree.cost.size for one in kept),
                "live_waiting": sum(one.waiting for one in kept),
                "live_refused": sum(one.refused for one in kept),
            }
        )

    # -- copies --------------------------------------------------------------------------------------------

    def _want(self, seat: Seat, slot: int) -> None:
        """Queue a copy of a slot's live state for a member. The copy will include all events judged so
        far."""
        if seat.channel is None:
            return
        queue = self._queues.get(seat.slot)
        if queue is None or queue.channel is not seat.channel:
            queue = self._queues[seat.slot] = _Queue(seat.channel, self._allowance(seat.slot).pace)
        queue.wanted[slot] = self._room.judge.number

    def _is_queued(self, seat: Seat, slot: int) -> bool:
        queue = self._queues.get(seat.slot)
        if queue is None or queue.channel is not seat.channel:
            return False
        return slot in queue.wanted or (queue.sending is not None and queue.sending.slot == slot)

    def _send(self, seat: Seat, queue: _Queue, now: int) -> list[Effect]:
        """Return the effect that sends a member its next part; none if that part isn't made yet."""
        if queue.sending is None:
            slot = next(iter(queue.wanted))
            queue.sending, queue.sent = self._copy(slot, queue.wanted.pop(slot), now), 0
        copy = queue.sending
        if queue.sent == len(copy.parts):
            return []  # it is still being made
        queue.at = now + PART_EVERY
        if not queue.pace.take(now):
            return []
        part = copy.parts[queue.sent]
        queue.sent += 1
        if part.last:
            queue.sending = None
        return self._room.tell(seat, part)

    def _copy(self, slot: int, number: int, now: int) -> Copy:
        """Return a copy of a slot's live state that includes all events with room numbers up to `number`.
        The copy may still be in the making."""
        _, copy = self._copies.get(slot, (0, None))
        if copy is not None and copy.will_include(number):
            return copy
        seat = self._room.seats.get(slot)
        kept = self._slots.get(slot)
        if kept is None or seat is None or seat.silenced:
            copy = Copy(slot)
            copy.begin(*self._as_of())
            copy.add([], [], last=True)
            return copy
        copy = kept.copy(self._as_of)
        self._copies[slot] = now, copy
        return copy

    def _as_of(self) -> tuple[int, int]:
        """Return (W0, N): every event that is due at or before W0 has a number of at most N.

        In the scheme TIMESTAMP W0 is now, and the statement isn't guaranteed.
        """
        judge = self._room.judge
        watermark, number = judge.watermark(self._now)
        return (watermark if judge.scheme is Scheme.JUDGED else self._now), number

    # -- a member's own -------------------------------------------------------------------------------------

    def _may_upload(self, slot: int, now: int) -> bool:
        allowed = self._allowance(slot)
        if allowed.uploads == UPLOADS_MAX or not allowed.often.take(now):
            return False
        allowed.uploads += 1
        return True

    def _replaced(self, owner: Seat, refused: int) -> None:
        """Queue copies of a member's own live state for all others."""
        owner.refused += refused
        self._copies.pop(owner.slot, None)
        for seat, _ in self._room.channels():
            if seat is not owner:
                self._want(seat, owner.slot)

    # -- by slot ---------------------------------------------------------------------------------------------

    def _slot(self, slot: int) -> LiveSlot:
        kept = self._slots.get(slot)
        if kept is None:
            kept = self._slots[slot] = LiveSlot(slot)
        return kept

    def _allowance(self, slot: int) -> _Allowance:
        allowed = self._allowed.get(slot)
        if allowed is None:
            allowed = self._allowed[slot] = _Allowance()
        return allowed


_LEFT_OUT = Flag.MISSED | Flag.SILENCED
"""Flags of events that don't change a live state. No scsynth executes a MISSED note. A SILENCED reset keeps
the member's live state for the member's return."""


def _size(part: LivePart) -> tuple[int, int]:
    """Return (bytes, count) of all messages in a part."""
    messages = [message for payload, settings, _, _ in part.pieces for message in (payload, *settings)]
    return sum(map(len, messages)), len(messages)


KIND = FacetKind(
    LiveStates,
    FAMILY,
    {LivePart: LiveStates.part, Ended: LiveStates.ended, LiveRequest: LiveStates.asked},
)
