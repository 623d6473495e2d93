"""Foundations of other members: built as soon as scsynth can, with their latest values, and never lost."""

from bridge.playout.boot_states import ASKED_AFTER, ASKED_TIMES
from bridge.playout.second_reports import PathFigures
from bridge.scsynth.host_tree import FIRST_STRIP
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.wire.control import Foundation
from relay.wire.osc import IMMEDIATELY, bundle, encode, single_message
from relay.wire.sequence import Flag, Judged, Kind
from relay.wire.timetag import seconds
from tests.worlds.bridge import Bench, bundles, group, instant, judged, note, reading

SLOT = 2
THEIRS = Origin(SLOT)
GROUP = group(2, 0)
MIXER = encode("/s_new", "sonic-pi-mixer", 6, 0, 2, "in_bus", 34.0)
BUILT = [GROUP, MIXER]


def volume(amp: float) -> bytes:
    return encode("/n_set", 6, "pre_amp", amp)


def mapped(payload: bytes, origin: Origin = THEIRS) -> bytes:
    return remap(single_message(payload), origin)


def told(
    *messages: bytes, number: int = 0, values: list[tuple[int, bytes]] | None = None, slot: int = SLOT
) -> Foundation:
    return Foundation(slot=slot, number=number, messages=list(messages), values=values or [])


def founding(number: int, due_s: float, payload: bytes) -> Judged:
    return judged(number, due_s, payload, slot=SLOT, kind=Kind.UNTIMED, flags=Flag.FOUNDATION)


def setting(number: int, due_s: float, amp: float) -> Judged:
    return judged(number, due_s, volume(amp), slot=SLOT, kind=Kind.UNTIMED)


def bare(*, synthdefs: bool = True, met: bool = True) -> Bench:
    """Return a bench that may lack something it needs to build another member's foundation.

    synthdefs: whether scsynth has loaded its synthdefs. met: whether the member's channels are known.
    """
    bench = Bench()
    bench.playout._members.places._host.synthdefs_loaded = synthdefs
    if met:
        bench.playout.meet(Origin(SLOT))
    bench.release(0.5)
    return bench


def handed(bench: Bench, at_s: float, ready: int = 0) -> list[bytes]:
    """Release what is due; return the datagrams that scsynth is handed, without node queries."""
    bench.playout.release(reading(at_s), ready)
    return [datagram for datagram in bench.playout.drain() if not datagram.startswith(b"/n_query")]


def load_synthdefs(bench: Bench) -> None:
    bench.playout.synthdefs_loaded()
    bench.playout.drain()  # the strips


# -- waiting --------------------------------------------------------------------------------------------


def test_what_is_told_before_the_synthdefs_are_loaded_waits_for_them_in_its_order() -> None:
    bench = bare(synthdefs=False)
    bench.playout.found(told(*BUILT), reading(1.0))
    assert handed(bench, 2.0) == []
    load_synthdefs(bench)
    assert handed(bench, 3.0) == [mapped(payload) for payload in BUILT]
    assert handed(bench, 4.0) == []


def test_what_others_build_while_this_host_boots_waits_too_and_is_counted_as_everywhere() -> None:
    booting, ready = bare(synthdefs=False), bare()
    events = [founding(1, 1.0, GROUP), founding(2, 1.1, MIXER), setting(3, 1.2, 0.3), setting(4, 1.3, 1.6)]
    for bench in (booting, ready):
        for event in events:
            bench.playout.judged(event, reading(0.8))
    assert [message for _, message in bundles(handed(ready, 1.3))] == [mapped(one.payload) for one in events]
    assert handed(booting, 1.3) == []
    assert booting.digest(1) == ready.digest(1)
    load_synthdefs(booting)
    assert handed(booting, 2.0) == [
        mapped(GROUP), bundle(IMMEDIATELY, mapped(MIXER), mapped(volume(1.6)))
    ], "the mixer with the volume in one bundle: it slides to nothing"  # fmt: skip


