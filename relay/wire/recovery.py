"""Loss recovery: a ring of sent frames, and a receiver's record of the numbers missing from a dense sequence.

Pure. Every number is delivered at most once. A missing number is asked for repeatedly and then given up, so
that nothing waits for ever. Bounds: the ring's capacity; MAX_MISSING numbers missing at once. The constants
were chosen by simulation: per hop, 10 % loss at RTT 100 ms leaves 0.4 % undelivered after 500 ms.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from relay.wire.errors import MalformedDatagram

REORDER_TOLERANCE_S = 0.005
"""How long a gap may be mere reordering before it is asked for. Parallel paths differ by a few ms."""

REPEAT_S_MIN = 0.020
REPEAT_PER_RTT = 1.2
"""An answer takes one RTT. A fifth more covers the jitter, so that most repeats are for real losses."""

PATIENT_FROM_S = 1.0
PATIENT_REPEAT_S = 0.25
"""A number missing for longer than PATIENT_FROM_S is asked for at this interval. A note that is useless by
now isn't sent again, and no message says so."""

KEEP_S = 1.0
"""Default time for which frames are kept and asked for: twice Sonic Pi's own schedule-ahead."""

MAX_MISSING = 4096
"""More missing numbers are no loss, but another sequence or an attack on our memory."""


class SendRing:
    """The frames sent lately, by number, for receivers that missed them."""

    # Two dicts rather than one of pairs: Python's garbage collector doesn't look into these.
    __slots__ = ("_capacity", "_first", "_frames", "_keep_s", "_next", "_sent_at_s")

    def __init__(self, capacity: int, keep_s: float = KEEP_S) -> None:
        """Keep each frame for `keep_s`, and at most `capacity` of them."""
        self._capacity = capacity
        self._keep_s = keep_s
        self._frames: dict[int, bytes] = {}
        self._sent_at_s: dict[int, float] = {}
        self._first = 0
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def append(self, number: int, frame: bytes, now_s: float) -> None:
        """Keep `frame`, sent as `number` at `now_s`. The first number is free; each next one is 1 more."""
        assert self._next is None or number == self._next, f"sent {number} after {self._next}: not dense"
        if self._next is None:
            self._first = number
        self._next = number + 1
        self._frames[number] = frame
        self._sent_at_s[number] = now_s
        self._expire(now_s)
        while len(self._frames) > self._capacity:
            self._drop_oldest()

    def get(self, numbers: Iterable[int], now_s: float) -> list[bytes]:
        """Return the frames of `numbers`, in that order, without those never sent or no longer kept."""
        self._expire(now_s)
        frames = self._frames
        return [frames[number] for number in numbers if number in frames]

    def _expire(self, now_s: float) -> None:
        while self._frames and now_s - self._sent_at_s[self._first] > self._keep_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        del self._frames[self._first], self._sent_at_s[self._first]
        self._first += 1


@dataclass(slots=True)
class GapCounts:
    """Counts of a sequence's numbers. Running totals, which `GapTracker.expect` doesn't reset."""

    expected: int = 0
    """Numbers known to exist."""
    reordered: int = 0
    """Numbers that came after a later one, but before they were asked for."""
    lost: int = 0
    """Numbers that were asked for, or given up."""
    recovered: int = 0
    """Lost numbers that came after all, by a retransmit or a copy."""
    given_up: int = 0
    """Lost numbers that did not come in time."""
    too_late: int = 0
    """Numbers that came after they had been given up, and so are not delivered."""
    duplicates: int = 0
    """Repeated arrivals of a number."""


@dataclass(slots=True)
class _Gap:
    since_s: float
    asked_at_s: float | None = None


