"""The relay's core by itself, without sockets: measures the CPU time of an event, and the longest turns.

A turn is one call of the hub. Time is virtual. Members send events at random instants, heartbeats, and once a
second a report with the delays of the events that they received. They also tell which of their notes have
ended.
"""

import gc
import random
import time
from array import array
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TypeVar

from msgspec import Struct

from relay.effects import SendControl
from relay.hub.hub import RelayHub
from relay.lead.keeper import LeadPolicy
from relay.limits import HubLimits
from relay.room.facets.standard import standard
from relay.transports.garbage import Garbage
from relay.wire import control, frames
from relay.wire.control.report import WAYS_MAX
from relay.wire.datagram import Sealer
from relay.wire.osc import encode
from relay.wire.quantile import quantile
from relay.wire.sequence import Judged, Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks
from relay.wire.version import PROTOCOL_VERSION

EPOCH = 3_990_000_000 << 32
AHEAD = ticks(0.5)
BEAT_EVERY = ticks(0.25)
BEAT_AFTER = ticks(0.015)
REPORT_AFTER_S, REPORT_SPREAD_S = 0.5, 0.25
NOTE = encode("/s_new", "sonic-pi-beep", 1001, 0, 4)
WARM_S = 5.0
"""Virtual time (s) of playing before the cost is measured. At first the relay takes a network for lossy, so
in a room of four at 20 events/s the first 300 events all travel three times."""
BOOKS_S = 600.0
"""Virtual time (s) of playing that fills a room's records of past events. Older events aren't kept."""
FILLING_PER_S = 1.0
"""Events per second of each member while the records are filled. With so many, every pair of members has
events in any ten seconds."""
NOTE_S = 1.0
"""How long (s) a note sounds."""
PLAYED_S, PLAYED_PER_S = 20.0, 20.0
TURNS_OF = ((1, 4), (1, 16), (1, 31), (16, 4), (64, 4))
"""(number of rooms, members of each) of each case in which turns are measured."""

T = TypeVar("T")


@dataclass(slots=True)
class _Member:
    room: str
    connection: int
    source: tuple[str, int]
    slot: int
    sealer: Sealer
    up_s: float
    seq: int = 0
    reported: int = 0
    sounding: deque[tuple[int, int]] = field(default_factory=deque)
    """Pairs (timetag, sequence number) of the notes that have not ended."""


