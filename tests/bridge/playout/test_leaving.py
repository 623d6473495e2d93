"""A silenced member's sound fades out before its nodes are freed. What the slot plays afterwards is whole."""

import pytest

from bridge.scsynth.host_tree import FIRST_STRIP
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.wire.osc import encode, single_message
from relay.wire.sequence import Flag, Judged, Kind, reset_over_at
from relay.wire.timetag import ticks
from tests.worlds.bridge import Bench, group, instant, judged, note, reading

SLOT = 2
EMPTIED = encode("/g_freeAll", SLOT << 26)
FADES = encode("/n_set", FIRST_STRIP + SLOT, "amp", 0.0, "amp_slide", 0.1)
FULL = encode("/n_set", FIRST_STRIP + SLOT, "amp", 1.0, "amp_slide", 0.0)


def mapped(payload: bytes) -> bytes:
    return remap(single_message(payload), Origin(SLOT))


def jam() -> Bench:
    """Return a bench that knows the channels of the member in SLOT."""
    bench = Bench()
    bench.playout.meet(Origin(SLOT))
    bench.playout.drain()
    return bench


# -- fading out ---------------------------------------------------------------------------------------


def test_who_is_silenced_fades_out_for_100_ms_and_is_freed_then() -> None:
    bench = jam()
    bench.playout.judged(judged(1, 2.0, flags=Flag.SILENCED), reading(1.5))
    assert bench.release(1.9, ready=1) == [(2.0, FADES), (2.1, EMPTIED), (2.1, FULL)]


def test_what_a_silenced_member_had_still_to_play_sounds_while_it_fades() -> None:
    bench = jam()
    bench.playout.judged(judged(1, 2.05, note(100)), reading(1.5))
    bench.playout.judged(judged(2, 2.0, flags=Flag.SILENCED), reading(1.5))
    handed = sorted(bench.release(1.9, ready=2), key=lambda one: one[0])
    assert handed == [(2.0, FADES), (2.05, mapped(note(100))), (2.1, EMPTIED), (2.1, FULL)]


def test_a_players_own_reset_frees_at_once() -> None:
    bench = jam()
    bench.playout.judged(judged(1, 2.0), reading(1.5))
    assert bench.release(1.9, ready=1) == [(2.0, EMPTIED)]


@pytest.mark.parametrize(("came_s", "fades"), [(2.05, True), (2.1, False), (2.5, False)])
def test_a_reset_that_comes_late_frees_no_later_for_that(came_s: float, fades: bool) -> None:
    bench = jam()
    bench.playout.judged(judged(1, 2.0, flags=Flag.SILENCED), reading(came_s))
    assert bench.release(came_s) == [*([(2.0, FADES)] if fades else []), (2.1, EMPTIED), (2.1, FULL)]


def test_without_a_strip_nothing_is_set_on_it() -> None:
    bench = jam()
    bench.playout._members.places._host.synthdefs_loaded = False
    bench.playout.judged(judged(1, 2.0, flags=Flag.SILENCED), reading(1.5))
    assert bench.release(1.9, ready=1) == [(2.1, EMPTIED)]


def test_what_a_slot_plays_after_its_fade_is_neither_faded_nor_freed_also_if_the_reset_comes_last() -> None:
    after = judged(2, 2.11, group(300, 0), kind=Kind.UNTIMED)
    reset = judged(1, 2.0, flags=Flag.SILENCED)
    for arrival in ([reset, after], [after, reset]):
        bench = jam()
        for event in arrival:
            bench.playout.judged(event, reading(1.5))
        ran = sorted(bench.release(1.9, ready=2), key=lambda one: one[0])
        assert ran[-1] == (2.11, mapped(group(300, 0)))
        assert [at_s for at_s, _ in ran[:-1]] == [2.0, 2.1, 2.1]


def test_what_ran_before_a_late_reset_had_freed_is_made_again_behind_it() -> None:
    bench = jam()
    made = judged(2, 2.11, group(300, 0), kind=Kind.UNTIMED)
    bench.playout.judged(made, reading(1.5))
    assert bench.release(2.2) == [(2.11, mapped(group(300, 0)))]
    bench.playout.judged(judged(1, 2.0, flags=Flag.SILENCED), reading(2.3))
    assert bench.release(2.3) == [(2.1, EMPTIED), (2.1, mapped(group(300, 0))), (2.1, FULL)]


