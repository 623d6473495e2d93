"""The coherence ledger names exactly the events that one member got differently, and blames nobody else."""

import hashlib

import pytest

from relay.room.coherence import DETAIL_WAIT_S, REPORT_WAIT_S, CoherenceLedger
from relay.wire.control import DigestDetail, Report
from relay.wire.sequence import Flag, Judged, Kind
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.relay import EPOCH, NOTE

SECOND = EPOCH // TICKS_PER_S
NAMES = {1: "ann", 2: "bob", 3: "cleo"}
Row = list[tuple[int, bytes]]


def digest_of(number: int) -> bytes:
    return number.to_bytes(8)


class Book:
    """A coherence ledger, and members that play what they receive. A test alters `rows` to make a fault."""

    def __init__(self, members: tuple[int, ...] = (1, 2, 3), events: int = 5) -> None:
        self.ledger = CoherenceLedger(lambda event: f"#{event.number}", lambda slot: NAMES[slot])
        self.members = members
        self.events = events
        self.last = 0

    def second(self, index: int, *, flags: Flag = Flag.NONE, start: int | None = None) -> dict[int, Row]:
        """Let the events of one second be judged; return slot -> (number, digest) of each event to play."""
        start = self.last if start is None else start
        for step in range(self.events):
            self.last += 1
            due = EPOCH + index * TICKS_PER_S + ticks(0.9 * step / self.events)
            self.ledger.expect(Judged(self.last, 1 + step % 3, self.last, due, due, Kind.TIMED, flags, NOTE))
        numbers = range(start + 1, self.last + 1)
        return {slot: [(number, digest_of(number)) for number in numbers] for slot in self.members}

    def report(
        self, index: int, rows: dict[int, Row], *, partial: tuple[int, ...] = (), **extra: object
    ) -> None:
        """Let all members report the events that they played in one second.

        partial: slots whose second wasn't whole. extra: further fields of slot 2's report.
        """
        for slot, row in rows.items():
            digest = hashlib.blake2b(b"".join(n.to_bytes(8) + d for n, d in row), digest_size=16).digest()
            report = Report(
                second=SECOND + index,
                whole=slot not in partial,
                events=len(row),
                digest=digest,
                **(extra if slot == 2 else {}),
            )
            self.ledger.report(slot, report, at(index + 3))

    def settle(self, index: int, rows: dict[int, Row], *, mute: tuple[int, ...] = ()) -> set[int]:
        """Compare one second and give the ledger the details it asks for; return the slots that were asked.

        mute: slots that don't answer.
        """
        asked: set[int] = set()
        for second, slots in self.ledger.settle(self.members, at(index + 3)):
            assert second == SECOND + index
            asked |= set(slots)
            for slot in set(slots) - set(mute):
                self.ledger.detail(slot, DigestDetail(second=second, events=rows[slot]))
        self.ledger.settle(self.members, at(index + 3))
        return asked

    def play(self, index: int, rows: dict[int, Row]) -> set[int]:
        self.report(index, rows)
        return self.settle(index, rows)

    def blamed(self) -> dict[int, tuple[int, int, int, int]]:
        """Return (missing, late, out of order, different) by slot, for members with any such event."""
        found = {
            slot: (sums.missing, sums.late, sums.out_of_order, sums.different)
            for slot, sums in self.ledger.sums.items()
        }
        return {slot: figures for slot, figures in found.items() if any(figures)}


def at(index: int) -> int:
    return EPOCH + index * TICKS_PER_S


def drop(row: Row) -> Row:
    return row[:2] + row[3:]


def swap(row: Row) -> Row:
    return [row[0], row[1], row[3], row[2], *row[4:]]


def alter(row: Row) -> Row:
    return [*row[:2], (row[2][0], b"otherwise"), *row[3:]]


def far_swap(row: Row) -> Row:
    return [*row[:2], *row[3:], row[2]]