def test_of_what_waits_a_reset_takes_what_came_before_it() -> None:
    bench = bare(synthdefs=False)
    old, new = group(9, 0), group(3, 0)
    bench.playout.found(told(old, number=3), reading(0.8))
    bench.playout.judged(judged(4, 1.0, slot=SLOT), reading(0.8))
    bench.playout.judged(founding(5, 1.1, new), reading(0.8))
    assert handed(bench, 1.2) == [bundle(instant(1.0), encode("/g_freeAll", SLOT << 26))]
    load_synthdefs(bench)
    assert handed(bench, 2.0) == [mapped(new)]


def test_what_comes_before_the_roster_waits_for_the_members_channels() -> None:
    bench = bare(met=False)
    bench.playout.judged(founding(1, 1.0, GROUP), reading(0.8))
    bench.playout.judged(founding(2, 1.0, MIXER), reading(0.8))
    place = [single_message(one) for one in handed(bench, 1.1)]
    assert [message.arg(0 if message.address == "/g_new" else 1) for message in place] == [THEIRS.root, 66]
    assert handed(bench, 1.5) == []
    few = Origin(SLOT, outs=16, ins=0)
    bench.playout.meet(few)
    assert handed(bench, 2.0) == [mapped(GROUP), mapped(MIXER, few)]
    assert mapped(MIXER, few) != mapped(MIXER)


def test_a_bridge_started_again_builds_what_it_is_told_though_the_one_before_had_it_handed_over() -> None:
    bench = bare(synthdefs=False)
    bench.playout.take_over(bench.memory.handed_over())
    bench.playout.found(told(*BUILT, number=40, values=[(0, volume(0.3))]), reading(1.0))
    load_synthdefs(bench)
    assert handed(bench, 2.0) == [mapped(GROUP), bundle(IMMEDIATELY, mapped(MIXER), mapped(volume(0.3)))]


# -- told to one who has it, or hears of it besides -----------------------------------------------------


def test_what_stands_is_left_alone_when_it_is_told_again() -> None:
    bench = bare()
    first = told(*BUILT, values=[(0, volume(0.3))])
    bench.playout.found(first, reading(1.0))
    assert len(bench.playout.drain()) == 2
    bench.playout.found(first, reading(2.0))
    assert bench.playout.drain() == []


def test_a_value_that_was_missed_is_set_and_one_that_is_still_to_come_when_it_is_due() -> None:
    bench = bare()
    bench.playout.found(told(*BUILT), reading(1.0))
    bench.playout.drain()
    bench.playout.found(told(*BUILT, number=8, values=[(0, volume(0.3))]), reading(2.0))
    assert bench.playout.drain() == [mapped(volume(0.3))]
    bench.playout.found(told(*BUILT, number=9, values=[(instant(3.5), volume(1.6))]), reading(3.0))
    assert bundles(bench.playout.drain()) == [(3.5, mapped(volume(1.6)))]


def test_a_newcomers_mixer_has_the_volume_of_now_and_gets_the_next_one_when_it_is_due() -> None:
    bench = bare()
    values = [(instant(0.9), encode("/n_set", 6, "hpf", 60.0)), (instant(1.4), volume(1.6))]
    bench.playout.found(told(*BUILT, values=values), reading(1.0))
    now = bundle(IMMEDIATELY, mapped(MIXER), mapped(values[0][1]))
    assert bench.playout.drain() == [mapped(GROUP), now, bundle(instant(1.4), mapped(volume(1.6)))]


def test_events_that_were_told_are_not_handed_over_again_but_counted_and_later_ones_are() -> None:
    bench = bare()
    bench.playout.found(told(*BUILT, number=3, values=[(0, volume(0.3))]), reading(1.0))
    bench.playout.drain()
    for event in (founding(1, 2.0, GROUP), founding(2, 2.0, MIXER), setting(3, 2.1, 0.3)):
        bench.playout.judged(event, reading(1.5))
    bench.playout.judged(judged(2, 2.05, note(20), slot=3), reading(1.5))
    bench.playout.judged(setting(4, 2.2, 1.6), reading(1.5))
    assert bundles(handed(bench, 2.05)) == [(2.05, mapped(note(20), Origin(3)))]
    assert bundles(handed(bench, 2.2)) == [(2.2, mapped(volume(1.6)))]
    assert [number for number, _ in bench.digest(2)] == [1, 2, 2, 3, 4]


