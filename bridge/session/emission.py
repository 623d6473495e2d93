"""Emission: passes the player's messages from the tap to the room, and to this host's own playout.

Pure. Each message is stamped in session time and held back here until its due. It is sent while the bridge is
in time. When the bridge comes in time again, events without a verdict are sent again. They keep their seqs
(sender's numbers).
"""

from collections.abc import Callable

from bridge.clocks.timebase import Timebase
from bridge.effects import Tell
from bridge.playout.playout import Playout
from bridge.playout.second_reports import SecondsLedger
from bridge.restart_state import Memory
from bridge.session.connection_status import Standing
from bridge.session.states import State
from bridge.session.uplink import Uplink
from clock.model import Reading
from relay.wire import control
from relay.wire.meaning import Meaning
from relay.wire.sequence import Kind, Stamped, Timing
from relay.wire.timetag import seconds


class Emission:
    """Stamps the local player's events, holds them back here, and sends them until the relay has judged
    them."""

    def __init__(
        self, uplink: Uplink, playout: Playout, timebase: Timebase, ledger: SecondsLedger, memory: Memory,
        standing: Standing, timing: Timing, *, copies: bool,
    ) -> None:  # fmt: skip
        """timing: lead and shift until a room sets others. copies: whether events may be sent twice without a
        request."""
        self.timing = timing
        self.uplink = uplink
        self._playout = playout
        self._timebase = timebase
        self._ledger = ledger
        self._memory = memory
        self._standing = standing
        self._copies = copies
        self._news: list[Tell] = []

    # -- the player ----------------------------------------------------------------------------------

    def emit(
        self,
        kind: Kind,
        meaning: Meaning,
        *,
        wall_timetag: int | None,
        emitted_local_ns: int,
        reading: Reading,
        body: bytes | None = None,
        home: bytes | None = None,
    ) -> None:
        """Stamp a message of the local player, hold it back here until its due, and send it to the relay.

        wall_timetag: the timetag of its bundle, by the wall clock; None for a bare message. body, home: as in
        `Held`.
        """
        emitted, timetag = self._timebase.stamps(emitted_local_ns, wall_timetag, reading)
        event = self.uplink.stamp(kind, meaning, emitted=emitted, timetag=timetag)
        self._memory.next_seq = self.uplink.next_seq
        due = self.uplink.due_as_stamped(event, self.timing)
        self._playout.hold_own(event, due, body=body, home=home)
        if self._standing.state is State.IN_TIME:
            now = self._timebase.session_at(reading.local_ns)
            self.uplink.send(event, self.timing, now=now, now_s=reading.local_s)

    def emit_home(
        self,
        home: bytes,
        meaning: Meaning,
        *,
        wall_timetag: int | None,
        emitted_local_ns: int,
        reading: Reading,
    ) -> None:
        """Hold back a message that only this host plays, in order with the local player's events.

        home: the message in scsynth's numbers. meaning: the message's meaning, as Sonic Pi sent it. The other
        arguments are those of `emit`.
        """
        emitted, timetag = self._timebase.stamps(emitted_local_ns, wall_timetag, reading)
        kind = Kind.UNTIMED if timetag is None else Kind.TIMED
        seq = self.uplink.next_seq - 1
        event = Stamped(seq, emitted, timetag, kind, meaning.payload, meaning=meaning)
        due = self.uplink.due_at_home(event, self.timing)
        self._playout.hold_home(home, meaning, kind, due, after=seq)

    def note_refused(self, tell: Tell | None = None) -> None:
        """Count a message of the local player that is refused: no scsynth gets it, not even the own one.

        tell: the message to the player; None if there is none.
        """
        self._ledger.refused += 1
        self._news += [] if tell is None else [tell]

    def note_unplayed(self) -> None:
        """Count a note of the local player that nobody plays, because its time was over when the tap read
        it."""
        self._ledger.unplayed += 1

    def note_local_only(self, tell: Tell | None) -> None:
        """Count a sound that only the local player hears. tell: the message to the player; None if there is
        none."""
        self._ledger.local_only += 1
        self._news += [] if tell is None else [tell]

    def news(self) -> list[Tell]:
        """Remove and return the new messages to the player."""
        news, self._news = self._news, []
        return news

    # -- the room ------------------------------------------------------------------------------------

    def first_wanted(self, session_now: int) -> int:
        """Return the lowest seq (sender's number) of the local player's events that may still be sent, for
        Hello.

        session_now: ticks.
        """
        pending = self.uplink.pending(self._is_ahead(session_now), now=session_now)
        return pending[0].seq if pending else self.uplink.next_seq

    def number_from(self, next_seq: int) -> None:
        """Continue with the seq (sender's number) that the relay expects next, if it is higher than the own
        next one."""
        self.uplink.next_seq = max(self.uplink.next_seq, next_seq)
        self._memory.next_seq = self.uplink.next_seq

    def follow(self, room: control.Welcome | control.Settings) -> None:
        """Follow the room's settings: lead, shift, scheme and repair."""
        self.timing = Timing(room.lead, room.shift, room.lead_was, room.shift_was)
        self.uplink.follow(room.scheme)
        self.uplink.repair(copies=self._copies and room.repair, ahead_s=seconds(room.horizon))

    def begin(self, reading: Reading) -> None:
        """Send the events that have waited, because the bridge is in time now."""
        now = self._timebase.session_at(reading.local_ns)
        self.uplink.send_pending(self._is_ahead(now), self.timing, now=now, now_s=reading.local_s)

    def send_again(self, ranges: tuple[tuple[int, int], ...], reading: Reading) -> None:
        """Send the local player's events that the relay asks for. ranges: (first, last) of their seqs
        (sender's numbers).

        Raises Refused if the relay asks for too much.
        """
        self.uplink.send_again(ranges, reading.local_s)

    def convert(self, instant_of: Callable[[int], int]) -> None:
        """Convert the instants of the local player's unjudged events, because session time was set in one
        step.

        instant_of: maps an old session instant to the new one.
        """
        self.uplink.convert(instant_of)

    @property
    def lead_s(self) -> float:
        """The lead (s) by which the dues of the local player's events are computed."""
        return seconds(self.timing.lead)

    @property
    def beat_at_s(self) -> float:
        """The local instant (s) of the next heartbeat."""
        return self.uplink.beat_at_s

    def beat(self, complete_number: int, reading: Reading) -> None:
        """Send a heartbeat if one is due.

        complete_number: the room number up to which every event has arrived or was given up.
        """
        now = self._timebase.session_at(reading.local_ns)
        self.uplink.beat(complete_number, now=now, now_s=reading.local_s)

    def _is_ahead(self, session_now: int) -> Callable[[Stamped], bool]:
        """Return a function that tells whether an unjudged event of the local player is still to be played
        here.

        The other members can then play it in time too.
        """
        return lambda event: self._playout.is_ahead(event.seq, session_now)
