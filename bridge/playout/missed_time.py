"""Behind: what this host comes to so late that it isn't played any more, instead of all at once.

Pure. By the same measure as the relay's on the way up (relay/wire/catchup.py): how much later than usual. So
a host that is far away, or whose way has become longer for good, drops nothing.
"""

from bridge.clocks.timebase import Timebase
from bridge.playout.holdback_queue import Held
from clock.model import Reading, ticks_from_ns
from relay.wire.catchup import Chords, UsualWay
from relay.wire.meaning import Meaning
from relay.wire.sequence import Scheme
from relay.wire.timetag import from_unix_ns


class Behind:
    """What is usual on the way down, and which notes miss their time here."""

    def __init__(self, timebase: Timebase, release_advance: int) -> None:
        """release_advance: ticks before its due at which an event is to be handed over at the latest."""
        self._timebase = timebase
        self._advance = release_advance
        self._way = UsualWay()
        self._chords = Chords()
        self._own_chords = Chords()
        self._drops = True

    def follow(self, scheme: Scheme) -> None:
        """Go by the room's scheme: in TIMESTAMP what is late is late, and nothing is dropped."""
        self._drops = scheme is Scheme.JUDGED

    def clock_was_set(self) -> None:
        """Forget what was measured by another clock."""
        self._way.forget()

    def came(self, left: int, reading: Reading) -> None:
        """Note that what left the relay at the session instant `left` is looked at now."""
        now = self._timebase.session_at(reading.local_ns)
        self._way.took(now - left, now)

    def expected(self, judged: int, reading: Reading) -> int:
        """Return when a verdict of that instant is usually here; now, if nobody knows yet."""
        usual = self._way.usual()
        return self._timebase.session_at(reading.local_ns) if usual is None else judged + usual

    def misses_at_tap(
        self, meaning: Meaning, timetag: int | None, received_local_ns: int, reading: Reading
    ) -> bool:
        """Tell whether a note of the local player lay unread for too long, until its time was over.

        meaning: of what makes a stock synth, or one of his own. timetag: of its bundle, by the wall clock.
        What Sonic Pi itself sends late is fresh, and is played.
        """
        if timetag is None or not meaning.makes_synth or not self._drops:
            return False
        is_over = timetag <= from_unix_ns(reading.wall_ns)
        unread = ticks_from_ns(reading.local_ns - received_local_ns) if is_over else 0
        return self._own_chords.misses((timetag,), unread) and meaning.is_note

    def misses(self, held: Held, late: int, now: int) -> bool:
        """Tell whether a note that is handed over now is dropped. late: ticks too late for scsynth."""
        if not self._drops or held.sub or not held.meaning.makes_synth:
            return False
        behind = now - max(held.due - self._advance, held.expected) if late > 0 else 0
        return self._chords.misses((held.slot, held.due), behind) and held.meaning.is_note
