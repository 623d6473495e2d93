"""Refused events are counted: in the relay's figures, in the divergence, and in a notice to their player."""

import pytest

import relay.room.channel
from relay.limits import EVENTS_BURST, STRUCTURE_BURST, STRUCTURE_PER_S
from relay.room.channel import UP_KEEP_S
from relay.room.facets.unheard import TELL_EVERY, Unheard, words
from relay.room.judge import Judge
from relay.room.why import Why
from relay.wire import control
from relay.wire.osc import encode
from relay.wire.sequence import Flag, Judged, Kind, Stamped, Timing
from relay.wire.timetag import ticks
from tests.relay.room.test_coherence import Book, at
from tests.worlds.relay import EPOCH, GROUP, NOTE, FakeBridge, Jam

FEW = 20


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the limits of events so low that a test reaches them soon."""
    monkeypatch.setattr(relay.room.channel, "EVENTS_BURST", FEW)
    monkeypatch.setattr(relay.room.channel, "EVENTS_PER_S", 1)
    monkeypatch.setattr(relay.room.channel, "STRUCTURE_BURST", FEW)
    monkeypatch.setattr(relay.room.channel, "STRUCTURE_PER_S", 1)


def flood(bridge: FakeBridge, payload: bytes, count: int) -> None:
    for _ in range(count):
        bridge.send(bridge.stamp(payload))


def notices(bridge: FakeBridge) -> list[str]:
    return [notice.text for notice in bridge.heard(control.Notice)]


# -- words -------------------------------------------------------------------------------------------


def test_a_member_is_told_at_once_and_then_once_a_minute_what_came_together() -> None:
    jam = Jam()
    jam.join("ann")
    unheard = jam.hub.rooms["main"].facet(Unheard)

    def told(now: int) -> list[str]:
        return [effect.message.text for effect in unheard.wake(now)]

    unheard.unheard(1, Why.RATE, 3, EPOCH)
    assert len(told(EPOCH)) == 1
    unheard.unheard(1, Why.RATE, 1, EPOCH)
    unheard.unheard(1, Why.FAR, 2, EPOCH)
    assert told(EPOCH + TELL_EVERY - 1) == []
    first, second = told(EPOCH + TELL_EVERY)
    assert "1 event of yours can't be passed on" in first
    assert "2 events of yours can't be passed on" in second
    assert told(EPOCH + 9 * TELL_EVERY) == []
    unheard.unheard(1, Why.RATE, 1, EPOCH)
    unheard.left(1)
    assert told(EPOCH + 99 * TELL_EVERY) == []


@pytest.mark.parametrize("why", Why)
def test_every_reason_has_its_words_within_a_notice(why: Why) -> None:
    text = words(why, 123_456)
    assert text.startswith("123456 events of yours")
    assert len(text) < control.room.MAX_NOTICE


# -- the relay ---------------------------------------------------------------------------------------


def test_over_the_limit_notes_are_refused_and_told_and_groups_are_passed_on() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    flood(ann, NOTE, FEW + 5)
    flood(ann, GROUP, 3)
    flood(ann, encode("/n_free", 5), 3)
    assert len(bob.judged) == FEW + 6
    jam.advance(0.3)
    (told,) = notices(ann)
    assert told.startswith("5 events of yours can't be passed on, and only you hear them")
    assert notices(bob) == []
    (stats,) = jam.hub.stats("main", jam.now).rooms
    assert [member.refused for member in stats.members] == [5, 0]


def test_who_floods_a_room_with_groups_is_put_out_told_why_and_silenced() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    flood(ann, GROUP, 2 * FEW)
    assert not ann.closed
    ann.send(*(ann.stamp(GROUP) for _ in range(8)))
    refused = ann.heard(control.Refused)[-1]
    assert ann.closed
    assert (refused.reason, refused.final) == ("flood", True)
    assert "join anew" in refused.text
    last = bob.judged[-1]
    assert (last.kind, Flag.SILENCED in last.flags, last.number) == (Kind.RESET, True, 2 * FEW + 1)
    assert [member.name for member in bob.heard(control.Roster)[-1].members] == ["bob"]
    bob.play()
    assert bob.judged[-1].slot == 2


def test_no_sonic_pi_comes_near_the_limit_of_structure() -> None:
    assert STRUCTURE_PER_S > 733, "messages of any kind, the most that was measured, in one second"
    assert min(STRUCTURE_BURST, EVENTS_BURST) >= 1000


def test_a_note_too_far_ahead_is_told_and_counted() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.send(ann.stamp(ahead_s=62.0))
    assert bob.judged == []
    jam.advance(0.3)
    (told,) = notices(ann)
    assert told.startswith("1 event of yours can't be passed on, and only you hear it: the relay keeps")


def test_what_never_comes_is_counted_once_it_is_given_up_but_not_what_was_before() -> None:
    jam = Jam()
    ann = FakeBridge(jam, "ann")
    for _ in range(3):
        ann.stamp()
    ann.hello()
    ann.stamp()
    ann.play()
    jam.advance(UP_KEEP_S + 1.0)
    (told,) = notices(ann)
    assert told.startswith("1 event of yours never reached the relay, so only you heard it")


def test_what_was_given_up_is_taken_when_its_bridge_comes_back_and_sends_it_again() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    lost = ann.stamp(GROUP, kind=Kind.UNTIMED)
    ann.play()
    jam.advance(0.5)
    assert [judged.seq for judged in bob.judged] == [2], "the gap was given up for the note's sake"
    ann.hang_up()
    ann.again(next_seq=lost.seq)
    ann.send(lost)
    assert [judged.seq for judged in bob.judged] == [2, 1]


def real_time(seq: int, at_s: float) -> Stamped:
    at = EPOCH + ticks(at_s)
    return Stamped(seq, at, at, Kind.TIMED, NOTE)


def test_what_was_lost_counts_once_however_often_its_bridge_comes_back() -> None:
    told: list[int] = []

    def refused(_slot: int, _why: Why, events: int, _now: int) -> None:
        told.append(events)

    judge = Judge(Timing(ticks(0.2), 0), horizon=ticks(0.03), on_refused=refused)
    judge.judge(1, real_time(1, 0.0), EPOCH)
    judge.reset(1, EPOCH + ticks(6.0), silenced=True)
    for back_s in (7.0, 8.0, 9.0):
        judge.skip_to(1, 7, EPOCH + ticks(back_s), was_in=True)
    assert sum(told) == 5


def test_no_hello_can_claim_millions_of_lost_events() -> None:
    told: list[int] = []
    judge = Judge(Timing(ticks(0.2), 0), horizon=ticks(0.03), on_refused=lambda _s, _w, n, _t: told.append(n))
    judge.judge(1, real_time(1, 0.0), EPOCH)
    judge.skip_to(1, 2**31, EPOCH + ticks(1.0), was_in=True)
    assert sum(told) <= 5000


# -- the book ----------------------------------------------------------------------------------------


def missed(number: int, slot: int = 1) -> Judged:
    due = EPOCH + ticks(0.5)
    return Judged(number, slot, number, due, due, Kind.TIMED, Flag.MISSED, NOTE)


def test_a_note_that_missed_its_time_is_missing_at_all_others_and_named() -> None:
    book = Book()
    rows = book.second(0)
    book.ledger.expect(missed(6))
    book.report(0, rows)
    book.settle(0, rows)
    ledger = book.ledger
    assert (ledger.events, ledger.divergent) == (6, 1)
    assert {slot: sums.missing for slot, sums in ledger.sums.items()} == {1: 0, 2: 1, 3: 1}
    assert ledger.incidents[-1].endswith("given it: #6")


def test_who_had_played_it_is_the_only_one_that_heard_it() -> None:
    book = Book()
    rows = book.second(0)
    book.ledger.expect(missed(6, slot=2))
    book.report(0, rows, alone=1)
    book.settle(0, rows)
    assert {slot: sums.alone for slot, sums in book.ledger.sums.items()} == {1: 0, 2: 1, 3: 0}


def test_what_its_player_reports_a_second_later_than_the_verdict_counts_too() -> None:
    book = Book()
    rows = book.second(0)
    book.report(0, rows, alone=1)
    book.settle(0, rows)
    assert {slot: sums.alone for slot, sums in book.ledger.sums.items()} == {1: 0, 2: 1, 3: 0}


def test_many_that_missed_their_time_in_one_second_leave_room_for_other_incidents() -> None:
    book = Book()
    rows = book.second(0)
    for number in range(6, 106):
        book.ledger.expect(missed(number))
    book.report(0, rows)
    book.settle(0, rows)
    assert book.ledger.divergent == 100
    assert len(book.ledger.incidents) < 20
    assert "92 events more in that second" in book.ledger.incidents[-1]


def test_what_got_no_verdict_is_missing_at_all_others_in_the_second_in_which_that_was_found() -> None:
    book = Book()
    rows = book.second(0)
    book.ledger.unheard(3, Why.LOST.value, 84, at(0))
    book.report(0, rows)
    book.settle(0, rows)
    ledger = book.ledger
    assert (ledger.events, ledger.divergent) == (89, 84)
    figures = [(sums.missing, sums.alone) for _, sums in sorted(ledger.sums.items())]
    assert figures == [(84, 0), (84, 0), (0, 84)]
    assert ledger.incidents[-1] == "84 events of cleo at nobody else: it never reached the relay"


def test_who_is_alone_in_a_room_differs_from_nobody() -> None:
    book = Book(members=(1,))
    rows = book.second(0)
    book.ledger.unheard(1, Why.RATE.value, 3, at(0))
    book.report(0, rows)
    book.settle(0, rows)
    assert (book.ledger.events, book.ledger.divergent) == (5, 0)


def test_what_its_player_had_at_another_instant_is_named_though_nothing_else_moved() -> None:
    book = Book()
    rows = book.second(0)
    rows[2] = [rows[2][1], rows[2][0], *rows[2][2:]]
    book.report(0, rows, out_of_order=1, out_of_order_numbers=[2])
    book.settle(0, rows)
    assert book.ledger.divergent == 1
    assert book.ledger.incidents[-1] == "out of order at bob: #2"


def test_a_second_that_was_settled_already_counts_it_in_the_next() -> None:
    book = Book()
    rows = book.second(0)
    book.report(0, rows)
    book.settle(0, rows)
    book.ledger.unheard(1, Why.LOST.value, 2, at(0))
    later = book.second(1)
    book.report(1, later)
    book.settle(1, later)
    assert book.ledger.divergent == 2
