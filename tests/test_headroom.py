"""Headroom: how far ahead of their timetags notes are emitted."""

from relay.headroom import BIN, Headrooms
from relay.wire.sequence import Kind, Stamped
from relay.wire.timetag import ticks
from tests.fakes import EPOCH, NOTE


def note(headrooms: Headrooms, at_s: float, ahead_s: float | None) -> None:
    emitted = EPOCH + ticks(at_s)
    kind = Kind.UNTIMED if ahead_s is None else Kind.TIMED
    timetag = None if ahead_s is None else emitted + ticks(ahead_s)
    headrooms.judged(Stamped(1, emitted, timetag, kind, NOTE), emitted)


def test_before_there_were_notes_nothing_is_known() -> None:
    headrooms = Headrooms()
    note(headrooms, 0.0, None)
    assert headrooms.low() is None
    assert headrooms.share_below(ticks(9.0)) == 0.0
    assert (headrooms.last_timetag, headrooms.last_emitted) == (0, EPOCH)


def test_all_but_one_note_in_a_thousand_have_the_low_headroom() -> None:
    headrooms = Headrooms()
    for index in range(4000):
        note(headrooms, index * 0.1, 0.301 if index < 5 else 0.501)
    low = headrooms.low()
    assert low is not None
    assert 0 <= ticks(0.301) - low < BIN
    for index in range(2000):
        note(headrooms, 400.0 + index * 0.05, 0.501)
    low = headrooms.low()
    assert low is not None
    assert 0 <= ticks(0.501) - low < BIN


def test_the_first_two_notes_of_a_run_decide_nothing() -> None:
    headrooms = Headrooms()
    for ahead_s in (0.1, 0.15, 0.5, 0.5):
        note(headrooms, 0.0, ahead_s)
    low = headrooms.low()
    assert low is not None
    assert low > ticks(0.49)


def test_notes_in_real_time_are_no_measure_for_others() -> None:
    headrooms = Headrooms()
    for index in range(1000):
        note(headrooms, index * 0.1, 0.001)
    assert headrooms.low() is None
    assert headrooms.share_below(ticks(1.0)) == 0.0


def test_ten_minutes_with_notes_are_kept_however_long_the_pauses() -> None:
    headrooms = Headrooms()
    for index in range(60):
        note(headrooms, index * 3600.0, 0.2)
    assert headrooms.share_below(ticks(0.3)) == 1.0
    for index in range(60):
        note(headrooms, 60 * 3600.0 + index * 10.0, 0.5)
    assert headrooms.share_below(ticks(0.3)) == 0.0
    assert len(headrooms._blocks) == 60
