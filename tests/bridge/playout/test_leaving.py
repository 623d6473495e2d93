"""A silenced member's sound fades out before its nodes are freed. What the slot plays afterwards is whole."""

import pytest

from bridge.scsynth.host_tree import FIRST_STRIP
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.wire.osc import encode, single_message
from relay.wire.sequence import Flag, Kind
from tests.worlds.bridge import Bench, group, judged, note, reading

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
