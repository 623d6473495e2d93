"""A member's path delays, measured by heartbeats and reports, and how little one accident changes them."""

from collections.abc import Callable
from random import Random

import pytest

from relay.lead.member_paths import BEATS_KEPT, SECONDS, WAY_GUESS, Ways
from relay.wire.control import Report
from relay.wire.timetag import TICKS_PER_S, ms, ticks
from tests.worlds.relay import EPOCH


class Told:
    """A member's path delays, fed with heartbeats and with a report a second."""

    def __init__(self, *, beats_per_s: int = 40) -> None:
        self.ways = Ways()
        self.now = EPOCH
        self._beats_per_s = beats_per_s
        self._random = Random(1)

    def listen(self, seconds: int, *, slower_s: float = 0.0, bound_s: float = 0.0) -> None:
        for _ in range(seconds):
            for _ in range(self._beats_per_s):
                self.ways.beat(ticks(0.015 + slower_s + self._random.uniform(0.0, 0.004)), self.now)
                self.now += TICKS_PER_S // self._beats_per_s
            self._report(slower_s, bound_s)

    def stall(self, seconds: float) -> None:
        """Let the network stand still for some seconds and then deliver all heartbeats at once."""
        missed = round(seconds * self._beats_per_s)
        self.now += ticks(seconds)
        for late in range(missed, 0, -1):
            self.ways.beat(ticks(0.015 + late / self._beats_per_s), self.now)
        self._report(seconds / 2.0, 0.2)

    def _report(self, slower_s: float, bound_s: float) -> None:
        way_ms = 1e3 * (0.015 + slower_s)
        report = Report(
            second=0, whole=True, events=0, digest=b"", rtt_ms=2.0 * way_ms, down_p50_ms=way_ms,
            down_p99_ms=way_ms, clock_bound_ms=way_ms + 1e3 * bound_s,
        )  # fmt: skip
        self.ways.report(report, self.now)

    @property
    def all_ms(self) -> list[float]:
        ways = self.ways
        figures = (ways.up_p50, ways.up_p90, ways.down_p50, ways.down_p99, ways.uncertain)
        return [ms(figure.usual(WAY_GUESS)) for figure in figures]


def test_before_anything_was_said_a_way_is_a_guess() -> None:
    assert Told().all_ms == pytest.approx([5.0] * 5)


def test_a_way_is_known_as_soon_as_one_heartbeat_came() -> None:
    told = Told()
    told.ways.beat(ticks(0.120), told.now)
    assert told.all_ms[:2] == pytest.approx([120.0, 120.0])


def test_half_and_nine_tenths_of_the_heartbeats_take_less() -> None:
    told = Told()
    for way in range(10):
        told.ways.beat(ticks(way / 1e3), told.now)
    assert told.all_ms[:2] == pytest.approx([5.0, 9.0])


def test_a_clock_that_is_ahead_makes_no_way_shorter_than_nothing() -> None:
    told = Told()
    told.ways.beat(-ticks(0.1), told.now)
    assert told.all_ms[:2] == [0.0, 0.0]


ACCIDENTS: list[tuple[str, Callable[[Told], None]]] = [
    *(
        (f"a stall of {seconds} s", lambda told, seconds=seconds: told.stall(seconds))
        for seconds in (1, 2, 5)
    ),
    # A list, since a lambda can hold no statements; its values are of no interest.
    ("two stalls", lambda told: [told.stall(2), told.listen(3), told.stall(5)]),  # type: ignore[func-returns-value]
    ("five slow seconds", lambda told: told.listen(5, slower_s=0.35, bound_s=0.2)),
]


@pytest.mark.parametrize(("name", "accident"), ACCIDENTS, ids=lambda one: one if isinstance(one, str) else "")
@pytest.mark.parametrize("age_s", [10, 30, 600])
@pytest.mark.parametrize("beats_per_s", [4, 40])
def test_one_accident_moves_no_figure_of_a_path(
    name: str, accident: Callable[[Told], None], age_s: int, beats_per_s: int
) -> None:
    told = Told(beats_per_s=beats_per_s)
    told.listen(age_s)
    before = told.all_ms
    accident(told)
    for second in range(40):
        assert told.all_ms == pytest.approx(before, abs=2.0), (name, second)
        told.listen(1)


def test_nor_do_three_within_ten_minutes_unless_they_last() -> None:
    told = Told()
    told.listen(60)
    before = told.all_ms
    for _ in range(3):
        told.stall(5)
        assert told.all_ms == pytest.approx(before, abs=2.0)
        told.listen(100)


def test_a_path_that_has_become_longer_is_believed_after_15_s() -> None:
    told = Told()
    told.listen(600)
    told.listen(SECONDS // 2 - 1, slower_s=0.1)
    assert max(told.all_ms[:4]) < 25.0
    told.listen(2, slower_s=0.1)
    assert min(told.all_ms[:4]) > 110.0
    told.listen(SECONDS // 2 + 1)
    assert max(told.all_ms[:4]) < 25.0


def test_memory_is_bounded() -> None:
    told = Told()
    for _ in range(3 * BEATS_KEPT):
        told.ways.beat(0, told.now)
    assert (len(told.ways.beats), len(told.ways._lately)) == (BEATS_KEPT, BEATS_KEPT)
    told.listen(100)
    assert len(told.ways.up_p90._said) == SECONDS
