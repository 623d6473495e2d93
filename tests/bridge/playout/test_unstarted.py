"""Unstarted: a failure reported by scsynth belongs to the note that hasn't begun by its due."""

from bridge.playout.unstarted import FORGOTTEN, GRACE, NOTES_MAX, Note, Unstarted

DUE = 1 << 40


def a_note(number: int, due: int = DUE) -> Note:
    return Note(due, number, 2, 1000 + number, f"synth-{number}")


def handed(*notes: Note) -> Unstarted:
    unstarted = Unstarted()
    for note in notes:
        unstarted.handed_over(note)
    assert unstarted.refused(DUE) == []
    return unstarted


def test_the_note_that_has_not_begun_is_the_one_that_failed() -> None:
    unstarted = handed(a_note(1), a_note(2), a_note(3))
    unstarted.began(1001)
    unstarted.failed()
    unstarted.began(1003)
    assert unstarted.refused(DUE + GRACE - 1) == [], "scsynth may still tell that it began"
    assert unstarted.refused(DUE + GRACE) == [a_note(2)]
    assert unstarted.refused(DUE + 9 * GRACE) == []
    assert unstarted.failures == 1


def test_a_note_that_has_not_begun_is_heard_as_far_as_known_if_nothing_failed() -> None:
    unstarted = handed(a_note(1))
    assert unstarted.refused(DUE + GRACE) == []


def test_a_note_that_is_counted_already_takes_its_failure_with_it() -> None:
    unstarted = handed(a_note(1), a_note(2))
    unstarted.expect_failure(1)
    unstarted.failed()
    assert unstarted.refused(DUE + GRACE) == []


def test_a_failure_of_a_synth_that_is_no_event_is_forgotten_after_a_second() -> None:
    unstarted = handed(a_note(1, DUE + 9 * FORGOTTEN))
    unstarted.failed()
    assert unstarted.refused(DUE + 2 * FORGOTTEN) == []
    assert unstarted.refused(DUE + 10 * FORGOTTEN) == []


def test_no_more_notes_are_kept_than_the_bound() -> None:
    unstarted = handed(*(a_note(number, DUE + number) for number in range(NOTES_MAX + 10)))
    assert len(unstarted._by_due) == len(unstarted._by_node) == NOTES_MAX


def test_nothing_is_left_of_notes_that_began_or_were_forgotten() -> None:
    unstarted = handed(a_note(1), a_note(2))
    unstarted.expect_failure(1)
    unstarted.began(1001)
    unstarted.refused(DUE + GRACE)
    assert (unstarted._by_due, unstarted._by_node, unstarted._expected) == ([], {}, set())
    unstarted.handed_over(a_note(3))
    unstarted.clear()
    unstarted.failed()
    assert unstarted.refused(DUE + 9 * GRACE) == []