# -- gone for good ------------------------------------------------------------------------------------

GONE = Flag.SILENCED | Flag.LEFT
LOAD = encode("/b_alloc", 3, 64, 1)
UNLOADED = encode("/b_free", Origin(SLOT).buffer(3))
PLACE_FREED = [encode("/n_free", SLOT << 26), encode("/n_free", FIRST_STRIP + SLOT)]
RESTED_S = 2.0 + 0.11 + 1.0


def loading(number: int, due_s: float = 2.0) -> Judged:
    return judged(number, due_s, LOAD, kind=Kind.RESOURCE)


def bare(bench: Bench, at_s: float, ready: int = 0) -> list[bytes]:
    """Let the bench release events; return scsynth's messages without a timetag, apart from /n_query."""
    bench.playout.release(reading(at_s), ready)
    return [one for one in bench.playout.drain() if not one.startswith((b"#bundle", b"/n_query"))]


def roster(bench: Bench, at_s: float, *, entered: bool = False, **others: int) -> None:
    """Give the bench a roster. `two=5` means that the member in slot 2 got this slot after event number 5."""
    slots = {"two": 2, "three": 3}
    owners = {1: 0} | {slots[name]: since for name, since in others.items()}
    bench.playout.follow_roster(owners, reading(at_s), entered=entered)


def test_a_last_reset_clears_the_control_buses_and_then_frees_buffers_and_place() -> None:
    bench = jam()
    roster(bench, 0.5, two=0)
    bench.playout.judged(loading(1, 1.5), reading(1.0))
    assert bare(bench, 1.0, ready=1) == [mapped(LOAD)]
    roster(bench, 1.4)
    bench.playout.judged(judged(2, 2.0, flags=GONE), reading(1.5))
    cleared = encode("/c_fill", 512 * SLOT, 512, 0.0)
    assert bench.release(1.9, ready=2) == [(2.0, FADES), (2.1, EMPTIED), (2.1, FULL), (2.1, cleared)]
    assert bare(bench, RESTED_S - 0.01) == []
    assert bench.playout.next_release() == instant(2.0) + reset_takes() + ticks(1.0)
    assert bare(bench, RESTED_S + 0.01) == [UNLOADED, *PLACE_FREED]
    assert bare(bench, 60.0) == []
    assert bench.playout.next_release() is None


def reset_takes() -> int:
    return reset_over_at(0, GONE)


def test_a_buffer_that_is_still_being_loaded_is_freed_behind_its_load_and_never_counts_as_loaded() -> None:
    bench = jam()
    bench.playout.judged(loading(1, 1.5), reading(1.0))
    bench.playout.judged(judged(2, 2.0, flags=GONE), reading(1.5))
    bench.release(1.9, ready=2)
    assert UNLOADED in bare(bench, RESTED_S + 0.01)
    buffers = bench.playout._loads.buffers
    bench.playout.buffer_loaded(Origin(SLOT).buffer(3))
    assert buffers.loaded == set()


def test_a_load_of_who_is_gone_that_is_repaired_only_now_is_not_carried_out() -> None:
    bench = jam()
    bench.playout.judged(judged(2, 2.0, flags=GONE), reading(1.5))
    bench.release(1.95)
    bench.playout.judged(loading(1, 1.5), reading(2.0))
    assert bare(bench, 2.0) == []
    assert [number for number, _ in bench.digest(1)] == [1], "it counts all the same"


def test_a_new_owner_keeps_the_place_and_what_it_has_loaded_before_the_old_one_was_freed() -> None:
    bench = jam()
    roster(bench, 0.5, two=0)
    bench.playout.judged(loading(1, 1.5), reading(1.0))
    bench.playout.judged(judged(2, 2.0, flags=GONE), reading(1.5))
    other = encode("/b_alloc", 4, 64, 1)
    bench.playout.judged(judged(3, 2.2, LOAD, kind=Kind.RESOURCE), reading(1.6))
    bench.playout.judged(judged(4, 2.2, other, kind=Kind.RESOURCE), reading(1.6))
    bench.playout.judged(judged(5, 2.2, group(300, 0), kind=Kind.UNTIMED), reading(1.6))
    roster(bench, 1.7, two=2)
    bare(bench, 1.9, ready=5)
    assert bare(bench, RESTED_S + 0.01) == [], "buffer 3 is the new owner's by now"
    assert bench.playout._members.places.known() == [1, SLOT]