def test_a_value_told_late_does_not_undo_what_came_as_a_later_event() -> None:
    bench = bare()
    for event in (founding(1, 1.0, GROUP), founding(2, 1.0, MIXER), setting(3, 1.1, 1.6)):
        bench.playout.judged(event, reading(0.8))
    handed(bench, 1.2)
    bench.playout.found(told(*BUILT, number=2, values=[(0, volume(0.3))]), reading(1.3))
    assert bench.playout.drain() == []


def test_a_load_is_done_once_whether_told_or_heard_of_first() -> None:
    bench = bare()
    load, other = encode("/b_alloc", 3, 64, 1), encode("/b_alloc", 4, 64, 1)
    bench.playout.found(told(load, number=1), reading(1.0))
    bench.playout.judged(judged(1, 2.0, load, slot=SLOT, kind=Kind.RESOURCE), reading(1.0))
    bench.playout.judged(judged(2, 2.0, other, slot=SLOT, kind=Kind.RESOURCE), reading(1.0))
    bench.playout.found(told(load, other, number=2), reading(1.0))
    assert bench.playout.drain() == [mapped(load), mapped(other)]


# -- resets ---------------------------------------------------------------------------------------------


def test_what_is_told_while_a_reset_is_still_to_come_stands_behind_it() -> None:
    bench = bare()
    bench.playout.judged(judged(1, 2.0, slot=SLOT, flags=Flag.SILENCED), reading(1.0))
    bench.playout.found(told(*BUILT, number=1), reading(1.5))
    assert [at_s for at_s, _ in bundles(bench.playout.drain())] == [2.111] * 2, "behind its fade"


def test_a_reset_that_comes_after_what_was_told_since_takes_nothing_of_it() -> None:
    bench = bare()
    bench.playout.found(told(*BUILT), reading(1.0))
    bench.playout.drain()
    # Away and back: everybody is told again, and the reset of its absence is repaired only now.
    bench.playout.found(told(*BUILT, number=7, values=[(0, volume(0.3))]), reading(2.0))
    bench.playout.drain()
    bench.playout.judged(judged(6, 2.0, slot=SLOT, flags=Flag.SILENCED), reading(2.1))
    reset, full, *again = handed(bench, 2.2)
    full_again = encode("/n_set", FIRST_STRIP + SLOT, "amp", 1.0, "amp_slide", 0.0)
    assert bundles([reset, full]) == [(2.1, encode("/g_freeAll", SLOT << 26)), (2.1, full_again)]
    assert again == [mapped(GROUP), bundle(IMMEDIATELY, mapped(MIXER), mapped(volume(0.3)))]


def test_a_member_that_returns_is_built_again_whole() -> None:
    bench = bare()
    bench.playout.found(told(*BUILT), reading(1.0))
    bench.playout.judged(judged(6, 2.0, slot=SLOT, flags=Flag.SILENCED), reading(1.5))
    handed(bench, 2.5)
    bench.playout.found(told(*BUILT, number=6, values=[(0, volume(0.3))]), reading(3.0))
    assert bench.playout.drain() == [mapped(GROUP), bundle(IMMEDIATELY, mapped(MIXER), mapped(volume(0.3)))]


def test_in_another_epoch_what_stands_is_left_alone_and_its_numbers_count_no_more() -> None:
    bench = bare()
    bench.playout.found(told(*BUILT, number=900, values=[(0, volume(0.3))]), reading(1.0))
    bench.playout.drain()
    bench.playout.enter_epoch()
    bench.playout.found(told(*BUILT, number=0, values=[(0, volume(1.6))]), reading(2.0))
    assert bench.playout.drain() == [mapped(volume(1.6))]
    bench.playout.judged(setting(1, 3.0, 0.5), reading(2.5))
    assert bundles(handed(bench, 3.0)) == [(3.0, mapped(volume(0.5)))]
    bench.playout.judged(judged(2, 4.0, slot=SLOT), reading(3.5))
    assert bundles(handed(bench, 4.0)) == [(4.0, encode("/g_freeAll", SLOT << 26))]
    bench.playout.judged(founding(3, 4.1, GROUP), reading(4.0))
    assert bundles(handed(bench, 4.1)) == [(4.1, mapped(GROUP))]


# -- evidence -------------------------------------------------------------------------------------------


