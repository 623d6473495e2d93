"""A room: its seats (one for each slot), its judge, its ring of judged events, its heartbeat and its facets.

Pure. Instants are session timetags, durations ticks. A room judges events and sends them to its members. All
other work is done by its facets, which the room calls without knowing what they are.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from msgspec import Struct

from relay.due_work import HOUSE, ROOM, DueWork, Rounds
from relay.effects import Effect, SendControl
from relay.room.channel import Channel
from relay.room.describe import described
from relay.room.facet import Facet, FacetKind, hooks
from relay.room.heartbeat import Heartbeat
from relay.room.judge import Judge
from relay.room.seat import Seat
from relay.room.why import Why
from relay.wire import frames
from relay.wire.control import Member, Report, Roster, Settings
from relay.wire.recovery import SendRing
from relay.wire.sequence import Judged, Scheme, Stamped, Timing, raises_floor
from relay.wire.timetag import TICKS_PER_S, ticks

RING_EVENTS = 8192
RING_KEEP_S = 30.0
"""How long judged events are kept for repair, s. A bridge that was restarted asks again for the events that
are still to be played. time_warp puts an event at most this far ahead."""

RESERVED_FOR = ticks(300.0)
"""How long the slot of a disconnected member is kept for its ticket."""
AWAY_GRACE = ticks(5.0)
"""Time from the end of a member's connection until the member is silenced. A bridge that died is back within
2 s. A member that is gone must be silent everywhere within 10 s."""
SILENCE = ticks(7.0)
"""How long a connected member may send no sealed datagram. After that it is disconnected and silenced."""

FIRST_TIMING, FIRST_HORIZON = Timing(lead=ticks(0.200), shift=0), ticks(0.020)
"""Timing and horizon of a room until a facet sets others."""

F = TypeVar("F", bound=Facet)


class Room:
    """One room of a relay."""

    def __init__(
        self,
        name: str,
        epoch: bytes,
        kinds: Iterable[FacetKind] = (),
        *,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
        work: DueWork | None = None,
        rounds: Rounds | None = None,
    ) -> None:
        """epoch: random bytes, new each time the room is opened. kinds: the kinds of facets to make. work:
        records which parts of the room have something to do. rounds: the times at which facets are woken and
        seats checked."""
        self.name = name
        self.epoch = epoch
        self.repair = repair
        self.seats: dict[int, Seat] = {}
        self.judge = Judge(
            FIRST_TIMING,
            horizon=FIRST_HORIZON,
            scheme=scheme,
            on_verdict=self._judged,
            on_refused=self._refused,
        )
        self.ring = SendRing(RING_EVENTS, RING_KEEP_S)
        self.heartbeat = Heartbeat()
        self._work = DueWork() if work is None else work
        self._rounds = Rounds(0, 0, 0) if rounds is None else rounds
        self.facets: dict[FacetKind, Facet] = {}
        for kind in kinds:
            self.facets[kind] = kind.begin(self)
        self._hooks = hooks(self.facets.values())
        self._told = self.settings()
        self._work.stir(name, HOUSE)
        self._work.stir(name, ROOM)

    def facet(self, wanted: type[F]) -> F:
        """Return the facet of the type `wanted`, for an observer. Raises LookupError if there is none."""
        for facet in self.facets.values():
            if isinstance(facet, wanted):
                return facet
        raise LookupError(f"room {self.name} has no {wanted.__name__}")

    # -- work that is due ------------------------------------------------------------------------------

    def stir(self, slot: int) -> None:
        """Record that something happened to a member's channel, so that it is looked at next."""
        self._work.stir(self.name, slot)

    def stir_round(self) -> None:
        """Record that the facets' `next_wakeup` must be asked again."""
        self._work.stir(self.name, HOUSE)

    def wake(self, now: int) -> None:
        """Give up gaps that would delay other events too long, and send a heartbeat if one is due."""
        self.publish(self.judge.wake(now), now)
        if now >= self.heartbeat.due_at:
            self.heartbeat.beat(now, pending=self.pending(now))
            beat = frames.encode(frames.BeatDown(*self.judge.watermark(now), sent=now))
            for seat, channel in self.channels():
                self.stir(seat.slot)
                channel.outbox.say(beat)

    def next_wakeup(self) -> int:
        """Return the session instant at which `wake` must be called next."""
        gap_at = self.judge.next_wakeup()
        return self.heartbeat.due_at if gap_at is None else min(self.heartbeat.due_at, gap_at)

    def round_at(self) -> int:
        """Return the session instant of the room's next housekeeping, or an earlier one at which a facet must
        be woken."""
        wakeups = [facet.next_wakeup() for facet in self.facets.values()]
        return min([self._rounds.due_at, *(at for at in wakeups if at is not None)])

    def end_round(self, now: int) -> None:
        """Record that housekeeping is done now, and plan the room's next `wake` anew. It must be planned anew
        because facets may change lead and horizon, and so how long events may wait."""
        self._rounds.hold(now)
        self._work.stir(self.name, ROOM)

    @property
    def findings(self) -> int:
        """How often the facets have found something that the statistics must show at once."""
        return sum(facet.findings for facet in self.facets.values())

    def wake_facets(self, now: int) -> list[Effect]:
        """Wake the facets, and return their messages to members. The room's settings come first, if they have
        changed."""
        effects: list[Effect] = []
        for facet in self.facets.values():
            effects += facet.wake(now)
        return [*self.settings_news(), *effects]

    # -- who is in, and what they are told ---------------------------------------------------------------

    def channels(self) -> Iterator[tuple[Seat, Channel]]:
        """Yield the seats of connected members with their channels, in slot order."""
        for slot in sorted(self.seats):
            seat = self.seats[slot]
            if seat.channel is not None:
                yield seat, seat.channel

    def members(self) -> list[Member]:
        """Return the entries of the roster, in slot order."""
        return [self.seats[slot].member() for slot in sorted(self.seats)]

    def tell(self, seat: Seat | None, message: Struct) -> list[Effect]:
        """Return the effect that sends a message to a member; none if the member isn't connected."""
        channel = None if seat is None else seat.channel
        return [] if channel is None else [SendControl(channel.connection, message)]

    def tell_all(self, message: Struct, *, but: Seat | None = None) -> list[Effect]:
        """Return the effects that send a message to all connected members, in slot order. but: a seat to
        leave out."""
        return [
            SendControl(channel.connection, message) for seat, channel in self.channels() if seat is not but
        ]

    def roster(self) -> list[Effect]:
        """Return the effects that send everybody the roster."""
        return self.tell_all(Roster(members=self.members()))

    def settings(self) -> Settings:
        """Return the room's settings (lead, shift, horizon, repair, scheme) as a message to members."""
        timing = self.judge.timing
        return Settings(
            lead=timing.lead,
            shift=timing.shift,
            lead_was=timing.lead_was,
            shift_was=timing.shift_was,
            horizon=self.judge.horizon,
            repair=self.repair,
            scheme=self.judge.scheme,
        )

    def settings_news(self) -> list[Effect]:
        """Return the effects that send everybody the settings; none if they haven't changed since they were
        last sent."""
        settings = self.settings()
        if settings == self._told:
            return []
        self._told = settings
        return self.tell_all(settings)

    def name_of(self, slot: int) -> str:
        """Return the name of the member in `slot`; "slot N" if the slot is free."""
        seat = self.seats.get(slot)
        return seat.name if seat else f"slot {slot}"

    def describe(self, event: Judged) -> str:
        """Return a judged event in words, for people."""
        return f"{described(event)} of {self.name_of(event.slot)}"

    # -- seats -------------------------------------------------------------------------------------------

    def free_slot(self, wanted: int | None, members_max: int) -> int | None:
        """Return a free slot: the wanted slot if possible, else the lowest; None if the room is full."""
        if len(self.seats) >= members_max:
            return None
        if wanted is not None and wanted not in self.seats:
            return wanted
        return next((slot for slot in range(1, 32) if slot not in self.seats), None)

    def seat_of(self, ticket: bytes | None) -> Seat | None:
        """Return the seat that a ticket belongs to; None if it belongs to none."""
        return next((seat for seat in self.seats.values() if seat.ticket == ticket), None)

    def unique_name(self, name: str) -> str:
        """Return `name`, with a number appended if another seat has that name."""
        taken = {seat.name for seat in self.seats.values()}
        if name not in taken:
            return name
        return next(
            candidate for count in range(2, 100) if (candidate := f"{name[:28]}-{count}") not in taken
        )

    def take(self, seat: Seat) -> None:
        """Record that `seat` is the new owner of its slot."""
        self.judge.forget(seat.slot)
        seat.since = self.judge.number
        self.seats[seat.slot] = seat

    def silence(self, seat: Seat, now: int) -> None:
        """Free the nodes of an absent member at all members. Its live state is kept for its return."""
        seat.silenced = True
        self.publish([self.judge.reset(seat.slot, now, silenced=True)], now)

    def remove(self, seat: Seat, now: int) -> None:
        """Remove a member for good: free its nodes at all members, and its slot."""
        self.publish([self.judge.reset(seat.slot, now, silenced=True, left=True)], now)
        del self.seats[seat.slot]
        self.judge.forget(seat.slot)
        for facet in self.facets.values():
            facet.left(seat.slot)
        self.stir_round()

    def report(self, seat: Seat, report: Report, now: int) -> None:
        """Add a member's report on one second to its seat, and pass it to the facets."""
        seat.report(report, now)
        for facet in self.facets.values():
            facet.report(seat, report, now)

    # -- events ------------------------------------------------------------------------------------------

    def submit(self, seat: Seat, channel: Channel, event: Stamped, now: int) -> bool:
        """Judge one event of a seat, and publish all events that can be judged now. Return False if the
        member must be removed, because it floods the room.

        Beyond EVENTS_PER_S notes are refused. Groups, FX, frees and settings are still judged, since all
        later events depend on them. A member floods the room if it sends more than STRUCTURE_PER_S of them
        beyond EVENTS_PER_S.
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
            for note in self._hooks.came:
                note(seat, event, now)
            channel.event_came(event, now)
        self.publish(self.judge.judge(seat.slot, event, now, usual=usual), now)
        return True

    def give_up(self, seat: Seat, channel: Channel, seqs: list[int], now: int) -> None:
        """Give up events of a seat that never came, although its bridge was asked for them. seqs: their
        sequence numbers."""
        if seqs:
            for facet in self.facets.values():
                facet.never_came(seat.slot, len(seqs), now)
            self.publish(self.judge.give_up(seat.slot, seqs, now, counts=channel.was_in_the_room), now)

    def publish(self, events: list[Judged], now: int) -> None:
        """Put judged events into the ring and into every outbox, then pass them to the facets."""
        self._work.stir(self.name, ROOM)
        if not events:
            return
        channels = list(self.channels())
        for seat, _ in channels:
            self.stir(seat.slot)
        now_s = now / TICKS_PER_S
        for event in events:
            encoded = frames.encode(event)
            self.ring.append(event.number, encoded, now_s)
            due_s, always = event.due / TICKS_PER_S, raises_floor(event.kind)
            for _, channel in channels:
                channel.outbox.put(event.number, encoded, now_s, due_s=due_s, always=always)
        self.heartbeat.published(now)
        for note in self._hooks.published:
            note(events, now)

    def pending(self, now: int) -> bool:
        """Return whether some judged event is not due yet. While this is so, heartbeats are frequent."""
        return self.judge.last_due > now

    def _judged(self, stamped: Stamped, event: Judged) -> None:
        for note in self._hooks.judged:
            note(stamped, event)

    def _refused(self, slot: int, why: Why, events: int, now: int) -> None:
        for facet in self.facets.values():
            facet.unheard(slot, why, events, now)