class Core:
    """A relay's hub with `rooms` rooms of `members` members each, and the CPU time of each of its turns."""

    def __init__(self, rooms: int, members: int) -> None:
        self._dice = random.Random(1)
        self.now = EPOCH
        self.events = 0
        self.spent_ns: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        """Name of the call -> CPU time (ns) of each of its turns. The garbage collector doesn't scan
        arrays."""
        self._verdicts: list[tuple[str, Judged]] = []
        self._garbage = Garbage(0.0)
        self._hub = RelayHub(
            facets=standard(LeadPolicy(), self._verdicts),
            limits=HubLimits(rooms, members),
            entropy=self._dice.randbytes,
            now=self.now,
            software="bench",
        )
        self._numbers: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self._due: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._connections = 0
        self._members = [self._join(f"room {number // members}") for number in range(rooms * members)]

    def play(self, seconds: float, events_per_s: float) -> None:
        """Let all members play for `seconds` of virtual time. events_per_s: events per second of each
        member."""
        dice, end = self._dice, self.now + ticks(seconds)
        plan = [
            (self.now + round(dice.random() * BEAT_EVERY), at, "beat") for at in range(len(self._members))
        ]
        for at, member in enumerate(self._members):
            plan.append((self._next_report(member), at, "report"))
            plan.append((self.now + ticks(dice.expovariate(events_per_s)), at, "event"))
        heapify(plan)
        while (at := min(plan[0][0], self._hub.next_wakeup())) < end:
            self.now = max(self.now, at)
            if plan[0][0] > at:
                self._turn("wake", lambda: self._hub.wake(self.now))
                self._settle()
                self._garbage.tend(self.now / TICKS_PER_S, quiet=False)  # as the relay does
                continue
            _, number, what = heappop(plan)
            for until, again in self._act(self._members[number], what, events_per_s):
                heappush(plan, (until, number, again))
        self.now = end

    def come_and_go(self) -> None:
        """Let one member leave the room and a new one join it."""
        member = self._members.pop()
        self._say("leave", member, control.Leave())
        self._members.append(self._join(member.room))

    def ask(self) -> None:
        """Ask for the statistics of all rooms, and wait for them."""
        asked = control.StatsRequest()
        effects = self._turn(
            "statistics", lambda: self._hub.receive_control(0, asked, self.now, host="192.0.2.1")
        )
        while not effects:
            effects = self._turn("statistics", lambda: self._hub.wake(self.now))
        self._settle()

    def _join(self, room: str) -> _Member:
        self._connections += 1
        connection, host = self._connections, f"10.0.{self._connections // 250}.{self._connections % 250}"
        advance, up_s = ticks(self._dice.uniform(0.02, 0.07)), self._dice.uniform(0.005, 0.06)
        hello = control.Hello(
            protocol=PROTOCOL_VERSION, software="bench", room=room, name="m", next_seq=1,
            release_advance=advance,
        )  # fmt: skip
        effects = self._turn(
            "hello", lambda: self._hub.receive_control(connection, hello, self.now, host=host)
        )
        self._settle()
        (welcome,) = (
            effect.message
            for effect in effects
            if isinstance(effect, SendControl) and isinstance(effect.message, control.Welcome)
        )
        sealer = Sealer(welcome.key_up, welcome.channel)
        return _Member(room, connection, (host, 1), welcome.slot, sealer, up_s, reported=welcome.number)

    def _act(self, member: _Member, what: str, events_per_s: float) -> list[tuple[int, str]]:
        """Send a "report", an "event", a "beat" or a "beat after" of a member, now.

        A beat is a heartbeat; a "beat after" is the heartbeat that follows an event. Return what the member
        is to send later because of this, as (ticks of virtual time, one of these words). events_per_s: events
        per second of each member.
        """
        if what == "report":
            self._report(member)
            return [(self._next_report(member), "report")]
        emitted = self.now - ticks(self._late_s(member))
        if what == "event":
            member.seq += 1
            self.events += 1
            timetag = emitted + AHEAD - ticks(0.04 * self._dice.random())
            member.sounding.append((timetag, member.seq))
            frame: frames.Frame = Stamped(member.seq, emitted, timetag, Kind.TIMED, NOTE)
            following = [(self.now + ticks(self._dice.expovariate(events_per_s)), "event")]
            following.append((self.now + BEAT_AFTER, "beat after"))
        else:
            frame = frames.BeatUp(member.seq, 0, emitted)
            following = [(self.now + BEAT_EVERY, "beat")] if what == "beat" else []
        datagram = member.sealer.seal(frames.encode(frame))
        self._turn(
            "datagram",
            lambda: self._hub.receive_datagram(datagram, member.source, received=self.now, now=self.now),
        )
        self._settle()
        return following

    def _report(self, member: _Member) -> None:
        dice, numbers = self._dice, self._numbers[member.room]
        new = [number for number in numbers if number > member.reported][-WAYS_MAX:]
        member.reported = numbers[-1] if numbers else 0
        second = self.now // TICKS_PER_S - 1
        self._due.pop((member.room, second - 5), None)
        way_ms = 1e3 * member.up_s
        report = control.Report(
            second=second, whole=True, events=self._due[member.room, second], digest=bytes(16),
            ways_down=[(number, round(1e4 * self._late_s(member))) for number in new],
            margins_ms=[round(300 + 100 * dice.random(), 2) for _ in new[:256]], rtt_ms=2 * way_ms,
            down_p50_ms=way_ms, down_p99_ms=way_ms + 15, clock_bound_ms=way_ms + 3 * dice.random(),
        )  # fmt: skip
        self._say("report", member, report)
        ended = []
        while member.sounding and member.sounding[0][0] + ticks(NOTE_S) < self.now:
            ended.append(member.sounding.popleft()[1])
        self._say("ended", member, control.Ended(seqs=ended))

    def _say(self, what: str, member: _Member, message: Struct) -> None:
        self._turn(
            what,
            lambda: self._hub.receive_control(member.connection, message, self.now, host=member.source[0]),
        )
        self._settle()

    def _settle(self) -> None:
        self._turn("flush", lambda: self._hub.flush(self.now))
        self._turn("next wake-up", self._hub.next_wakeup)
        for room, event in self._verdicts:
            self._numbers[room].append(event.number)
            del self._numbers[room][: -2 * WAYS_MAX]
            self._due[room, event.due // TICKS_PER_S] += 1
        self._verdicts.clear()

    def _turn(self, what: str, call: Callable[[], T]) -> T:
        began_ns = time.process_time_ns()
        done = call()
        self.spent_ns[what].append(time.process_time_ns() - began_ns)
        return done

    def _late_s(self, member: _Member) -> float:
        """Return a random delay (s) of a datagram between the relay and this member."""
        return member.up_s + self._dice.expovariate(1 / 0.004)

    def _next_report(self, member: _Member) -> int:
        phase = ticks(REPORT_AFTER_S + REPORT_SPREAD_S * member.slot / 32)
        return self.now + TICKS_PER_S - (self.now - phase) % TICKS_PER_S


def cost_us(rooms: int, members: int, events_per_s: float, seconds: float) -> float:
    """Return the CPU time (us) per event. It includes the time for heartbeats, reports and all other turns.

    seconds: virtual time that is measured.
    """
    core = Core(rooms, members)
    core.play(WARM_S, events_per_s)
    core.events = 0
    core.spent_ns.clear()
    core.play(seconds, events_per_s)
    return sum(map(sum, core.spent_ns.values())) / 1e3 / core.events


def turns_ms(rooms: int, members: int) -> dict[str, tuple[float, float]]:
    """Return name of the call -> (99.9th percentile, longest) of the CPU times of its turns, in ms.

    The relay's records hold ten minutes of music meanwhile. The garbage collector's time is included.
    """
    gc.collect()
    gc.freeze()  # as the relay does once it has started
    core = Core(rooms, members)
    core.play(BOOKS_S, FILLING_PER_S)
    core.spent_ns.clear()
    core.play(PLAYED_S, PLAYED_PER_S)
    core.ask()
    core.come_and_go()
    gc.unfreeze()
    return {
        what: ((quantile(sorted(spent), 0.999) or 0) / 1e6, max(spent) / 1e6)
        for what, spent in core.spent_ns.items()
    }