def test_a_new_owner_whose_roster_comes_after_its_events_keeps_its_place_too() -> None:
    bench = jam()
    roster(bench, 1.4)
    bench.playout.judged(judged(2, 2.0, flags=GONE), reading(1.5))
    bench.playout.judged(judged(3, 2.2, group(300, 0), kind=Kind.UNTIMED), reading(1.6))
    bare(bench, 1.9, ready=3)
    assert bare(bench, RESTED_S + 0.01) == []


def test_nothing_is_remembered_of_who_is_gone() -> None:
    bench = jam()
    members, delivery = bench.playout._members, bench.playout._delivery
    bench.playout.judged(loading(1, 1.5), reading(1.0))
    bench.playout.judged(judged(2, 1.6, group(300, 0), kind=Kind.UNTIMED), reading(1.0))
    bench.playout.judged(judged(3, 2.0, flags=GONE), reading(1.5))
    bare(bench, 1.9, ready=3)
    bare(bench, RESTED_S + 0.01)
    assert members.places.known() == [1]
    assert SLOT not in members._guards
    assert SLOT not in delivery._redo._slots
    assert SLOT not in bench.playout._live._resets._marks
    assert not bench.playout._loads._numbers


def test_who_left_while_this_host_was_away_is_reset_here_when_it_is_back() -> None:
    bench = jam()
    roster(bench, 1.0, two=0)
    bench.playout.judged(loading(1, 1.5), reading(1.0))
    bare(bench, 1.0, ready=1)
    roster(bench, 40.0, two=90, entered=True)
    assert [message for _, message in bench.release(40.0)][:2] == [FADES, EMPTIED]
    bench.playout.judged(judged(80, 12.0, flags=GONE), reading(40.05))
    assert bench.release(40.05) == [], "its last reset, repaired after all, must not take the new owner's"
    assert bare(bench, 42.0) == [UNLOADED]
    roster(bench, 50.0, two=90, entered=True)
    assert bench.release(50.0) == []


def test_who_left_before_this_host_came_back_is_not_reset_again() -> None:
    bench = jam()
    roster(bench, 1.0, two=0)
    bench.playout.judged(judged(80, 2.0, flags=GONE), reading(1.5))
    bench.release(1.95)
    roster(bench, 3.0, two=80, entered=True)
    assert bench.release(3.0) == [], "it would take the new owner's nodes"


def test_a_slot_that_no_roster_names_for_ten_seconds_is_reset_and_freed() -> None:
    bench = jam()
    bench.playout.judged(loading(1, 1.5), reading(1.0))
    bare(bench, 1.0, ready=1)
    assert bench.passes(1.0, 15.0) == [], "no roster yet, as while the relay is away"
    roster(bench, 15.0)
    assert bench.passes(15.0, 24.9) == []
    assert [message for _, message in bench.passes(24.9, 25.9)][:2] == [FADES, EMPTIED]
    assert [UNLOADED, *PLACE_FREED] == [one for at in range(260, 290) for one in bare(bench, at / 10)]


def test_a_member_who_is_back_within_ten_seconds_of_a_relays_restart_is_left_alone() -> None:
    bench = jam()
    roster(bench, 1.0, two=0)
    bench.playout.enter_epoch()
    roster(bench, 20.0, entered=True)
    assert bench.passes(20.0, 25.0) == []
    roster(bench, 25.0, two=0)
    assert bench.passes(25.0, 60.0) == []


def test_in_another_epoch_a_last_reset_frees_what_was_loaded_in_the_one_before() -> None:
    bench = jam()
    bench.playout.judged(loading(900, 1.5), reading(1.0))
    bare(bench, 1.0)
    bench.playout.enter_epoch()
    bench.playout.judged(judged(2, 2.0, flags=GONE), reading(1.5))
    bench.release(1.95)
    assert UNLOADED in bare(bench, RESTED_S + 0.01)


def test_the_own_slot_is_never_freed() -> None:
    bench = jam()
    bench.playout.judged(judged(2, 2.0, slot=1, flags=GONE), reading(1.5))
    roster(bench, 2.0, two=0)
    assert bench.passes(1.9, 20.0) == []
