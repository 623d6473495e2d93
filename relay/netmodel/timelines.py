"""Time lines: the state of a network in one direction at any instant.

Pure and repeatable: the state at an instant depends on the seed alone, not on the order in which instants are
asked for. Instants are seconds since the emulation's start. If somebody asks for a far instant, everything
up to it is drawn first. Bounds: bursts and spikes are drawn as far as anybody asks, and kept (one or two
numbers each, some 40 kB an hour). Random values that hold for a time are made in blocks, and at most
BLOCKS_KEPT blocks are kept.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from random import Random

from relay.wire.trace import TraceWay

BLOCK_CELLS = 256
"""Number of cells in a block. A cell is the time for which one random value holds."""

BLOCKS_KEPT = 64
"""How many blocks are kept: five minutes, if a cell takes 20 ms. Older blocks are made again when needed,
with the same values."""


class BurstLine:
    """Alternating bad and good periods of a network, whose lengths are exponentially distributed.

    This is the Gilbert-Elliott model in continuous time, so the periods don't depend on how often the line is
    asked. The first period is bad with the probability `share`. So the start is like any later time.
    """

    def __init__(self, share: float, mean_s: float, dice: Random) -> None:
        """share: share of the time that is bad, 0 < share < 1. mean_s: mean length of the bad periods, s."""
        self._dice = dice
        self._bad_s = mean_s
        self._good_s = mean_s * (1.0 - share) / share
        self._edges = array("d")
        self._first_bad = dice.random() < share

    def bad_until_s(self, at_s: float) -> float | None:
        """Return the end (s) of the bad period in which at_s lies; None if at_s lies in a good period."""
        edges = self._edges
        while not edges or edges[-1] <= at_s:
            self._extend()
        passed = bisect_right(edges, at_s)
        return edges[passed] if self._first_bad == (passed % 2 == 0) else None

    def _extend(self) -> None:
        bad = self._first_bad == (len(self._edges) % 2 == 0)
        last_s = self._edges[-1] if self._edges else 0.0
        self._edges.append(last_s + stay_s(self._bad_s if bad else self._good_s, self._dice))


class SpikeLine:
    """Blockades of a path, each of height_s seconds. The times between their starts are exponentially
    distributed, with the mean every_s."""

    def __init__(self, every_s: float, height_s: float, dice: Random) -> None:
        self._every_s = every_s
        self._height_s = height_s
        self._dice = dice
        self._starts = array("d")

    def blocked_until_s(self, at_s: float) -> float:
        """Return the end (s) of the blockade in which at_s lies; at_s itself if it lies in none.

        A blockade that begins within another one prolongs it. All have the same length, so the end is that of
        the one that began last.
        """
        starts = self._starts
        while not starts or starts[-1] <= at_s:
            starts.append((starts[-1] if starts else 0.0) + stay_s(self._every_s, self._dice))
        passed = bisect_right(starts, at_s)
        return max(at_s, starts[passed - 1] + self._height_s) if passed else at_s


class HeldLine:
    """Random values, each of which holds for a fixed time (a cell). The values of different cells are
    independent."""

    def __init__(self, hold_s: float, draw: Callable[[float], float], seed: str) -> None:
        """hold_s: length of a cell, s. draw: turns a random number in (0, 1) into a value. seed: determines
        all values."""
        self._hold_s = hold_s
        self._draw = draw
        self._seed = seed
        self._blocks: dict[int, list[float]] = {}
        self._last = (0.0, 0.0, 0.0)

    def at(self, at_s: float) -> tuple[float, float]:
        """Return (value, until). value: that at the instant at_s. until: the instant (s) until which this
        value holds."""
        from_s, until_s, value = self._last
        if from_s <= at_s < until_s:
            return value, until_s
        cell = math.floor(at_s / self._hold_s)
        # The edges of a cell are products, not sums. The quotient may differ from them by a rounding.
        if at_s >= (cell + 1) * self._hold_s:
            cell += 1
        elif at_s < cell * self._hold_s:
            cell -= 1
        until_s = (cell + 1) * self._hold_s
        value = self._value(cell)
        self._last = (cell * self._hold_s, until_s, value)
        return value, until_s

    def _value(self, cell: int) -> float:
        number, within = divmod(cell, BLOCK_CELLS)
        block = self._blocks.get(number)
        if block is None:
            dice = Random(f"{self._seed}/{number}")
            block = [self._draw(between_0_and_1(dice)) for _ in range(BLOCK_CELLS)]
            if len(self._blocks) >= BLOCKS_KEPT:
                del self._blocks[min(self._blocks)]
            self._blocks[number] = block
        return block[within]


class TraceLine:
    """A recorded path in one direction, replayed over and over.

    At any instant its delay is that of the sample nearest in time. The first sample is at 0. One replay lasts
    as long as the trace plus one mean gap between samples, which is the last sample's share of time.
    """

    def __init__(self, way: TraceWay) -> None:
        samples = way.samples
        first_s = samples[0].sent_s
        sent_s = [sample.sent_s - first_s for sample in samples]
        span_s = sent_s[-1]
        gap_s = span_s / (len(samples) - 1) if span_s > 0.0 else 1.0
        self._round_s = span_s + gap_s
        self._delays_s = [None if one.delay_ms is None else max(0.0, one.delay_ms / 1e3) for one in samples]
        self._ends = array("d", ((a + b) / 2.0 for a, b in pairwise(sent_s)))
        self._ends.append(span_s + gap_s / 2.0)
        self.least_s = min((delay_s for delay_s in self._delays_s if delay_s is not None), default=math.inf)
        """The least delay of all samples, s; math.inf if all were lost."""

    def at(self, at_s: float) -> tuple[float | None, float]:
        """Return (delay, until). delay: that at the instant at_s, s; None if a datagram is lost then. until:
        the instant (s) until which this delay holds."""
        rounds = math.floor(at_s / self._round_s)
        within_s = at_s - rounds * self._round_s
        nearest = bisect_right(self._ends, within_s)
        if nearest == len(self._delays_s):  # after the last sample's share the next round's first one holds
            return self._delays_s[0], (rounds + 1) * self._round_s + self._ends[0]
        return self._delays_s[nearest], rounds * self._round_s + self._ends[nearest]


class BloatLine:
    """Given periods in which the delay is longer, as in a queue that other traffic keeps full."""

    def __init__(self, bloats: tuple[tuple[float, float, float], ...]) -> None:
        """bloats: (from_s, to_s, added ms) of each period, in the order of time."""
        self._edges: list[float] = []
        self._added_s = [0.0]
        for from_s, to_s, height_ms in bloats:
            self._edges += [from_s, to_s]
            self._added_s += [height_ms / 1e3, 0.0]

    def at(self, at_s: float) -> tuple[float, float]:
        """Return (added, until). added: the added delay at the instant at_s, s. until: the instant (s) until
        which it holds."""
        passed = bisect_right(self._edges, at_s)
        return self._added_s[passed], self._edges[passed] if passed < len(self._edges) else math.inf


class OutageLine:
    """Given periods in which every datagram is lost. outages: (from_s, to_s) of each period, in the order of
    time."""

    def __init__(self, outages: tuple[tuple[float, float], ...]) -> None:
        self._ends = [to_s for _, to_s in outages]
        self._starts = [from_s for from_s, _ in outages]

    def out_until_s(self, at_s: float) -> float | None:
        """Return the end (s) of the outage in which at_s lies; None if it lies in none.

        The start of an outage belongs to it, its end doesn't.
        """
        index = bisect_right(self._ends, at_s)
        return self._ends[index] if index < len(self._ends) and self._starts[index] <= at_s else None


def between_0_and_1(dice: Random) -> float:
    """Return a random number from the open interval (0, 1).

    `dice.random()` returns 0 once in 2**53 times. That is replaced, because the inverses of distributions
    have no value at 0.
    """
    return dice.random() or 2.0**-54


def stay_s(mean_s: float, dice: Random) -> float:
    """Return a random length (s) that is exponentially distributed with the mean mean_s.

    It is never 0, so that time lines always advance.
    """
    return -mean_s * math.log(1.0 - dice.random()) or mean_s * 2.0**-53
