"""Conversation: the control messages between bridge and relay, from Hello to Leave.

Pure. A message that is illegal in the present state (`bridge/session/states.py`) raises MalformedControl, and
changes nothing.
"""

from bridge import notices
from bridge.effects import Abandon, Effect, SendControl, Tell
from bridge.playout.playout import Playout
from bridge.session.arrivals import Arrivals
from bridge.session.connection_status import Standing
from bridge.session.copies import Copies
from bridge.session.emission import Emission
from bridge.session.membership import Membership
from bridge.session.own_live import parts_of
from bridge.session.room_clock import RoomClock
from bridge.session.sealed_path import SealedPath
from bridge.session.silent_udp import QuietWatch
from bridge.session.states import CONNECTED, JOINED, Event
from clock.model import Reading
from relay.wire import control

News = (
    control.Roster
    | control.Settings
    | control.Notice
    | control.LivePart
    | control.DigestRequest
    | control.StockNews
)


class Conversation:
    """Exchanges control messages with the relay, on one connection after another."""

    def __init__(
        self, standing: Standing, quiet: QuietWatch, membership: Membership, path: SealedPath,
        clock: RoomClock, emission: Emission, arrivals: Arrivals, playout: Playout, *, local_ns: int,
    ) -> None:  # fmt: skip
        self._standing = standing
        self._quiet = quiet
        self._membership = membership
        self._path = path
        self._clock = clock
        self._emission = emission
        self._arrivals = arrivals
        self._playout = playout
        self._awake_local_ns = local_ns
        self._copies = Copies()

    def awake(self, reading: Reading) -> None:
        """Store the local instant of this wake-up. If the connection ends, it counts as ended at the last
        wake-up."""
        self._awake_local_ns = reading.local_ns

    # -- the connection ------------------------------------------------------------------------------

    def hello(self, reading: Reading) -> control.Hello:
        """Return the first message of a new connection."""
        self._standing.see(Event.HELLO)
        self.awake(reading)
        self._quiet.restart(reading.local_ns)
        return self._membership.hello(self._emission.first_wanted(self._clock.session_at(reading.local_ns)))

    def disconnected(self) -> list[Tell]:
        """Note that the connection ended. Return the messages to the player."""
        self._copies.clear()
        told = self._standing.ended(self._awake_local_ns)
        self._path.close()
        return told

    def leave(self) -> list[Effect]:
        """Note that the player leaves for good. Return the last message to the relay; nothing if there is no
        connection."""
        said: list[Effect] = [SendControl(control.Leave())] if self._standing.state in CONNECTED else []
        self._standing.see(Event.LEFT)
        self._path.close()
        return said

    def heard(self, reading: Reading) -> list[Tell]:
        """Note that a datagram came from the relay. If the player was told a reason for playing alone, return
        the message that the bridge is back in the room."""
        self._quiet.heard(reading.local_ns)
        return self._standing.inside(self._membership.where()) if self._standing.is_out else []

    def given_up(self, reading: Reading) -> list[Effect]:
        """Return the effects that end the connection, if nothing has come from the relay for too long; else
        none."""
        if self._standing.state in CONNECTED and self._quiet.gives_up(reading.local_ns):
            return [*self._standing.out(notices.NOTHING, reading.local_ns), Abandon()]
        return []

    def complaints(self, reading: Reading) -> list[Tell]:
        """Return the message to the player about a relay that sends no datagrams, if it is due."""
        return self._standing.out(self._quiet.news(reading.local_ns), reading.local_ns)

    def late_copies(self, reading: Reading) -> list[Effect]:
        """Return the effects of late live states. Their slots are played without them, and the relay is asked
        for them again."""
        effects: list[Effect] = []
        for slot, is_first in self._copies.late(reading.local_s):
            self._playout.begin_without(slot)
            effects.append(SendControl(control.LiveRequest(slot=slot)))
            if is_first:
                effects.append(notices.without_live_state(self._membership.name_of(slot)))
        return effects

    # -- what the relay says -------------------------------------------------------------------------

    def take_in(self, message: control.Down, reading: Reading) -> list[Effect]:
        """Process one control message of the relay. Return its effects. Raises MalformedControl."""
        self._quiet.said(reading.local_ns)
        match message:
            case control.Welcome():
                return self._welcome(message, reading)
            case control.Refused():
                told = self._standing.refused(message, reading.local_ns)
                if message.final:
                    self._path.close()
                return [*told]
            case (
                control.Roster()
                | control.Settings()
                | control.Notice()
                | control.LivePart()
                | control.DigestRequest()
                | control.Give()
                | control.Chunk()
                | control.NoDonor()
                | control.Chosen()
            ):
                self._standing.see(Event.NEWS)
                return self._news(message, reading) if self._standing.state in JOINED else []
            case _:
                self._standing.see(Event.UNASKED)
                return []

    def _welcome(self, welcome: control.Welcome, reading: Reading) -> list[Effect]:
        if not self._membership.is_ours(welcome):
            self._standing.see(Event.WELCOME_ELSEWHERE)
            return [SendControl(control.Leave()), self._membership.place_lost()]
        self._standing.see(Event.WELCOME)
        now = self._clock.session_at(reading.local_ns)
        self._path.open(welcome)
        self._follow(welcome)
        is_same = self._membership.enter(welcome)
        pieces = self._playout.own_pieces(reading, dated=is_same)
        number = self._arrivals.complete_number if is_same else 0
        parts = parts_of(welcome.slot, pieces, number=number, at=now if is_same else 0)
        said: list[Effect] = [SendControl(part) for part in parts]
        if not is_same:
            self._enter(welcome.number, reading)
        self._clock.restart(reading)
        self._emission.number_from(welcome.next_seq)
        self._clock.begin_if_in_time(reading)
        self._arrivals.count_from(now)
        self._quiet.restart(reading.local_ns)
        self._membership.follow(welcome.members)  # members already present are no news
        self._meet(reading, entered=True)
        awaited = self._playout.expect([member.slot for member in welcome.members])
        self._copies.expect(awaited, reading.local_s)
        if not self._standing.is_out:  # otherwise only a datagram shows that the trouble is over
            said += self._standing.inside(self._membership.where())
        return said

    def _enter(self, number: int, reading: Reading) -> None:
        """Enter a room, or another epoch of the relay. Earlier room numbers and instants are invalid from now
        on."""
        self._arrivals.enter(number, reading)
        self._clock.relock()

    def _news(self, message: News, reading: Reading) -> list[Effect]:
        match message:
            case control.Roster():
                told = self._membership.follow(message.members)
                self._meet(reading, entered=False)
                return [*told]
            case control.Settings():
                self._follow(message)
            case control.Notice():
                return [Tell(message.text, warning=True)]
            case control.LivePart():
                copy = self._copies.part(message, reading.local_s)
                if copy is not None:
                    self._arrivals.copy(copy, reading)
            case control.DigestRequest():
                return [SendControl(self._arrivals.detail(message.second))]
            case _:  # about files; the bridge passes it on to those whom it concerns
                pass
        return []

    def _follow(self, room: control.Welcome | control.Settings) -> None:
        self._emission.follow(room)
        self._arrivals.follow(room)

    def _meet(self, reading: Reading, *, entered: bool) -> None:
        gone = self._playout.follow_roster(self._membership.owners(), reading, entered=entered)
        self._copies.forget(gone)
        for origin in self._membership.others():
            self._playout.meet(origin)
