"""Missed time: drops notes that this host processes far too late, instead of playing them all at once.

Pure. A note is far too late if it comes much later than is usual here. The relay measures the uplink in the
same way (relay/wire/catchup.py). So a host that is far away, or whose path has become longer for good, drops
nothing.
"""

from bridge.clocks.timebase import Timebase
from bridge.playout.holdback_queue import Held
from clock.model import Reading, ticks_from_ns
from relay.wire.catchup import Chords, UsualWay
from relay.wire.meaning import Meaning
from relay.wire.sequence import Scheme
from relay.wire.timetag import from_unix_ns


class Behind:
    """Measures the usual delay on the downlink, and decides which notes have missed their time here."""

    def __init__(self, timebase: Timebase, release_advance: int) -> None:
        """release_advance: ticks before its due at which an event is handed over at the latest."""
        self._timebase = timebase
        self._advance = release_advance
        self._way = UsualWay()
        self._chords = Chords()
        self._own_chords = Chords()
        self._drops = True

    def follow(self, scheme: Scheme) -> None:
        """Follow the room's scheme. With TIMESTAMP, late notes are played late, and none is dropped."""
        self._drops = scheme is Scheme.JUDGED

    def clock_was_set(self) -> None:
        """Forget the delays, because they were measured by another clock."""
        self._way.forget()

    def came(self, left: int, reading: Reading) -> None:
        """Note that a frame is processed now that left the relay at the session instant `left`."""
        now = self._timebase.session_at(reading.local_ns)
        self._way.took(now - left, now)

    def expected(self, judged: int, reading: Reading) -> int:
        """Return the session instant at which a verdict given at session instant `judged` usually arrives
        here.

        It is the present instant if the usual delay isn't known yet.
        """
        usual = self._way.usual()
        return self._timebase.session_at(reading.local_ns) if usual is None else judged + usual

    def misses_at_tap(
        self, meaning: Meaning, timetag: int | None, received_local_ns: int, reading: Reading
    ) -> bool:
        """Return whether a note of the local player lay unread in the tap's socket until its time was over.

        meaning: that of any message; only one that makes a stock synth, or a synth of the player's own, can
        be missed. timetag: its bundle's, by the wall clock; None for a bare message. A note that Sonic Pi
        itself sends late is fresh, and is played.
        """
        if timetag is None or not meaning.makes_synth or not self._drops:
            return False
        is_over = timetag <= from_unix_ns(reading.wall_ns)
        unread = ticks_from_ns(reading.local_ns - received_local_ns) if is_over else 0
        return self._own_chords.misses((timetag,), unread) and meaning.is_note

    def misses(self, held: Held, late: int, now: int) -> bool:
        """Return whether to drop a note that is about to be handed over. late: ticks by which it is late for
        scsynth."""
        if not self._drops or held.sub or not held.meaning.makes_synth:
            return False
        behind = now - max(held.due - self._advance, held.expected) if late > 0 else 0
        return self._chords.misses((held.slot, held.due), behind) and held.meaning.is_note
