"""The relay's core: connections, sealed datagrams, rooms; fed with bytes and time, returns effects.

Pure: it reads no clock and no dice; `entropy(n)` gives n random bytes. `now` and `received` are session
timetags (the relay's clock is the session's). Events wait in outboxes until `flush`, so that all that
leaves for one member in one wake-up is joined; answers to clock exchanges leave at once. Only places with
something to do are looked at (`relay.due_work`).
"""

from collections.abc import Callable

from clock.exchange import is_client_request, server_answer
from relay.due_work import HOUSE, ROOM, DueWork, Place
from relay.effects import Effect, SendControl, SendDatagram, close_stream, refuse
from relay.hub.admission import Reception
from relay.hub.path_probes import Probing
from relay.lead.keeper import LeadPolicy
from relay.limits import (
    EVENTS_PER_S,
    NTP_ANSWERS_PER_S,
    NTP_BURST,
    STATS_BURST,
    STATS_PER_S,
    STRUCTURE_PER_S,
    AddressBuckets,
    HubLimits,
)
from relay.room.channel import Channel
from relay.room.room import AWAY_GRACE, RESERVED_FOR, SILENCE, Room, Seat
from relay.stats.desk import StatsDesk
from relay.stats.gather import add_counts
from relay.wire import control, frames
from relay.wire.datagram import peek_channel
from relay.wire.endpoint import Source, datagram_host
from relay.wire.errors import MalformedDatagram, Refused, RemoteError
from relay.wire.sequence import Judged, Scheme, Stamped
from relay.wire.stats import RoomStats, Stats
from relay.wire.timetag import TICKS_PER_S

FLOOD = (
    f"more than {EVENTS_PER_S + STRUCTURE_PER_S} groups, FX, frees and settings a second came from you, for "
    "longer than any Sonic Pi sends so many: the others hear nothing of you any more; stop what sends them, "
    "and join anew"
)


