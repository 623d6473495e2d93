"""A planted fault hits exactly one note. Without a planted fault nothing changes."""

import pytest

from bridge.playout.fault_injection import DELAY, PARTNER_WAIT, FaultInjector, FaultKind
from bridge.playout.holdback_queue import Held
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from relay.wire.sequence import Kind
from relay.wire.timetag import TICKS_PER_S

START = 3_900_000_000 * TICKS_PER_S


def note(number: int, *, after_s: float = 0.0) -> Held:
    payload = encode("/s_new", "sonic-pi-beep", 40 + number, 1, 4, "note", 60.0)
    return Held(START + round(after_s * TICKS_PER_S), 2, number, Kind.TIMED, Meaning(payload), number=number)


def group(number: int) -> Held:
    return Held(START, 2, number, Kind.UNTIMED, Meaning(encode("/g_new", 8, 1, 4)), number=number)


def test_nothing_happens_unless_armed() -> None:
    planter = FaultInjector()
    batch = [group(1), note(2), note(3)]
    assert planter.pass_on(batch, START) == batch
    assert planter.alter(batch[1], b"body") == b"body"
    assert planter.planted == []


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DELAY])
def test_the_next_note_is_kept_back_and_only_that(kind: FaultKind) -> None:
    planter = FaultInjector()
    planter.arm(kind)
    batch = [group(1), note(2), note(3)]
    assert planter.pass_on(batch, START) == [batch[0], batch[2]]
    assert planter.planted == [(kind, 2)]


def test_a_delayed_note_comes_after_its_due_and_once() -> None:
    planter = FaultInjector()
    planter.arm(FaultKind.DELAY)
    held = note(1, after_s=0.4)
    assert planter.pass_on([held], START) == []
    assert planter.pass_on([], held.due + DELAY - 1) == []
    assert planter.pass_on([], held.due + DELAY) == [held]
    assert planter.pass_on([], held.due + 2 * DELAY) == []


def test_altering_turns_one_bit_of_one_note() -> None:
    planter = FaultInjector()
    planter.arm(FaultKind.ALTER)
    assert planter.alter(group(1), b"\x00\x00") == b"\x00\x00"
    assert planter.alter(note(2), b"\x00\x00") == b"\x00\x01"
    assert planter.alter(note(3), b"\x00\x00") == b"\x00\x00"


def test_swapping_exchanges_the_dues_of_two_notes_of_one_second() -> None:
    planter = FaultInjector()
    planter.arm(FaultKind.SWAP)
    chord = [note(1, after_s=0.3), note(2, after_s=0.3)]
    assert planter.pass_on(chord, START) == [chord[1]], "the first waits, its like is of no use"
    other = note(3, after_s=0.4)
    dues = chord[0].due, other.due
    assert planter.pass_on([other], START) == [chord[0], other]
    assert (other.due, chord[0].due) == dues
    assert planter.planted == [(FaultKind.SWAP, 1)]


def test_a_note_whose_partner_does_not_come_in_time_goes_as_it_is() -> None:
    planter = FaultInjector()
    planter.arm(FaultKind.SWAP)
    last = note(1, after_s=0.9)
    assert planter.pass_on([last], START) == []
    following = note(2, after_s=1.1)
    assert planter.pass_on([following], START) == [last], "of another second"
    assert planter.pass_on([], following.due - PARTNER_WAIT) == [following]
    assert planter.planted == []
