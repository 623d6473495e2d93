"""Stock: lets members get files of Sonic Pi from each other, and decides which content of a file the room
plays.

Pure; `now` is session ticks. Only files on the shipped list are asked for and passed on.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from relay.effects import Effect
from relay.room.facet import Facet, FacetKind
from relay.room.room import Room
from relay.room.seat import Seat
from relay.room.stock_choices import Choices
from relay.room.stock_transfers import Ask, Deny, Transfers
from relay.wire.control.stock import FAMILY, Chosen, Chunk, Give, Holdings, NoDonor, Want
from relay.wire.holdings import held
from relay.wire.meaning import played_synthdef
from relay.wire.sequence import Judged
from relay.wire.stock import StockFile, stock_file


class Stock(Facet):
    """The files of Sonic Pi among the members of one room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._transfers = Transfers(self._donors)
        self._choices = Choices()
        self._given: dict[int, frozenset[StockFile]] = {}
        """The files that each member offers to others, by slot."""
        self._loaded: dict[int, dict[str, StockFile]] = {}
        """By slot and name: the content that a synthdef has in that member's scsynth. Only synthdefs whose
        content differs between releases of Sonic Pi are included."""
        self._untold = False
        """Whether there are new choices of contents that the members haven't been sent."""
        self._chunks = 0

    # -- who is there ----------------------------------------------------------------------------------

    def joined(self, seat: Seat, now: int) -> None:
        """Forget the requests that the member made on an earlier connection."""
        self._transfers.left(seat.slot)

    def newcomer(self, seat: Seat) -> list[Effect]:
        """Return the message with the contents chosen so far; none if nothing is chosen."""
        return self._room.tell(seat, self._told()) if self._choices.chosen else []

    def left(self, slot: int) -> None:
        """Forget the member that had the slot."""
        self._given.pop(slot, None)
        self._loaded.pop(slot, None)
        self._transfers.left(slot)
        self._choices.forget([*self._loaded.values()])

    def holdings(self, seat: Seat, message: Holdings, now: int) -> list[Effect]:
        """Record which files a member has."""
        self._given[seat.slot] = held(message) if message.gives else frozenset()
        found = [file for one in message.loaded if (file := stock_file(*one)) is not None]
        self._loaded[seat.slot] = {file.name: file for file in found}
        return []

    # -- files -----------------------------------------------------------------------------------------

    def want(self, seat: Seat, message: Want, now: int) -> list[Effect]:
        """Process a member's request for a chunk."""
        file = stock_file(message.name, message.sha256)
        if file is None or not self._transfers.want(seat.slot, file, message.offset, spoiled=message.spoiled):
            seat.refused += 1
            return []
        return self._say(now)

    def chunk(self, seat: Seat, message: Chunk, now: int) -> list[Effect]:
        """Pass a donor's chunk on to those who wait for it."""
        file = stock_file(message.name, message.sha256)
        askers = (
            None if file is None else self._transfers.came(seat.slot, file, message.offset, message.data, now)
        )
        if askers is None:
            seat.refused += 1
            return self._say(now)
        self._chunks += len(askers)
        effects: list[Effect] = []
        for slot in askers:
            effects += self._room.tell(self._room.seats.get(slot), message)
        return effects + self._say(now)

    def _donors(self, file: StockFile) -> Iterator[int]:
        for seat, _ in self._room.channels():
            if file in self._given.get(seat.slot, ()):
                yield seat.slot

    def _say(self, now: int) -> list[Effect]:
        effects: list[Effect] = []
        for one in self._transfers.wake(now):
            seat, name, sha256 = self._room.seats.get(one.slot), one.file.name, one.file.sha256
            match one:
                case Ask(offset=offset):
                    effects += self._room.tell(seat, Give(name=name, sha256=sha256, offset=offset))
                case Deny():
                    effects += self._room.tell(seat, NoDonor(name=name, sha256=sha256))
        return effects

    # -- choices -----------------------------------------------------------------------------------------

    def published(self, events: Sequence[Judged], now: int) -> None:
        """For each synthdef whose content differs between releases, let the first member who plays it decide
        which content the room plays."""
        for event in events:
            loaded = self._loaded.get(event.slot)
            if loaded and event.meaning.makes_synth:
                self._untold |= self._choices.played(played_synthdef(event.payload), loaded)
        if self._untold:
            self._room.stir_round()

    def _told(self) -> Chosen:
        return Chosen(files=[(file.name, file.sha256) for file in self._choices.chosen.values()])

    # -- time --------------------------------------------------------------------------------------------

    def wake(self, now: int) -> list[Effect]:
        """Return the messages that are due: new choices of contents, requests to donors, and refusals."""
        effects = self._room.tell_all(self._told()) if self._untold else []
        self._untold = False
        return effects + self._say(now)

    def next_wakeup(self) -> int | None:
        """Return the session instant at which `wake` must be called; 0 if at once."""
        return 0 if self._untold else self._transfers.next_wakeup()

    def stats(self) -> dict[str, Any]:
        """Return how many chunks of files were passed on, if any were."""
        return {"chunks_of_files": self._chunks} if self._chunks else {}


KIND = FacetKind(Stock, FAMILY, {Holdings: Stock.holdings, Want: Stock.want, Chunk: Stock.chunk})