def questions(bench: Bench, at_s: float) -> list[int]:
    bench.playout.release(reading(at_s))
    asked = [single_message(one) for one in bench.playout.drain() if one.startswith(b"/n_query")]
    return [int(message.args[0]) for message in asked]


def unfounded(bench: Bench) -> int:
    return sum(report.unfounded for report in bench.ledger.due_reports(instant(50.0), PathFigures()))


def answer(bench: Bench, *, there: list[int], missing: list[int]) -> None:
    for node in there + missing:
        bench.playout.answered(node, there=node in there)


def test_scsynth_is_asked_for_what_was_founded_and_has_it() -> None:
    bench = bare()
    bench.playout.found(told(*BUILT), reading(1.0))
    bench.playout.judged(founding(1, 1.0, group(3, 0)), reading(0.8))
    handed(bench, 1.0)
    asked_s = 1.0 + seconds(ASKED_AFTER)
    assert questions(bench, asked_s - 0.01) == []
    assert bench.playout.next_release() == instant(asked_s)
    nodes = [THEIRS.node(node) for node in (2, 6, 3)]
    assert questions(bench, asked_s) == nodes
    answer(bench, there=nodes, missing=[77])
    assert questions(bench, 40.0) == []
    assert unfounded(bench) == 0


def test_where_a_node_is_missing_all_is_built_once_more_in_order_and_what_is_missing_then_is_counted() -> (
    None
):
    bench = bare()
    for event in (founding(2, 1.0, MIXER), setting(3, 1.0, 0.3)):
        bench.playout.judged(event, reading(0.8))
    handed(bench, 1.0)
    bench.playout.judged(founding(1, 1.0, GROUP), reading(1.1))  # repaired too late: its mixer had no group
    handed(bench, 1.1)
    nodes = [THEIRS.node(node) for node in (2, 6)]
    assert sorted(questions(bench, 2.0)) == nodes
    answer(bench, there=nodes[:1], missing=nodes[1:])
    assert handed(bench, 2.1) == [mapped(GROUP), bundle(IMMEDIATELY, mapped(MIXER), mapped(volume(0.3)))]
    assert questions(bench, 3.0) == nodes
    answer(bench, there=nodes[:1], missing=nodes[1:])
    assert handed(bench, 40.0) == []
    assert unfounded(bench) == 1


def test_after_a_reset_what_is_missing_is_built_once_more_again() -> None:
    bench = bare()
    for number in (1, 3):
        bench.playout.judged(founding(number, 1.0 * number, GROUP), reading(number - 0.2))
        handed(bench, number)
        for _ in range(2):
            answer(bench, there=[], missing=questions(bench, number + 0.7))
        bench.playout.judged(judged(number + 1, number + 0.9, slot=SLOT), reading(number + 0.8))
        handed(bench, number + 0.9)
    assert bench.ledger.unfounded == 0


def test_what_scsynth_keeps_silent_about_is_asked_for_again_and_then_counts_as_missing() -> None:
    bench = bare()
    bench.playout.found(told(GROUP), reading(1.0))
    asked = [questions(bench, 2.0 + at) for at in range(ASKED_TIMES + 2)]
    assert asked == [[Origin(SLOT).node(2)]] * ASKED_TIMES + [[]] * 2
    assert unfounded(bench) == 1


def test_nobody_is_asked_for_what_a_reset_has_freed() -> None:
    bench = bare()
    bench.playout.found(told(*BUILT), reading(1.0))
    bench.playout.judged(judged(1, 1.2, slot=SLOT), reading(1.0))
    assert questions(bench, 1.2) == []
    assert questions(bench, 9.0) == []
    assert unfounded(bench) == 0


def test_what_waits_is_not_asked_for() -> None:
    bench = bare(synthdefs=False)
    bench.playout.found(told(*BUILT), reading(1.0))
    assert questions(bench, 9.0) == []


def test_what_founds_late_is_asked_for_half_a_second_after_it_was_handed_over() -> None:
    bench = bare()
    bench.playout.judged(founding(1, 1.0, BUILT[0]), reading(3.0))
    handed(bench, 3.0, ready=1)
    due = bench.playout.next_release()
    assert due is not None
    assert due == instant(3.5)
