"""Live slot: the part of one member's music that exists in every scsynth, computed from its judged events.

Pure; instants are session timetags. Events wait here as encoded frames, because Python's garbage collector
doesn't look into bytes, and because most notes have ended before anybody asks. They are applied to the live
state in order of (due, number), when a copy is made or many wait. Long work is done in steps (`work`), of
STEP_MESSAGES messages or STEP_VISITS nodes each, so that no turn of the relay takes long. Only one job runs
at a time, and the jobs run in the order in which they were ordered. So the live state doesn't change while
it is copied.

Bounds: those of `LiveState`. At most WAITING_MAX events of WAITING_BYTES_MAX bytes wait; beyond that the
earliest are applied. The same two bounds hold for the applied events that are kept.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from relay.wire.control.live import PART_BYTES, PARTS_MAX, PIECES_MAX, LivePart
from relay.wire.errors import RemoteError
from relay.wire.frames import LAST_INSTANT, MAX_PAYLOAD_BYTES, MAX_SEQ, payload_of, place_of
from relay.wire.guard import Guard
from relay.wire.live.state import LiveState, Piece
from relay.wire.live.timeline import RESETS_KEPT, drops, was_dropped
from relay.wire.meaning import Meaning
from relay.wire.sequence import Kind
from relay.wire.timetag import FIRST_SAFE, ticks

STEP_MESSAGES = 32
"""Greatest number of messages that one step applies, copies or checks, and of notes that it ends. It takes
less than 1 ms."""
STEP_VISITS = 1000
"""A step also ends when it has looked at this many nodes, after about 1 ms. One message may name hundreds of
nodes, or a group of thousands."""

JOBS_MAX = 64
"""Greatest number of jobs that wait. Beyond it messages about ended notes are dropped, so those notes stay
until the owner sends its whole live state."""
LOOK_AFTER = 256
"""If this many new events have come, old waiting events are applied even if nobody asks for a copy."""
UNREAD = ticks(3.0)
"""How long an event waits after its due if no copy is made. Within this time most notes end, and their owner
reports it. Such notes are dropped unread."""
APPLIED_KEPT = ticks(10.0)
"""How long an applied event is kept after its due. If the owner sends its own live state, the event may be
missing there. Sending a live state takes 5 s on a slow uplink of 1 Mbit/s."""
WAITING_MAX = 2048
"""Greatest number of waiting events, and of applied events that are kept. time_warp may put an event 30 s
ahead, and a busy player sends 60 events a second."""
WAITING_BYTES_MAX = 512 * 1024
OVERFLOW = 4 * WAITING_MAX
"""If so many events wait, their member sends more than can be applied. Then the oldest are dropped."""

PIECE_BYTES = 24
"""Bytes counted in a part for each message beside the message itself: for lengths, due and number."""

_Frames = dict[int, bytes]
"""Encoded judged events by their owner's numbers."""
_Order = tuple[int, int, int]
"""(due, number, owner's number) of an event."""
_Piece = tuple[bytes, tuple[bytes, ...], int, int]
"""The fields of a `relay.wire.live.state.Piece`: payload, settings, due and seq."""


class Copy:
    """A copy of a live state, in parts. The parts are added one by one while the copy is made.

    number, at: as in `LivePart`; they are set by `begin`.
    """

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.number = 0
        self.at = 0
        self._is_begun = False
        self.parts: list[LivePart] = []

    def begin(self, at: int, number: int) -> None:
        """Record that the copy will include the events due up to `at` and numbered up to `number`, as in
        `LivePart`."""
        self.at, self.number, self._is_begun = at, number, True

    def will_include(self, number: int) -> bool:
        """Return whether the finished copy will include the events up to the room number `number`. True
        before `begin`."""
        return not self._is_begun or self.number >= number

    def add(self, pieces: list[_Piece], events: list[bytes], *, last: bool) -> None:
        """Add a part."""
        self.parts.append(
            LivePart(
                slot=self.slot,
                number=self.number,
                at=self.at,
                index=len(self.parts),
                last=last,
                pieces=pieces,
                events=events,
            )
        )


