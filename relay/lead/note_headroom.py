"""Note headroom: how far ahead of their timetags the room's notes were emitted in the last ten minutes of
music.

Pure. Instants are session timetags, durations ticks. The headroom of a note is its timetag less its emission.
The lead D moves a note with headroom h if D - h exceeds the shift. (The floor moves no further notes: a
sender's untimed events before a note were emitted before it.) Notes with less headroom than ORDINARY are late
by design (use_real_time) and don't count.

An accident is left out too: a host that stood still catches up with many notes of little headroom. So a
stretch of EPISODE_S consecutive seconds is left out: the stretch with more notes of little headroom than any
other. In a young room at most half of the seconds are left out.

Notes are kept only as counts, by BIN of headroom and by second. Bound: BLOCKS_KEPT blocks of length BLOCK,
and BINS bins.
"""

from collections import Counter
from collections.abc import Mapping

from relay.lead.delivery_times import BLOCK, BLOCKS_KEPT
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks

ORDINARY = ticks(0.050)
BIN = ticks(0.005)
BINS = 400
"""Number of bins, for headrooms up to two seconds. Notes with more headroom are counted in one further
bin."""
ODD_NOTES = 2
"""How many moved notes are tolerated in a room that has hardly played. The first notes of a run come late."""
MOVED_SHARE = 0.001
EPISODE_S = 15
"""How long the effects of one accident last at most, s. An accident begins within ten seconds at all hosts
that it concerns, and lasts five seconds."""


class Headrooms:
    """The headroom of one room's ordinary notes in the last ten minutes with notes."""

    def __init__(self) -> None:
        self.last_timetag = 0
        """The latest timetag (session time) of any event so far."""
        self.last_emitted = 0
        """Session instant at which the latest event so far was emitted."""
        self._blocks: dict[int, dict[int, int]] = {}
        """For each block, the number of notes by second."""
        self._bins: dict[int, dict[int, int]] = {}
        """For each bin of headroom, the number of notes by second."""
        self._low: int | None = None
        self._low_is_known = False

    def judged(self, event: Stamped, now: int) -> None:
        """Record the headroom of an event that was judged. now: session ticks."""
        self.last_emitted = max(self.last_emitted, min(event.emitted, now))
        if event.kind is not Kind.TIMED or event.timetag is None:
            return
        self.last_timetag = max(self.last_timetag, event.timetag)
        headroom = event.timetag - event.emitted
        if headroom < ORDINARY:
            return
        block = self._blocks.get(now // BLOCK)
        if block is None:
            block = self._blocks[now // BLOCK] = {}
            if len(self._blocks) > BLOCKS_KEPT:
                self._forget(self._blocks.pop(next(iter(self._blocks))))
        self._low_is_known = False
        second = now // TICKS_PER_S
        block[second] = block.get(second, 0) + 1
        by_second = self._bins.setdefault(min(headroom // BIN, BINS), {})
        by_second[second] = by_second.get(second, 0) + 1

    @property
    def seconds(self) -> int:
        """The number of seconds in which notes were judged."""
        return sum(map(len, self._blocks.values()))

    def low(self) -> int | None:
        """Return the headroom (ticks) that 999 of a thousand notes have. Notes of an accident are left out.
        None before there are enough notes."""
        if not self._low_is_known:
            self._low, self._low_is_known = self._find_low(), True
        return self._low

    def share_below(self, headroom: int) -> float:
        """Return the share (0 to 1) of notes with less headroom than `headroom` ticks. Notes of an accident
        are left out."""
        below: Counter[int] = Counter()
        for chosen, by_second in self._bins.items():
            if chosen * BIN < headroom:
                below.update(by_second)
        notes = Counter[int]()
        for block in self._blocks.values():
            notes.update(block)
        left_out, first, last = self._episode(below)
        others = sum(count for second, count in notes.items() if not first <= second <= last)
        return (below.total() - left_out) / others if others else 0.0

    def _find_low(self) -> int | None:
        most = max(ODD_NOTES, int(MOVED_SHARE * sum(sum(block.values()) for block in self._blocks.values())))
        below: Counter[int] = Counter()
        for chosen in sorted(self._bins):
            below.update(self._bins[chosen])
            if below.total() > most and below.total() - self._episode(below)[0] > most:
                return chosen * BIN
        return None

    def _episode(self, below: Mapping[int, int]) -> tuple[int, int, int]:
        """Find the stretch of EPISODE_S consecutive seconds that has the most of these notes. In a young
        room the stretch is shorter: half of the seconds with notes.

        below: number of notes by second. Returns (number of notes in the stretch, its first second, its last
        second).
        """
        lasting = min(EPISODE_S, self.seconds // 2)
        best, notes, ordered, first = (0, 0, 0), 0, sorted(below), 0
        if not lasting:
            return best
        for second in ordered:
            notes += below[second]
            while ordered[first] <= second - lasting:
                notes -= below[ordered[first]]
                first += 1
            if notes > best[0]:
                best = (notes, ordered[first], second)
        return best

    def _forget(self, block: Mapping[int, int]) -> None:
        for chosen, by_second in list(self._bins.items()):
            for second in block:
                by_second.pop(second, None)
            if not by_second:
                del self._bins[chosen]