@pytest.mark.parametrize(
    ("plant", "figures", "words"),
    [
        (drop, (1, 0, 0, 0), "missing at bob: #3"),
        (alter, (0, 0, 0, 1), "different at bob: #3"),
        (far_swap, (0, 0, 1, 0), "out of order at bob: #3"),
    ],
)
def test_a_planted_fault_is_named_by_number_member_and_kind(
    plant: object, figures: tuple[int, ...], words: str
) -> None:
    book = Book()
    rows = book.second(0)
    assert callable(plant)
    rows[2] = plant(rows[2])
    assert book.play(0, rows) == {1, 2, 3}
    assert list(book.ledger.incidents) == [words]
    assert book.blamed() == {2: figures}
    assert (book.ledger.events, book.ledger.divergent) == (5, 1)
    assert book.play(1, book.second(1)) == set()
    assert book.blamed() == {2: figures}
    assert (book.ledger.seconds_compared, book.ledger.events, book.ledger.divergent) == (2, 10, 1)


def test_of_two_events_swapped_one_is_named() -> None:
    book = Book()
    rows = book.second(0)
    rows[2] = swap(rows[2])
    book.play(0, rows)
    assert book.blamed() == {2: (0, 0, 1, 0)}


@pytest.mark.parametrize(("late", "named"), [(3, "#3"), (4, "#4")])
def test_of_two_events_swapped_the_late_one_is_named(late: int, named: str) -> None:
    book = Book()
    rows = book.second(0)
    rows[2] = swap(rows[2])
    book.report(0, rows, late=1, late_numbers=[late])
    book.settle(0, rows)
    assert list(book.ledger.incidents) == [f"out of order at bob: {named}", f"late at bob: {named}"]
    assert book.ledger.divergent == 1


def test_a_late_event_that_kept_its_place_is_not_out_of_order() -> None:
    book = Book()
    rows = book.second(0)
    rows[2] = [rows[2][1], rows[2][0], *rows[2][2:]]
    book.report(0, rows, late=2, late_numbers=[2, 5])
    book.settle(0, rows)
    assert book.blamed() == {2: (0, 2, 1, 0)}
    assert "out of order at bob: #2" in book.ledger.incidents


def test_an_event_that_came_late_is_named_though_all_digests_agree() -> None:
    book = Book()
    rows = book.second(0)
    book.report(0, rows, late=1, late_numbers=[4])
    assert book.settle(0, rows) == set()
    assert list(book.ledger.incidents) == ["late at bob: #4"]
    assert book.blamed() == {2: (0, 1, 0, 0)}
    assert book.ledger.divergent == 1


def test_several_faults_of_several_members_are_kept_apart() -> None:
    book = Book()
    rows = book.second(0)
    rows[1], rows[3] = drop(rows[1]), alter(rows[3])
    book.play(0, rows)
    # Of #3 bob's and cleo's are left, one each; it is cleo's own, but a tie can't be decided better.
    assert set(book.ledger.incidents) == {"missing at ann: #3", "different at bob: #3"}
    assert book.ledger.divergent == 1


def test_of_two_members_that_disagree_the_events_own_sender_is_right() -> None:
    book = Book(members=(1, 2))
    rows = book.second(0)
    number_of_bobs = 2
    rows[1] = [(n, b"otherwise" if n == number_of_bobs else d) for n, d in rows[1]]
    book.play(0, rows)
    assert book.blamed() == {1: (0, 0, 0, 1)}
    assert list(book.ledger.incidents) == ["different at ann: #2"]


def test_equal_digests_over_the_wrong_number_of_events_are_noticed() -> None:
    book = Book()
    rows = {slot: drop(row) for slot, row in book.second(0).items()}
    assert book.play(0, rows) == {1, 2, 3}
    assert book.blamed() == dict.fromkeys((1, 2, 3), (1, 0, 0, 0))
    assert book.ledger.divergent == 1


def test_an_event_that_was_never_judged_is_noticed_everywhere() -> None:
    book = Book()
    rows = {slot: [*row, (99, b"extra")] for slot, row in book.second(0).items()}
    book.play(0, rows)
    assert book.blamed() == dict.fromkeys((1, 2, 3), (0, 0, 0, 1))
    assert "1 event at ann, not due then" in book.ledger.incidents


def test_a_member_that_joined_within_the_second_is_not_compared() -> None:
    book = Book()
    rows = book.second(0)
    rows[3] = rows[3][3:]
    book.report(0, rows, partial=(3,))
    assert book.settle(0, rows) == set()
    assert book.blamed() == {}
    assert 3 not in book.ledger.sums
    assert book.ledger.sums[1].seconds == 1


