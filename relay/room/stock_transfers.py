"""Stock transfers: who is asked for which chunk of a file, and when.

Pure; instants are session ticks. A room's chunks together take RATE_BITS of everybody's uplinks and of the
relay's, however many ask. Members who want the same chunk at the same time get it from one answer. Bounds:
WINDOW chunks that one member waits for; AT_ONCE chunks asked of donors.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relay.wire.control.stock import CHUNK_BYTES
from relay.wire.stock import StockFile
from relay.wire.timetag import ticks

RATE_BITS = 1_000_000
"""Bits a second that all chunks of a room together may take, each counted for every member who gets it."""
WINDOW = 4
"""How many chunks one member may wait for."""
AT_ONCE = 4
"""How many chunks are asked of donors at one time. It is enough for RATE_BITS over 0.25 s there and back."""
SILENT = ticks(3.0)
"""After this time without an answer another donor is asked."""
OVERDUE = ticks(10.0)
"""How long an answer may still come that nobody waits for any more: its asker wants another file, or another
donor was asked."""
SPARED_FOR = ticks(30.0)
"""How long a silent donor isn't asked for the same file again."""

Place = tuple[StockFile, int, int]
"""A chunk: its file, its offset, and 0, or the slot of the only member whom its answer is for."""


@dataclass(slots=True)
class _Piece:
    """A chunk that members wait for. donor: who was asked for it at `asked_at`; None: nobody yet."""

    askers: list[int] = field(default_factory=list)
    donor: int | None = None
    asked_at: int = 0


