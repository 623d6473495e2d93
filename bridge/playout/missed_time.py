"""Missed time: decides which notes are dropped because this host processes them far too late.

Pure. If such notes were played, all notes from a standstill of the network would sound at once after it. A
note is far too late if it comes much later than is usual here. So a host that is far away, or whose path has
become longer for good, drops nothing. The relay measures the uplink in the same way (relay/wire/catchup.py).
"""

from bridge.clocks.timebase import Timebase
from bridge.playout.holdback_queue import Held
from clock.model import Reading, ticks_from_ns
from relay.wire.catchup import Chords, UsualWay
from relay.wire.meaning import Meaning
from relay.wire.sequence import Scheme
from relay.wire.timetag import from_unix_ns


class Behind:
    """Measures the usual delay on the downlink, and decides which notes come too late to be played here."""

    def __init__(self, timebase: Timebase, release_advance: int) -> None:
        """release_advance: an event is handed over at the latest this many ticks before its due."""
        self._timebase = timebase
        self._advance = release_advance
        self._way = UsualWay()
        self._chords = Chords()
        self._own_chords = Chords()
        self._drops = True

    def follow(self, scheme: Scheme) -> None:
        """Follow the room's scheme. With TIMESTAMP, late notes are played late and none is dropped."""
        self._drops = scheme is Scheme.JUDGED

    def clock_was_set(self) -> None:
        """Forget the measured delays, because session time was set and they were measured by the old time."""
        self._way.forget()

    def came(self, left: int, reading: Reading) -> None:
        """Measure the delay of a frame that is processed now. left: the session instant at which it left the
        relay."""
        now = self._timebase.session_at(reading.local_ns)
        self._way.took(now - left, now)

    def expected(self, judged: int, reading: Reading) -> int:
        """Return the session instant at which a verdict usually arrives here.

        judged: the session instant at which the relay gave the verdict. While the usual delay isn't known
        yet, the present instant is returned.
        """
        usual = self._way.usual()
        return self._timebase.session_at(reading.local_ns) if usual is None else judged + usual

    def misses_at_tap(
        self, meaning: Meaning, timetag: int | None, received_local_ns: int, reading: Reading
    ) -> bool:
        """Return whether a note of the local player lay unread in the tap's socket until its time was over.

        meaning: the meaning of any message; if the message is no note, the result is False. timetag: the
        timetag of its bundle, by the wall clock; None for a bare message. received_local_ns: when the socket
        received the message. A note that Sonic Pi itself sends late hasn't lain unread, and is played.
        """
        if timetag is None or not meaning.makes_synth or not self._drops:
            return False
        is_over = timetag <= from_unix_ns(reading.wall_ns)
        unread = ticks_from_ns(reading.local_ns - received_local_ns) if is_over else 0
        return self._own_chords.misses((timetag,), unread) and meaning.is_note

    def misses(self, held: Held, late: int, now: int) -> bool:
        """Return whether to drop an event instead of handing it over now, because it is a note that comes far
        too late.

        late: ticks by which it is too late for scsynth; <= 0 if it is in time. now: session ticks.
        """
        if not self._drops or held.sub or not held.meaning.makes_synth:
            return False
        behind = now - max(held.due - self._advance, held.expected) if late > 0 else 0
        return self._chords.misses((held.slot, held.due), behind) and held.meaning.is_note
