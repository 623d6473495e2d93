"""Stock transfers: decides which member is asked for which chunk of a file, and when.

Pure; instants are session ticks. All chunks of a room together take at most RATE_BITS, however many members
ask. Members who want the same chunk at the same time get it from one answer. Bounds: one member waits for at
most WINDOW chunks; donors are asked for at most AT_ONCE chunks at a time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relay.wire.control.stock import CHUNK_BYTES
from relay.wire.stock import StockFile
from relay.wire.timetag import ticks

RATE_BITS = 1_000_000
"""Greatest number of bits a second that the relay sends in chunks to the members of a room together."""
WINDOW = 4
"""How many chunks one member may wait for."""
AT_ONCE = 4
"""How many chunks are asked of donors at one time. It is enough for RATE_BITS over 0.25 s there and back."""
SILENT = ticks(3.0)
"""After this time without an answer another donor is asked."""
OVERDUE = ticks(10.0)
"""How long a donor's answer is accepted when nobody waits for it any more. The member who asked wants
another file by then, or another donor was asked."""
SPARED_FOR = ticks(30.0)
"""A silent donor isn't asked for the same file again for this long."""

Place = tuple[StockFile, int, int]
"""A chunk: (file, offset, slot). The slot is 0 if several members may share the answer. Otherwise it is that
of the only member who gets the answer."""


@dataclass(slots=True)
class _Piece:
    """A chunk that members wait for. donor: the slot that was asked for it at `asked_at`; None: nobody was
    asked yet."""

    askers: list[int] = field(default_factory=list)
    donor: int | None = None
    asked_at: int = 0


@dataclass(slots=True)
class _Asker:
    """The file that a member is fetching. gave: slots of the donors that gave chunks of it. distrusted:
    slots of donors that aren't asked any more, because the whole file had another content."""

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
    """Tell the member in `slot` that no donor has this file now."""

    slot: int
    file: StockFile


class Transfers:
    """The transfers of one room."""

    def __init__(self, donors: Callable[[StockFile], Iterable[int]]) -> None:
        """donors: returns the slots of the members who offer a file now."""
        self._donors = donors
        self._pieces: dict[Place, _Piece] = {}
        """The chunks that members wait for, in the order in which donors are asked for them."""
        self._askers: dict[int, _Asker] = {}
        self._spared: dict[tuple[int, str], int] = {}
        """By (donor's slot, file name): the instant from which the donor may be asked for that file
        again."""
        self._overdue: dict[tuple[int, StockFile, int], int] = {}
        """By (donor's slot, file, offset): the instant until which the donor's answer is accepted, although
        nobody waits for it any more."""
        self._free_at = 0
        """The instant from which the rate limit allows another chunk."""

    def want(self, slot: int, file: StockFile, offset: int, *, spoiled: bool = False) -> bool:
        """Record that a member wants a chunk. Return False if the request is refused. spoiled: the member's
        last copy of the file had another content, so its donors aren't asked again."""
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
        """Process a donor's answer. Return the slots that get the chunk; None if the answer is refused.

        An answer is refused if the donor wasn't asked for it, or if its length is wrong. An empty answer is
        not refused: the donor has the file no longer.
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
        """Forget the requests of a member that is gone or away, and ask other donors in its place."""
        self._drop(slot)
        self._spared = {key: until for key, until in self._spared.items() if key[0] != slot}
        self._overdue = {key: until for key, until in self._overdue.items() if key[0] != slot}
        for piece in self._pieces.values():
            if piece.donor == slot:
                piece.donor = None

    def wake(self, now: int) -> list[Ask | Deny]:
        """Return the requests to donors and the refusals that must be sent now."""
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
        """Return the slot of the donor to ask for a chunk: the one that is asked for the fewest chunks now.
        None if there is no donor to ask."""
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
        """Drop the requests of all members who wait for this chunk. Return the refusals for them."""
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
    """Return the length (bytes) of the chunk that begins at `offset`."""
    return min(CHUNK_BYTES, file.size - offset)
