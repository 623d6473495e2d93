"""Monotone map: converts instants between two clocks so that equal stays equal and order stays order.

Pure. Every conversion reads both clocks anew, so two conversions of one instant differ by some hundred
nanoseconds. That would tear chords apart and let a note overtake its FX, because scsynth sorts by timetag.
Therefore the map keeps the first conversion of each instant. The conversion of a new instant is put strictly
between those of its neighbours, the next earlier and the next later instant. (If no tick is left between
them, it equals the earlier one.)

Bound: KEPT instants. If a new conversion differs from its neighbours by more than STEP and the possible
drift, a clock was set, and the map starts anew.
"""

from bisect import bisect_left

from relay.wire.timetag import ticks

KEPT = 4096
STEP = ticks(0.020)
"""A clock was set if the difference between the clocks changes by more than this (ticks) from the nearest
kept instant. Neither noise nor slew changes it so much."""

DRIFT_DIVISOR = 1000
"""The possible drift between two instants is their distance divided by this: 1/1000, or 1000 ppm. Each clock
may be slewed at 500 ppm, so after a long silence even a large difference is no step."""


class MonotoneMap:
    """A map from instants of one clock to instants of another, both as timetags. It grows with each new
    instant."""

    def __init__(self) -> None:
        self._from: list[int] = []
        self._to: list[int] = []
        self.steps = 0

    def clear(self) -> None:
        """Forget all conversions, because one of the clocks was set."""
        self._from.clear()
        self._to.clear()

    def map(self, instant: int, converted: int) -> int:
        """Return `instant` as an instant of the other clock.

        converted: the conversion of `instant` by a fresh reading of both clocks.
        """
        at = bisect_left(self._from, instant)
        if at < len(self._from) and self._from[at] == instant:
            if abs(self._to[at] - converted) <= STEP:
                return self._to[at]
        elif not self._is_step(at, instant, converted):
            if at < len(self._to):
                converted = min(converted, self._to[at] - 1)
            if at:
                room = at == len(self._to) or self._to[at] - self._to[at - 1] > 1
                converted = max(converted, self._to[at - 1] + (1 if room else 0))
            self._insert(at, instant, converted)
            return converted
        self.clear()
        self.steps += 1
        self._insert(0, instant, converted)
        return converted

    def _is_step(self, at: int, instant: int, converted: int) -> bool:
        """Return whether a clock was set since the nearest neighbour was converted. at: the place of
        `instant` among the kept instants."""
        if not self._from:
            return False
        near = at if at < len(self._from) else at - 1
        if at and at < len(self._from) and instant - self._from[at - 1] < self._from[at] - instant:
            near = at - 1
        drift = (converted - instant) - (self._to[near] - self._from[near])
        return abs(drift) > STEP + abs(instant - self._from[near]) // DRIFT_DIVISOR

    def _insert(self, at: int, instant: int, converted: int) -> None:
        self._from.insert(at, instant)
        self._to.insert(at, converted)
        if len(self._from) > KEPT:
            del self._from[: KEPT // 4], self._to[: KEPT // 4]