class LiveSlot:
    """The live state of one slot, its waiting events, and the jobs under way."""

    def __init__(self, slot: int) -> None:
        self.state = LiveState()
        self.refused = 0
        """How many messages could not be applied."""
        self._slot = slot
        self._waiting: _Frames = {}
        self._applied: _Frames = {}
        self._resets: list[tuple[int, int]] = []
        self._jobs: deque[Iterator[None]] = deque()
        self._new = 0
        self._done = 0
        self._visited = 0

    def __bool__(self) -> bool:
        return bool(self.state or self._waiting)

    @property
    def busy(self) -> bool:
        """Whether there is work to do."""
        return bool(self._jobs)

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    def add(self, seq: int, judged: bytes) -> None:
        """Add a judged event. seq: its owner's number. judged: its encoded frame."""
        self._waiting[seq] = judged
        self._new += 1
        if len(self._waiting) > OVERFLOW:
            del self._waiting[next(iter(self._waiting))]
            self.refused += 1

    def end(self, seqs: Sequence[int]) -> None:
        """Forget notes that have ended. seqs: the owner's numbers of the events that made them."""
        if len(self._jobs) >= JOBS_MAX:
            self.refused += 1
        elif self._jobs or len(seqs) > STEP_MESSAGES:
            self._jobs.append(self._end(seqs))
        else:
            self._end_some(seqs)

    def look(self, now: int) -> None:
        """Begin to apply events that have waited long, if many have come. now: session ticks."""
        if self._new >= LOOK_AFTER and not self._jobs:
            self._jobs.append(self._look(now))

    def copy(self, as_of: Callable[[], tuple[int, int]]) -> Copy:
        """Order a copy, and return it. `work` adds the copy's parts later.

        as_of: called at the copy's first step. Returns (W0, N): every event that is due at or before W0 has
        a number of at most N, and has been added.
        """
        copy = Copy(self._slot)
        self._jobs.append(self._copy(copy, as_of))
        return copy

    def replace(
        self, parts: Iterable[LivePart], guard: Guard, as_of: Callable[[], int], done: Callable[[int], None]
    ) -> None:
        """Begin to replace this live state by the one that its owner has sent.

        parts: all parts of the owner's live state, in order. Kept events that it includes, by its `number`
        and `at`, are forgotten. All other kept events wait to be applied again. guard: that of the slot.
        as_of: returns the due by which the guard checks messages. done: called at the end with the count of
        refused messages.
        """
        self._jobs.append(self._replace(list(parts), guard, as_of, done))

    def work(self) -> None:
        """Do one step of the first job."""
        if next(self._jobs[0], self) is self:
            self._jobs.popleft()

    # -- jobs: each yields after a step ------------------------------------------------------------------

    def _look(self, now: int) -> Iterator[None]:
        self._new = 0
        order = self._in_order()
        size, least = sum(map(len, self._waiting.values())), 0
        while least < len(order) and (len(order) - least > WAITING_MAX or size > WAITING_BYTES_MAX):
            size -= len(self._waiting[order[least][2]])
            least += 1
        due = bisect_left(order, (now - UNREAD + 1, 0, 0))
        yield
        yield from self._advance(order[: max(due, least)])
        self._forget_applied(now - APPLIED_KEPT)

    def _end(self, seqs: Sequence[int]) -> Iterator[None]:
        for at in range(0, len(seqs), STEP_MESSAGES):
            self._end_some(seqs[at : at + STEP_MESSAGES])
            yield

    def _copy(self, copy: Copy, as_of: Callable[[], tuple[int, int]]) -> Iterator[None]:
        copy.begin(*as_of())
        order = self._in_order()
        covered = bisect_left(order, (copy.at + 1, 0, 0))
        yield
        yield from self._advance(order[:covered])
        pieces: list[_Piece] = []
        events: list[bytes] = []
        size = 0
        later = (self._waiting[seq] for _, _, seq in order[covered:] if seq in self._waiting)
        found: Iterator[Piece | bytes] = chain(self.state.each_piece(), later)
        for one in found:
            if self._ends_step(self.state):
                yield
            if isinstance(one, bytes):
                more = len(one) + PIECE_BYTES
            else:
                more = sum(len(message) + PIECE_BYTES for message in (one.payload, *one.settings))
            full = size + more > PART_BYTES or len(pieces) + len(events) >= PIECES_MAX
            if full and size and len(copy.parts) < PARTS_MAX - 1:
                copy.add(pieces, events, last=False)
                pieces, events, size = [], [], 0
            if isinstance(one, bytes):
                events.append(one)
            else:
                pieces.append(one)
            size += more
        copy.add(pieces, events, last=True)

    def _replace(
        self, parts: list[LivePart], guard: Guard, as_of: Callable[[], int], done: Callable[[int], None]
    ) -> Iterator[None]:
        state, refused = LiveState(), 0
        for payload, settings, due, seq in chain.from_iterable(part.pieces for part in parts):
            known = (not due or FIRST_SAFE <= due <= LAST_INSTANT) and 0 <= seq <= MAX_SEQ
            for message in (payload, *settings):
                if self._ends_step(state):
                    yield
                if not known or not _is_taken(state, message, guard, as_of(), due=due, seq=seq):
                    refused += 1
        first = parts[0]
        self.state = state
        self._waiting = {
            seq: one
            for seq, one in (self._applied | self._waiting).items()
            if not _covers(first, place_of(one))
        }
        self._applied = {}
        done(refused)

    def _in_order(self) -> list[_Order]:
        """Return the places of the waiting events, sorted by the room's order."""
        return sorted(_order(place_of(one)) for one in self._waiting.values())

    def _advance(self, order: list[_Order]) -> Iterator[None]:
        """Apply these events. An event that waits no longer is passed over: its note has ended, or a reset
        has dropped it."""
        for _, _, seq in order:
            if seq in self._waiting:
                self._apply(seq)
            if self._ends_step(self.state):
                yield

    def _forget_applied(self, until: int) -> None:
        """Forget the applied events that were due at `until` or before. If too many are left, forget the
        oldest."""
        left, size, old = len(self._applied), sum(map(len, self._applied.values())), []
        for seq, one in self._applied.items():  # in the order in which they were applied
            if place_of(one)[2] > until and left <= WAITING_MAX and size <= WAITING_BYTES_MAX:
                break
            left, size = left - 1, size - len(one)
            old.append(seq)
        for seq in old:
            del self._applied[seq]

    def _ends_step(self, state: LiveState) -> bool:
        """Count one more message of this step; return whether the step ends with it."""
        self._done += 1
        visited = state.tree.visits
        if self._done < STEP_MESSAGES and 0 <= visited - self._visited < STEP_VISITS:
            return False
        self._done, self._visited = 0, visited
        return True

    def _end_some(self, seqs: Sequence[int]) -> None:
        applied = []
        for seq in seqs:
            if _is_note(self._waiting.get(seq)):
                del self._waiting[seq]
                continue
            applied.append(seq)
            if _is_note(self._applied.get(seq)):
                del self._applied[seq]
        if applied:
            self.state.end(applied)

    def _apply(self, seq: int) -> None:
        judged = self._waiting.pop(seq)
        self._applied[seq] = judged
        _, _, due, kind = place_of(judged)
        if self._resets and was_dropped(self._resets, seq=seq, due=due):
            return
        if kind == Kind.RESET:
            self.state.clear()
            self.state.tree.visits += len(self._waiting)
            self._resets = sorted([*self._resets, (seq, due)])[-RESETS_KEPT:]
            for other, one in list(self._waiting.items()):
                if drops(seq, due, seq=other, due=place_of(one)[2]):
                    del self._waiting[other]
            return
        try:
            self.state.apply(Meaning(payload_of(judged)), due=due, seq=seq)
        except RemoteError:
            self.refused += 1


def _is_taken(state: LiveState, message: bytes, guard: Guard, at: int, *, due: int, seq: int) -> bool:
    """Apply one message of an owner's live state. Return False if it is refused."""
    if not 8 <= len(message) <= MAX_PAYLOAD_BYTES or len(message) % 4:
        return False
    meaning = Meaning(message)
    if not guard.passes(meaning, at):
        return False
    try:
        state.apply(meaning, due=due, seq=seq)
    except RemoteError:
        return False
    return True


def _covers(part: LivePart, place: tuple[int, int, int, int]) -> bool:
    """Return whether a live state includes an event."""
    return place[0] <= part.number and place[2] <= part.at


def _order(place: tuple[int, int, int, int]) -> _Order:
    """Return (due, number, owner's number) of an event: its place in the room's order."""
    number, seq, due, _ = place
    return due, number, seq


def _is_note(judged: bytes | None) -> bool:
    return judged is not None and Meaning(payload_of(judged)).is_note
