"""The monotone map of timetags: equal ones stay equal and all stay in order, however a clock is slewed."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.clocks.monotone_map import KEPT, STEP, MonotoneMap
from relay.wire.timetag import ticks

S = ticks(1.0)
OFFSET = 17 * S
NOISE = st.integers(-(STEP // 4), STEP // 4)
"""Error (ticks) of a conversion. Every conversion reads the clocks anew. Two errors differ by STEP / 2 at
most."""


@given(st.lists(st.tuples(st.integers(0, 5 * S), NOISE), max_size=60))
def test_order_is_kept_whatever_the_order_of_arrival_and_the_noise(
    arrivals: list[tuple[int, int]],
) -> None:
    mapped = MonotoneMap()
    said = [(instant, mapped.map(instant, instant + OFFSET + noise)) for instant, noise in arrivals]
    assert mapped.steps == 0
    ordered = sorted(said)
    assert [to for _, to in ordered] == sorted(to for _, to in ordered)


@given(st.lists(st.integers(0, 5 * S), unique=True, max_size=60), st.lists(NOISE, min_size=60, max_size=60))
def test_of_different_instants_the_later_is_the_greater_by_a_tick_at_least(
    instants: list[int], noise: list[int]
) -> None:
    """If two timetags became equal, scsynth would execute them in the order of their arrival."""
    for sent in (sorted(instants), sorted(instants, reverse=True)):
        mapped = MonotoneMap()
        said = {
            instant: mapped.map(instant, instant + OFFSET + off)
            for instant, off in zip(sent, noise, strict=False)
        }
        ordered = [said[instant] for instant in sorted(said)]
        assert all(one < other for one, other in pairwise(ordered))


@given(st.lists(st.tuples(st.integers(0, 20), NOISE), max_size=60))
def test_equal_instants_are_given_the_equal_conversion(arrivals: list[tuple[int, int]]) -> None:
    mapped = MonotoneMap()
    first: dict[int, int] = {}
    for step, noise in arrivals:
        instant = step * S
        converted = mapped.map(instant, instant + OFFSET + noise)
        assert first.setdefault(instant, converted) == converted


@given(st.lists(st.tuples(st.integers(0, 5 * S), NOISE), max_size=60))
def test_no_conversion_is_off_by_more_than_the_noise(arrivals: list[tuple[int, int]]) -> None:
    mapped = MonotoneMap()
    for instant, noise in arrivals:
        off = abs(mapped.map(instant, instant + OFFSET + noise) - instant - OFFSET)
        assert off <= STEP // 4 + len(arrivals), "a tick for each neighbour that it is kept apart from"


def test_a_clock_that_was_set_starts_afresh_at_once_and_is_counted() -> None:
    mapped = MonotoneMap()
    for second in range(5):
        mapped.map(second * S, second * S + OFFSET)
    assert mapped.map(5 * S, 5 * S + OFFSET - 3 * S) == 5 * S + OFFSET - 3 * S
    assert mapped.map(4 * S, 4 * S + OFFSET - 3 * S) == 4 * S + OFFSET - 3 * S
    assert mapped.steps == 1


def test_the_same_instant_after_a_step_is_converted_anew() -> None:
    mapped = MonotoneMap()
    mapped.map(S, S + OFFSET)
    assert mapped.map(S, S + OFFSET + S) == S + OFFSET + S
    assert mapped.steps == 1


def test_drift_over_a_long_silence_is_no_step() -> None:
    mapped = MonotoneMap()
    mapped.map(0, OFFSET)
    hour = 3600 * S
    drifted = hour + OFFSET + hour // 10_000  # 100 ppm: 360 ms in an hour
    assert mapped.map(hour, drifted) == drifted
    assert mapped.steps == 0


def test_a_step_between_neighbours_close_by_is_seen_at_20_ms() -> None:
    mapped = MonotoneMap()
    mapped.map(0, OFFSET)
    mapped.map(S, S + OFFSET + ticks(0.022))
    assert mapped.steps == 1


def test_memory_is_bounded_and_the_newest_are_kept() -> None:
    mapped = MonotoneMap()
    for count in range(3 * KEPT):
        mapped.map(count * S, count * S + OFFSET)
    assert len(mapped._from) <= KEPT
    last = (3 * KEPT - 1) * S
    assert mapped.map(last, last + OFFSET + 5) == last + OFFSET
