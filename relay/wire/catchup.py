"""Catching up: decides which late notes are dropped after a standstill.

Pure. Instants are session timetags, durations ticks. A relay, bridge or network that stood still sends its
backlog at once. Groups, FX and frees of the backlog are needed however late they are. Its notes would all
sound together, a bang at full scale. So a note that comes more than BEHIND_MAX later than usual is dropped.
On the uplink the relay drops it for everybody; on the downlink a bridge drops it for its own host only. On a
path that is merely long nothing is dropped, because its long delay is the usual one.
"""

from collections import deque

from relay.wire.timetag import ticks

BEHIND_MAX = ticks(0.150)
"""How much later than usual a note may come without being dropped, ticks."""
WITH_OTHERS_MAX = ticks(0.300)
"""How much later than usual a note may come if its chord has begun to sound, ticks. It is longer than
BEHIND_MAX, because half a chord is worse than a late note."""
ORDER_WAIT = ticks(0.250)
"""How long an event that is later than BEHIND_MAX waits at the relay for its sender's earlier events, ticks.
Waiting keeps the order, and the event is late in any case."""
MOMENT = ticks(0.1)
"""Length of a moment, ticks. All events that arrive within one moment count as one delay, that of the
fastest. So a backlog that arrives at once doesn't change the usual delay."""
MOMENTS_KEPT = 64
CHORDS_KEPT = 64


class UsualWay:
    """The usual delay of events in one direction: the median over the last MOMENTS_KEPT moments with events.

    The delay of a moment (`MOMENT`) is that of its fastest event.
    """

    __slots__ = ("_fastest", "_since", "_usual", "_ways")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget all delays. Called when the clock was set or the path has become another one."""
        self._ways: deque[int] = deque(maxlen=MOMENTS_KEPT)
        self._since: int | None = None
        self._fastest = 0
        self._usual: int | None = None
        """The median (ticks) as last computed; None if it must be computed again."""

    def took(self, way: int, now: int) -> None:
        """Record an event that travelled for `way` ticks and arrived at the session instant `now`."""
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
        """The number of moments of which `usual` is the median."""
        return len(self._ways) + (self._since is not None)

    def usual(self) -> int | None:
        """Return the usual delay in ticks; None before the first event."""
        if self._usual is None and self._since is not None:
            ways = sorted([*self._ways, self._fastest])
            self._usual = ways[(len(ways) - 1) // 2]
        return self._usual


class Chords:
    """Decides which notes are dropped, chord by chord, so that the notes of a chord sound together or not at
    all.

    A chord is all notes to which one sender gives the same timetag. The decision about its first note holds
    for the others. An exception: notes later than WITH_OTHERS_MAX are always dropped. Bound: CHORDS_KEPT
    chords are remembered.
    """

    __slots__ = ("_missed",)

    def __init__(self) -> None:
        self._missed: dict[object, bool] = {}

    def misses(self, chord: object, behind: int) -> bool:
        """Return whether to drop a note.

        chord: any key that all notes of the chord share. behind: how much later than usual the note came,
        ticks; < 0: it came earlier than usual.
        """
        missed = self._missed.get(chord)
        if missed is None:
            missed = self._missed[chord] = behind > BEHIND_MAX
            if len(self._missed) > CHORDS_KEPT:
                del self._missed[next(iter(self._missed))]
            return missed
        return missed or behind > WITH_OTHERS_MAX
