"""Loss recovery: a ring of what was sent, and a receiver's view of what is missing from a dense sequence.

Pure. Every number is delivered at most once; a number that never comes is asked for again and again and then
given up, so that nothing waits for ever. Bounds: the ring's capacity; MAX_MISSING numbers missing at once.
The figures were chosen by simulation: per hop, 10 % loss at RTT 100 ms leaves 0.4 % undelivered after 500 ms.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from relay.wire.errors import MalformedDatagram

REORDER_TOLERANCE_S = 0.005
"""How long a gap may be mere reordering before it is asked for: parallel paths differ by a few ms."""

REPEAT_S_MIN = 0.020
REPEAT_PER_RTT = 1.2
"""An answer takes one RTT; a fifth more covers the jitter, so that most repeats are for real losses."""

PATIENT_FROM_S = 1.0
PATIENT_REPEAT_S = 0.25
"""What hasn't come for so long is asked for no more often than that: a note that is of no use any more isn't
sent again, and nobody says so."""

KEEP_S = 1.0
"""How long frames are kept and asked for, unless told: twice Sonic Pi's own schedule-ahead."""

MAX_MISSING = 4096
"""More at once is no loss but another sequence, or an attack on our memory."""


class SendRing:
    """What was sent lately, by number, for whoever missed it."""

    __slots__ = ("_capacity", "_entries", "_first", "_keep_s", "_next")

    def __init__(self, capacity: int, keep_s: float = KEEP_S) -> None:
        """Keep frames for `keep_s`, but never more than `capacity` of them."""
        self._capacity = capacity
        self._keep_s = keep_s
        self._entries: dict[int, tuple[float, bytes]] = {}
        self._first = 0
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, number: int, frame: bytes, now_s: float) -> None:
        """Keep `frame`, sent as `number` at `now_s`; the first may have any number, then each is one more."""
        assert self._next is None or number == self._next, f"sent {number} after {self._next}: not dense"
        if self._next is None:
            self._first = number
        self._next = number + 1
        self._entries[number] = (now_s, frame)
        self._expire(now_s)
        while len(self._entries) > self._capacity:
            self._drop_oldest()

    def get(self, numbers: Iterable[int], now_s: float) -> list[bytes]:
        """Return the frames of `numbers`, in that order; those never sent or no longer kept are left out."""
        self._expire(now_s)
        entries = self._entries
        return [entries[number][1] for number in numbers if number in entries]

    def _expire(self, now_s: float) -> None:
        while self._entries and now_s - self._entries[self._first][0] > self._keep_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        del self._entries[self._first]
        self._first += 1


@dataclass(slots=True)
class GapCounts:
    """What became of the numbers of a sequence; a running total, never reset by `GapTracker.expect`."""

    expected: int = 0
    """Numbers known to exist."""
    reordered: int = 0
    """Came after a later one, but before they were asked for."""
    lost: int = 0
    """Did not come at first sight: they were asked for, or given up."""
    recovered: int = 0
    """Lost ones that came after all, by a retransmit or a copy."""
    given_up: int = 0
    """Lost ones that did not come in time."""
    too_late: int = 0
    """Came after they had been given up; they are not delivered."""
    duplicates: int = 0
    """Came again."""


@dataclass(slots=True)
class _Gap:
    since_s: float
    asked_at_s: float | None = None


class GapTracker:
    """A receiver's view of dense numbers: which are missing, and when to ask for them."""

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
        """Expect `first` as the first number; give a missing one up `keep_s` after it was missed."""
        self._keep_s = keep_s
        self.asks = True
        """Whether what is missing is asked for; else it is only given up in time (a room without repair)."""
        self.counts = GapCounts()
        self.expect(first)

    def expect(self, first: int) -> None:
        """Start anew at `first`: what is missing below is forgotten, neither asked for nor given up."""
        self._highest = first - 1
        self._contiguous = first - 1
        self._missing: dict[int, _Gap] = {}  # ascending, since numbers are added as the highest grows
        self._gave_up: list[int] = []
        self._given_up: set[int] = set()  # the latest of them, only to tell "too late" from "duplicate"

    @property
    def contiguous(self) -> int:
        """Every number up to this one has been seen or given up; one below the first if none has."""
        return self._contiguous

    @property
    def highest(self) -> int:
        """The highest number known to exist; one below the first if none is."""
        return self._highest

    def saw(self, number: int, now_s: float) -> bool:
        """Note that `number` came; return whether to deliver it.

        False for a duplicate, for a number below the first, and for one given up before: giving up is final.
        Raises MalformedDatagram if this leaves more than MAX_MISSING missing; nothing is noted then.
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
        """Note that all numbers up to `highest` exist, as a heartbeat says: the end of a phrase may be lost.

        Raises MalformedDatagram if this leaves more than MAX_MISSING missing; nothing is noted then.
        """
        if highest > self._highest:
            self._reach(highest, highest, now_s)

    def missing(self) -> tuple[int, ...]:
        """Return the numbers that exist and have neither come nor been given up, ascending."""
        return tuple(self._missing)

    def due_requests(self, now_s: float, rtt_s: float) -> list[tuple[int, int]]:
        """Return the ranges (first, last) to ask for now, ascending, and give up what is too old.

        A number is due REORDER_TOLERANCE_S after it was missed and again after every
        max(REPEAT_S_MIN, REPEAT_PER_RTT * rtt_s), or PATIENT_REPEAT_S if it is missing for long. What is
        returned counts as asked for at `now_s`.
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
        """Return the instant at which `due_requests` next has something to do, None if nothing is missing."""
        if not self.asks:
            return min((gap.since_s + self._keep_s for gap in self._missing.values()), default=None)
        return min(
            (min(_due_at_s(gap, rtt_s), gap.since_s + self._keep_s) for gap in self._missing.values()),
            default=None,
        )

    def gave_up(self) -> list[int]:
        """Return the numbers given up since the last call, in the order of giving up."""
        drained, self._gave_up = self._gave_up, []
        return drained

    def _reach(self, highest: int, missing_to: int, now_s: float) -> None:
        """Let numbers up to `highest` exist, of which those up to `missing_to` have not come."""
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
        # Step by step rather than from the first missing number: finding that in a dict whose front
        # is deleted again and again takes time in the square of what was deleted.
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
