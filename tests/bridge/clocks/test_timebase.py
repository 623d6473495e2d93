"""The timebase: session time before, at and after the first lock of its clock; timetags never go back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clocks.timebase import Timebase
from clock.discipline import Adjustment
from clock.model import Reading
from relay.wire.timetag import TICKS_PER_S, from_unix_ns, ticks
from tests.worlds.bridge import UNIX_NS, instant, reading

MS = 1_000_000


def exchange(
    timebase: Timebase, local_ns: int, ahead_ns: int, *, up_ns: int = 5 * MS, down_ns: int = 5 * MS
) -> Adjustment:
    """Give the timebase one exchange, received at `local_ns`; return what its clock did.

    The relay's clock is `ahead_ns` ahead of the wall clock.
    """
    sent_ns = local_ns - up_ns - down_ns
    relay = from_unix_ns(UNIX_NS + sent_ns + up_ns + ahead_ns)
    return timebase.clock.add_exchange(
        t1_local_ns=sent_ns, t2_session=relay, t3_session=relay, t4_local_ns=local_ns, now_local_ns=local_ns
    )


def locked(ahead_ns: int) -> Timebase:
    """Return a timebase whose clock has just locked, at local 1.2 s.

    ahead_ns: how far the relay's clock is ahead of the wall clock.
    """
    timebase = Timebase(reading(0.0))
    for count in range(8):
        exchange(timebase, 1_000 * MS + count * 25 * MS, ahead_ns)
    assert timebase.clock.locked
    return timebase


def test_without_a_relay_session_time_is_the_wall_clock_carried_on() -> None:
    timebase = Timebase(reading(5.0))
    assert abs(timebase.session_at(7_000 * MS) - instant(7.0)) <= 4
    assert timebase.local_at(timebase.session_at(7_000 * MS)) == 7_000 * MS
    assert timebase.era == -1


def test_the_first_lock_counts_as_a_step_and_forgets_conversions() -> None:
    timebase = Timebase(reading(0.0))
    before = timebase.session_of_wall(instant(2.0), reading(1.0))
    for count in range(8):
        adjustment = exchange(timebase, 1_000 * MS + count * 25 * MS, 3_000 * MS)
    assert adjustment is Adjustment.LOCKED
    after = timebase.session_of_wall(instant(2.0), reading(1.2))
    assert abs(after - before - 3 * TICKS_PER_S) < ticks(0.001)


def test_there_and_back_is_the_same_timetag_but_for_rounding() -> None:
    timebase = locked(-2_500 * MS)
    wall = instant(4.25)
    session = timebase.session_of_wall(wall, reading(4.0))
    assert abs(timebase.wall_of_session(session, reading(4.1)) - wall) <= 16


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["exchange", "note", "note", "chord"]),
            st.integers(1, 200),
            st.integers(-6, 6),
            st.integers(-500, 500),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_chords_stay_together_and_timetags_never_decrease_at_release_under_any_slewing(
    steps: list[tuple[str, int, int, int]],
) -> None:
    timebase = locked(0)
    local_ns, due, last = 1_300 * MS, 0, (0, 0)
    for what, wait_ms, ahead_ms, wobble_us in steps:
        local_ns += wait_ms * MS
        if what == "exchange":  # the relay's clock wanders by milliseconds, the path's delay with it
            exchange(timebase, local_ns, ahead_ms * MS, up_ns=(8 + ahead_ms) * MS)
            continue
        read = Reading(local_ns, UNIX_NS + local_ns + wobble_us * 1000)
        if what == "note" or due == 0:
            due = max(due + 1, timebase.session_at(local_ns) + ticks(0.065))
        given_tag = timebase.wall_of_session(due, read)
        if due == last[0]:
            assert given_tag == last[1]
        assert given_tag >= last[1]
        last = (due, given_tag)
    assert timebase.named() == {"wall_steps": 0}


def test_a_straggler_gets_its_place_between_what_was_handed_over_before() -> None:
    timebase = locked(0)
    before = timebase.wall_of_session(instant(5.0), reading(4.9))
    after = timebase.wall_of_session(instant(5.001), reading(4.9))
    wobbled = Reading(4_920 * MS, UNIX_NS + 4_925 * MS)  # read 5 ms off
    between = timebase.wall_of_session(instant(5.0005), wobbled)
    assert before <= between <= after


def test_a_wall_clock_that_was_set_moves_timetags_with_it() -> None:
    timebase = locked(0)
    timebase.wall_of_session(instant(5.0), reading(4.9))
    set_back = Reading(5_000 * MS, UNIX_NS + 5_000 * MS - 3_600_000 * MS)
    tag = timebase.wall_of_session(instant(5.1), set_back)
    assert abs(tag - (instant(5.1) - 3600 * TICKS_PER_S)) < ticks(0.001)
    assert timebase.named() == {"wall_steps": 1}
