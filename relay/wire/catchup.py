"""Catching up: which notes come so much later than usual that they are dropped.

Pure. Instants are session timetags, durations ticks. A relay, bridge or network that stood still sends its
backlog at once. Groups, FX and frees are needed however late they are, but the notes would sound together, a
bang at full scale. So a note more than BEHIND_MAX behind the usual delay is dropped: on the uplink by the
relay, for everybody; on the downlink by a bridge, for itself. Distance alone drops nothing, since a delay
that is always long is usual.
"""

from collections import deque

from relay.wire.timetag import ticks

BEHIND_MAX = ticks(0.150)
"""How much later than usual a note may come, ticks."""
WITH_OTHERS_MAX = ticks(0.300)
"""The same limit for a note whose chord has begun to sound: half a chord is worse than a late note."""
ORDER_WAIT = ticks(0.250)
"""How long such a late event waits for the ones sent before it. It is late in any case, but keeps its
order."""
MOMENT = ticks(0.1)
"""Events within this time count once, by the fastest, so a backlog doesn't change the usual delay."""
MOMENTS_KEPT = 64
CHORDS_KEPT = 64


class UsualWay:
    """The usual delay of events on one way: the median of the last MOMENTS_KEPT moments that had events."""

    __slots__ = ("_fastest", "_since", "_usual", "_ways")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew, since the clock was set or the path is another one."""
        self._ways: deque[int] = deque(maxlen=MOMENTS_KEPT)
        self._since: int | None = None
        self._fastest = 0
        self._usual: int | None = None
        """Cached median; None: to be computed again."""

    def took(self, way: int, now: int) -> None:
        """Note that an event took `way` ticks and arrived at session time `now`."""
        if self._since is not None and now < self._since + MOMENT:
            if way >= self._fastest:
                return
        else:
            if self._since is not None:
                self._ways.append(self._fastest)
            self._since = now
        self._fastest, self._usual = way, None

    @property
    def moments(self) -> int:
        """The number of moments behind the median."""
        return len(self._ways) + (self._since is not None)

    def usual(self) -> int | None:
        """Return the usual delay in ticks; None before the first event."""
        if self._usual is None and self._since is not None:
            ways = sorted([*self._ways, self._fastest])
            self._usual = ways[(len(ways) - 1) // 2]
        return self._usual


class Chords:
    """The verdicts on the latest chords, so that the notes of a chord sound together or not at all.

    A chord is all notes to which their sender gives one timetag. Bound: CHORDS_KEPT.
    """

    __slots__ = ("_missed",)

    def __init__(self) -> None:
        self._missed: dict[object, bool] = {}

    def misses(self, chord: object, behind: int) -> bool:
        """Return whether to drop a note of `chord` that is `behind` ticks behind usual; < 0 is early."""
        missed = self._missed.get(chord)
        if missed is None:
            missed = self._missed[chord] = behind > BEHIND_MAX
            if len(self._missed) > CHORDS_KEPT:
                del self._missed[next(iter(self._missed))]
            return missed
        return missed or behind > WITH_OTHERS_MAX
