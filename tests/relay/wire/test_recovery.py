"""Loss recovery: no event is delivered twice or waits for ever, and no request is useless."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire import recovery
from relay.wire.errors import MalformedDatagram
from relay.wire.recovery import KEEP_S, MAX_MISSING, REORDER_TOLERANCE_S, GapTracker, SendRing

TOLERATED_S = REORDER_TOLERANCE_S + 1e-6


def test_without_repair_nothing_is_asked_for_and_all_is_given_up_in_time() -> None:
    gaps = GapTracker(1, keep_s=1.0)
    gaps.asks = False
    gaps.saw(1, 10.0)
    gaps.saw(4, 10.5)
    assert gaps.next_wakeup_s(0.05) == 11.5
    assert gaps.due_requests(11.4, 0.05) == []
    assert gaps.missing() == (2, 3)
    assert gaps.due_requests(11.5, 0.05) == []
    assert gaps.gave_up() == [2, 3]
    assert (gaps.counts.lost, gaps.contiguous) == (2, 4)


def ring_of(*numbers: int, capacity: int = 100, at_s: float = 0.0) -> SendRing:
    ring = SendRing(capacity, keep_s=1.0)
    for number in numbers:
        ring.append(number, b"%d" % number, at_s)
    return ring


def test_ring_returns_what_is_asked_for_in_that_order() -> None:
    assert ring_of(5, 6, 7).get([7, 5], 0.5) == [b"7", b"5"]


def test_ring_leaves_out_what_was_never_sent() -> None:
    assert ring_of(5, 6, 7).get(range(10), 0.5) == [b"5", b"6", b"7"]


def test_ring_keeps_an_entry_for_its_whole_time_and_no_longer() -> None:
    ring = ring_of(1, 2)
    ring.append(3, b"3", 1.0)
    assert ring.get([1, 2, 3], 1.0) == [b"1", b"2", b"3"]
    assert ring.get([1, 2, 3], 1.001) == [b"3"]
    assert len(ring) == 1


def test_ring_never_holds_more_than_its_capacity() -> None:
    ring = ring_of(*range(10), capacity=3)
    assert len(ring) == 3
    assert ring.get(range(10), 0.0) == [b"7", b"8", b"9"]


def test_ring_that_ran_empty_goes_on() -> None:
    ring = ring_of(1)
    assert ring.get([1], 5.0) == []
    ring.append(2, b"2", 5.0)
    assert ring.get([1, 2], 5.0) == [b"2"]


def test_ring_refuses_a_gap_in_our_own_numbers() -> None:
    with pytest.raises(AssertionError, match="not dense"):
        ring_of(1, 3)


def test_numbers_in_order_leave_nothing_to_do() -> None:
    tracker = GapTracker(10)
    assert [tracker.saw(number, 0.0) for number in (10, 11, 12)] == [True] * 3
    assert tracker.contiguous == tracker.highest == 12
    assert tracker.missing() == ()
    assert tracker.next_wakeup_s(0.1) is None
    assert tracker.due_requests(99.0, 0.1) == []


def test_mere_reordering_is_not_asked_for() -> None:
    tracker = GapTracker()
    tracker.saw(1, 10.0)
    assert tracker.due_requests(10.004, 0.0) == []
    assert tracker.saw(0, 10.004)
    assert tracker.due_requests(11.0, 0.0) == []
    assert (tracker.counts.reordered, tracker.counts.lost) == (1, 0)


def test_filled_gap_lets_contiguous_catch_up() -> None:
    tracker = GapTracker()
    for number, contiguous in ((0, 0), (2, 0), (4, 0), (1, 2), (3, 4)):
        tracker.saw(number, 0.0)
        assert tracker.contiguous == contiguous


def test_gap_is_asked_for_as_ranges_after_the_tolerance() -> None:
    tracker = GapTracker()
    for number in (0, 4, 5, 7):
        tracker.saw(number, 10.0)
    assert tracker.due_requests(10.0 + TOLERATED_S, 0.1) == [(1, 3), (6, 6)]
    assert tracker.missing() == (1, 2, 3, 6)
    assert tracker.contiguous == 0


@pytest.mark.parametrize(("rtt_s", "pause_s"), [(0.0, 0.020), (0.010, 0.020), (0.100, 0.120)])
def test_request_is_repeated_after_20_ms_or_a_fifth_more_than_the_rtt(rtt_s: float, pause_s: float) -> None:
    tracker = GapTracker()
    tracker.saw(1, 0.0)
    assert tracker.due_requests(0.01, rtt_s) == [(0, 0)]
    assert tracker.due_requests(0.01 + pause_s - 1e-6, rtt_s) == []
    assert tracker.due_requests(0.01 + pause_s + 1e-6, rtt_s) == [(0, 0)]


def test_end_of_a_phrase_is_missed_by_the_heartbeat() -> None:
    tracker = GapTracker()
    tracker.saw(0, 0.0)
    tracker.announce(2, 0.02)
    tracker.announce(1, 0.02)
    assert tracker.missing() == (1, 2)
    assert tracker.due_requests(0.03, 0.1) == [(1, 2)]
    assert tracker.counts.expected == 3


def test_number_is_given_up_at_its_age_and_the_rest_goes_on() -> None:
    tracker = GapTracker(keep_s=1.0)
    tracker.saw(2, 0.0)
    assert tracker.due_requests(0.5, 0.1) == [(0, 1)]
    assert tracker.due_requests(1.0, 0.1) == []
    assert tracker.gave_up() == [0, 1]
    assert tracker.gave_up() == []
    assert tracker.contiguous == 2
    assert tracker.next_wakeup_s(0.1) is None
    assert (tracker.counts.lost, tracker.counts.given_up) == (2, 2)


def test_giving_up_is_final_and_what_comes_then_is_counted_too_late() -> None:
    tracker = GapTracker()
    tracker.saw(1, 0.0)
    tracker.due_requests(KEEP_S, 0.1)
    assert not tracker.saw(0, 1.1)
    assert not tracker.saw(0, 1.2)
    assert (tracker.counts.too_late, tracker.counts.duplicates) == (1, 1)


def test_duplicates_and_numbers_below_the_first_are_not_delivered() -> None:
    tracker = GapTracker(5)
    assert tracker.saw(5, 0.0)
    assert not tracker.saw(5, 0.0)
    assert not tracker.saw(4, 0.0)
    assert tracker.counts.duplicates == 2


@pytest.mark.parametrize("step", ["saw", "announce"])
def test_jump_too_far_is_the_peers_fault_and_changes_nothing(step: str) -> None:
    tracker = GapTracker()
    tracker.saw(0, 0.0)
    with pytest.raises(MalformedDatagram, match="joined anew"):
        getattr(tracker, step)(MAX_MISSING + 2, 0.0)
    assert (tracker.highest, tracker.missing(), tracker.counts.expected) == (0, (), 1)
    tracker.announce(MAX_MISSING, 0.0)
    with pytest.raises(MalformedDatagram):
        tracker.announce(MAX_MISSING + 1, 0.0)
    assert len(tracker.missing()) == MAX_MISSING


def test_many_small_jumps_are_bounded_like_one_great_one() -> None:
    tracker = GapTracker()
    for number in range(1, 2 * MAX_MISSING, 2):
        tracker.saw(number, 0.0)
    with pytest.raises(MalformedDatagram):
        tracker.saw(2 * MAX_MISSING + 1, 0.0)
    assert len(tracker.missing()) == MAX_MISSING


def test_one_old_gap_does_not_bound_how_fast_the_rest_may_run() -> None:
    tracker = GapTracker()
    for number in range(1, 3 * MAX_MISSING):
        assert tracker.saw(number, 0.0)
    assert tracker.missing() == (0,)


def test_expecting_anew_forgets_the_past() -> None:
    tracker = GapTracker()
    tracker.saw(3, 0.0)
    tracker.expect(100)
    assert (tracker.missing(), tracker.contiguous) == ((), 99)
    assert tracker.saw(100, 0.0)
    assert tracker.due_requests(9.0, 0.1) == []
    assert tracker.gave_up() == []


def test_wakeup_is_the_first_instant_with_something_to_do() -> None:
    tracker = GapTracker(keep_s=1.0)
    tracker.saw(1, 7.0)
    requests = 0
    while (at_s := tracker.next_wakeup_s(0.1)) is not None:
        assert tracker.due_requests(math.nextafter(at_s, 0.0), 0.1) == []
        assert tracker.gave_up() == []
        requests += len(tracker.due_requests(at_s, 0.1))
        assert at_s <= 8.0
    assert tracker.gave_up() == [0]
    assert requests == 9  # at 5 ms, then every 120 ms until 1 s is over


# One step of a network: what comes, when. Time only ever grows.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["saw", "saw", "saw", "announce", "requests"]),
        st.integers(0, 40),
        st.floats(0.0, 0.4),
    ),
    max_size=120,
)


@given(STEPS, st.floats(0.0, 0.5))
def test_any_network_delivers_each_number_once_or_gives_it_up(
    steps: list[tuple[str, int, float]], rtt_s: float
) -> None:
    tracker = GapTracker(keep_s=1.0)
    delivered: list[int] = []
    given_up: list[int] = []
    seen: set[int] = set()
    announced = -1
    now_s = 0.0
    contiguous = -1

    def ask() -> None:
        asked = [
            number for first, last in tracker.due_requests(now_s, rtt_s) for number in range(first, last + 1)
        ]
        given_up.extend(tracker.gave_up())
        assert asked == sorted(set(asked))
        assert not seen.intersection(asked), "asked for what was seen"
        assert not set(given_up).intersection(asked), "asked for what was given up"
        assert set(asked) <= set(tracker.missing())

    for what, number, pause_s in steps:
        now_s += pause_s
        if what == "requests":
            ask()
        else:
            announced = max(announced, number)
            if what == "announce":
                tracker.announce(number, now_s)
            else:
                new = tracker.saw(number, now_s)
                assert new == (number not in seen and number not in given_up)
                seen.add(number)
                if new:
                    delivered.append(number)
        assert contiguous <= tracker.contiguous <= announced
        contiguous = tracker.contiguous
        done = set(delivered) | set(given_up)
        assert all(number in done for number in range(contiguous + 1))
        assert contiguous + 1 not in done, "contiguous lags behind"
        assert set(tracker.missing()) == set(range(announced + 1)) - done
    now_s += 2.0
    ask()
    assert sorted(delivered + given_up) == list(range(announced + 1))
    assert tracker.contiguous == announced
    counts = tracker.counts
    assert counts.expected == announced + 1
    assert counts.lost == counts.recovered + counts.given_up
    assert counts.given_up == len(given_up)


@given(st.data(), st.floats(0.0, 0.3))
def test_ring_and_tracker_together_repair_any_loss_that_ends(data: st.DataObject, rtt_s: float) -> None:
    count = 30
    ring, tracker = SendRing(64, keep_s=10.0), GapTracker(keep_s=10.0)
    delivered: list[int] = []

    def arrive(frame: bytes, at_s: float) -> None:
        if tracker.saw(int(frame), at_s):
            delivered.append(int(frame))

    for number in range(count):
        ring.append(number, b"%d" % number, number * 0.01)
        if data.draw(st.booleans()):
            arrive(b"%d" % number, number * 0.01)
    tracker.announce(count - 1, 0.3)
    losses_left = 10
    while (at_s := tracker.next_wakeup_s(rtt_s)) is not None:
        for first, last in tracker.due_requests(at_s, rtt_s):
            for frame in ring.get(range(first, last + 1), at_s):
                lost = losses_left > 0 and data.draw(st.booleans())
                losses_left -= lost
                if not lost:
                    arrive(frame, at_s)
    assert sorted(delivered) == list(range(count))
    assert tracker.gave_up() == []


def test_missing_numbers_are_looked_through_once_and_not_for_every_datagram(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A relay may miss thousands of events on hundreds of channels, and has other work in each wake-up."""
    looked_at, due_at_s = [], recovery._due_at_s

    def looking(gap: recovery._Gap, rtt_s: float) -> float:
        looked_at.append(gap)
        return due_at_s(gap, rtt_s)

    monkeypatch.setattr(recovery, "_due_at_s", looking)
    tracker = GapTracker(1)
    tracker.announce(1000, 10.0)
    for number in range(1001, 1101):
        tracker.saw(2 * number - 1000, 10.0)
        assert tracker.due_requests(10.001, 0.1) == []
        assert tracker.next_wakeup_s(0.1) == pytest.approx(10.005)
    assert len(looked_at) == 1001
    assert tracker.due_requests(10.005, 0.1)[0] == (1, 1001)