@dataclass(slots=True)
class _Asker:
    """A member's present file, who has given it, and who is not asked any more since the file was spoiled."""

    file: StockFile
    gave: set[int] = field(default_factory=set)
    distrusted: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the donor in `slot` for a chunk."""

    slot: int
    file: StockFile
    offset: int


@dataclass(frozen=True, slots=True)
class Deny:
    """Tell the member in `slot` that nobody gives this file now."""

    slot: int
    file: StockFile


class Transfers:
    """The transfers of one room."""

    def __init__(self, donors: Callable[[StockFile], Iterable[int]]) -> None:
        """donors: returns the slots of the members who give a file now."""
        self._donors = donors
        self._pieces: dict[Place, _Piece] = {}
        """In the order in which they are asked for."""
        self._askers: dict[int, _Asker] = {}
        self._spared: dict[tuple[int, str], int] = {}
        """(donor, file) -> the instant from which on the donor is asked for that file again."""
        self._overdue: dict[tuple[int, StockFile, int], int] = {}
        """(donor, file, offset) -> until when an answer that nobody waits for any more is no offence."""
        self._free_at = 0
        """The instant from which on the rate allows another chunk."""

    def want(self, slot: int, file: StockFile, offset: int, *, spoiled: bool = False) -> bool:
        """Note that a member wants a chunk. Return False if the request is refused."""
        if offset % CHUNK_BYTES or offset >= file.size:
            return False
        asker = self._askers.get(slot)
        if asker is None or asker.file != file:
            self._drop(slot)
            asker = self._askers[slot] = _Asker(file)
        if spoiled:
            asker.distrusted |= asker.gave
            asker.gave.clear()
        place = (file, offset, slot if asker.distrusted else 0)
        waiting = [one for one, piece in self._pieces.items() if slot in piece.askers]
        if place in waiting:
            return True
        if len(waiting) >= WINDOW:
            return False
        self._pieces.setdefault(place, _Piece()).askers.append(slot)
        return True

    def came(self, slot: int, file: StockFile, offset: int, data: bytes, now: int) -> list[int] | None:
        """Process a donor's answer. Return the slots that get the chunk; None if it is refused.

        An answer is refused if the donor was not asked for it, or if it hasn't the chunk's length.
        """
        found = [
            (place, piece)
            for place, piece in self._pieces.items()
            if place[:2] == (file, offset) and piece.donor == slot
        ]
        if not found:
            return None if self._overdue.pop((slot, file, offset), 0) <= now else []
        if len(data) != length_at(file, offset):
            for _, piece in found:
                piece.donor = None
            self._spare(slot, file, now)
            return None if data else []
        askers = []
        for place, piece in found:
            del self._pieces[place]
            askers += piece.askers
        for asker in askers:
            self._askers[asker].gave.add(slot)
        return askers

    def left(self, slot: int) -> None:
        """Forget a member that is gone or away, as one who asks and as a donor."""
        self._drop(slot)
        self._spared = {key: until for key, until in self._spared.items() if key[0] != slot}
        self._overdue = {key: until for key, until in self._overdue.items() if key[0] != slot}
        for piece in self._pieces.values():
            if piece.donor == slot:
                piece.donor = None

    def wake(self, now: int) -> list[Ask | Deny]:
        """Return what is to be said now."""
        self._spared = {key: until for key, until in self._spared.items() if until > now}
        self._overdue = {key: until for key, until in self._overdue.items() if until > now}
        for (file, offset, _), piece in self._pieces.items():
            if piece.donor is not None and now >= piece.asked_at + SILENT:
                self._spare(piece.donor, file, now)
                self._overdue[piece.donor, file, offset] = now + OVERDUE
                piece.donor = None
        said: list[Ask | Deny] = []
        asked = sum(piece.donor is not None for piece in self._pieces.values())
        for place, piece in list(self._pieces.items()):
            if piece.donor is not None or place not in self._pieces:
                continue
            donor = self._donor(place, piece)
            if donor is None:
                said += self._deny(place)
            elif asked < AT_ONCE and now >= self._free_at:
                piece.donor, piece.asked_at = donor, now
                asked += 1
                bits = 8 * length_at(place[0], place[1]) * len(piece.askers)
                self._free_at = now + ticks(bits / RATE_BITS)
                said.append(Ask(donor, place[0], place[1]))
        return said

    def next_wakeup(self) -> int | None:
        """Return the instant of the next `wake`; None if nobody waits for anything."""
        pieces = self._pieces.values()
        silent = [piece.asked_at + SILENT for piece in pieces if piece.donor is not None]
        waits = any(piece.donor is None for piece in pieces)
        return min([*silent, *([self._free_at] if waits and len(silent) < AT_ONCE else [])], default=None)

    def _donor(self, place: Place, piece: _Piece) -> int | None:
        """Return who is asked for a chunk: of those who may be, who is asked for the fewest."""
        file, _, _ = place
        distrusted = set().union(*(self._askers[slot].distrusted for slot in piece.askers))
        able = [
            slot
            for slot in self._donors(file)
            if slot not in piece.askers and slot not in distrusted and (slot, file.name) not in self._spared
        ]
        gave = {slot: self._load(slot) for slot in able}
        return min(able, key=lambda slot: (gave[slot], slot), default=None)

    def _load(self, slot: int) -> int:
        return sum(piece.donor == slot for piece in self._pieces.values())

    def _deny(self, place: Place) -> list[Deny]:
        """Give up a file for all who wait for this chunk of it."""
        askers = self._pieces[place].askers.copy()
        for slot in askers:
            self._drop(slot)
        return [Deny(slot, place[0]) for slot in askers]

    def _drop(self, slot: int) -> None:
        self._askers.pop(slot, None)
        for place, piece in list(self._pieces.items()):
            if slot in piece.askers:
                piece.askers.remove(slot)
                if not piece.askers:
                    del self._pieces[place]
                    if piece.donor is not None:
                        self._overdue[piece.donor, place[0], place[1]] = piece.asked_at + OVERDUE

    def _spare(self, slot: int, file: StockFile, now: int) -> None:
        self._spared[slot, file.name] = now + SPARED_FOR


def length_at(file: StockFile, offset: int) -> int:
    """Return the length of the chunk that begins at an offset, in bytes."""
    return min(CHUNK_BYTES, file.size - offset)
