"""Catching up: which notes come so much later than usual that nobody wants them any more.

Pure; instants are session timetags, durations ticks. A relay, a bridge or a network that stood still lets
everything go at once. Groups, FX and frees are needed however late they are; notes that all sounded at one
instant would be a bang at full scale. So a note is dropped that is more than BEHIND_MAX behind what is usual
on its way: by the relay for everybody on the way up, by a bridge for itself on the way down. Distance alone
drops nothing: what always takes long is usual.
"""

from collections import deque

from relay.wire.timetag import ticks

BEHIND_MAX = ticks(0.150)
"""How much later than usual a note may come."""
WITH_OTHERS_MAX = ticks(0.300)
"""The same for a note of a chord that has sounded already: half a chord is worse than a late note."""
ORDER_WAIT = ticks(0.250)
"""What comes so late waits so long for what was sent before it: its time is over, but not its order."""
MOMENT = ticks(0.1)
"""What comes within it counts once, the fastest of it: a backlog that comes at once changes nothing."""
MOMENTS_KEPT = 64
CHORDS_KEPT = 64


class UsualWay:
    """How long events usually take on one way: the median of the last MOMENTS_KEPT moments with any."""

    __slots__ = ("_fastest", "_since", "_usual", "_ways")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: the clock was set, or the way is another one."""
        self._ways: deque[int] = deque(maxlen=MOMENTS_KEPT)
        self._since: int | None = None
        self._fastest = 0
        self._usual: int | None = None
        """None: to be reckoned again."""

    def took(self, way: int, now: int) -> None:
        """Note that an event that is looked at now took so long."""
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
        """How many moments it is the median of."""
        return len(self._ways) + (self._since is not None)

    def usual(self) -> int | None:
        """Return what is usual, None before anything has come."""
        if self._usual is None and self._since is not None:
            ways = sorted([*self._ways, self._fastest])
            self._usual = ways[(len(ways) - 1) // 2]
        return self._usual


class Chords:
    """The verdicts on the latest chords, so that all notes of one sound, or none.

    A chord is what its sender gives one timetag. Bound: CHORDS_KEPT.
    """

    __slots__ = ("_missed",)

    def __init__(self) -> None:
        self._missed: dict[object, bool] = {}

    def misses(self, chord: object, behind: int) -> bool:
        """Tell whether a note of `chord` is dropped that is so far behind what is usual; < 0 is early."""
        missed = self._missed.get(chord)
        if missed is None:
            missed = self._missed[chord] = behind > BEHIND_MAX
            if len(self._missed) > CHORDS_KEPT:
                del self._missed[next(iter(self._missed))]
            return missed
        return missed or behind > WITH_OTHERS_MAX
