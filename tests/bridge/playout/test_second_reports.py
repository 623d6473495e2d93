"""Reports: what a bridge tells the relay about each second, half a second after the second's end."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.playout.second_reports import WAYS_KEPT, PathFigures, SecondsLedger, event_digest
from relay.wire.control.report import MAX_LISTED, TENTHS_PER_S, WAY_TENTHS_MAX, WAYS_MAX, Report
from relay.wire.timetag import ticks
from tests.worlds.bridge import instant

FIGURES = PathFigures(rtt_ms=12.0, frames_expected=100, frames_lost=2)
BASE = instant(0.0) >> 32


def started() -> SecondsLedger:
    """Return a ledger that was started at second 9.5. Its first whole second is 10."""
    ledger = SecondsLedger()
    ledger.start(instant(9.5), slot=0)
    return ledger


def give(ledger: SecondsLedger, number: int, due_s: float, **flags: bool) -> None:
    due = instant(due_s)
    ledger.hand_over(
        number=number, due=due, timetag=due, digest=event_digest(number, b"m"), margin_s=0.05, **flags
    )


def report_of(ledger: SecondsLedger, second: int) -> Report:
    found = [
        report
        for report in ledger.due_reports(instant(second + 2.0), FIGURES)
        if report.second == BASE + second
    ]
    assert len(found) == 1
    return found[0]


def test_a_second_is_reported_half_a_second_after_its_end_and_once() -> None:
    ledger = started()
    assert ledger.due_reports(instant(11.49), FIGURES) == []
    assert [report.second - BASE for report in ledger.due_reports(instant(11.5), FIGURES)] == [10]
    assert ledger.due_reports(instant(12.0), FIGURES) == []
    assert ledger.report_at == instant(12.5)


def test_no_two_members_report_at_the_same_instant() -> None:
    due = []
    for slot in range(1, 32):
        ledger = SecondsLedger()
        ledger.start(instant(9.9), slot=slot)
        at = ledger.report_at + (instant(11.0) - instant(10.0))  # of second 10, the first that is whole
        assert ledger.due_reports(at - 1, FIGURES) == []
        assert [report.second - BASE for report in ledger.due_reports(at, FIGURES)] == [10]
        due.append(at)
    assert all(after - before >= ticks(0.0078) for before, after in pairwise(due))
    assert instant(11.5) < due[0] < due[-1] < instant(11.75)


def test_only_seconds_that_began_after_joining_are_whole() -> None:
    ledger = started()
    assert all(report.whole for report in ledger.due_reports(instant(15.0), FIGURES))
    ledger.start(instant(20.2), slot=0)
    reports = ledger.due_reports(instant(23.4), FIGURES)
    assert [(report.second - BASE, report.whole) for report in reports] == [(21, True)]


def test_after_a_clock_that_was_set_back_reports_go_on_from_there() -> None:
    ledger = started()
    ledger.due_reports(instant(20.0), FIGURES)
    ledger.start(instant(15.0), slot=0)
    assert [report.second - BASE for report in ledger.due_reports(instant(18.0), FIGURES)] == [16]


@given(st.permutations([(1, 10.1), (2, 10.2), (3, 10.2), (4, 10.9)]))
def test_the_digest_runs_in_scsynths_order_by_timetag_then_arrival(
    arrivals: list[tuple[int, float]],
) -> None:
    ledger, other = started(), started()
    for number, due_s in arrivals:
        give(ledger, number, due_s)
    ties = [number for number, due_s in arrivals if due_s == 10.2]
    for number, due_s in ((1, 10.1), *((tie, 10.2) for tie in ties), (4, 10.9)):
        give(other, number, due_s)
    assert report_of(ledger, 10).digest == report_of(other, 10).digest
    assert [number for number, _ in ledger.detail(BASE + 10).events] == [1, *ties, 4]


def test_another_number_another_message_another_order_another_digest() -> None:
    digests = set()
    for events in ([(1, 10.1), (2, 10.2)], [(1, 10.2), (2, 10.1)], [(1, 10.1)], [(1, 10.1), (3, 10.2)]):
        ledger = started()
        for number, due_s in events:
            give(ledger, number, due_s)
        digests.add(report_of(ledger, 10).digest)
    assert len(digests) == 4
    assert event_digest(1, b"m") != event_digest(1, b"n") != event_digest(2, b"n")


def test_what_went_wrong_is_counted_and_named() -> None:
    ledger = started()
    give(ledger, 1, 10.1)
    give(ledger, 2, 10.2, late=True, out_of_order=True)
    give(ledger, 3, 10.3)
    ledger.silent(3, instant(10.3))
    give(ledger, 4, 10.4, unconfirmed=True)
    ledger.play_unconfirmed()
    ledger.give_up(7, 8)
    ledger.refused, ledger.local_only = 2, 3
    report = report_of(ledger, 10)
    assert (report.events, report.late_numbers, report.out_of_order_numbers) == (4, [2], [2])
    assert (report.silent_here_numbers, report.unconfirmed_numbers, report.unconfirmed) == ([3], [4], 1)
    assert (report.missing, report.missing_numbers) == (2, [7, 8])
    assert (report.refused, report.local_only) == (2, 3)
    assert (report.rtt_ms, report.frames_lost) == (12.0, 2)
    after = report_of(ledger, 11)
    assert (after.missing, after.refused, after.local_only, after.unconfirmed) == (0, 0, 0, 0)


def test_lists_are_cut_and_counts_are_whole() -> None:
    ledger = started()
    for number in range(200):
        give(ledger, number, 10.1, late=True)
    ledger.give_up(1, 10**15)
    report = report_of(ledger, 10)
    assert (report.late, len(report.late_numbers)) == (200, MAX_LISTED)
    assert (report.missing, len(report.missing_numbers)) == (10**15, MAX_LISTED)


def test_the_least_margin_is_reported_and_none_if_nothing_was_to_be_in_time() -> None:
    ledger = started()
    for number, margin_s in ((1, 0.04), (2, 0.02), (3, None)):
        ledger.hand_over(number=number, due=instant(10.5), timetag=0, digest=b"", margin_s=margin_s)
    assert abs((report_of(ledger, 10).margin_ms_min or 0) - 20.0) < 1e-9
    assert report_of(ledger, 11).margin_ms_min is None


def test_the_median_and_p99_of_the_heartbeats_ways_down_are_reported() -> None:
    ledger = started()
    for count in range(1, 201):
        ledger.one_way_down(0.001 * count)
    report = report_of(ledger, 10)
    assert abs(report.down_p50_ms - 100.0) < 1e-9
    assert abs(report.down_p99_ms - 198.0) < 1e-9


def test_the_ways_of_events_are_reported_once_to_a_tenth_of_a_millisecond() -> None:
    ledger = started()
    ledger.way_down(7, 0.01234)
    ledger.way_down(8, -0.001)  # the clocks' last error: no event comes before it is sent
    ledger.way_down(9, 1e6)
    assert report_of(ledger, 10).ways_down == [(7, 123), (8, 0), (9, WAY_TENTHS_MAX)]
    assert report_of(ledger, 11).ways_down == []


def test_of_more_ways_than_a_report_holds_it_lists_the_longest() -> None:
    ledger = started()
    for number in range(WAYS_MAX + 100):
        ledger.way_down(number, number / TENTHS_PER_S)
    assert sorted(report_of(ledger, 10).ways_down) == [(n, n) for n in range(100, WAYS_MAX + 100)]
    for number in range(10 * WAYS_MAX):
        ledger.way_down(number, 0.0)
    assert len(ledger._ways) == WAYS_KEPT


def test_memory_is_bounded_and_another_epoch_starts_empty() -> None:
    ledger = started()
    for second in range(10, 200):
        give(ledger, second, second + 0.5)
        ledger.due_reports(instant(second), FIGURES)
    assert len(ledger._seconds) < 25
    ledger.enter_epoch()
    assert ledger.detail(BASE + 198).events == []
    assert ticks(1.0) == 1 << 32


def test_what_was_played_alone_is_in_the_report_of_its_second_or_in_the_next_one_if_that_is_over() -> None:
    ledger = started()
    ledger.alone(instant(10.2))
    assert report_of(ledger, 10).alone == 1
    ledger.alone(instant(10.8))
    ledger.alone(instant(13.5))
    assert [report_of(ledger, second).alone for second in (11, 12, 13, 14)] == [1, 0, 1, 0]
