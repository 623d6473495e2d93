"""A member of made rooms: seals what a bridge would send, and repairs losses as a bridge does.

The first member of each room, its judge, opens and checks all that comes, asks for missing events, and tells
the relay how far it has come. From the others' datagrams only lone NACKs are opened: they are known by their
size, and the relay repeats them until they are answered.
"""

from collections.abc import Iterable

from relay.transports import tls
from relay.wire import control, frames
from relay.wire.datagram import HEADER_BYTES, TAG_BYTES, Opener, Sealer
from relay.wire.osc import encode
from relay.wire.recovery import GapTracker, SendRing
from relay.wire.sequence import Judged, Kind, Stamped
from relay.wire.timetag import ticks

AHEAD = ticks(0.5)
PAYLOAD = encode("/s_new", "sonic-pi-beep", 1001, 0, 4, *(("note", 60.0) * 8))
KEEP_S = 8.0
"""Time (s) for which events are kept to be sent again, and for which missing ones are asked for."""
KEPT = 4096
RTT_S = 0.005
"""Round trip time (s) that is assumed when requests for missing events are scheduled. The loopback has less,
but the bench reads its sockets only every millisecond, or later."""
NTP_REQUEST = b"\x23" + bytes(39)
"""Start of an NTP request (version 4, client); the instant of sending follows."""
NACK_SIZES = frozenset(
    HEADER_BYTES + TAG_BYTES + 3 + 16 * ranges for ranges in range(1, frames.MAX_NACK_RANGES + 1)
)
"""Sizes (bytes) of datagrams with one NACK and nothing else."""


class Member:
    """One member. Parameters named `now` are in ticks of session time; those named `now_s` are seconds of one
    clock."""

    __slots__ = ("_opener", "_ring", "_sealer", "gaps", "room", "seq", "stream", "welcome")

    def __init__(self, room: int, welcome: control.Welcome, stream: tls.ControlStream) -> None:
        self.room = room
        self.welcome = welcome
        self.stream = stream
        self.seq = 0
        self.gaps = GapTracker(welcome.number + 1, keep_s=KEEP_S)
        """The room's events that this member misses. Only a judge's is kept up to date."""
        self._ring = SendRing(KEPT, KEEP_S)
        self._sealer = Sealer(welcome.key_up, welcome.channel)
        self._opener = Opener(welcome.key_down, welcome.channel)

    def event(self, now: int, now_s: float) -> bytes:
        """Return the datagram of a new event."""
        self.seq += 1
        frame = frames.encode(Stamped(self.seq, now, now + AHEAD, Kind.TIMED, PAYLOAD))
        self._ring.append(self.seq, frame, now_s)
        return self._sealer.seal(frame)

    def beat(self, complete_number: int, now: int, *, asks_clock: bool) -> bytes:
        """Return the datagram of a heartbeat. complete_number: the room number up to which it has all events.
        asks_clock: a clock request travels with it."""
        parts = frames.encode(frames.BeatUp(self.seq, complete_number, now))
        if asks_clock:
            parts += frames.encode(frames.Clock(NTP_REQUEST + now.to_bytes(8)))
        return self._sealer.seal(parts)

    def asks(self, now_s: float) -> list[bytes]:
        """Return the datagram that asks for missing events, if it is time for one."""
        if self.gaps.next_wakeup_s(RTT_S) is None:
            return []
        ranges = self.gaps.due_requests(now_s, RTT_S)[: frames.MAX_NACK_RANGES]
        return [self._sealer.seal(frames.encode(frames.Nack(tuple(ranges))))] if ranges else []

    def open(self, datagram: bytes, now_s: float) -> tuple[list[Judged], list[bytes]]:
        """Open a datagram. Return the events in it that are new, and the datagrams that answer its NACKs."""
        events, answers = [], []
        for frame in frames.decode(self._opener.open(datagram)):
            match frame:
                case Judged():
                    if self.gaps.saw(frame.number, now_s):
                        events.append(frame)
                case frames.BeatDown():
                    self.gaps.announce(frame.number, now_s)
                case frames.Nack():
                    answers += self._again(frame.ranges, now_s)
        return events, answers

    def _again(self, ranges: Iterable[tuple[int, int]], now_s: float) -> list[bytes]:
        wanted = (number for first, last in ranges for number in range(first, min(last, self.seq) + 1))
        return [self._sealer.seal(frame) for frame in self._ring.get(wanted, now_s)]