def test_what_a_bridge_gave_up_is_counted_once_in_the_second_it_was_due_in() -> None:
    """A bridge may report a lost event together with a later second than the one in which it was due."""
    book = Book()
    rows = [book.second(0), book.second(1)]
    rows[1][2] = drop(rows[1][2])
    book.report(0, rows[0], missing=1, missing_numbers=[8])
    book.settle(0, rows[0])
    assert book.blamed() == {}
    book.play(1, rows[1])
    assert book.blamed() == {2: (1, 0, 0, 0)}
    assert list(book.ledger.incidents) == ["missing at bob: #8"]


def test_a_second_waits_for_the_reports_of_those_present_and_no_longer_than_it_may() -> None:
    book = Book()
    rows = book.second(0)
    del rows[3]
    book.report(0, rows)
    book.ledger.settle(book.members, at(REPORT_WAIT_S))
    assert book.ledger.seconds_compared == 0
    book.ledger.settle(book.members, at(REPORT_WAIT_S + 1))
    assert book.ledger.seconds_compared == 1
    assert sorted(book.ledger.sums) == [1, 2]


def test_details_that_never_come_are_an_incident_and_hold_up_nothing() -> None:
    book = Book()
    rows = book.second(0)
    rows[2] = drop(rows[2])
    book.report(0, rows)
    book.settle(0, rows, mute=(2,))
    assert book.ledger.seconds_compared == 0
    book.ledger.settle(book.members, at(3 + DETAIL_WAIT_S) + 1)
    assert list(book.ledger.incidents) == ["bob did not say what it played in a second that differed"]
    assert book.blamed() == {2: (1, 0, 0, 0)}
    assert book.play(1, book.second(1)) == set()


def test_a_second_is_never_settled_before_its_end() -> None:
    book = Book()
    rows = book.second(0)
    assert book.ledger.settle((), at(0) + ticks(0.5)) == []
    assert book.play(0, rows) == set()
    assert book.ledger.seconds_compared == 1


def test_a_report_from_the_future_is_ignored() -> None:
    book = Book(members=(1,))
    liar = Report(second=SECOND + 20, whole=True, events=0, digest=b"")
    book.ledger.report(1, liar, at(0))
    book.ledger.settle((1,), at(1))
    assert book.play(0, book.second(0)) == set()
    assert book.ledger.events == 5


def test_details_that_nobody_asked_for_are_ignored() -> None:
    book = Book()
    rows = book.second(0)
    book.ledger.detail(1, DigestDetail(second=SECOND, events=[]))
    assert book.play(0, rows) == set()
    assert book.blamed() == {}


def test_a_new_owner_of_a_slot_inherits_neither_sums_nor_reports() -> None:
    book = Book()
    rows = book.second(0)
    rows[2] = drop(rows[2])
    book.report(0, rows)
    book.ledger.forget(2)
    book.ledger.settle((1, 3), at(4))
    assert sorted(book.ledger.sums) == [1, 3]
    assert book.blamed() == {}


def test_the_retimed_share_is_of_events_not_of_copies() -> None:
    book = Book()
    book.play(0, book.second(0, flags=Flag.RETIMED))
    book.play(1, book.second(1))
    assert (book.ledger.retimed, book.ledger.events) == (5, 10)


def test_a_second_of_thousands_of_events_is_settled_without_delay() -> None:
    """This must not take time proportional to the square of the number of events."""
    book = Book(events=4000)
    rows = book.second(0)
    rows[2] = rows[2][1:]
    book.play(0, rows)
    assert book.blamed() == {2: (1, 0, 0, 0)}


def test_unconfirmed_and_silent_events_are_summed_by_member() -> None:
    book = Book()
    rows = book.second(0)
    book.report(0, rows, unconfirmed=2, silent_here=3)
    book.settle(0, rows)
    assert (book.ledger.sums[2].unconfirmed, book.ledger.sums[2].silent_here) == (2, 3)
    assert book.ledger.divergent == 0


def test_what_comes_for_a_second_that_was_settled_is_divergent_unless_nobody_else_is_there() -> None:
    for members, divergent in (((1, 2, 3), 1), ((1,), 0)):
        book = Book(members)
        book.play(0, book.second(0))
        book.ledger.expect(Judged(99, 1, 99, EPOCH, EPOCH, Kind.TIMED, Flag.NONE, NOTE))
        assert (book.ledger.events, book.ledger.divergent) == (5 + divergent, divergent)
        assert list(book.ledger.incidents) == ["late by seconds everywhere else: #99"] * divergent
