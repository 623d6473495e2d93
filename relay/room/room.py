"""A room: its seats (one a slot), its judge, its ring of judged events and its book of coherence.

Pure. A seat outlives its connection: a bridge that died finds its slot again by its ticket. All
instants are session timetags, durations ticks.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from relay.due_work import HOUSE, ROOM, DueWork, next_round
from relay.lead.keeper import LeadPolicy
from relay.lead.member_paths import WAY_GUESS, Ways
from relay.lead.recent import Recent
from relay.lead.room_tuning import Path, RoomTuning, Tuned
from relay.room.channel import Channel
from relay.room.coherence import CoherenceLedger
from relay.room.heartbeat import Heartbeat
from relay.room.judge import Judge
from relay.room.unheard import Unheard, Why
from relay.wire import frames
from relay.wire.control import Member, Report
from relay.wire.errors import RemoteError
from relay.wire.foundation import FoundationStore
from relay.wire.recovery import SendRing
from relay.wire.sequence import Flag, Judged, Kind, Scheme, Stamped, raises_floor
from relay.wire.timetag import TICKS_PER_S, ms, ticks

log = logging.getLogger(__name__)

RING_EVENTS = 8192
RING_KEEP_S = 30.0
"""A bridge that was killed asks for what it had in hand: at most what time_warp puts ahead."""

LOSSY_SHARE = 0.001
LOSSY_FRAMES = 2
"""A path that loses as much as this is repaired now and then."""

RESERVED_FOR = ticks(300.0)
"""A slot waits this long for its ticket."""
AWAY_GRACE = ticks(5.0)
"""After its connection broke: a bridge that died is back within 2 s, one that is gone must be
silent everywhere within 10 s."""
SILENCE = ticks(7.0)
"""Without any sealed datagram, although the connection stands."""

DESCRIBED_CHARACTERS = 60
MARGINS_KEPT = 4096


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
    ways: Ways = field(default_factory=Ways)
    left_at: int | None = None
    silenced: bool = False
    foundation: FoundationStore = field(default_factory=FoundationStore)
    last_report: Report | None = None
    margins_ms: Recent = field(default_factory=lambda: Recent(MARGINS_KEPT))
    margin_ms_worst: float | None = None
    refused: int = 0
    local_only: int = 0
    unfounded: int = 0
    unplayed: int = 0
    counts: dict[str, int] = field(default_factory=dict)
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
        policy: LeadPolicy,
        verdicts: list[tuple[str, Judged]] | None = None,
        *,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
        work: DueWork | None = None,
        turn: int = 0,
        begin: int = 0,
        now: int = 0,
    ) -> None:
        """work: where the room says what of it has something to do. turn, begin: when its house is kept, as
        `next_round` takes them."""
        self.name = name
        self._work = DueWork() if work is None else work
        self._turn, self._begin = turn, begin
        self.house_at = next_round(turn, begin, now)
        """When its house is to be kept."""
        self.repair = repair
        self._verdicts = verdicts
        self.epoch = epoch
        self.seats: dict[int, Seat] = {}
        self.tuning = RoomTuning(policy)
        self.judge = Judge(
            self.tuning.keeper.timing,
            horizon=self.tuning.horizon,
            scheme=scheme,
            on_verdict=self._judged,
            on_refused=self._refused,
        )
        self.unheard = Unheard()
        self.ring = SendRing(RING_EVENTS, RING_KEEP_S)
        self.ledger = CoherenceLedger(self.describe, self.name_of)
        self.heartbeat = Heartbeat()
        self._work.stir(name, HOUSE)
        self._work.stir(name, ROOM)

    def stir(self, slot: int) -> None:
        """Note that something happened to a member's channel."""
        self._work.stir(self.name, slot)

    def end_round(self, now: int) -> None:
        """Note that the house is kept now; lead and horizon may change by that, and with them what waits."""
        self.house_at = next_round(self._turn, self._begin, now)
        self._work.stir(self.name, ROOM)

    def wake(self, now: int) -> None:
        """Give up gaps that can't be waited for any longer, and beat, if it is time for that."""
        self.publish(self.judge.wake(now), now)
        if now >= self.heartbeat.due_at:
            self.heartbeat.beat(now, pending=self.pending(now))
            beat = frames.encode(frames.BeatDown(*self.judge.watermark(now), sent=now))
            for seat, channel in self.channels():
                self.stir(seat.slot)
                channel.outbox.say(beat)

    def next_wakeup(self) -> int:
        """Return the session instant of the next `wake`."""
        gap_at = self.judge.next_wakeup()
        return self.heartbeat.due_at if gap_at is None else min(self.heartbeat.due_at, gap_at)

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
                message = event.meaning.message
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

    def tune_horizon(self, now: int) -> bool:
        """Set H to what those need who are in now; return whether members must hear of it."""
        changed = self.tuning.set_horizon(self.paths(), now)
        self.judge.tune(self.tuning.keeper.timing, self.tuning.horizon)
        return changed

    def tune(self, now: int) -> Tuned:
        """Set lead, shift and H to what events need; return what changed."""
        was = self.judge.timing
        tuned = self.tuning.tune(self.paths(), self.judge.last_due, now)
        if tuned.changed:
            timing = self.tuning.keeper.timing
            self.judge.tune(timing, self.tuning.horizon)
            if (timing.lead, timing.shift) != (was.lead, was.shift):
                log.info(
                    "lead changed room=%s lead_ms=%.0f was_ms=%.0f shift_ms=%.0f was_ms=%.0f",
                    self.name, *(ms(one) for one in (timing.lead, was.lead, timing.shift, was.shift)),
                )  # fmt: skip
        return tuned

    def paths(self) -> list[Path]:
        """Return what is known of the paths of those who are in."""
        return [_path(seat, channel) for seat, channel in self.channels()]

    def publish(self, events: list[Judged], now: int) -> None:
        """Number the events into ring, book and foundations, and put them into every outbox."""
        self._work.stir(self.name, ROOM)
        channels = list(self.channels()) if events else []
        for seat, _ in channels:
            self.stir(seat.slot)
        now_s = now / TICKS_PER_S
        for event in events:
            encoded = frames.encode(event)
            self.ring.append(event.number, encoded, now_s)
            self.ledger.expect(event)
            self._found(event)
            due_s, always = event.due / TICKS_PER_S, raises_floor(event.kind)
            for _, channel in channels:
                channel.outbox.put(event.number, encoded, now_s, due_s=due_s, always=always)
        if events:
            self.heartbeat.published(now)
        if self._verdicts is not None:
            self._verdicts += [(self.name, event) for event in events]

    def submit(self, seat: Seat, channel: Channel, event: Stamped, now: int) -> bool:
        """Judge one event of a seat and publish what can be; return False where it floods the room.

        Over the limit only notes are refused: without a group, an FX or a free all that follows is another.
        """
        seat.sent += 1
        if not channel.events.take(now):
            if event.meaning.is_note:
                self.publish(self.judge.refuse(seat.slot, event.seq, now, Why.RATE), now)
                return True
            if not channel.structure.take(now):
                return False
        usual = channel.usual_way()
        if channel.tells_its_way(event, now):
            self.tuning.needs.came(seat.slot, event, now)
            channel.event_came(event, now)
        self.publish(self.judge.judge(seat.slot, event, now, usual=usual), now)
        return True

    def give_up(self, seat: Seat, channel: Channel, seqs: list[int], now: int) -> None:
        """Note that events of a seat never came, though they were asked for."""
        if seqs:
            self.tuning.needs.lost(seat.slot, len(seqs), now)
            self.publish(self.judge.give_up(seat.slot, seqs, now, counts=channel.was_in_the_room), now)

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
        self.tuning.forget(seat.slot)
        self.unheard.forget(seat.slot)

    def pending(self, now: int) -> bool:
        """Tell whether something is still due, so that the heartbeat must be quick."""
        return self.judge.last_due > now

    def _judged(self, event: Stamped, judged: Judged) -> None:
        self.tuning.verdict(event, judged)
        if Flag.MISSED in judged.flags:
            self.unheard.note(judged.slot, Why.MISSED)

    def _refused(self, slot: int, why: Why, events: int, now: int) -> None:
        """Note what of a slot nobody else hears."""
        self.unheard.note(slot, why, events)
        self.ledger.unheard(slot, why.value, events, now)

    def _found(self, event: Judged) -> None:
        seat = self.seats.get(event.slot)
        if seat is None:
            return
        if event.kind is Kind.RESET:
            if Flag.SILENCED not in event.flags:
                seat.foundation.clear()
            return
        try:
            if seat.foundation.concerns(event.kind, event.meaning, founds=Flag.FOUNDATION in event.flags):
                seat.foundation.apply(event.meaning, number=event.number, due=event.due)
        except RemoteError:
            seat.refused += 1


def _path(seat: Seat, channel: Channel) -> Path:
    report, ways = seat.last_report, seat.ways
    expected, lost = channel.up.counts.expected, channel.up.counts.lost
    if report is not None:
        expected, lost = expected + report.frames_expected, lost + report.frames_lost
    # Before the first report, which comes after two seconds, the way back is taken to be like the way up.
    up_p50, up_p90 = ways.up_p50.usual(WAY_GUESS), ways.up_p90.usual(WAY_GUESS)
    return Path(
        seat.slot,
        seat.name,
        seat.release_advance,
        up_p50=up_p50,
        up_p90=up_p90,
        down_p50=ways.down_p50.usual(up_p50),
        down_p99=ways.down_p99.usual(up_p90),
        lossy=lost >= max(LOSSY_FRAMES, LOSSY_SHARE * expected),
        uncertain=ways.uncertain.usual(0),
    )
