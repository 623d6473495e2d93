"""The relay's core: it takes control messages, datagrams and the time, and returns effects.

Pure: it reads no clock and rolls no dice; `entropy(n)` returns n random bytes. `now` and `received` are
session timetags, since session time is the relay's clock. Events wait in outboxes until `flush`, so that all
frames for one member leave in as few datagrams as possible. Answers to clock requests leave at once. The hub
looks only at rooms and members that have something to do (`relay.due_work`).
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from clock.exchange import is_client_request, server_answer
from relay.due_work import HOUSE, ROOM, DueWork, Place
from relay.effects import Effect, SendControl, SendDatagram, close_stream
from relay.hub.handlers import Bucket, Call, Caller, Handler, Handlers, too_often
from relay.hub.member_frames import FLOOD, Flood, take_in
from relay.hub.path_probes import Probing
from relay.hub.reception import Reception
from relay.hub.rooms import Rooms, Seated
from relay.limits import NTP_ANSWERS_PER_S, NTP_BURST, AddressBuckets, HubLimits
from relay.room.channel import Channel
from relay.room.facet import FacetKind
from relay.room.room import Room
from relay.stats.desk import StatsDesk
from relay.stats.figures import RelayFigures
from relay.wire import control, frames
from relay.wire.datagram import peek_channel
from relay.wire.endpoint import Source, datagram_host
from relay.wire.errors import Refused, RemoteError
from relay.wire.sequence import Scheme
from relay.wire.stats import RoomStats, Stats

FAMILIES = tuple(
    one.FAMILY for one in (control.join, control.room, control.report, control.stats, control.probe)
)
"""The hub's own families of control messages. The facets of its rooms add theirs."""

NO_STATISTICS = control.Refused(
    reason="fault", text="this relay can't gather its statistics: its log says why; the music goes on"
)


