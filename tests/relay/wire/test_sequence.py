"""The rule for dues and the room's order, as functions of stamped and judged events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.sequence import Flag, Judged, Kind, Stamped, Timing, base_due, is_moved, raises_floor
from relay.wire.timetag import ticks
from tests.worlds.relay import EPOCH, NOTE

LEAD, SHIFT = ticks(0.2), ticks(0.05)


def stamped(kind: Kind, ahead_s: float | None = None) -> Stamped:
    return Stamped(1, EPOCH, None if ahead_s is None else EPOCH + ticks(ahead_s), kind, NOTE)


@pytest.mark.parametrize(
    ("ahead_s", "due_s", "moved"),
    [(0.5, 0.55, False), (0.15, 0.2, False), (0.149, 0.2, True), (0.0, 0.2, True), (-1.0, 0.2, True)],
)
def test_a_timed_event_is_due_at_its_timetag_and_shift_but_not_before_the_lead(
    ahead_s: float, due_s: float, moved: bool
) -> None:
    timing = Timing(LEAD, SHIFT)
    event = stamped(Kind.TIMED, ahead_s)
    due = base_due(event, timing)
    assert abs(due - EPOCH - ticks(due_s)) <= 1
    assert is_moved(event, timing, due) == moved


@pytest.mark.parametrize("kind", [Kind.UNTIMED, Kind.RESOURCE, Kind.RESET])
def test_an_untimed_event_is_due_a_lead_after_its_emission_and_never_moved(kind: Kind) -> None:
    event = stamped(kind)
    assert base_due(event, Timing(LEAD, SHIFT)) == EPOCH + LEAD
    assert not is_moved(event, Timing(LEAD, SHIFT), EPOCH + ticks(9))


def test_only_untimed_events_and_resets_raise_the_floor() -> None:
    assert [kind.name for kind in Kind if raises_floor(kind)] == ["UNTIMED", "RESET"]


@given(st.integers(0, ticks(5)), st.floats(0.0, 9.0))
def test_with_the_shift_at_the_lead_the_jam_is_an_exact_shifted_copy(lead: int, ahead_s: float) -> None:
    event = stamped(Kind.TIMED, ahead_s)
    assert event.timetag is not None
    assert base_due(event, Timing(lead, lead)) == event.timetag + lead


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 9)), unique=True), st.randoms()
)
def test_the_order_is_a_pure_function_of_due_and_number(
    keys: list[tuple[int, int, int]], random: object
) -> None:
    events = [
        Judged(number, slot, seq, EPOCH + due, EPOCH, Kind.TIMED, Flag.NONE, NOTE)
        for number, (due, slot, seq) in enumerate(keys)
    ]
    shuffled = list(events)
    random.shuffle(shuffled)
    assert sorted(shuffled, key=lambda event: event.key) == sorted(events, key=lambda event: event.key)
    assert [event.key for event in sorted(events, key=lambda one: one.key)] == sorted(
        (EPOCH + due, number) for number, (due, _, _) in enumerate(keys)
    )
