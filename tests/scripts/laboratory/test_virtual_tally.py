"""The tally of a virtual run: it counts by what scsynth was handed, not by what a bridge reports."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from laboratory.runs.points import Point, legs_of
from laboratory.runs.tallying import Handed, TalliedNote, figures
from laboratory.virtual.host import Member
from laboratory.virtual.stage import VirtualStage
from laboratory.virtual.tally import events_of

from relay.wire.sequence import Flag

LEAD_MS = 400.0
Change = Callable[[list[Handed]], None]


@pytest.fixture(scope="module")
def stage() -> VirtualStage:
    """Return a run of three members over a good network: two seconds of notes, and nothing wrong."""
    made = VirtualStage(
        legs_of(Point("p", "s", 0.0, "virtual", "delay=5", members=3)), seed=7, lead_ms=LEAD_MS
    )
    end_s = made.perform(start_s=made.warm_up(), events_per_s=10.0, seconds=2.0, ahead_ms=500.0)
    made.jam.run(end_s + 3.0)
    return made


def tally(stage: VirtualStage, change: Change, name: str = "ben") -> list[TalliedNote]:
    """Return the tallied events as if a member's scsynth had been handed something else.

    change: alters the list of what was handed; the alteration is undone afterwards.
    """
    member = next(member for member in stage.members if member.name == name)
    genuine = list(member.handed)
    try:
        change(member.handed)
        return events_of(stage, lead_ms=LEAD_MS)
    finally:
        member.handed[:] = genuine


def place(stage: VirtualStage, handed: list[Handed], origin: str, nth: int = 3) -> int:
    """Return the index in `handed` of the nth measured note (from 0) that `origin` played."""
    slot = next(member.memory.slot for member in stage.members if member.name == origin)
    notes = [note for note in stage.notes if note.measured and note.origin == origin]
    node = ((slot or 0) << 26 | notes[nth].emission.node).to_bytes(4)
    return next(at for at, one in enumerate(handed) if one.message[40:44] == node)


def bad(events: list[TalliedNote]) -> list[TalliedNote]:
    return [event for event in events if event.bad]


def test_a_good_run_has_every_note_of_the_window_once_and_nothing_bad(stage: VirtualStage) -> None:
    events = tally(stage, lambda handed: None)
    assert len(events) == 3 * 10 * 2
    assert bad(events) == []
    assert all(set(event.held) == {"anna", "ben", "carla"} for event in events)


def test_what_a_scsynth_was_not_handed_is_missing_whatever_its_bridge_says(stage: VirtualStage) -> None:
    events = tally(stage, lambda handed: handed.pop(place(stage, handed, "carla")) and None)
    (lost,) = bad(events)
    assert (lost.origin, lost.missing, lost.late, lost.different) == ("carla", ("ben",), (), ())
    assert figures(events)["missing"] == figures(events)["divergent"] == figures(events)["bad"] == 1


def test_less_than_20_ms_before_its_due_is_late(stage: VirtualStage) -> None:
    def delay(by_ms: float) -> Change:
        def change(handed: list[Handed]) -> None:
            at = place(stage, handed, "anna")
            one = handed[at]
            assert one.timetag_ns is not None
            handed[at] = replace(one, at_ns=one.timetag_ns - round(by_ms * 1e6))

        return change

    assert bad(tally(stage, delay(20.0))) == []
    (late,) = bad(tally(stage, delay(19.99)))
    assert late.late == ("ben",)


def test_another_message_and_a_second_copy_are_different(stage: VirtualStage) -> None:
    def alter(handed: list[Handed]) -> None:
        at = place(stage, handed, "anna")
        handed[at] = replace(handed[at], message=handed[at].message[:-1] + b"\x01")

    def double(handed: list[Handed]) -> None:
        handed.append(handed[place(stage, handed, "anna")])

    for change in (alter, double):
        (odd,) = bad(tally(stage, change))
        assert (odd.different, odd.missing, odd.out_of_order) == (("ben",), (), ())


def test_two_notes_that_change_places_are_one_out_of_order(stage: VirtualStage) -> None:
    def swap(handed: list[Handed]) -> None:
        at, other = place(stage, handed, "anna", 3), place(stage, handed, "anna", 4)
        one, two = handed[at], handed[other]
        handed[at] = replace(one, timetag_ns=two.timetag_ns, timetag=two.timetag, at_ns=two.at_ns)
        handed[other] = replace(two, timetag_ns=one.timetag_ns, timetag=one.timetag, at_ns=two.at_ns - 10**8)

    events = tally(stage, swap)
    assert any(event.out_of_order == ("ben",) for event in bad(events))
    assert all(event.missing == () for event in events)


def test_spread_is_the_greatest_difference_of_true_instants(stage: VirtualStage) -> None:
    def late_by_3_ms(handed: list[Handed]) -> None:
        at = place(stage, handed, "anna")
        handed[at] = replace(handed[at], timetag_ns=(handed[at].timetag_ns or 0) + 3_000_000)

    spreads = sorted(event.spread_ns or 0 for event in tally(stage, late_by_3_ms))
    assert spreads[-1] == pytest.approx(3_000_000, abs=150_000)
    assert spreads[-2] < 150_000


def test_an_own_note_handed_over_before_its_verdict_is_unconfirmed(stage: VirtualStage) -> None:
    def early(handed: list[Handed]) -> None:
        at = place(stage, handed, "ben")
        handed[at] = replace(handed[at], at_ns=handed[at].at_ns - 490_000_000)

    assert [event.origin for event in tally(stage, early) if event.unconfirmed] == ["ben"]
    assert not any(event.unconfirmed for event in tally(stage, lambda handed: None))


def test_a_re_timed_verdict_is_bad_though_everybody_has_it_alike(stage: VirtualStage) -> None:
    verdicts = stage.jam.verdicts
    at = len(verdicts) - 5
    room, genuine = verdicts[at]
    try:
        verdicts[at] = room, replace(genuine, flags=Flag.RETIMED | Flag.MOVED)
        (found,) = bad(events_of(stage, lead_ms=LEAD_MS))
        assert (found.retimed, found.moved, found.divergent) == (True, False, False)
        verdicts[at] = room, replace(genuine, flags=Flag.MOVED, due=genuine.due + (1 << 32) // 50)
        assert [event.moved for event in bad(events_of(stage, lead_ms=LEAD_MS))].count(True) == 1
    finally:
        verdicts[at] = room, genuine


def test_a_note_that_missed_its_time_has_no_place_in_the_order(stage: VirtualStage) -> None:
    verdicts = stage.jam.verdicts
    at = len(verdicts) - 5
    room, genuine = verdicts[at]
    try:
        verdicts[at] = room, replace(genuine, flags=Flag.MISSED, due=genuine.due + (1 << 31))
        found = [event for event in events_of(stage, lead_ms=LEAD_MS) if event.missed]
        assert [(event.out_of_order, event.retimed) for event in found] == [((), False)]
    finally:
        verdicts[at] = room, genuine


def test_an_origin_that_plays_a_moved_note_before_its_verdict_makes_it_divergent(stage: VirtualStage) -> None:
    def early(handed: list[Handed]) -> None:
        at = place(stage, handed, "ben")
        handed[at] = replace(handed[at], at_ns=handed[at].at_ns - 490_000_000)

    (event,) = (event for event in tally(stage, early) if event.unconfirmed)
    assert not event.divergent, "the verdict says what it was stamped"
    for other in (replace(event, retimed=True), replace(event, moved=True)):
        assert other.divergent
        assert not replace(other, unconfirmed=False).divergent


def test_a_bridge_that_loses_a_note_and_reports_it_handed_over_is_found_out() -> None:
    stage = VirtualStage(
        legs_of(Point("p", "s", 0.0, "virtual", "delay=5", members=3)), seed=8, lead_ms=LEAD_MS
    )
    start_s = stage.warm_up()
    end_s = stage.perform(start_s=start_s, events_per_s=5.0, seconds=2.0, ahead_ms=500.0)
    ben: Member = stage.members[1]
    assert ben.playout is not None
    ben.playout.swallow = lambda payload: stage.jam.now_ns > (end_s - 1.0) * 1e9
    stage.jam.run(end_s + 3.0)
    events = events_of(stage, lead_ms=LEAD_MS)
    assert {event.missing for event in events} == {(), ("ben",)}
    assert 5 < len(bad(events)) < len(events)
