"""Headroom: how far ahead of their timetags a room's notes are emitted, lately.

Pure; instants are session timetags, durations ticks. A note of headroom h = timetag - emission is moved by
the lead D unless D - h <= shift. (The floor moves no more: a sender's untimed events before a note were
emitted before it.) Notes with less than ORDINARY are late by design (use_real_time) and no measure for
others. Kept as counts by BIN, in blocks of BLOCK: bound BLOCKS_KEPT blocks of BINS bins.
"""

from collections import Counter

from relay.needs import BLOCK, BLOCKS_KEPT
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import ticks

ORDINARY = ticks(0.050)
BIN = ticks(0.005)
BINS = 400
"""Two seconds: what is further ahead than any lead counts as that far."""
ODD_NOTES = 2
"""Moved notes that are put up with in a room that has hardly played: the first of a run come late."""
MOVED_SHARE = 0.001


class Headrooms:
    """The headrooms of one room's ordinary notes in the last ten minutes with any."""

    def __init__(self) -> None:
        self.last_timetag = 0
        """The latest timetag of any event so far."""
        self.last_emitted = 0
        """The latest instant of emission so far."""
        self._blocks: dict[int, Counter[int]] = {}
        self._total: Counter[int] = Counter()

    def judged(self, event: Stamped, now: int) -> None:
        """Note an event that was judged."""
        self.last_emitted = max(self.last_emitted, min(event.emitted, now))
        if event.kind is not Kind.TIMED or event.timetag is None:
            return
        self.last_timetag = max(self.last_timetag, event.timetag)
        headroom = event.timetag - event.emitted
        if headroom < ORDINARY:
            return
        chosen = min(headroom // BIN, BINS)
        block = self._blocks.get(now // BLOCK)
        if block is None:
            block = self._blocks[now // BLOCK] = Counter()
            if len(self._blocks) > BLOCKS_KEPT:
                self._total -= self._blocks.pop(next(iter(self._blocks)))
        block[chosen] += 1
        self._total[chosen] += 1

    def low(self) -> int | None:
        """Return the headroom that all but one in a thousand notes have; None before there were any."""
        left = max(ODD_NOTES, int(MOVED_SHARE * self._total.total()))
        for chosen in sorted(self._total):
            left -= self._total[chosen]
            if left < 0:
                return chosen * BIN
        return None

    def share_below(self, headroom: int) -> float:
        """Return the share of notes that have less than `headroom`, 0 to 1."""
        total = self._total.total()
        below = sum(count for chosen, count in self._total.items() if chosen * BIN < headroom)
        return below / total if total else 0.0
