"""Ways: what a member's path takes, as its heartbeats and its bridge's reports say; accidents left out.

Pure; instants are session timetags, durations ticks. Each figure is kept second by second of arrival, and the
median of the last SECONDS that said anything is what counts. So whatever lasts for less than half of them
moves none of these figures, and a path that has become longer for good is believed after 15 s. What a network
that stood still delivers all at once is one second, however long it stood: even a young room is blind to it.
Bounds: SECONDS seconds, BEATS_KEPT heartbeats.
"""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field

from relay.wire.control import Report
from relay.wire.timetag import TICKS_PER_S, ticks

SECONDS = 30
BEATS_KEPT = 256
WAY_GUESS = ticks(0.005)
"""Of a way that nothing is known of yet."""


class Steady:
    """The median of what was said in the last SECONDS seconds with anything said."""

    __slots__ = ("_said", "_second")

    def __init__(self) -> None:
        self._second: int | None = None
        self._said: deque[int] = deque(maxlen=SECONDS)

    def say(self, value: int, now: int) -> None:
        """Note a value; of one second the last counts."""
        second = now // TICKS_PER_S
        if second == self._second:
            self._said.pop()
        self._second = second
        self._said.append(value)

    def usual(self, guess: int) -> int:
        """Return the median, at least 0; `guess` before anything was said."""
        return max(0, _share(sorted(self._said), 0.5)) if self._said else guess


@dataclass(slots=True)
class Ways:
    """The figures of one member's path.

    up_p50, up_p90: what half, and nine in ten, of the heartbeats of a second take to the relay. down_p50,
    down_p99: the same from the relay, as the bridge reports them. uncertain: how far its clock may stray from
    what these ways already hold.
    """

    beats: deque[int] = field(default_factory=lambda: deque(maxlen=BEATS_KEPT))
    """The ways of the last heartbeats, as they came."""
    up_p50: Steady = field(default_factory=Steady)
    up_p90: Steady = field(default_factory=Steady)
    down_p50: Steady = field(default_factory=Steady)
    down_p99: Steady = field(default_factory=Steady)
    uncertain: Steady = field(default_factory=Steady)
    _second: int = 0
    _lately: list[int] = field(default_factory=list)
    """Of the present second."""

    def beat(self, way: int, now: int) -> None:
        """Note how long a heartbeat took to the relay; less than 0 where the clocks are off."""
        second = now // TICKS_PER_S
        if second != self._second:
            self._second = second
            self._lately.clear()
        self.beats.append(way)
        if len(self._lately) < BEATS_KEPT:
            insort(self._lately, way)
        self.up_p50.say(_share(self._lately, 0.5), now)
        self.up_p90.say(_share(self._lately, 0.9), now)

    def report(self, report: Report, now: int) -> None:
        """Note what a bridge reports."""
        rtt = ticks(report.rtt_ms / 1e3)
        self.down_p50.say(ticks(report.down_p50_ms / 1e3), now)
        self.down_p99.say(ticks(report.down_p99_ms / 1e3), now)
        self.uncertain.say(max(0, ticks(report.clock_bound_ms / 1e3) - rtt // 2), now)


def _share(ordered: list[int], share: float) -> int:
    return ordered[int(share * len(ordered))]
