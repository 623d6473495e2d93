"""Loaded buffers: at a note's due it is known whether the note's sample is loaded here."""

from bridge.playout.loaded_buffers import Buffers, Silent


def loaded(*numbers: int) -> Buffers:
    buffers = Buffers()
    buffers.synthdefs_loaded = True
    buffers.loaded |= set(numbers)
    return buffers


def silent(buffers: Buffers, until: int) -> list[tuple[int, int]]:
    return [(one.number, one.due) for one in buffers.silent(until)]


def test_a_note_whose_buffer_is_there_is_heard() -> None:
    buffers = loaded(3)
    buffers.handed_over(1, 10, (3,))
    assert silent(buffers, 10) == []


def test_a_buffer_that_comes_until_its_due_is_in_time() -> None:
    buffers = loaded()
    buffers.handed_over(1, 10, (3,))
    buffers.handed_over(2, 20, (3,))
    assert silent(buffers, 10) == [(1, 10)]
    buffers.loaded.add(3)
    assert silent(buffers, 20) == []


def test_a_buffer_is_free_from_the_due_of_its_free_on_and_not_before() -> None:
    buffers = loaded(3)
    buffers.free(3, 15)
    for number, due in ((1, 10), (2, 15), (3, 20)):
        buffers.handed_over(number, due, (3,))
    assert silent(buffers, 12) == []
    assert silent(buffers, 30) == [(2, 15), (3, 20)]


def test_a_buffer_loaded_anew_before_its_free_is_due_is_freed_all_the_same() -> None:
    buffers = loaded(3)
    buffers.free(3, 15)
    buffers.loaded.add(3)
    buffers.handed_over(1, 20, (3,))
    assert silent(buffers, 20) == [(1, 20)]


def test_nothing_is_heard_before_the_synthdefs_are_there() -> None:
    buffers = Buffers()
    buffers.handed_over(1, 10, ())
    assert silent(buffers, 10) == [(1, 10)]


def test_a_note_whose_synthdef_is_missing_at_its_due_is_silent_and_named() -> None:
    missing = {"sonic-pi-kalimba"}
    buffers = Buffers(missing.__contains__)
    buffers.synthdefs_loaded = True
    for number, due in ((1, 10), (2, 20)):
        buffers.handed_over(number, due, (), slot=4, synthdef="sonic-pi-kalimba")
    buffers.handed_over(3, 10, (), slot=4, synthdef="sonic-pi-beep")
    assert buffers.silent(10) == [Silent(1, 10, 4, (), "sonic-pi-kalimba")]
    missing.clear()
    assert buffers.silent(20) == [], "it came in time"