class GapTracker:
    """A receiver's record of dense numbers: which are missing, and when to ask for them."""

    __slots__ = (
        "_contiguous",
        "_first",
        "_gave_up",
        "_given_up",
        "_highest",
        "_keep_s",
        "_missing",
        "asks",
        "counts",
    )

    def __init__(self, first: int = 0, *, keep_s: float = KEEP_S) -> None:
        """Expect `first` as the first number. A missing number is given up after `keep_s`."""
        self._keep_s = keep_s
        self.asks = True
        """Whether missing numbers are asked for; False: they are only given up (a room without repair)."""
        self.counts = GapCounts()
        self.expect(first)

    def expect(self, first: int) -> None:
        """Start anew at `first`. Missing numbers below it are forgotten, neither asked for nor given up."""
        self._highest = first - 1
        self._contiguous = first - 1
        self._missing: dict[int, _Gap] = {}  # ascending, since numbers are added as the highest grows
        self._gave_up: list[int] = []
        self._given_up: set[int] = set()  # only the latest, to tell "too late" from "duplicate"

    @property
    def contiguous(self) -> int:
        """The number up to which all have come or been given up; initially one below the first."""
        return self._contiguous

    @property
    def highest(self) -> int:
        """The highest number known to exist; initially one below the first."""
        return self._highest

    def saw(self, number: int, now_s: float) -> bool:
        """Note that `number` came. Return whether to deliver it.

        False for a duplicate, for a number below the first, and for one given up before: giving up is final.
        Raises MalformedDatagram, and notes nothing, if this leaves more than MAX_MISSING missing.
        """
        if number > self._highest:
            self._reach(number, number - 1, now_s)
            if not self._missing:
                self._contiguous = number
            return True
        gap = self._missing.pop(number, None)
        if gap is None:
            if number in self._given_up:
                self._given_up.discard(number)
                self.counts.too_late += 1
            else:
                self.counts.duplicates += 1
            return False
        if gap.asked_at_s is None:
            self.counts.reordered += 1
        else:
            self.counts.recovered += 1
        self._advance()
        return True

    def announce(self, highest: int, now_s: float) -> None:
        """Note that all numbers up to `highest` exist. A heartbeat reveals so that a phrase's end was lost.

        Raises MalformedDatagram, and notes nothing, if this leaves more than MAX_MISSING missing.
        """
        if highest > self._highest:
            self._reach(highest, highest, now_s)

    def missing(self) -> tuple[int, ...]:
        """Return the missing numbers, ascending: they exist, and have neither come nor been given up."""
        return tuple(self._missing)

    def due_requests(self, now_s: float, rtt_s: float) -> list[tuple[int, int]]:
        """Return the ranges (first, last) to ask for now, ascending. Give up numbers that are too old.

        A number is due REORDER_TOLERANCE_S after it was missed. It is due again every
        max(REPEAT_S_MIN, REPEAT_PER_RTT * rtt_s), or PATIENT_REPEAT_S once it is missing for long. Returned
        numbers count as asked for at `now_s`.
        """
        ranges: list[tuple[int, int]] = []
        abandoned: list[int] = []
        for number, gap in self._missing.items():
            if now_s >= gap.since_s + self._keep_s:
                abandoned.append(number)
                if gap.asked_at_s is None:
                    self.counts.lost += 1
            elif self.asks and now_s >= _due_at_s(gap, rtt_s):
                if gap.asked_at_s is None:
                    self.counts.lost += 1
                gap.asked_at_s = now_s
                if ranges and ranges[-1][1] == number - 1:
                    ranges[-1] = (ranges[-1][0], number)
                else:
                    ranges.append((number, number))
        if abandoned:
            self._abandon(abandoned)
        return ranges

    def next_wakeup_s(self, rtt_s: float) -> float | None:
        """Return the instant (s) at which `due_requests` next has work; None if nothing is missing."""
        if not self._missing:
            return None
        if not self.asks:
            return min(gap.since_s + self._keep_s for gap in self._missing.values())
        return min(min(_due_at_s(gap, rtt_s), gap.since_s + self._keep_s) for gap in self._missing.values())

    def gave_up(self) -> list[int]:
        """Return the numbers given up since the last call, in the order of giving up."""
        drained, self._gave_up = self._gave_up, []
        return drained

    def _reach(self, highest: int, missing_to: int, now_s: float) -> None:
        """Note that numbers up to `highest` exist, and that those up to `missing_to` have not come."""
        count = missing_to - self._highest
        if len(self._missing) + count > MAX_MISSING:
            raise MalformedDatagram(
                f"number {highest} after {self._highest} leaves {len(self._missing) + count} missing: "
                f"at most {MAX_MISSING} are recovered, so the sequence has to be joined anew"
            )
        for number in range(self._highest + 1, missing_to + 1):
            self._missing[number] = _Gap(now_s)
        self.counts.expected += highest - self._highest
        self._highest = highest

    def _advance(self) -> None:
        # Step by step rather than from the first missing number. A dict whose front entries are deleted again
        # and again takes quadratic time to find its first.
        while self._contiguous < self._highest and self._contiguous + 1 not in self._missing:
            self._contiguous += 1

    def _abandon(self, numbers: list[int]) -> None:
        for number in numbers:
            del self._missing[number]
        self._gave_up += numbers
        self.counts.given_up += len(numbers)
        self._given_up.update(numbers)
        if len(self._given_up) > 2 * MAX_MISSING:
            oldest_kept = self._highest - MAX_MISSING
            self._given_up = {number for number in self._given_up if number > oldest_kept}
        self._advance()


def _due_at_s(gap: _Gap, rtt_s: float) -> float:
    if gap.asked_at_s is None:
        return gap.since_s + REORDER_TOLERANCE_S
    repeat_s = max(REPEAT_S_MIN, REPEAT_PER_RTT * rtt_s)
    if gap.asked_at_s - gap.since_s > PATIENT_FROM_S:
        repeat_s = max(repeat_s, PATIENT_REPEAT_S)
    return gap.asked_at_s + repeat_s
