"""Member paths: the usual delays of each member's path, measured by heartbeats and by its bridge's reports.

Pure. Instants are session timetags, durations ticks. Each figure has one value for each second. Its usual
value is the median over the last SECONDS seconds that have a value. So a disturbance shorter than 15 s
changes no usual value. A path that has become longer for good changes it after 15 s. All that a network
delivers at once after a standstill falls into one second, so it changes no usual value either. Bounds:
SECONDS seconds, BEATS_KEPT heartbeats.
"""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field

from relay.lead.recent import Recent
from relay.wire.control import Report
from relay.wire.timetag import TICKS_PER_S, ticks

SECONDS = 30
BEATS_KEPT = 256
WAY_GUESS = ticks(0.005)
"""The delay that is assumed while none was measured in a direction, ticks."""


class Steady:
    """The median of one figure over the last SECONDS seconds with data."""

    __slots__ = ("_said", "_second")

    def __init__(self) -> None:
        self._second: int | None = None
        self._said: deque[int] = deque(maxlen=SECONDS)

    def say(self, value: int, now: int) -> None:
        """Record a value (ticks) at session time `now`. Of several values in one second only the last
        counts."""
        second = now // TICKS_PER_S
        if second == self._second:
            self._said.pop()
        self._second = second
        self._said.append(value)

    def usual(self, guess: int) -> int:
        """Return the median (ticks), at least 0; `guess` before the first value."""
        return max(0, _share(sorted(self._said), 0.5)) if self._said else guess


@dataclass(slots=True)
class Ways:
    """The usual delays of one member's path, in ticks.

    up_p50, up_p90: median and 90th percentile of the delays of heartbeats to the relay in one second.
    down_p50, down_p99: median and 99th percentile of the delays of heartbeats from the relay, as the bridge
    reports them. uncertain: how far the member's clock may be off, beyond the error that these delays already
    contain.
    """

    beats: Recent = field(default_factory=lambda: Recent(BEATS_KEPT))
    """Uplink delays of the last heartbeats, in order of arrival."""
    up_p50: Steady = field(default_factory=Steady)
    up_p90: Steady = field(default_factory=Steady)
    down_p50: Steady = field(default_factory=Steady)
    down_p99: Steady = field(default_factory=Steady)
    uncertain: Steady = field(default_factory=Steady)
    _second: int = 0
    _lately: list[int] = field(default_factory=list)
    """Uplink delays of the present second's heartbeats, ascending."""

    def beat(self, way: int, now: int) -> None:
        """Record the uplink delay `way` of a heartbeat, ticks; < 0 if the clocks are off. now: session
        ticks."""
        second = now // TICKS_PER_S
        if second != self._second:
            self._second = second
            self._lately.clear()
        self.beats.add((way,))
        if len(self._lately) < BEATS_KEPT:
            insort(self._lately, way)
        self.up_p50.say(_share(self._lately, 0.5), now)
        self.up_p90.say(_share(self._lately, 0.9), now)

    def report(self, report: Report, now: int) -> None:
        """Record the delays and the clock's error bound from a bridge's report. now: session ticks."""
        rtt = ticks(report.rtt_ms / 1e3)
        self.down_p50.say(ticks(report.down_p50_ms / 1e3), now)
        self.down_p99.say(ticks(report.down_p99_ms / 1e3), now)
        self.uncertain.say(max(0, ticks(report.clock_bound_ms / 1e3) - rtt // 2), now)


def _share(ordered: list[int], share: float) -> int:
    return ordered[int(share * len(ordered))]
