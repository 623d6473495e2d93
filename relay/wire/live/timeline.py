"""Timeline: a live state at one instant, and the judged events of its slot that are due later.

Pure. Instants are session timetags. scsynth runs events by due, but they are numbered in another order. So an
event waits here until the timeline is advanced to its due. Bound: EVENTS_MAX waiting events; beyond that the
earliest is applied at once. RESETS_KEPT resets are remembered.
"""

from bisect import insort
from collections.abc import Callable, Iterable
from typing import NamedTuple

from relay.wire.errors import RemoteError
from relay.wire.live.state import LiveState, Piece
from relay.wire.live.tree import Node, Tree
from relay.wire.meaning import Meaning
from relay.wire.sequence import HANDED_AHEAD_MAX, Kind

EVENTS_MAX = 2048
"""Greatest number of waiting events. time_warp may put an event 30 s ahead, and a busy player sends 60
events a second."""


RESETS_KEPT = 64
"""How many slot resets are remembered. An event that was sent before one of them may come later."""


class Due(NamedTuple):
    """An event that waits for its due.

    The first three fields place it in the room's order: due (session timetag), room number (0: none), and the
    owner's number. meaning: that of its message, in the owner's ids.
    """

    due: int
    number: int
    seq: int
    kind: Kind
    meaning: Meaning

    @property
    def order(self) -> tuple[int, int, int]:
        """The key by which events are sorted."""
        return self[:3]


def drops(reset_seq: int, reset_due: int, *, seq: int, due: int) -> bool:
    """Return whether a slot reset drops an event. It does if the event was sent before the reset, and is due
    so much later that no scsynth has it yet. seq, reset_seq: the owner's numbers. due, reset_due: session
    timetags."""
    return seq < reset_seq and due > reset_due + HANDED_AHEAD_MAX


def was_dropped(resets: list[tuple[int, int]], *, seq: int, due: int) -> bool:
    """Return whether one of these resets drops an event. resets: pairs (owner's number, due), sorted by the
    number."""
    return seq < resets[-1][0] and any(drops(*reset, seq=seq, due=due) for reset in resets)


class Timeline:
    """The live state of one slot at an instant, and the slot's events that are due later."""

    def __init__(self, state: LiveState | None = None, at: int = 0) -> None:
        """state: the live state as of the session instant `at`."""
        self.state = LiveState() if state is None else state
        self.at = at
        self.refused = 0
        """How many events could not be applied since the timeline was made."""
        self._later: list[Due] = []
        self._resets: list[tuple[int, int]] = []
        """(owner's number, due) of each reset, in the order of the numbers."""

    @property
    def tree(self) -> Tree:
        """The tree of the live state."""
        return self.state.tree

    def buses(self) -> dict[int, float]:
        """Return the values of the control buses that were set, by the number of the bus."""
        return self.state.buses()

    def pieces(self, keeps: Callable[[Node], Node | None] = lambda note: note) -> list[Piece]:
        """Return the live state in the form in which it is sent. keeps: as in `LiveState.pieces`."""
        return self.state.pieces(keeps)

    def __bool__(self) -> bool:
        return bool(self.state or self._later)

    def push(self, event: Due) -> None:
        """Add an event. One that is due already is applied when the timeline is next advanced."""
        if self._resets and was_dropped(self._resets, seq=event.seq, due=event.due):
            return
        insort(self._later, event, key=lambda one: one.order)
        if len(self._later) > EVENTS_MAX:
            self._apply(self._later.pop(0))

    def advance(self, until: int) -> None:
        """Apply the events that are due at or before the session instant `until`."""
        while self._later and self._later[0].due <= until:
            self._apply(self._later.pop(0))  # a reset may remove others of those that are due
        self.at = max(self.at, until)

    def waiting(self) -> list[Due]:
        """Return the events that are due later than the timeline was advanced to, in order."""
        return list(self._later)

    def end(self, seqs: Iterable[int]) -> None:
        """Remove notes that have ended, those that still wait here included. seqs: the owner's numbers."""
        gone = set(seqs)
        self._later = [one for one in self._later if one.seq not in gone or not one.meaning.is_note]
        self.state.end(gone)

    def _apply(self, event: Due) -> None:
        if event.kind is Kind.RESET:
            self.state.clear()
            self._resets = sorted([*self._resets, (event.seq, event.due)])[-RESETS_KEPT:]
            self._later = [
                one for one in self._later if not drops(event.seq, event.due, seq=one.seq, due=one.due)
            ]
            return
        try:
            self.state.apply(event.meaning, due=event.due, seq=event.seq)
        except RemoteError:
            self.refused += 1
