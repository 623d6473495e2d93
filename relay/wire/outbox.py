"""Outbox: decides which frames one end of a hop sends to the other, and when.

Pure. It sends events, answers to NACKs (retransmits), copies, and other frames. While events are being lost
in this direction, each event is sent three times: first, and as two copies. If the due leaves enough time,
the copies follow late enough to outlast a burst of losses; otherwise they follow soon. After that the event
is repeated until the other end is known to have it, or until it would come too late.

An untimed event always has at least one copy. A retransmit is sent twice. No copy is sent of an event that
the other end is known to have. Copies and retransmits stay within the byte budget. The frames of copies are
fetched by number when a copy leaves. Bound: at most COPIES_MAX copies wait.
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
"""Bytes of a datagram on the wire beside its frames: the headers of IP, UDP and the seal, and the tag."""

SPREAD_S = (0.065, 0.160)
"""How long after the event its two copies follow, s. Periods in which a path loses everything last about 80
ms. A copy after 65 ms has a fair chance to get through, a copy after 160 ms a good one."""
CLOSE_S = (0.015, 0.040)
"""How long after the event its two copies follow if the due is too soon for `SPREAD_S`, s. With these delays
the copies travel in datagrams that are sent anyway, such as those of heartbeats."""
REPEAT_S = 0.040
"""Interval at which an event is repeated after its last copy, s. Repeats end when the other end is known to
have the event, or when it could no longer arrive in time. So an event lost in a long bad period arrives soon
after that period, before the other end has asked for it. Measured in the virtual laboratory with 30,000
events, 5 % of the time in bursts of loss, RTT 30 ms. Failed events: 70 without repeats, 65 with an interval
of 80 ms, 58 with 40 ms, 56 with 25 ms."""
AGAIN_PER_RTT = 0.5
AGAIN_S_MIN, AGAIN_S_MAX = 0.012, 0.030
"""AGAIN_S_MIN and AGAIN_S_MAX are the least and greatest delay of the second copy of a retransmit, s. Between
them the delay is half an RTT, so that the copy arrives before the answer to the next NACK would."""
RIDE_S = 0.010
"""How much earlier than planned a copy leaves if a datagram leaves anyway, s. It saves a header. It is
shorter than all delays above, so that a copy never travels in the same datagram as its event."""

COPIES_MAX = 8192
ANSWERED_MAX = 256
"""Greatest number of events that are sent again for one range of a NACK. If a receiver misses more, it asks
again."""
RTT_GUESS_S = 0.05
RTT_S_MAX = 2.0
NACK_BYTES_MAX = DATAGRAM_BYTES + 3 + 16 * frames.MAX_NACK_RANGES


class Outbox:
    """The frames that one end of a hop has still to send. All instants are seconds of one clock."""

    def __init__(self, fetch: Callable[[Iterable[int], float], list[bytes]]) -> None:
        """fetch: given numbers of events and the present instant (s), returns the frames of those events. It
        leaves out events that aren't kept or aren't worth sending any more."""
        self.copies = True
        """Whether copies are sent at all. False in a room without repair, and over TLS."""
        self.ahead_s = 0.0
        """An event must reach the other end at least this long before its due, s."""
        self._rtt_s = RTT_GUESS_S
        self._fetch = fetch
        self._frames: list[bytes] = []
        self._plain_bytes = 0
        """Bytes of the waiting frames that are events sent for the first time."""
        self._other_bytes = 0
        """Bytes of all other waiting frames: retransmits, copies, heartbeats and so on."""
        self._again: set[int] = set()
        self._due: list[_Copy] = []
        """The planned copies, as a heap ordered by the instant at which each leaves."""
        self._known_upto = 0
        self._told_at_s: float | None = None
        """The instant (s) of the other end's last report on the number up to which it has all events. None
        if it sends no such reports, because each event's verdict acknowledges the event."""
        self._loss = LossMeter()
        self._budget = ByteBudget()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def lossy(self) -> bool:
        """Whether events are being lost in this direction. If so, each event is sent with copies."""
        return self._loss.lossy

    @property
    def rtt_s(self) -> float:
        """The round trip time of this hop, s."""
        return self._rtt_s

    @rtt_s.setter
    def rtt_s(self, rtt_s: float) -> None:
        self._rtt_s = min(max(rtt_s, 0.0), RTT_S_MAX)

    def put(self, number: int, frame: bytes, now_s: float, *, due_s: float, always: bool) -> None:
        """Send an event for the first time, with the next `flush`.

        number: its room number in a relay, its sequence number in a bridge. due_s: its due or an estimate, s.
        always: whether to plan a copy even if nothing is being lost.
        """
        self._frames.append(frame)
        self._plain_bytes += len(frame)
        self._loss.sent(number)
        if self.copies and (always or self._loss.lossy):
            self._plan_copies(number, now_s, due_s)

    def say(self, frame: bytes) -> None:
        """Send a frame with the next `flush`. Events that are sent for the first time use `put` instead."""
        self._frames.append(frame)
        self._other_bytes += len(frame)

    def answer(self, ranges: Iterable[tuple[int, int]], kept: range, now_s: float) -> None:
        """Send again the events that a NACK asks for.

        ranges: pairs (first, last) of numbers, both included. kept: numbers of the events that still exist;
        other numbers are ignored. Raises Refused at the first frame that the budget doesn't allow; the frames
        before it are still sent.
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
        """Record that the other end waits for no event up to the number `upto`: it has them or has given them
        up."""
        self._known_upto = max(self._known_upto, upto)
        self._told_at_s = now_s

    def pay(self, frame_bytes: int, now_s: float) -> bool:
        """Charge the budget for a datagram that the caller sends itself, without this outbox.

        frame_bytes: bytes of its frames. If the budget is too low, returns False and charges nothing.
        """
        self._budget.pass_time(now_s)
        if not self._budget.affords(DATAGRAM_BYTES + frame_bytes):
            return False
        self._budget.sent(0, DATAGRAM_BYTES + frame_bytes)
        return True

    def asks_from_s(self) -> float:
        """Return the instant (s) from which the budget allows a NACK; 0.0 if it allows one now."""
        return self._budget.affords_from_s(NACK_BYTES_MAX)

    def spares(self, frame_bytes: int, now_s: float) -> bool:
        """Return whether the budget allows a datagram that nobody asked for. frame_bytes: bytes of its
        frames."""
        self._budget.pass_time(now_s)
        return self._budget.spares(DATAGRAM_BYTES + frame_bytes)

    def leaves(self, now_s: float) -> bool:
        """Return whether a frame waits or a copy is due. If so, `flush` should be called."""
        return bool(self._frames) or (bool(self._due) and self._due[0][0] <= now_s)

    def next_wakeup_s(self) -> float | None:
        """Return the instant (s) at which the next copy leaves; None if no copy is planned."""
        return self._due[0][0] if self._due else None

    def flush(self, now_s: float) -> list[bytes]:
        """Return the plaintexts of the datagrams to send now, and remove their frames from the outbox."""
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
        """Drop all planned copies, and all waiting frames but the newest `keep`. Called if nothing can be
        sent over the hop now."""
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
        """Return the greatest number of bytes that this frame will take on the wire together with the waiting
        frames. Events sent for the first time aren't counted."""
        size = self._other_bytes + len(frame)
        # Of two consecutive datagrams one is more than half full.
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
        """Return whether the other end has reported its progress at least one RTT after an event was first
        sent.

        Such a report shows whether the event has arrived. first_s: instant (s) of that first sending. The
        result is True if the other end never reports progress.
        """
        return self._told_at_s is None or self._told_at_s >= first_s + self._rtt_s


class _Copy(NamedTuple):
    """A planned copy of an event. Instants in s.

    at_s: when it leaves. number: the event's number. repeated: whether it is a repeat after the event's two
    copies.
    """

    at_s: float
    number: int
    first_s: float = 0.0
    """The instant (s) at which the event was first sent; 0 if this copy isn't to be repeated."""
    until_s: float = 0.0
    """The instant (s) after which the event isn't repeated any more."""
    repeated: bool = False