class RelayHub:
    """All rooms of one relay."""

    def __init__(
        self,
        *,
        policy: LeadPolicy,
        limits: HubLimits,
        entropy: Callable[[int], bytes],
        now: int,
        software: str,
        verdicts: list[tuple[str, Judged]] | None = None,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
    ) -> None:
        """verdicts: where room and event of every verdict are put, for whoever looks on and empties it. It is
        a list, and no call, since whoever looks on may fail. repair: what is missing is asked for.
        scheme: of every room."""
        self.rooms: dict[str, Room] = {}
        self.datagrams_in = 0
        self.datagrams_refused = 0
        self.ntp_offset_ms: float | None = None
        self.off: list[str] = []
        self.udp_counts: Callable[[], dict[str, int]] = dict
        """What the shell's socket has counted."""
        self._channels: dict[int, tuple[Room, Seat, Channel]] = {}
        self._work = DueWork()
        self._reception = Reception(
            rooms=self.rooms,
            channels=self._channels,
            policy=policy,
            limits=limits,
            entropy=entropy,
            work=self._work,
            begin=now,
            verdicts=verdicts,
            repair=repair,
            scheme=scheme,
        )
        self.probing = Probing(entropy=entropy, taken=self._channels)
        self._ntp_buckets = AddressBuckets(NTP_ANSWERS_PER_S, NTP_BURST)
        self._stats_buckets = AddressBuckets(STATS_PER_S, STATS_BURST)
        self._desk = StatsDesk(self.rooms)
        self._software = software
        self._started_at = now

    # -- control -----------------------------------------------------------------------------------

    def receive_control(self, connection: int, message: control.Up, now: int, *, host: str) -> list[Effect]:
        """Take in one control message of a connection. host: the address that it came from."""
        if isinstance(message, control.StatsRequest):
            if not (self._stats_buckets.take(host, now) and self._desk.ask(connection, message.room)):
                text = f"this relay gives you statistics {STATS_PER_S} times a second at most: try again soon"
                return [SendControl(connection, control.Refused(reason="rate", text=text))]
            return self._statistics(now)
        if self.probing.serves(connection):
            text = f"{type(message).__name__} from a prober: it has nothing more to say"
            return refuse(connection, control.Refused(reason="second-hello", text=text, final=True))
        if isinstance(message, control.Hello):
            return self._reception.hello(connection, message, now)
        found = self._reception.seat_of(connection)
        if found is None and isinstance(message, control.ProbeHello):
            return self.probing.hello(connection, message, now)
        if found is None:
            text = f"{type(message).__name__} before Hello: say Hello first"
            return refuse(connection, control.Refused(reason="no-hello", text=text, final=True))
        room, seat, channel = found
        room.stir(seat.slot)
        # To leave is free: a member that said too much must not be kept for it.
        if not isinstance(message, control.Leave) and not channel.controls.take(now):
            seat.refused += 1
            return []
        match message:
            case control.Report():
                return self._report(room, seat, message, now)
            case control.DigestDetail():
                room.ledger.detail(seat.slot, message)
                return []
            case control.Foundation():
                return self._reception.foundation(room, seat, message)
            case control.Leave():
                return self._reception.leave(room, seat, now)
            case control.ProbeHello():
                seat.refused += 1
                return []

    def serves(self, connection: int) -> bool:
        """Tell whether a connection is a member's or a prober's, and not of one who only asks."""
        return self._reception.seat_of(connection) is not None or self.probing.serves(connection)

    def control_closed(self, connection: int, now: int) -> list[Effect]:
        """Note that a connection ended; its seat stays reserved."""
        self.probing.closed(connection)
        return self._reception.closed(connection, now)

    def stats(self, room_name: str | None, now: int) -> Stats:
        """Return the statistics of one room, or of all of them as far as they fit one answer, as of now."""
        return self._stats(room_name, self._desk.gather_now(room_name), now)

    def _statistics(self, now: int) -> list[Effect]:
        """Go on gathering statistics for those who asked."""
        return [
            SendControl(answer.connection, self._stats(answer.room_name, answer.rooms, now))
            for answer in self._desk.turn(now)
        ]

    def _stats(self, room_name: str | None, rooms: list[RoomStats], now: int) -> Stats:
        asked = [room for name, room in self.rooms.items() if room_name in (None, name)]
        return Stats(
            software=self._software,
            uptime_s=(now - self._started_at) / TICKS_PER_S,
            members=sum(seat.present for room in asked for seat in room.seats.values()),
            rooms=rooms,
            datagrams_in=self.datagrams_in,
            datagrams_refused=self.datagrams_refused,
            ntp_offset_ms=self.ntp_offset_ms,
            off=self.off,
            udp=self.udp_counts(),
            probes=self.probing.stats(),
        )

    def _report(self, room: Room, seat: Seat, report: control.Report, now: int) -> list[Effect]:
        room.ledger.report(seat.slot, report, now)
        seat.last_report = report
        seat.ways.report(report, now)
        if seat.channel is not None:
            seat.channel.outbox.rtt_s = report.rtt_ms / 1e3
        seat.refused += report.refused
        seat.local_only += report.local_only
        seat.unfounded += report.unfounded
        seat.unplayed += report.unplayed
        add_counts(seat.counts, report.counts)
        seat.margins_ms.add(report.margins_ms)
        if report.margin_ms_min is not None and (
            seat.margin_ms_worst is None or report.margin_ms_min < seat.margin_ms_worst
        ):
            seat.margin_ms_worst = report.margin_ms_min
        room.tuning.needs.reported(seat.slot, report.ways_down, report.missing_numbers)
        return []

    # -- datagrams ---------------------------------------------------------------------------------

    def receive_datagram(self, payload: bytes, source: Source, *, received: int, now: int) -> list[Effect]:
        """Take in one datagram. Nothing that is not sealed by a member or a prober has any effect, except
        that a plain NTP request over UDP is answered.

        received: session instant at which the kernel had it; the effects must be done at once.
        """
        self.datagrams_in += 1
        host = datagram_host(source) if is_client_request(payload) else None
        if host is not None:
            if not self._ntp_buckets.take(host, now):
                self.datagrams_refused += 1
                return []
            return [SendDatagram(source, server_answer(payload, receive=received, transmit=now))]
        try:
            number = peek_channel(payload)
            if number not in self._channels:
                return self.probing.receive(number, payload, source, received=received, now=now)
            room, seat, channel = self._channels[number]
            plaintext = channel.opener.open(payload)
            if not channel.datagrams.take(now):
                raise Refused("rate", f"more than {channel.datagrams.rate:.0f} datagrams a second")
            parts = frames.decode(plaintext)
        except RemoteError:
            self.datagrams_refused += 1
            return []
        effects: list[Effect] = []
        if channel.address != source:
            effects += close_stream(channel.address)
        channel.address = source
        channel.heard_at = now
        room.stir(seat.slot)
        for frame in parts:
            if seat.channel is not channel:  # put out by what it said just now
                break
            try:
                effects += self._frame(room, seat, channel, frame, received=received, now=now)
            except RemoteError:
                seat.refused += 1
        return effects

    def _frame(
        self, room: Room, seat: Seat, channel: Channel, frame: frames.Frame, *, received: int, now: int
    ) -> list[Effect]:
        match frame:
            case Stamped():
                is_new = channel.up.saw(frame.seq, now / TICKS_PER_S)
                if is_new and not room.submit(seat, channel, frame, now):
                    return self._reception.put_out(room, seat, FLOOD, now)
            case frames.BeatUp():
                channel.beat_came(frame, now)
                seat.ways.beat(received - frame.sent, now)
                channel.outbox.known_to_have(frame.complete_number, now / TICKS_PER_S)
                channel.up.announce(frame.last_seq, now / TICKS_PER_S)
            case frames.Nack():
                newest = room.judge.number
                kept = range(newest - len(room.ring) + 1, newest + 1)
                channel.outbox.answer(frame.ranges, kept, now / TICKS_PER_S)
            case frames.Clock():
                if not is_client_request(frame.ntp):
                    raise MalformedDatagram("a clock frame that is no NTP request")
                answer = server_answer(frame.ntp, receive=received, transmit=now)
                encoded = frames.encode(frames.Clock(answer))
                if not channel.outbox.pay(len(encoded), now / TICKS_PER_S):
                    raise Refused("rate", "more questions of the clock than the way back may carry answers")
                assert channel.address is not None, "the question came from somewhere"
                return [SendDatagram(channel.address, channel.sealer.seal(encoded))]
            case _:
                raise MalformedDatagram(
                    f"{type(frame).__name__} on a member's channel: a bridge never says that"
                )
        return []

    # -- time --------------------------------------------------------------------------------------

    def wake(self, now: int) -> list[Effect]:
        """Do what time asks for: gaps, heartbeats, silent members, the book of coherence.

        The house of one room is kept at a time: what is due for another one waits for the next wake-up. So
        does whatever is still to be gathered for statistics.
        """
        effects = self.probing.wake(now)
        kept = False
        for place in self._work.take(now):
            room, channel = self._at(place)
            if room is None:
                continue
            if place[1] == ROOM:
                room.wake(now)
            elif channel is not None:
                room.give_up(room.seats[place[1]], channel, channel.ask_again(now), now)
            elif place[1] == HOUSE and now >= room.house_at and not kept:
                kept = True
                room.end_round(now)
                effects += self._keep_house(room, now)
        return effects + self._statistics(now)

    def next_wakeup(self) -> int:
        """Return the session instant of the next `wake`; 0 if that is at once."""
        for place in list(self._work.stirred):
            room, channel = self._at(place)
            at = None
            if room is not None and place[1] == ROOM:
                at = room.next_wakeup()
            elif room is not None and place[1] == HOUSE:
                at = room.house_at
            elif channel is not None:
                at = channel.next_wakeup()
            self._work.settle(place, at)
        probing_at = self.probing.next_wakeup()
        first = 0 if self._desk.busy else self._work.next_at()
        return first if probing_at is None else min(first, probing_at)

    def flush(self, now: int) -> list[Effect]:
        """Return what waits in the outboxes, joined into as few datagrams as it fits."""
        effects: list[Effect] = []
        for place in self._work.take(now):
            _, channel = self._at(place)
            if channel is not None:
                effects += channel.datagrams_out(now)
        return effects

    def _at(self, place: Place) -> tuple[Room | None, Channel | None]:
        """Return the room of a place, and the channel if it is one's; None of what is gone."""
        name, slot = place
        room = self.rooms.get(name)
        seat = room.seats.get(slot) if room is not None else None
        return room, seat.channel if seat is not None else None

    def _keep_house(self, room: Room, now: int) -> list[Effect]:
        effects: list[Effect] = []
        for seat in list(room.seats.values()):
            if seat.channel is not None:
                if now - seat.channel.heard_at > SILENCE:
                    effects += self._reception.drop(room, seat, now)
                    room.silence(seat, now)
                    effects += self._reception.roster(room)
            elif seat.left_at is not None:
                if not seat.silenced and now - seat.left_at > AWAY_GRACE:
                    room.silence(seat, now)
                if now - seat.left_at > RESERVED_FOR:
                    room.remove(seat, now)
                    effects += self._reception.roster(room)
        if not room.seats:
            del self.rooms[room.name]
            return effects
        effects += self._reception.tune(room, now)
        for slot, texts in room.unheard.news(now).items():
            channel = room.seats[slot].channel if slot in room.seats else None
            if channel is not None:
                effects += [SendControl(channel.connection, control.Notice(text=text)) for text in texts]
        present = [seat.slot for seat, _ in room.channels()]
        for second, slots in room.ledger.settle(present, now):
            for slot in slots:
                channel = room.seats[slot].channel if slot in room.seats else None
                if channel is not None:
                    effects.append(SendControl(channel.connection, control.DigestRequest(second=second)))
        return effects
