"""Restart state: the facts that a bridge process leaves for the next one if it is killed.

Pure. A bridge hands events over to scsynth nearly in the order of their room numbers. So the highest number
describes nearly all hand-overs, and only the exceptions are listed one by one. Bound: LISTED_MAX exceptions
of each sort.
"""

from dataclasses import dataclass

from relay.wire.sequence import Judged

LISTED_MAX = 64
"""The most exceptions of each sort that are listed. They must fit into the journal's record. More events are
missing at one time only if the network loses very much."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The facts by which the bridge introduces itself to the relay.

    software: name and version of this program. release_advance: the bridge hands over an event at the latest
    this many ticks before its due.
    """

    room: str
    name: str
    software: str
    release_advance: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The events that a previous bridge process handed to the scsynth that still runs.

    highest: the highest room number that had arrived. All events up to it were handed over, except `missing`.
    unconfirmed: seqs (sender's numbers) of the local player's events that were handed over unjudged.
    """

    highest: int
    missing: frozenset[int]
    unconfirmed: frozenset[int]

    def covers(self, event: Judged, *, own: bool) -> bool:
        """Return whether scsynth has a judged event already. own: the event is from the local player."""
        if own and event.seq in self.unconfirmed:
            return True
        return self.has(event.number)

    def has(self, number: int) -> bool:
        """Return whether scsynth has the event with this room number."""
        return number <= self.highest and number not in self.missing


@dataclass(slots=True)
class Memory:
    """The restart state: facts that outlive the bridge process (bridge/shells/journal.py).

    ticket, epoch: as in the relay's last Welcome; None before any. next_seq: the sender's number of the next
    event of the local player. complete_number: every event up to this room number was handed over or given
    up. highest_number, missing, unconfirmed: as in `HandedOver`.
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
        """Store the room numbers of events that have not arrived or were not handed over.

        highest: the highest room number that has arrived. before: the hand-overs of the previous bridge
        process. This process may not have received all those events yet.

        If more than LISTED_MAX are missing, every number above the last listed one counts as not handed over.
        An event played twice is better than one never played.
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
        """Store the seqs of the local player's events that were handed over unjudged. The newest LISTED_MAX
        are kept.

        before: the hand-overs of the previous bridge process, whose seqs come first.
        """
        earlier = sorted(before.unconfirmed) if before is not None else []
        self.unconfirmed = (*earlier, *numbers)[-LISTED_MAX:]

    def handed_over(self) -> HandedOver:
        """Return the hand-overs that this state describes."""
        return HandedOver(self.highest_number, frozenset(self.missing), frozenset(self.unconfirmed))
