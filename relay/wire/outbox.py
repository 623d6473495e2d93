"""Outbox: what leaves one end of a hop, which is events, answers to NACKs, copies, and whatever else is said.

Pure. While events are lost on this way every event is sent again twice, spread in time against bursts where
its due leaves room for that, else close behind in the next datagrams, and then over again until the other
end says that it has it or it is too late; an untimed event always once. What a NACK asks for is sent twice.
A copy whose event the other end is known to have isn't sent. All that stays within the budget of bytes.
Frames are not kept here: they are fetched by number when they are to leave.
Bound: COPIES_MAX copies wait.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from relay.wire import frames
from relay.wire.budget import IP_UDP_BYTES, ByteBudget
from relay.wire.datagram import HEADER_BYTES, MAX_PLAINTEXT_BYTES, TAG_BYTES
from relay.wire.errors import Refused
from relay.wire.loss import LossMeter

DATAGRAM_BYTES = IP_UDP_BYTES + HEADER_BYTES + TAG_BYTES
"""Of each datagram, beside its frames."""

SPREAD_S = (0.065, 0.160)
"""After an event: bad periods last about 80 ms, so a copy 65 ms later has a fair chance to find the way open,
and one 160 ms later a good one."""
CLOSE_S = (0.015, 0.040)
"""Where there is no room for that: with the heartbeats that follow an event, or what leaves before."""
REPEAT_S = 0.040
"""After the last of those, while the other end is not known to have the event and there is room: what a long
bad period swallowed comes soon after its end, without a gap to be seen and asked for first. Of 30,000 events
over bursts of 5 % at RTT 30, in the virtual laboratory, 70 are bad without, 65 with 80 ms, 58 with 40, 56
with 25."""
AGAIN_PER_RTT = 0.5
AGAIN_S_MIN, AGAIN_S_MAX = 0.012, 0.030
"""After what was asked for, once more: half an RTT, so that it still beats the answer to the next NACK."""
RIDE_S = 0.010
"""A copy leaves this much early with a datagram that leaves anyway: it saves a header. Shorter than all of
the above, or a copy would travel in the datagram that it should outlive."""

COPIES_MAX = 8192
ANSWERED_MAX = 256
"""Numbers answered of one range of a NACK; who misses more asks again."""
RTT_GUESS_S = 0.05
RTT_S_MAX = 2.0
NACK_BYTES_MAX = DATAGRAM_BYTES + 3 + 16 * frames.MAX_NACK_RANGES


class Outbox:
    """What one end of a hop sends the other. Times are seconds of one clock, which may be any."""

    def __init__(self, fetch: Callable[[Iterable[int], float], list[bytes]]) -> None:
        """fetch: returns the frames of numbers, at an instant, as far as they are kept and still of use."""
        self.copies = True
        """Whether anything is sent twice; not in a room without repair, and not over TLS."""
        self.ahead_s = 0.0
        """How long before its due an event must be at the other end."""
        self._rtt_s = RTT_GUESS_S
        self._fetch = fetch
        self._frames: list[bytes] = []
        self._plain_bytes = 0
        """Of those frames, events that are sent for the first time."""
        self._other_bytes = 0
        """Of those frames, all else."""
        self._again: set[int] = set()
        self._due: list[_Copy] = []
        """A heap."""
        self._known_upto = 0
        self._told_at_s: float | None = None
        """When the other end last said how far it has come; None if each number is acknowledged by itself."""
        self._loss = LossMeter()
        self._budget = ByteBudget()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def lossy(self) -> bool:
        """Whether events are being lost on this way, so that all of them travel with copies."""
        return self._loss.lossy

    @property
    def rtt_s(self) -> float:
        """The round trip of this hop."""
        return self._rtt_s

    @rtt_s.setter
    def rtt_s(self, rtt_s: float) -> None:
        self._rtt_s = min(max(rtt_s, 0.0), RTT_S_MAX)

    def put(self, number: int, frame: bytes, now_s: float, *, due_s: float, always: bool) -> None:
        """Send an event for the first time. always: with a copy, although nothing is being lost."""
        self._frames.append(frame)
        self._plain_bytes += len(frame)
        self._loss.sent(number)
        if self.copies and (always or self._loss.lossy):
            self._plan_copies(number, now_s, due_s)

    def say(self, frame: bytes) -> None:
        """Send anything that is no event."""
        self._frames.append(frame)
        self._other_bytes += len(frame)

    def answer(self, ranges: Iterable[tuple[int, int]], kept: range, now_s: float) -> None:
        """Send again what a NACK asks for, of the numbers that are `kept`.

        Raises Refused once that would take more than the budget.
        """
        self._budget.pass_time(now_s)
        for first, last in ranges:
            first = max(first, kept.start)
            for number in range(first, min(last + 1, first + ANSWERED_MAX, kept.stop)):
                self._loss.asked(number)
                if number in self._again:
                    continue
                for frame in self._fetch((number,), now_s):
                    self._add_again(number, frame, now_s)

    def known_to_have(self, upto: int, now_s: float) -> None:
        """Note that the other end has everything up to that number, or has given it up."""
        self._known_upto = max(self._known_upto, upto)
        self._told_at_s = now_s

    def pay(self, frame_bytes: int, now_s: float) -> bool:
        """Take a datagram that doesn't leave through here from the budget.

        Returns False if there was too little in it; then nothing is taken.
        """
        self._budget.pass_time(now_s)
        if not self._budget.affords(DATAGRAM_BYTES + frame_bytes):
            return False
        self._budget.sent(0, DATAGRAM_BYTES + frame_bytes)
        return True

    def asks_from_s(self) -> float:
        """Return the instant from which the budget has a NACK in it; long ago if it has one now."""
        return self._budget.affords_from_s(NACK_BYTES_MAX)

    def spares(self, frame_bytes: int, now_s: float) -> bool:
        """Tell whether a datagram with so many bytes of frames may be sent although nobody needs it."""
        self._budget.pass_time(now_s)
        return self._budget.spares(DATAGRAM_BYTES + frame_bytes)

    def leaves(self, now_s: float) -> bool:
        """Tell whether there is something to flush."""
        return bool(self._frames) or (bool(self._due) and self._due[0][0] <= now_s)

    def next_wakeup_s(self) -> float | None:
        """Return the instant of the next copy."""
        return self._due[0][0] if self._due else None

    def flush(self, now_s: float) -> list[bytes]:
        """Return what leaves now, as plaintexts of datagrams."""
        if not self.leaves(now_s):
            return []
        self._budget.pass_time(now_s)
        self._loss.pass_time(now_s)
        if self._due:
            self._take_copies(now_s)
        if not self._frames:
            return []
        plaintexts = frames.join(self._frames)
        plain = self._plain_bytes
        if plain:
            plain += DATAGRAM_BYTES * -(-plain // MAX_PLAINTEXT_BYTES)
        self._budget.sent(plain, sum(map(len, plaintexts)) + DATAGRAM_BYTES * len(plaintexts))
        self._frames.clear()
        self._again.clear()
        self._plain_bytes = self._other_bytes = 0
        return plaintexts

    def clear(self, keep: int = 0) -> None:
        """Forget what waits, but for the newest `keep` frames: nothing can leave now."""
        del self._frames[: len(self._frames) - keep]
        self._due.clear()
        self._again.clear()
        self._plain_bytes, self._other_bytes = sum(map(len, self._frames)), 0

    def _add_again(self, number: int, frame: bytes, now_s: float) -> None:
        if not self._budget.affords(self._cost(frame)):
            raise Refused("rate", "more was asked for than this way may carry")
        self._again.add(number)
        self.say(frame)
        if self.copies:
            after_s = min(AGAIN_S_MAX, max(AGAIN_S_MIN, AGAIN_PER_RTT * self._rtt_s))
            self._plan(_Copy(now_s + after_s, number))

    def _cost(self, frame: bytes) -> int:
        """The most that all but the events themselves will take, with this frame."""
        size = self._other_bytes + len(frame)
        # Of two datagrams that follow each other one is more than half full.
        return size + DATAGRAM_BYTES * (1 + 2 * size // MAX_PLAINTEXT_BYTES)

    def _plan_copies(self, number: int, now_s: float, due_s: float) -> None:
        until_s = due_s - self.ahead_s - self._rtt_s
        pairs = zip(SPREAD_S, CLOSE_S, strict=True)
        after_s = [spread_s if now_s + spread_s <= until_s else close_s for spread_s, close_s in pairs]
        if not self._loss.lossy:
            self._plan(_Copy(now_s + after_s[0], number))
            return
        *earlier_s, last_s = sorted(after_s)
        for one_s in earlier_s:
            self._plan(_Copy(now_s + one_s, number))
        self._plan(_Copy(now_s + last_s, number, now_s, due_s - self._rtt_s / 2))

    def _plan(self, copy: "_Copy") -> None:
        if len(self._due) < COPIES_MAX:
            heappush(self._due, copy)

    def _take_copies(self, now_s: float) -> None:
        until_s = now_s + (RIDE_S if self._frames else 0.0)
        while self._due and self._due[0][0] <= until_s:
            copy = heappop(self._due)
            number = copy.number
            if number <= self._known_upto:
                continue
            kept = self._fetch((number,), now_s)
            if kept and self._loss.lossy and copy.at_s + REPEAT_S <= copy.until_s:
                self._plan(copy._replace(at_s=copy.at_s + REPEAT_S, repeated=True))
            if number in self._again or (copy.repeated and not self._told_since(copy.first_s)):
                continue
            for frame in kept:
                if self._budget.spares(self._cost(frame)):
                    self._again.add(number)
                    self.say(frame)
                    until_s = now_s + RIDE_S

    def _told_since(self, first_s: float) -> bool:
        """Whether the other end would have said by now that it has what was sent at that instant."""
        return self._told_at_s is None or self._told_at_s >= first_s + self._rtt_s


class _Copy(NamedTuple):
    """A copy to come."""

    at_s: float
    number: int
    first_s: float = 0.0
    """When the event was sent for the first time."""
    until_s: float = 0.0
    """It is repeated until then."""
    repeated: bool = False
