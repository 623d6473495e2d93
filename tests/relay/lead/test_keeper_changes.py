"""Changes of lead and shift: which changes are possible, and that events keep their order during each."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.room.judge import Judge
from relay.wire.errors import LocalError
from relay.wire.sequence import Flag, Judged, Kind, Ramp, Stamped, Timing
from relay.wire.timetag import ticks
from tests.relay.lead.test_keeper import Room
from tests.worlds.relay import NOTE

# -- what holds at every change ----------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 2, 5, 30, 65]),  # seconds that it lasts
        st.sampled_from([None, 0.05, 0.15, 0.28, 0.4, 0.6, 0.99, 5.0]),  # need
        st.sampled_from([None, 0.06, 0.2, 0.45, 1.0]),  # headroom of the notes
        st.booleans(),  # silent
    ),
    max_size=12,
)


def played(steps: list[tuple[int, float | None, float | None, bool]], **policy: object) -> Room:
    """Take these steps in a room and return it. Check that no change alters the timing of judged events.

    A step is (seconds, need in s, schedule-ahead of notes in s, whether nobody plays).
    """
    room = Room(**policy)
    for seconds, need_s, ahead_s, silent in steps:
        if ahead_s is not None:
            room.play(ahead_s, 300)
        for _ in range(seconds):
            before = room.keeper.timing
            room.need(need_s, silent=silent)
            after = room.keeper.timing
            for back_s in (0.0, 0.3, 2.0):
                emitted = room.now - ticks(back_s)
                if before.lead_was is None or emitted >= before.lead_was.since:
                    assert after.lead_at(emitted) == before.lead_at(emitted), (
                        "told apart by when it was judged"
                    )
                timetag = max(room.now, room.notes.last_timetag) - ticks(back_s)
                assert after.shift_at(timetag) == before.shift_at(timetag), "equal timetags torn apart"
    return room


@settings(max_examples=60)
@given(
    STEPS,
    st.sampled_from([None, 0.0, 0.1]),
    st.sampled_from([None, 0.1, 0.4]),
    st.sampled_from([1.0, 4.0]),
)
def test_neither_emission_and_lead_nor_timetag_and_shift_ever_decrease_and_shift_fits_into_lead(
    steps: list[tuple[int, float | None, float | None, bool]],
    shift_s: float | None,
    lead_s: float | None,
    lead_max_s: float,
) -> None:
    room = played(
        steps,
        lead_max=ticks(lead_max_s),
        shift=None if shift_s is None else ticks(shift_s),
        lead=None if lead_s is None else ticks(lead_s),
    )
    for timing in room.timings:
        corners = sorted(
            corner + by
            for was in (timing.lead_was, timing.shift_was)
            if was is not None
            for corner in (was.since, was.until, (was.since + was.until) // 2)
            for by in (-1, 0, 1, ticks(0.01))
        )
        for first, second in pairwise(corners):
            assert first + timing.lead_at(first) <= second + timing.lead_at(second)
            assert first + timing.shift_at(first) <= second + timing.shift_at(second)
        assert all(0 <= timing.shift_at(one) <= timing.lead_at(one) for one in corners)


@settings(max_examples=60)
@given(STEPS, st.integers(0, 2**32).map(Random))
def test_whatever_lead_and_shift_do_no_note_meets_its_group_too_early_or_its_free_too_late(
    steps: list[tuple[int, float | None, float | None, bool]], dice: Random
) -> None:
    room = Room()
    judge = Judge(room.keeper.timing, horizon=ticks(0.05))
    done: list[tuple[Stamped, Judged]] = []
    closed = 0
    for seconds, need_s, ahead_s, silent in steps:
        for _ in range(seconds):
            room.need(need_s, silent=silent)
            judge.tune(room.keeper.timing, ticks(0.05))
            for part in range(8):
                # Emission, and judging up to 60 ms later.
                emitted = room.now + ticks(part / 8 + dice.random() / 16)
                timetag = emitted + ticks(ahead_s) if ahead_s is not None and part % 4 else None
                if timetag is not None and part % 4 == 2:
                    timetag = done[-1][0].timetag or timetag  # a chord
                kind = Kind.UNTIMED if timetag is None else Kind.TIMED
                event = Stamped(len(done) + 1, emitted, timetag, kind, NOTE)
                now = emitted + ticks(0.06 * dice.random())
                (judged,) = judge.judge(1, event, now)
                assert judged.due > closed, "due within what was announced as closed"
                closed, _ = judge.watermark(now)
                room.notes.judged(event, now)
                done.append((event, judged))
    check_order(done)


def check_order(done: list[tuple[Stamped, Judged]]) -> None:
    """Check that a slot's events, in the order of their numbers, keep the rules that dues must obey."""
    floor, latest_timed = 0, []
    by_timetag: dict[int, set[int]] = {}
    for event, judged in done:
        assert judged.due >= floor, "before an untimed event that was sent before it"
        if event.kind is Kind.TIMED:
            latest_timed.append((event, judged))
            del latest_timed[:-64]
            assert event.timetag is not None
            if not judged.flags & (Flag.MOVED | Flag.RETIMED):
                by_timetag.setdefault(event.timetag, set()).add(judged.due)
        else:
            floor = judged.due
            for note, verdict in latest_timed:
                if note.timetag is not None and note.timetag <= event.emitted:
                    assert verdict.due <= judged.due, "after the free that would have silenced it"
    assert all(len(dues) == 1 for dues in by_timetag.values()), "equal timetags, other dues"


# -- Timing ------------------------------------------------------------------------------------------


def test_a_change_is_a_straight_line_from_its_beginning_to_its_end() -> None:
    timing = Timing(100, 10, lead_was=Ramp(300, 1000, 1200), shift_was=Ramp(50, 5000, 5000))
    assert [timing.lead_at(at) for at in (0, 1000, 1050, 1150, 1200, 9999)] == [300, 300, 250, 150, 100, 100]
    assert [timing.shift_at(at) for at in (0, 4999, 5000)] == [50, 50, 10]


def test_a_change_during_which_the_shift_would_pass_the_lead_is_refused() -> None:
    good = Timing(100, 10, lead_was=Ramp(300, 1000, 1200), shift_was=Ramp(150, 900, 1040))
    with pytest.raises(LocalError, match="between 0 and the lead"):
        replace(good, shift_was=Ramp(150, 1190, 1300))
    with pytest.raises(LocalError):
        Timing(100, 10, shift_was=Ramp(101, 900, 900))
    with pytest.raises(ValueError, match="must not end before it begins"):
        Ramp(1, 10, 9)
