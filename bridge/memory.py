"""Memory: who a bridge is, and what it must not forget if it is killed.

Pure. A bridge hands over in the room's order, so the greatest key that it handed over tells nearly all:
what it had seen and is not after that key was played. The exceptions are listed by number.
Bound: LISTED_MAX exceptions of each sort.
"""

from dataclasses import dataclass

from relay.wire.sequence import Judged, Kind, OrderKey

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

    key: the greatest key handed over. highest: the highest room number that had come, except `missing`.
    unconfirmed: own numbers that were played as stamped, before their verdict had come.
    """

    key: OrderKey
    highest: int
    missing: frozenset[int]
    unconfirmed: frozenset[int]

    def covers(self, event: Judged, *, own: bool) -> bool:
        """Tell whether scsynth has the event already. Own events are in hand from their emission on, so
        for them the number doesn't matter."""
        if own and event.kind is not Kind.RESOURCE:
            return event.key <= self.key or event.seq in self.unconfirmed
        if event.number > self.highest or event.number in self.missing:
            return False
        return event.kind is Kind.RESOURCE or event.key <= self.key


@dataclass(slots=True)
class Memory:
    """What outlives the process (bridge/journal.py). complete_number: everything up to it was handed over."""

    slot: int | None = None
    ticket: bytes | None = None
    epoch: bytes | None = None
    next_seq: int = 1
    complete_number: int = 0
    resume_key: OrderKey = (0, 0, 0)
    highest_number: int = 0
    missing: tuple[int, ...] = ()
    unconfirmed: tuple[int, ...] = ()

    def remember_missing(self, highest: int, missing: list[int]) -> None:
        """Note what has not come, or not been taken in; where that is too much, what lies above the list
        counts as not come: better asked for twice than lost."""
        if len(missing) > LISTED_MAX:
            missing = sorted(missing)
            highest = missing[LISTED_MAX] - 1
        self.highest_number = highest
        self.missing = tuple(missing[:LISTED_MAX])

    def handed_over(self) -> HandedOver:
        """Return what had been handed over."""
        return HandedOver(
            self.resume_key, self.highest_number, frozenset(self.missing), frozenset(self.unconfirmed)
        )
