import itertools

from hypothesis import given
from hypothesis import strategies as st

from clock import sources
from clock.model import (
    NS_PER_S,
    Line,
    Reading,
    Timeline,
    local_from_wall,
    ns_from_ticks,
    ticks_from_ns,
    wall_from_local,
)

MINUTES_NS = 600 * NS_PER_S
LOCAL_NS = 10**15
SESSION = 3_990_000_000 << 32
PPT_OF_500_PPM = 500_000_000
rates = st.integers(-PPT_OF_500_PPM, PPT_OF_500_PPM)
bends = st.lists(
    st.tuples(st.integers(0, 20 * NS_PER_S), rates, st.integers(0, 30 * NS_PER_S), rates), max_size=12
)


def bent(start_rate: int, bends: list[tuple[int, int, int, int]]) -> Timeline:
    timeline, at_ns = Timeline(Line(LOCAL_NS, SESSION, start_rate)), LOCAL_NS
    for after_ns, slewed, for_ns, rate in bends:
        at_ns += after_ns
        timeline.bend(at_ns, slewed_ppt=slewed, for_ns=for_ns, rate_ppt=rate)
    return timeline


@given(st.integers(0, 2**62))
def test_nanoseconds_survive_a_way_through_ticks(duration_ns: int) -> None:
    assert ns_from_ticks(ticks_from_ns(duration_ns)) == duration_ns


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**62), st.integers(0, 2**62))
def test_wall_and_local_are_exact_inverses(local_ns: int, reading_local_ns: int, wall_ns: int) -> None:
    reading = Reading(reading_local_ns, wall_ns)
    assert local_from_wall(wall_from_local(local_ns, reading), reading) == local_ns
    assert wall_from_local(reading_local_ns, reading) == wall_ns


@given(rates, bends, st.integers(-MINUTES_NS, MINUTES_NS))
def test_local_instants_come_back_exactly_however_the_line_is_bent(
    start_rate: int, bends: list[tuple[int, int, int, int]], away_ns: int
) -> None:
    timeline = bent(start_rate, bends)
    assert timeline.local_at(timeline.session_at(LOCAL_NS + away_ns)) == LOCAL_NS + away_ns


@given(rates, bends, st.integers(-MINUTES_NS << 2, MINUTES_NS << 2))
def test_timetags_come_back_within_a_nanosecond(
    start_rate: int, bends: list[tuple[int, int, int, int]], away: int
) -> None:
    timeline = bent(start_rate, bends)
    assert abs(timeline.session_at(timeline.local_at(SESSION + away)) - (SESSION + away)) <= ticks_from_ns(1)


@given(rates, bends, st.lists(st.integers(-MINUTES_NS, MINUTES_NS), min_size=2, unique=True))
def test_session_time_strictly_increases_across_bends(
    start_rate: int, bends: list[tuple[int, int, int, int]], away: list[int]
) -> None:
    timeline = bent(start_rate, bends)
    sessions = [timeline.session_at(LOCAL_NS + each) for each in sorted(away)]
    assert all(earlier < later for earlier, later in itertools.pairwise(sessions))


def test_session_time_strictly_increases_from_one_nanosecond_to_the_next_at_a_bend() -> None:
    timeline = bent(0, [(1000, PPT_OF_500_PPM, 777, -PPT_OF_500_PPM)])
    sessions = [timeline.session_at(LOCAL_NS + each) for each in range(900, 2000)]
    assert all(3 <= later - earlier <= 6 for earlier, later in itertools.pairwise(sessions))


def test_a_bend_leaves_the_past_as_it_was() -> None:
    timeline = bent(0, [(NS_PER_S, PPT_OF_500_PPM, NS_PER_S, 0)])
    before = [timeline.session_at(LOCAL_NS + each * 10**8) for each in range(31)]
    timeline.bend(LOCAL_NS + 3 * NS_PER_S, slewed_ppt=-PPT_OF_500_PPM, for_ns=NS_PER_S, rate_ppt=0)
    assert [timeline.session_at(LOCAL_NS + each * 10**8) for each in range(31)] == before


def test_a_bend_before_the_last_one_counts_from_the_last_one() -> None:
    timeline = bent(0, [(5 * NS_PER_S, 0, 0, 0)])
    timeline.bend(LOCAL_NS + NS_PER_S, slewed_ppt=0, for_ns=0, rate_ppt=PPT_OF_500_PPM)
    assert timeline.bent_at_ns == LOCAL_NS + 5 * NS_PER_S
    assert timeline.session_at(LOCAL_NS + 5 * NS_PER_S) == SESSION + (5 << 32)
    assert timeline.session_at(LOCAL_NS + 6 * NS_PER_S) == SESSION + (6 << 32) + 500 * 2**32 // 10**6


def test_a_slew_ends_when_it_was_told_to() -> None:
    timeline = bent(0, [(0, PPT_OF_500_PPM, 2 * NS_PER_S, 0)])
    gained = timeline.session_at(LOCAL_NS + 60 * NS_PER_S) - SESSION - (60 << 32)
    assert abs(gained - ticks_from_ns(1_000_000)) <= 2  # 500 ppm for 2 s


def test_both_clocks_are_read_as_of_one_instant() -> None:
    readings = [sources.read() for _ in range(20)]
    assert all(earlier.local_ns <= later.local_ns for earlier, later in itertools.pairwise(readings))
    # 2020 in Unix ns: whatever this host's clock says, it is wall time and not local time.
    assert readings[0].wall_ns > 1_577_836_800 * NS_PER_S
