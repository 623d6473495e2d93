"""A room: its seats (one a slot), its judge, its ring of judged events and its book of coherence.

Pure. A seat outlives its connection: a bridge that died finds its slot again by its ticket. All
instants are session timetags, durations ticks.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from relay.channel import Channel
from relay.coherence import CoherenceLedger
from relay.foundation import FoundationStore
from relay.heartbeat import Heartbeat
from relay.judge import Judge
from relay.wire import frames
from relay.wire.control import Member, Report
from relay.wire.errors import RemoteError
from relay.wire.osc import single_message
from relay.wire.recovery import REPEAT_PER_RTT, SendRing
from relay.wire.sequence import Flag, Judged, Kind, Scheme, Stamped, Timing, raises_floor
from relay.wire.timetag import TICKS_PER_S, ticks

RING_EVENTS = 8192
RING_KEEP_S = 30.0
"""A bridge that was killed asks for what it had in hand: at most what time_warp puts ahead."""

H_MARGIN = ticks(0.020)
H_SLACK = ticks(0.010)
"""The lead must exceed H by something, or every event would be re-timed."""
REPAIR_S = 0.030
"""What a repair takes beside its round trips: the gap must be seen, and asked for."""
H_GRAIN = ticks(0.005)
"""Nobody needs to be told of less."""
DOWN_P99_GUESS = ticks(0.005)

RESERVED_FOR = ticks(300.0)
"""A slot waits this long for its ticket."""
AWAY_GRACE = ticks(5.0)
"""After its connection broke: a bridge that died is back within 2 s, one that is gone must be
silent everywhere within 10 s."""
SILENCE = ticks(7.0)
"""Without any sealed datagram, although the connection stands."""

DESCRIBED_CHARACTERS = 60


@dataclass(slots=True)
class Seat:
    """A member's place in a room."""

    slot: int
    name: str
    ticket: bytes
    outs: int
    ins: int
    release_advance: int
    channel: Channel | None = None
    left_at: int | None = None
    silenced: bool = False
    foundation: FoundationStore = field(default_factory=FoundationStore)
    last_report: Report | None = None
    margins_ms: deque[float] = field(default_factory=lambda: deque(maxlen=4096))
    margin_ms_worst: float | None = None
    refused: int = 0
    local_only: int = 0
    sent: int = 0

    @property
    def present(self) -> bool:
        """Tell whether a bridge is connected for this seat."""
        return self.channel is not None

    def member(self) -> Member:
        """Return the seat's line of the roster."""
        return Member(slot=self.slot, name=self.name, outs=self.outs, ins=self.ins, present=self.present)


