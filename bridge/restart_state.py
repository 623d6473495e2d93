"""Memory: who a bridge is, and what it must not forget if it is killed.

Pure. A bridge hands over by number, so the highest number tells nearly all. The exceptions are listed.
Bound: LISTED_MAX exceptions of each sort.
"""

from dataclasses import dataclass

from relay.wire.sequence import Judged

LISTED_MAX = 64
"""They must fit the journal's page; more are missing at once only where much is lost anyway."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How the bridge presents itself. release_advance in ticks."""

    room: str
    name: str
    software: str
    release_advance: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What the bridge before this one had handed over to the scsynth that still runs.

    highest: the highest room number that had come; all up to it had been handed over, except `missing`.
    unconfirmed: own numbers that were played as stamped, before their verdict had come.
    """

    highest: int
    missing: frozenset[int]
    unconfirmed: frozenset[int]

    def covers(self, event: Judged, *, own: bool) -> bool:
        """Tell whether scsynth has the event already."""
        if own and event.seq in self.unconfirmed:
            return True
        return self.has(event.number)

    def has(self, number: int) -> bool:
        """Tell whether scsynth has the event of a room number."""
        return number <= self.highest and number not in self.missing


@dataclass(slots=True)
class Memory:
    """What outlives the process (bridge/shells/journal.py). complete_number: everything up to it was handed
    over."""

    slot: int | None = None
    ticket: bytes | None = None
    epoch: bytes | None = None
    next_seq: int = 1
    complete_number: int = 0
    highest_number: int = 0
    missing: tuple[int, ...] = ()
    unconfirmed: tuple[int, ...] = ()

    def remember_missing(self, highest: int, missing: list[int], before: HandedOver | None = None) -> None:
        """Note what has not come, or not been handed over; where that is too much, what lies above the list
        counts as not handed over: better twice than never.

        before: what the bridge before this one had handed over, which this one may not have heard of yet.
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
        """Note own numbers that were played as stamped; the newest are kept."""
        earlier = sorted(before.unconfirmed) if before is not None else []
        self.unconfirmed = (*earlier, *numbers)[-LISTED_MAX:]

    def handed_over(self) -> HandedOver:
        """Return what had been handed over."""
        return HandedOver(self.highest_number, frozenset(self.missing), frozenset(self.unconfirmed))
