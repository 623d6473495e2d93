"""Restart state: what a bridge is, and the facts that must survive if it is killed.

Pure. A bridge hands events over by number, so the highest number covers nearly all of them. The exceptions
are listed one by one. Bound: LISTED_MAX exceptions of each sort.
"""

from dataclasses import dataclass

from relay.wire.sequence import Judged

LISTED_MAX = 64
"""They must fit the journal's page. More are missing at once only if much is lost anyway."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How the bridge presents itself to the relay. release_advance: ticks."""

    room: str
    name: str
    software: str
    release_advance: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Events that the previous bridge had handed over to the scsynth that still runs.

    highest: the highest room number that had arrived; all up to it had been handed over, except `missing`.
    unconfirmed: own seqs that were played as stamped, before their verdict arrived.
    """

    highest: int
    missing: frozenset[int]
    unconfirmed: frozenset[int]

    def covers(self, event: Judged, *, own: bool) -> bool:
        """Return whether scsynth has the event already. own: it was sent by this bridge."""
        if own and event.seq in self.unconfirmed:
            return True
        return self.has(event.number)

    def has(self, number: int) -> bool:
        """Return whether scsynth has the event of a room number."""
        return number <= self.highest and number not in self.missing


@dataclass(slots=True)
class Memory:
    """The facts that outlive the process (bridge/shells/journal.py).

    complete_number: all events up to it were handed over.
    """

    slot: int | None = None
    ticket: bytes | None = None
    epoch: bytes | None = None
    next_seq: int = 1
    complete_number: int = 0
    highest_number: int = 0
    missing: tuple[int, ...] = ()
    unconfirmed: tuple[int, ...] = ()

    def remember_missing(self, highest: int, missing: list[int], before: HandedOver | None = None) -> None:
        """Note the room numbers that have not arrived or not been handed over.

        If there are more than LISTED_MAX, all above the list count as not handed over: better twice than
        never. before: the hand-overs of the previous bridge, some of which this bridge may not have received
        yet.
        """
        if before is not None:
            unheard = [number for number in before.missing if number > highest]
            missing = [number for number in missing if not before.has(number)] + unheard
            highest = max(highest, before.highest)
        if len(missing) > LISTED_MAX:
            missing = sorted(missing)
            highest = missing[LISTED_MAX] - 1
        self.highest_number = highest
        self.missing = tuple(missing[:LISTED_MAX])

    def remember_unconfirmed(self, numbers: tuple[int, ...], before: HandedOver | None = None) -> None:
        """Note own seqs that were played as stamped. Only the newest LISTED_MAX are kept."""
        earlier = sorted(before.unconfirmed) if before is not None else []
        self.unconfirmed = (*earlier, *numbers)[-LISTED_MAX:]

    def handed_over(self) -> HandedOver:
        """Return the events that had been handed over."""
        return HandedOver(self.highest_number, frozenset(self.missing), frozenset(self.unconfirmed))