class Room:
    """One room of a relay."""

    def __init__(
        self,
        name: str,
        epoch: bytes,
        timing: Timing,
        on_judged: Callable[[str, Judged], None] | None = None,
        *,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
    ) -> None:
        self.name = name
        self.repair = repair
        self._on_judged = on_judged
        self.epoch = epoch
        self.seats: dict[int, Seat] = {}
        self.judge = Judge(timing, horizon=H_MARGIN, scheme=scheme)
        self.ring = SendRing(RING_EVENTS, RING_KEEP_S)
        self.ledger = CoherenceLedger(self.describe, self.name_of)
        self.heartbeat = Heartbeat()

    def channels(self) -> Iterator[tuple[Seat, Channel]]:
        """Yield the seats that a bridge is connected for, in slot order."""
        for slot in sorted(self.seats):
            seat = self.seats[slot]
            if seat.channel is not None:
                yield seat, seat.channel

    def members(self) -> list[Member]:
        """Return the roster, in slot order."""
        return [self.seats[slot].member() for slot in sorted(self.seats)]

    def name_of(self, slot: int) -> str:
        """Return the name of whoever has `slot`."""
        seat = self.seats.get(slot)
        return seat.name if seat else f"slot {slot}"

    def describe(self, event: Judged) -> str:
        """Return a judged event in words, for people."""
        if event.kind is Kind.RESET:
            what = "slot reset"
        else:
            try:
                message = single_message(event.payload)
                what = " ".join([message.address, *(str(argument) for argument in message.args[:2])])
            except RemoteError:
                what = "an event that can't be read"
        # A member's own bytes, on their way to somebody else's terminal.
        clean = "".join(character if character.isprintable() else "?" for character in what)
        return f"#{event.number} {clean[:DESCRIBED_CHARACTERS]} of {self.name_of(event.slot)}"

    def free_slot(self, wanted: int | None, members_max: int) -> int | None:
        """Return a slot that nobody holds: the wanted one if it can be, else the lowest; None if full."""
        if len(self.seats) >= members_max:
            return None
        if wanted is not None and wanted not in self.seats:
            return wanted
        return next((slot for slot in range(1, 32) if slot not in self.seats), None)

    def unique_name(self, name: str, slot: int | None = None) -> str:
        """Return `name`, with a number behind it if another seat has it already."""
        taken = {seat.name for seat in self.seats.values() if seat.slot != slot}
        if name not in taken:
            return name
        return next(
            candidate for count in range(2, 100) if (candidate := f"{name[:28]}-{count}") not in taken
        )

    def tune_horizon(self) -> bool:
        """Set H from what the members need, and from half of what the lead leaves over: so much earlier may
        scsynth be handed what is due. The other half, and one repair, are for the way up. Return whether H
        changed by more than H_GRAIN."""
        needs = [
            seat.release_advance
            + (ticks(seat.last_report.down_p99_ms / 1e3) if seat.last_report else DOWN_P99_GUESS)
            for seat, _ in self.channels()
        ]
        wanted = max(needs, default=0) + H_MARGIN
        if needs:
            way_up_s = max(_repaired_way_up_s(seat, channel) for seat, channel in self.channels())
            left_over = self.judge.timing.lead - H_SLACK - ticks(way_up_s) - wanted
            wanted += max(0, left_over // 2)
        horizon = max(H_MARGIN, min(wanted, self.judge.timing.lead - H_SLACK))
        changed = abs(horizon - self.judge.horizon) > H_GRAIN
        if changed:
            self.judge.horizon = horizon
        return changed

    def publish(self, events: list[Judged], now: int) -> None:
        """Number the events into ring, book and foundations, and put them into every outbox."""
        now_s = now / TICKS_PER_S
        for event in events:
            encoded = frames.encode(event)
            self.ring.append(event.number, encoded, now_s)
            self.ledger.expect(event)
            self._found(event)
            if self._on_judged is not None:
                self._on_judged(self.name, event)
            due_s, always = event.due / TICKS_PER_S, raises_floor(event.kind)
            for _, channel in self.channels():
                channel.outbox.put(event.number, encoded, now_s, due_s=due_s, always=always)
        if events:
            self.heartbeat.published(now)

    def submit(self, seat: Seat, event: Stamped, now: int) -> None:
        """Judge one event of a seat and publish what can be."""
        self.publish(self.judge.judge(seat.slot, event, now), now)

    def silence(self, seat: Seat, now: int) -> None:
        """Free the sound of a member that is away; its foundation is kept for its return."""
        seat.silenced = True
        self.publish([self.judge.reset(seat.slot, now, silenced=True)], now)

    def remove(self, seat: Seat, now: int) -> None:
        """Free the slot of a member that left for good."""
        if not seat.silenced:
            self.publish([self.judge.reset(seat.slot, now, silenced=True)], now)
        del self.seats[seat.slot]
        self.judge.forget(seat.slot)
        self.ledger.forget(seat.slot)

    def pending(self, now: int) -> bool:
        """Tell whether something is still due, so that the heartbeat must be quick."""
        return self.judge.last_due > now

    def _found(self, event: Judged) -> None:
        seat = self.seats.get(event.slot)
        if seat is None:
            return
        if event.kind is Kind.RESET:
            if Flag.SILENCED not in event.flags:
                seat.foundation.clear()
            return
        freed = event.payload.startswith(b"/b_free\0")
        if event.kind is Kind.RESOURCE or Flag.FOUNDATION in event.flags or freed:
            try:
                seat.foundation.apply(event.payload)
            except RemoteError:
                seat.refused += 1


def _repaired_way_up_s(seat: Seat, channel: Channel) -> float:
    """What an event needs on the way up that is lost once."""
    way_s = max(channel.one_way_up_s, default=0.0)
    rtt_s = seat.last_report.rtt_ms / 1e3 if seat.last_report else 0.0
    return max(0.0, way_s) + max(0.0, rtt_s) * REPEAT_PER_RTT + REPAIR_S
