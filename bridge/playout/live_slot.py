"""Live slot: which part of one member's music this host's scsynth has, and what it still must be given.

Pure; instants are session ticks, ids the member's own. See `live_slots`. Bounds: those of a live state, and
RECENT_MAX recent events.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from relay.wire.errors import RemoteError
from relay.wire.live.changes import Changes, changes
from relay.wire.live.state import LiveState, Piece
from relay.wire.live.timeline import Due, Timeline
from relay.wire.live.tree import Node, Tree
from relay.wire.meaning import Meaning
from relay.wire.sequence import Flag, Judged, Kind
from relay.wire.timetag import ticks

RECENT = ticks(5.0)
"""How long an event is kept for a copy that was made before the event and arrives after it."""
RECENT_MAX = 4096

RestOf = Callable[[Node, int], Node | None]
"""Returns a note as it must be built at a session instant; None if it is left out."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A slot's live state as the relay has sent it.

    It includes every event whose number is at most `number` and whose due is at or before `at` (session
    ticks). events: the slot's judged events with numbers up to `number` that are due after `at`.
    """

    slot: int
    number: int
    at: int
    pieces: tuple[Piece, ...]
    events: tuple[Judged, ...] = ()


class LiveSlot:
    """One member's slot.

    stands: scsynth has the music of this slot. unseen: what scsynth has of it is unknown, because a previous
    bridge process has built it. built_at: T, the instant at which a copy will be built; None until T is
    chosen.
    """

    def __init__(self, *, stands: bool = True, unseen: bool = False) -> None:
        self.stands = stands
        self.unseen = unseen
        self.built_at: int | None = None
        self.timeline = Timeline()
        """The live state that scsynth has, if the slot stands."""
        self._inherited = False
        """The copy was taken for what scsynth has, because a previous bridge process has built it."""
        self._wanted: Timeline | None = None
        """A copy that isn't built yet."""
        self._number, self._at = -1, 0
        """Those of the newest copy."""
        self._recent: list[Due] = []
        self._ended: set[int] = set()
        self._loaded: dict[int, bytes] = {}
        """Buffer -> the message that loaded it here."""

    @property
    def waits(self) -> bool:
        """Whether a copy must come before the slot can be played."""
        return not self.stands and self._wanted is None

    @property
    def has_copy(self) -> bool:
        """Whether a copy is here that isn't built yet, and for which T isn't chosen."""
        return self._wanted is not None and self.built_at is None

    # -- events --------------------------------------------------------------------------------------

    def covers(self, number: int | None, due: int, flags: Flag = Flag.NONE) -> bool:
        """Return whether the newest copy includes the effect of an event."""
        if number is None or number > self._number:
            return False
        return due <= self._at or Flag.SILENCED in flags  # a member that was silenced is back in that copy

    def takes(self, event: Due, now: int, flags: Flag = Flag.NONE) -> bool:
        """Add an event that leaves the hold-back queue. Return whether to hand it to scsynth.

        False if the newest copy includes it, or if it is due before the slot is built.
        """
        if self.covers(event.number or None, event.due, flags):
            if self._plays_covered and not self._inherited:
                self.timeline.push(event)
            return self._plays_covered
        self._push(event, now)
        return self.stands or (self.built_at is not None and event.due > self.built_at)

    def loads(self, event: Due, now: int) -> bool:
        """Add an event that loads a buffer. Return whether to carry it out."""
        if self.covers(event.number, event.due):
            return self._plays_covered and self._is_new_load(event.meaning)
        self._push(event, now)
        self._is_new_load(event.meaning)
        return True

    def ended(self, node: int) -> None:
        """Note that a node has ended in this host's scsynth."""
        self._ended.add(node)

    # -- copies --------------------------------------------------------------------------------------

    def learn(self, copy: Copy) -> tuple[list[Meaning], int]:
        """Take in a copy. Return two things: the loads to carry out, and how many messages were refused."""
        state = LiveState()
        refused = state.restore(copy.pieces)
        wanted = Timeline(state, copy.at)
        self._number, self._at = copy.number, copy.at
        seen = {event.number for event in copy.events}
        coming = [Due(one.due, one.number, one.seq, one.kind, one.meaning) for one in copy.events]
        coming += [one for one in self._recent if one.number not in seen]
        for one in coming:
            if not self.covers(one.number or None, one.due):
                wanted.push(one)
        loads = [*state.loads(), *(one.meaning for one in wanted.waiting() if one.kind is Kind.RESOURCE)]
        self.built_at = None
        if self.unseen:
            self.timeline, self.unseen, self._inherited = wanted, False, True
        else:
            self._wanted = wanted
        return [load for load in loads if self._is_new_load(load)], refused

    def build(self, rest_of: RestOf) -> Changes:
        """Return what must be built at T. The slot stands from now on."""
        assert self._wanted is not None
        assert self.built_at is not None
        wanted, at = self._wanted, self.built_at
        self.tidy(at)
        wanted.advance(at)
        _shorten_notes(self.timeline.tree, wanted.tree, rest_of, at)
        made = changes(self.timeline.tree, wanted.tree)
        self.timeline, self._wanted, self.built_at, self.stands = wanted, None, None, True
        return made

    # -- time ----------------------------------------------------------------------------------------

    def tidy(self, now: int) -> list[int]:
        """Apply what is due by `now`. Return the owner's numbers of the notes that have ended."""
        self.timeline.advance(now)
        tree, ended = self.timeline.tree, list[int]()
        for number in self._ended:
            node = tree.get(number)
            if node is not None and node.is_note:
                ended.append(node.seq)
                tree.free(number)
        self._ended.clear()
        return ended

    def pieces(self, now: int) -> list[Piece]:
        """Return the live state as of `now`, without notes."""
        self.tidy(now)
        return self.timeline.pieces(lambda note: None)

    def enter_epoch(self) -> None:
        """Forget facts that are tied to the former epoch's numbers and instants. Nodes that exist stay."""
        self._number, self._at, self._wanted, self.built_at = -1, 0, None, None
        self.clock_was_set()

    def clock_was_set(self) -> None:
        """Forget instants of the former time: all that was due later is applied, and nodes have none."""
        self._recent.clear()
        for event in self.timeline.waiting():
            self.timeline.advance(event.due)
        state = LiveState()
        state.restore(Piece(one.payload, one.settings, 0, one.seq) for one in self.timeline.pieces())
        self.timeline = Timeline(state)

    # ------------------------------------------------------------------------------------------------

    @property
    def _plays_covered(self) -> bool:
        """Whether an event that the newest copy includes is to be played all the same.

        A slot that stands plays on until the copy is built. One that another bridge process has built is
        never built from the copy.
        """
        return self.stands and (self._wanted is not None or self._inherited)

    def _push(self, event: Due, now: int) -> None:
        self._recent.append(event)
        if len(self._recent) > RECENT_MAX:
            del self._recent[: RECENT_MAX // 4]
        elif self.stands and self._recent[0].due < now - 2 * RECENT:
            self._recent = [one for one in self._recent if one.due >= now - RECENT]
        with suppress(RemoteError):  # scsynth is never handed what can't be read
            unloaded = event.meaning.unloads
            if unloaded is not None:
                self._loaded.pop(unloaded, None)
        if self._wanted is not None:
            self._wanted.push(event)
        if self.stands:
            self.timeline.push(event)

    def _is_new_load(self, meaning: Meaning) -> bool:
        """Record a load. Return whether its buffer was loaded by another message so far, or not at all."""
        with suppress(RemoteError):  # to carry it out raises the same error, which is then counted
            number = meaning.loads
            if number is not None and self._loaded.get(number) == meaning.payload:
                return False
            if number is not None:
                self._loaded[number] = meaning.payload
        return True


def _shorten_notes(have: Tree, wanted: Tree, rest_of: RestOf, at: int) -> None:
    """Leave to each note that isn't in scsynth yet what remains of it at the session instant `at`."""
    for note in list(wanted.notes()):
        if note.id not in have:
            rest = rest_of(note, at)
            if rest is None:
                wanted.free(note.id)
            else:
                wanted.remake(note, rest.payload)