class RelayHub:
    """The core of one relay: its rooms, its connections, and the paths that it measures."""

    def __init__(
        self,
        *,
        facets: Iterable[FacetKind],
        limits: HubLimits,
        entropy: Callable[[int], bytes],
        now: int,
        software: str,
        repair: bool = True,
        scheme: Scheme = Scheme.JUDGED,
    ) -> None:
        """Make a hub without rooms.

        facets: the kinds of facets that every room gets. entropy(n): returns n random bytes. now: session
        ticks. software: name and version of the relay, for the statistics. repair: whether the relay asks for
        missing events and sends copies. scheme: the coherence scheme of every room.
        """
        kinds = tuple(facets)
        self.codec = control.Codec([*FAMILIES, *(kind.family for kind in kinds)])
        """Decodes the control messages that bridges send."""
        self.figures = RelayFigures(software, started_at=now)
        self._work = DueWork()
        self._rooms = Rooms(kinds, entropy=entropy, work=self._work, begin=now, repair=repair, scheme=scheme)
        self.rooms = self._rooms.open
        self.probing = Probing(entropy=entropy, taken=self._rooms.by_channel)
        self._reception = Reception(self._rooms, limits, entropy)
        self._desk = StatsDesk(self.rooms)
        self._handlers = Handlers(self._rows(), kinds, self._rooms, self.probing)
        self._ntp_buckets = AddressBuckets(NTP_ANSWERS_PER_S, NTP_BURST)

    # -- control -----------------------------------------------------------------------------------

    def receive_control(self, connection: int, message: Struct, now: int, *, host: str) -> list[Effect]:
        """Process one control message of a connection, and return the effects. host: the address that the
        message came from.

        The effects send control messages to this and other connections. If the message is refused, they may
        close this connection. A bad message never raises.
        """
        return self._handlers.receive(connection, message, now, host=host)

    def serves(self, connection: int) -> bool:
        """Return whether a connection belongs to a member or a prober. A connection that has only asked for
        statistics belongs to neither."""
        return connection in self._rooms.by_connection or self.probing.serves(connection)

    def control_closed(self, connection: int, now: int) -> list[Effect]:
        """Handle the end of a connection, and return the effects. If it was a member's, the member's seat
        stays reserved."""
        self.probing.closed(connection)
        self._desk.forget(connection)
        return self._reception.closed(connection, now)

    def stats(self, room_name: str | None, now: int) -> Stats:
        """Return the present statistics of one room; of all rooms if `room_name` is None. Rooms that don't
        fit into one answer are left out."""
        return self._stats(room_name, self._desk.gather_now(room_name), now)

    def _rows(self) -> dict[type[Struct], Handler]:
        """Return the hub's own handlers by type of control message."""
        anybody, member, stranger = Caller.ANYBODY, Caller.MEMBER, Caller.STRANGER
        return {
            control.StatsRequest: Handler(anybody, Bucket.STATISTICS, self._asked),
            control.Hello: Handler(stranger | member, Bucket.NONE, self._hello),
            control.Leave: Handler(member, Bucket.NONE, self._leave),
            control.Report: Handler(member, Bucket.MEMBER, _report),
            control.ProbeHello: Handler(stranger, Bucket.MEMBER, self._probe),
        }

    def _hello(self, call: Call) -> list[Effect]:
        return self._reception.hello(call.connection, call.message, call.now)

    def _leave(self, call: Call) -> list[Effect]:
        room, seat, _ = call.member
        return self._reception.leave(room, seat, call.now)

    def _probe(self, call: Call) -> list[Effect]:
        return self.probing.hello(call.connection, call.message, call.now)

    def _asked(self, call: Call) -> list[Effect]:
        if not self._desk.ask(call.connection, call.message.room):
            return too_often(call)
        return self._statistics(call.now)

    def _statistics(self, now: int) -> list[Effect]:
        """Gather the statistics of some more members, and return the answers that are complete."""
        return [
            SendControl(
                answer.connection,
                NO_STATISTICS if answer.rooms is None else self._stats(answer.room_name, answer.rooms, now),
            )
            for answer in self._desk.turn(now)
        ]

    def _stats(self, room_name: str | None, rooms: list[RoomStats], now: int) -> Stats:
        asked = [room for name, room in self.rooms.items() if room_name in (None, name)]
        return self.figures.stats(asked, rooms, self.probing.stats(), now)

    # -- datagrams ---------------------------------------------------------------------------------

    def receive_datagram(self, payload: bytes, source: Source, *, received: int, now: int) -> list[Effect]:
        """Process one datagram. Return the answers, which must leave at once; events leave later, by `flush`.

        received: session instant at which the datagram arrived in the kernel. A datagram is processed if a
        member or a prober sealed it. A plain NTP request over UDP is answered too. All other datagrams are
        only counted.
        """
        self.figures.datagrams_in += 1
        host = datagram_host(source) if is_client_request(payload) else None
        if host is not None:
            if not self._ntp_buckets.take(host, now):
                self.figures.datagrams_refused += 1
                return []
            return [SendDatagram(source, server_answer(payload, receive=received, transmit=now))]
        try:
            number = peek_channel(payload)
            member = self._rooms.by_channel.get(number)
            if member is None:
                return self.probing.receive(number, payload, source, received=received, now=now)
            channel = member.channel
            plaintext = channel.opener.open(payload)
            if not channel.datagrams.take(now):
                raise Refused("rate", f"more than {channel.datagrams.rate:.0f} datagrams a second")
            parts = frames.decode(plaintext)
        except RemoteError:
            self.figures.datagrams_refused += 1
            return []
        effects: list[Effect] = []
        if channel.address != source:
            effects += close_stream(channel.address)
            channel.address = source
        channel.heard_at = now
        member.room.stir(member.seat.slot)
        return effects + self._take_in(member, parts, received=received, now=now)

    def _take_in(self, member: Seated, parts: list[frames.Frame], *, received: int, now: int) -> list[Effect]:
        effects: list[Effect] = []
        for frame in parts:
            try:
                effects += take_in(frame, member, received=received, now=now)
            except RemoteError:
                member.seat.refused += 1
            except Flood:
                return effects + self._reception.put_out(member.room, member.seat, FLOOD, now)
        return effects

    # -- time --------------------------------------------------------------------------------------

    def wake(self, now: int) -> list[Effect]:
        """Do the work that is due: gaps, heartbeats, repair, housekeeping of the rooms, statistics.

        Each call does the housekeeping of one room at most, and gathers the statistics of a few members. The
        rest is left to the next call.
        """
        effects = self.probing.wake(now)
        held = False
        for place in self._work.take(now):
            room, channel = self._at(place)
            if room is None:
                continue
            if place[1] == ROOM:
                room.wake(now)
            elif channel is not None:
                room.give_up(room.seats[place[1]], channel, channel.ask_again(now), now)
            elif place[1] == HOUSE and not held and now >= room.round_at():
                held = True
                room.end_round(now)
                effects += self._reception.keep_house(room, now)
                effects += room.wake_facets(now) if room.seats else []
        return effects + self._statistics(now)

    def plays(self, now: int) -> bool:
        """Return whether somebody plays: an event of some room is still to be played. now: session ticks."""
        return any(room.pending(now) for room in self.rooms.values())

    def next_wakeup(self) -> int:
        """Return the session instant at which `wake` must be called next; 0 if at once."""
        for place in list(self._work.stirred):
            room, channel = self._at(place)
            at = None
            if room is not None and place[1] == ROOM:
                at = room.next_wakeup()
            elif room is not None and place[1] == HOUSE:
                at = room.round_at()
            elif channel is not None:
                at = channel.next_wakeup()
            self._work.settle(place, at)
        probing_at = self.probing.next_wakeup()
        first = 0 if self._desk.busy else self._work.next_at()
        return first if probing_at is None else min(first, probing_at)

    def flush(self, now: int) -> list[Effect]:
        """Return the effects that send all frames in the outboxes, in as few datagrams as possible."""
        effects: list[Effect] = []
        for place in self._work.take(now):
            _, channel = self._at(place)
            if channel is not None:
                effects += channel.datagrams_out(now)
        return effects

    def _at(self, place: Place) -> tuple[Room | None, Channel | None]:
        """Return (room, channel) of a place. room: None if the room has been closed. channel: None if the
        place isn't a member's slot, or if the member is disconnected."""
        name, slot = place
        room = self.rooms.get(name)
        seat = room.seats.get(slot) if room is not None else None
        return room, seat.channel if seat is not None else None


def _report(call: Call) -> list[Effect]:
    room, seat, _ = call.member
    room.report(seat, call.message, call.now)
    return []
