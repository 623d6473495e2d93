"""Live slot: what this host's scsynth has of one member's music, and what must still be built there.

Pure. Instants are session ticks, and node ids are the member's own. See `live_slots`. Bounds: those of a live
state, and RECENT_MAX recent events.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bridge.playout.turning import turned
from relay.wire import write
from relay.wire.errors import RemoteError
from relay.wire.live.changes import Changes, Step, changes
from relay.wire.live.state import BUSES_AT_ONCE, LiveState, Piece
from relay.wire.live.timeline import Due, Timeline
from relay.wire.live.tree import ROOT, Node, Tree
from relay.wire.meaning import Meaning
from relay.wire.sequence import Flag, Judged, Kind
from relay.wire.timetag import ticks

RECENT = ticks(5.0)
"""How long (ticks) an event is kept. A copy of the live state may arrive after the event and not include
it."""
RECENT_MAX = 4096

RestOf = Callable[[Node, int], Node | None]
"""A function of a note and a session instant. It returns the note as it must be built then; None to leave it
out."""


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
    """One member's music as far as this host's scsynth has it, and a copy that is still to be built.

    stands: scsynth has the music of this slot. unseen: what scsynth has of it is unknown, because a previous
    bridge process has built it. built_at: the session instant at which the copy will be built; None if there
    is no such copy, or the instant isn't chosen yet.
    """

    def __init__(self, *, stands: bool = True, unseen: bool = False, since: int | None = None) -> None:
        """since: the room number at which the slot's owner took it, if a copy must come."""
        self.since = since
        self.stands = stands
        self.unseen = unseen
        self.built_at: int | None = None
        self.timeline = Timeline()
        """The live state that scsynth has. It is valid only if `stands` is true."""
        self._inherited = False
        """Whether scsynth is assumed to have what the copy contains, because a previous bridge process built
        the slot."""
        self._wanted: Timeline | None = None
        """The live state of a copy that isn't built yet; None if there is none."""
        self._number, self._at = -1, 0
        """`number` and `at` of the newest copy."""
        self._recent: list[Due] = []
        self._ended: set[int] = set()
        self._loaded: dict[int, bytes] = {}
        """Buffer -> the message that loaded it here."""

    @property
    def waits(self) -> bool:
        """Whether a copy of the live state must come before the slot can be played."""
        return not self.stands and self._wanted is None

    @property
    def has_copy(self) -> bool:
        """Whether a copy has come for which the instant of building isn't chosen yet."""
        return self._wanted is not None and self.built_at is None

    # -- events --------------------------------------------------------------------------------------

    def covers(self, number: int | None, due: int, flags: Flag = Flag.NONE) -> bool:
        """Return whether the newest copy includes the effect of the event with this number, due and flags."""
        if number is None or number > self._number:
            return False
        return due <= self._at or Flag.SILENCED in flags  # a member that was silenced is back in that copy

    def hands_over(self, event: Due, flags: Flag = Flag.NONE) -> bool:
        """Return whether an event that leaves the hold-back queue is to be handed to scsynth."""
        if self.covers(event.number or None, event.due, flags):
            return self._plays_covered
        return self.stands or (self.built_at is not None and event.due > self.built_at)

    def takes(self, event: Due, now: int, flags: Flag = Flag.NONE) -> bool:
        """Add an event that leaves the hold-back queue. Return whether to hand it to scsynth.

        An event isn't handed over if the newest copy brings its effect, or if the slot is built only after
        its due. A slot that plays already goes on with all events until the copy is built.
        """
        if Flag.LEFT in flags:
            self._loaded.clear()  # they are freed
        hands_over = self.hands_over(event, flags)
        if self.covers(event.number or None, event.due, flags):
            if hands_over and not self._inherited:
                self.timeline.push(event)
        elif Flag.LEFT in flags and not event.number:  # made here, for a former owner: no copy is about it
            self.timeline.push(event)
        else:
            self._push(event, now)
        return hands_over

    def loads(self, event: Due, now: int) -> bool:
        """Add an event that loads a buffer. Return whether to carry out the load."""
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
        """Store a copy. Return two things: the loads to carry out, and the number of refused messages."""
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
        """Return the changes to make at `built_at`. From now on scsynth counts as having the slot's music."""
        assert self._wanted is not None
        assert self.built_at is not None
        wanted, at = self._wanted, self.built_at
        self.tidy(at)
        wanted.advance(at)
        _shorten_notes(self.timeline.tree, wanted.tree, rest_of, at)
        _turn(self.timeline.tree, wanted.tree, at)
        made = changes(self.timeline.tree, wanted.tree)
        made = Changes(made.missing, made.extra, [*_bus_steps(self.timeline, wanted), *made.steps])
        self.timeline, self._wanted, self.built_at, self.stands = wanted, None, None, True
        self._inherited = False
        return made

    # -- time ----------------------------------------------------------------------------------------

    def tidy(self, now: int) -> list[int]:
        """Apply the events due by `now`, and remove ended notes. Return the seqs (sender's numbers) of these
        notes."""
        self.timeline.advance(now)
        tree, ended = self.timeline.tree, list[int]()
        for number in self._ended:
            node = tree.get(number)
            if node is not None and node.is_note:
                ended.append(node.seq)
                tree.free(number)
        self._ended.clear()
        return ended

    def pieces(self, now: int, *, dated: bool) -> list[Piece]:
        """Return the live state as of `now`, with or without dues."""
        self.timeline.advance(now)
        pieces = self.timeline.pieces()
        return pieces if dated else [Piece(one.payload, one.settings, 0, one.seq) for one in pieces]

    def enter_epoch(self) -> None:
        """Forget facts that are tied to the former epoch's numbers and instants. Existing nodes are kept."""
        self._number, self._at, self._wanted, self.built_at = -1, 0, None, None
        self.clock_was_set()

    def clock_was_set(self) -> None:
        """Forget the instants of the old session time. Events due later are applied now, and nodes lose their
        dues."""
        self._recent.clear()
        for event in self.timeline.waiting():
            self.timeline.advance(event.due)
        state = LiveState()
        state.restore(Piece(one.payload, one.settings, 0, one.seq) for one in self.timeline.pieces())
        self.timeline = Timeline(state)

    # ------------------------------------------------------------------------------------------------

    @property
    def _plays_covered(self) -> bool:
        """Whether events are played although the newest copy includes them.

        So it is while the slot plays and the copy isn't built yet. So it is also if a previous bridge process
        has built the slot, because then the copy is never built.
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
        """Record a load. Return False if the same message has loaded this buffer before."""
        with suppress(RemoteError):  # to carry it out raises the same error, which is then counted
            number = meaning.loads
            if number is not None and self._loaded.get(number) == meaning.payload:
                return False
            if number is not None:
                self._loaded[number] = meaning.payload
        return True


def _bus_steps(have: Timeline, wanted: Timeline) -> list[Step]:
    """Return the steps that set the control buses which differ."""
    known, buses = have.buses(), list(wanted.buses().items())
    news = [(bus, value) for bus, value in buses if known.get(bus) != value]
    return [
        Step(ROOT, [write.set_buses(dict(news[at : at + BUSES_AT_ONCE]))])
        for at in range(0, len(news), BUSES_AT_ONCE)
    ]


def _turn(have: Tree, wanted: Tree, at: int) -> None:
    """Let the FX of `wanted` that `have` lacks begin as they stand at the session instant `at`."""
    for node in wanted.walk():
        if not node.is_group and not node.is_note and node.id not in have:
            wanted.remake(node, turned(node, at))


def _shorten_notes(have: Tree, wanted: Tree, rest_of: RestOf, at: int) -> None:
    """Shorten the notes of `wanted` that `have` lacks to what remains of them at the session instant `at`."""
    for note in list(wanted.notes()):
        if note.id not in have:
            rest = rest_of(note, at)
            if rest is None:
                wanted.free(note.id)
            else:
                wanted.remake(note, rest.payload)
