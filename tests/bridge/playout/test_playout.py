"""The playout: every event goes to scsynth in the room's order, and is counted."""

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.effects import Tell
from bridge.playout.playout import AHEAD_COUNT_MAX
from bridge.playout.second_reports import PathFigures, event_digest
from bridge.restart_state import Memory
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from bridge.scsynth.samples import LocalFile, ResourceFolders
from relay.wire.meaning import Meaning
from relay.wire.osc import encode, single_message
from relay.wire.sequence import Flag, Judged, Kind
from tests.worlds.bridge import ADVANCE_S, Bench, group, instant, judged, note, reading

HOME = encode("/n_free", 9)


def mapped(payload: bytes, slot: int) -> bytes:
    return remap(single_message(payload), Origin(slot))


def verdict(number: int, seq: int, due_s: float) -> Judged:
    return judged(number, due_s, note(seq), slot=1, seq=seq)


def test_an_event_leaves_the_release_advance_before_its_due_in_the_numbers_of_its_slot() -> None:
    bench = Bench()
    bench.playout.judged(judged(1, 2.0, note(100), slot=2), reading(1.0))
    assert bench.release(2.0 - ADVANCE_S - 0.001) == []
    assert bench.release(2.0 - ADVANCE_S + 1e-6) == [(2.0, mapped(note(100), 2))]
    assert bench.release(9.0) == []


@given(
    st.lists(st.tuples(st.sampled_from([2.0, 2.1, 2.2]), st.integers(2, 4)), min_size=1, max_size=12).flatmap(
        lambda events: st.tuples(st.just(events), st.permutations(range(len(events))), st.booleans())
    )
)
def test_scsynth_runs_the_rooms_order_whatever_the_order_of_arrival(
    case: tuple[list[tuple[float, int]], list[int], bool],
) -> None:
    dues, arrival, early = case
    events = [
        judged(index + 1, due_s, note(100 + index), slot=slot) for index, (due_s, slot) in enumerate(dues)
    ]
    bench = Bench()
    handed: list[tuple[float, bytes]] = []
    come: set[int] = set()
    for index in arrival:
        bench.playout.judged(events[index], reading(1.5))
        come.add(index + 1)
        ready = next(number for number in range(len(events) + 1) if number + 1 not in come)
        handed += bench.release(1.5, ready if early else 0)
    assert (len(handed) == len(events)) is early
    handed += bench.passes(1.5, 3.0)
    ordered = sorted(events, key=lambda event: event.key)
    ran = [message for _, message in sorted(handed, key=lambda one: one[0])]
    assert ran == [mapped(event.payload, event.slot) for event in ordered]


def test_what_is_due_further_ahead_than_a_second_waits() -> None:
    bench = Bench()
    bench.playout.judged(judged(1, 3.0, note(101)), reading(1.0))
    assert bench.release(1.999, ready=1) == []
    assert bench.playout.next_release() == instant(2.0)
    assert bench.release(2.0, ready=1) == [(3.0, mapped(note(101), 2))]


def test_scsynth_is_not_handed_more_ahead_than_its_queue_is_good_for() -> None:
    bench = Bench()
    for number in range(1, AHEAD_COUNT_MAX + 11):
        bench.playout.judged(judged(number, 1.9, note(100)), reading(1.0))
    assert len(bench.release(1.0, ready=9999)) == AHEAD_COUNT_MAX
    assert bench.release(1.1, ready=9999) == []
    assert bench.playout.next_release() == instant(1.9 - ADVANCE_S), "not at once, over and over"
    assert len(bench.release(1.9 - ADVANCE_S + 1e-6, ready=9999)) == 10


def test_an_own_event_is_replaced_by_its_verdict() -> None:
    bench = Bench()
    bench.hold(7, 2.0)
    bench.playout.judged(verdict(1, 7, 2.25), reading(1.5))
    assert bench.release(2.1) == []
    assert bench.release(2.25) == [(2.25, mapped(note(7), 1))]
    assert bench.digest(2) == [(1, event_digest(1, mapped(note(7), 1)))]
    assert bench.ledger.totals["unconfirmed"] == 0


def test_without_a_verdict_it_plays_as_stamped_and_a_later_one_is_matched_for_the_digest() -> None:
    bench = Bench()
    bench.hold(7, 2.0)
    assert bench.release(1.95) == [(2.0, mapped(note(7), 1))]
    assert bench.ledger.totals["unconfirmed"] == 1
    assert bench.playout.unconfirmed() == (7,)
    assert bench.digest(2) == []
    bench.playout.judged(verdict(1, 7, 2.0), reading(2.3))
    assert bench.digest(2) == [(1, event_digest(1, mapped(note(7), 1)))]
    assert bench.release(5.0) == [], "not twice"
    assert bench.playout.unconfirmed() == ()
    assert bench.ledger.totals["out_of_order"] == 0


def test_a_later_verdict_with_another_due_is_told_as_out_of_order() -> None:
    bench = Bench()
    bench.hold(7, 2.0)
    bench.release(1.95)
    bench.playout.judged(verdict(1, 7, 2.4), reading(2.3))
    assert bench.ledger.totals["out_of_order"] == 1
    assert bench.release(5.0) == []


def test_what_is_played_at_home_only_keeps_its_place_and_is_no_part_of_the_digest() -> None:
    bench = Bench()
    bench.hold(7, 2.0)
    bench.playout.hold_home(HOME, Meaning(HOME), Kind.TIMED, instant(2.0), after=7)
    bench.hold(8, 2.0)
    bench.playout.judged(verdict(1, 7, 2.0), reading(1.0))
    bench.playout.judged(verdict(2, 8, 2.0), reading(1.0))
    bench.playout.release(reading(1.5), 2)
    sent = [datagram[20:] for datagram in bench.playout.drain()]
    assert sent == [mapped(note(7), 1), HOME, mapped(note(8), 1)]
    assert [number for number, _ in bench.digest(2)] == [1, 2]


def test_a_straggler_goes_at_once_and_keeps_its_place_while_scsynth_can() -> None:
    bench = Bench()
    bench.playout.judged(judged(1, 2.00, note(100)), reading(1.0))
    bench.playout.judged(judged(3, 2.02, note(102)), reading(1.0))
    first = bench.release(1.96)
    bench.playout.judged(judged(2, 2.01, note(101)), reading(1.961))
    second = bench.release(1.961)
    assert [message for _, message in sorted(first + second)] == [mapped(note(n), 2) for n in (100, 101, 102)]
    assert bench.ledger.totals["late"] == 0, "scsynth had it 49 ms before"
    assert [number for number, _ in bench.digest(2)] == [1, 2, 3]


def test_a_straggler_after_its_due_is_late_out_of_order_and_reported_where_scsynth_runs_it() -> None:
    bench = Bench()
    for number, due_s in ((1, 2.00), (3, 2.05)):
        bench.playout.judged(judged(number, due_s, note(100 + number)), reading(1.0))
    bench.release(1.94)
    bench.release(1.99)
    bench.playout.judged(judged(2, 2.01, note(102)), reading(2.09))
    assert len(bench.release(2.09)) == 1
    assert (bench.ledger.totals["late"], bench.ledger.totals["out_of_order"]) == (1, 1)
    assert [number for number, _ in bench.digest(2)] == [1, 3, 2]


RESET_AT = 2.0
AROUND_RESET = [
    judged(1, 1.5, note(101), seq=1),
    judged(2, 3.5, note(102), seq=2),
    judged(3, 2.0, note(103), seq=3),
    judged(4, RESET_AT, seq=4),
    judged(5, 3.5, note(105), seq=5),
    judged(6, 3.5, note(106), slot=3, seq=1),
    judged(7, 2.9, note(107), seq=3),
]


@pytest.mark.parametrize("ready", [0, 9])
@pytest.mark.parametrize("order", list(permutations(range(6)))[::37])
def test_a_slot_reset_drops_what_its_sender_sent_before_and_is_due_a_second_later_whatever_the_arrival(
    order: tuple[int, ...], ready: int
) -> None:
    bench = Bench()
    for index in order:
        bench.playout.judged(AROUND_RESET[index], reading(1.0))
    handed = bench.passes(1.0, 4.0, ready)
    free = encode("/g_freeAll", 2 << 26)
    assert [message for _, message in sorted(handed, key=lambda one: one[0])] == [
        mapped(note(101), 2), mapped(note(103), 2), free, mapped(note(105), 2), mapped(note(106), 3)
    ]  # fmt: skip
    assert dict(bench.digest(3))[2] == event_digest(2, b"dropped")
    assert dict(bench.digest(2))[4] == event_digest(4, b"reset")


def test_what_may_be_in_a_scsynths_hands_already_is_dropped_by_no_reset() -> None:
    bench = Bench()
    for event in (AROUND_RESET[3], AROUND_RESET[6]):
        bench.playout.judged(event, reading(1.0))
    handed = bench.passes(1.9, 3.0)
    assert [message for _, message in handed] == [encode("/g_freeAll", 2 << 26), mapped(note(107), 2)]


def test_an_event_that_comes_after_the_reset_that_drops_it_is_dropped_too() -> None:
    bench = Bench()
    bench.playout.judged(AROUND_RESET[3], reading(1.0))
    bench.release(2.0)
    bench.playout.judged(AROUND_RESET[1], reading(2.1))
    assert bench.release(4.0) == []
    assert dict(bench.digest(3))[2] == event_digest(2, b"dropped")


def test_a_straggler_due_before_a_reset_is_not_dropped_by_it() -> None:
    bench = Bench()
    bench.playout.judged(AROUND_RESET[3], reading(1.0))
    bench.release(2.0)
    bench.playout.judged(judged(1, 1.95, note(101), seq=1), reading(2.03))
    assert [message for _, message in bench.release(2.03)] == [mapped(note(101), 2)]


def test_the_relays_reset_of_a_silent_member_frees_it_for_others_but_not_for_itself() -> None:
    bench = Bench()
    bench.hold(7, 2.5)
    for slot in (1, 2):
        silence = judged(slot, 2.0, slot=slot, seq=50, flags=Flag.SILENCED)
        bench.playout.judged(silence, reading(1.0))
    handed = bench.passes(1.0, 3.0)
    assert [one for one in handed if one[1].startswith(b"/g_freeAll")] == [
        (2.1, encode("/g_freeAll", 2 << 26))
    ]
    assert handed[-1] == (2.5, mapped(note(7), 1))
    assert [number for number, _ in bench.digest(2)] == [1, 2], "it counts for everybody"


def test_what_is_refused_is_counted_alike_and_not_played() -> None:
    bench = Bench()
    bench.playout.judged(judged(1, 2.0, encode("/n_free", 0)), reading(1.0))
    assert bench.release(3.0) == []
    assert bench.playout.counts.refused == {"root-node": 1}
    assert bench.digest(2) == [(1, event_digest(1, b"refused"))]
    assert bench.ledger.due_reports(instant(9.0), PathFigures())[-5].margin_ms_min is None


def test_a_note_without_its_buffer_is_silent_here_until_the_buffer_is_loaded_and_again_when_freed() -> None:
    bench = Bench()
    player = encode("/s_new", "sonic-pi-mono_player", 9, 0, 4, "buf", 3.0)
    for number, due_s in ((1, 2.0), (2, 3.0), (4, 5.0)):
        bench.playout.judged(judged(number, due_s, player), reading(1.0))
    bench.playout.judged(judged(3, 4.0, encode("/b_free", 3)), reading(1.0))
    bench.release(2.0)
    bench.playout.buffer_loaded(Origin(2).buffer(3))
    bench.release(3.0)
    assert bench.ledger.totals["silent_here"] == 1
    bench.release(5.0)
    assert bench.ledger.totals["silent_here"] == 2


def test_a_note_whose_buffer_is_loaded_between_hand_over_and_due_is_heard() -> None:
    bench = Bench()
    player = encode("/s_new", "sonic-pi-mono_player", 9, 0, 4, "buf", 3.0)
    for number in (1, 2):
        bench.playout.judged(judged(number, 1.5 + 0.2 * number, player), reading(1.0))
    assert len(bench.release(1.0, ready=2)) == 2
    bench.release(1.7)
    bench.playout.buffer_loaded(Origin(2).buffer(3))
    bench.release(2.0)
    report = bench.ledger.due_reports(instant(9.0), PathFigures())[-7]
    assert (report.events, report.silent_here_numbers) == (2, [1])


def test_a_note_before_the_synthdefs_is_silent_here() -> None:
    bench = Bench()
    bench.playout._loads.buffers.synthdefs_loaded = False
    bench.playout.judged(judged(1, 2.0, note()), reading(1.0))
    bench.playout.judged(judged(2, 2.0, group(9)), reading(1.0))
    bench.release(1.95)
    bench.release(2.0)
    assert bench.ledger.totals["silent_here"] == 1


def test_a_restarted_bridge_does_not_hand_over_again_but_what_had_not_come_it_does() -> None:
    bench = Bench()
    bench.playout.take_over(Memory(highest_number=9, missing=(4, 8), unconfirmed=(33,)).handed_over())
    for number, due_s in ((3, 1.8), (4, 1.9), (5, 2.0), (8, 2.3), (9, 2.4), (10, 1.95)):
        bench.playout.judged(judged(number, due_s, note(100 + number)), reading(1.92))
    bench.playout.judged(verdict(11, 33, 2.4), reading(1.92))
    handed = [message for _, message in bench.passes(1.92, 3.0)]
    assert handed == [mapped(note(100 + number), 2) for number in (4, 10, 8)]


def test_another_epoch_forgets_marks_that_its_numbers_would_fall_under() -> None:
    bench = Bench()
    bench.playout.judged(judged(900, 2.0, slot=2, seq=500), reading(1.0))
    bench.playout.judged(judged(901, 4.0, note(77), slot=3, seq=7), reading(1.0))
    bench.release(2.0)
    bench.playout.enter_epoch()
    bench.playout.judged(judged(1, 2.5, note(101), slot=2, seq=1), reading(2.1))
    assert bench.release(2.5) == [(2.5, mapped(note(101), 2))], "a new owner of the slot begins at 1"
    assert bench.release(4.0) == [(4.0, mapped(note(77), 3))]
    assert bench.digest(4) == [], "the former relay's number means nothing to this one"


def test_after_a_clock_that_was_set_back_nothing_counts_as_run_that_lies_ahead() -> None:
    bench = Bench()
    bench.playout.judged(judged(1, 9.0, note(101)), reading(1.0))
    bench.release(8.95)
    bench.release(9.1)
    bench.playout.clock_was_set()
    bench.playout.judged(judged(2, 5.0, note(102)), reading(5.1))
    bench.release(5.1)
    assert (bench.ledger.totals["late"], bench.ledger.totals["out_of_order"]) == (1, 0)


def test_what_comes_late_is_out_of_order_only_with_what_scsynth_has_run_and_not_with_what_it_holds() -> None:
    bench = Bench()
    for number, due_s in ((1, 2.0), (4, 2.9)):
        bench.playout.judged(judged(number, due_s, note(100 + number)), reading(2.0))
    bench.release(2.01, ready=9)
    bench.playout.judged(judged(2, 2.02, note(102)), reading(2.05))
    bench.release(2.05, ready=9)
    assert (bench.ledger.totals["late"], bench.ledger.totals["out_of_order"]) == (2, 0), "1 came late as well"
    bench.playout.judged(judged(3, 2.01, note(103)), reading(2.06))
    bench.release(2.06, ready=9)
    assert (bench.ledger.totals["late"], bench.ledger.totals["out_of_order"]) == (3, 1)


def test_a_resource_loads_as_it_comes_and_is_counted_in_the_second_of_its_due() -> None:
    bench = Bench()
    load = encode("/b_alloc", 3, 1024, 2)
    bench.playout.judged(judged(1, 2.0, load, kind=Kind.RESOURCE), reading(1.0))
    assert bench.playout.drain()[-1] == mapped(load, 2)
    assert bench.digest(2) == [(1, event_digest(1, load))]


def test_a_resource_that_this_machine_has_not_is_counted_by_name() -> None:
    bench = Bench()
    load = encode("/b_allocRead", 3, "samples/no_such_file.flac", 0, 0)
    bench.playout.judged(judged(1, 2.0, load, kind=Kind.RESOURCE), reading(1.0))
    bench.playout.judged(judged(2, 2.0, load, kind=Kind.RESOURCE), reading(1.0))
    assert bench.playout._loads.absent.by_name == {"samples/no_such_file.flac": 2}
    assert [number for number, _ in bench.digest(2)] == [1, 2]
    (tell,) = bench.playout.news()
    assert "samples/no_such_file.flac" in tell.text
    assert bench.playout.news() == []


class Vanishing(ResourceFolders):
    """Resource folders in which each file is deleted as soon as it was found."""

    def to_local(self, name: str) -> LocalFile | None:
        file = super().to_local(name)
        if file is not None:
            file.path.unlink()
        return file


def test_a_sample_that_vanishes_ends_nothing_and_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/bd_haus.flac").write_bytes(b"x")
    bench = Bench(Vanishing(tmp_path))
    session = bench.session()
    load = encode("/b_allocRead", 3, "samples/bd_haus.flac", 0, 0)
    bench.playout.judged(judged(1, 2.0, load, kind=Kind.RESOURCE), reading(1.0))
    assert [one for one in session.flush(reading(1.0)) if isinstance(one, Tell)] == []
    for number in (2, 3):
        bench.playout.judged(judged(number, 2.0, load, kind=Kind.RESOURCE), reading(1.0))
    told = [one.text for one in session.flush(reading(1.0)) if isinstance(one, Tell)]
    assert [text.split()[0] for text in told] == ["samples/bd_haus.flac"]
    assert bench.playout._loads.absent.by_name == {"samples/bd_haus.flac": 2}
    assert [number for number, _ in bench.digest(2)] == [1, 2, 3]


def test_a_path_from_the_network_loads_nothing() -> None:
    bench = Bench()
    load = encode("/b_allocRead", 3, "../../etc/passwd", 0, 0)
    bench.playout.judged(judged(1, 2.0, load, kind=Kind.RESOURCE), reading(1.0))
    assert not [datagram for datagram in bench.playout.drain() if b"passwd" in datagram]
    assert bench.playout.counts.refused == {"path": 1}


def test_own_events_keep_the_place_that_they_had_at_scsynth_whenever_their_verdicts_come() -> None:
    bench = Bench()
    for seq in (7, 8):
        bench.hold(seq, 2.0)
    bench.release(1.95)
    bench.playout.judged(verdict(1, 8, 2.0), reading(2.3))
    bench.playout.judged(verdict(2, 7, 2.0), reading(2.4))
    assert [number for number, _ in bench.digest(2)] == [2, 1]


def test_an_own_event_that_left_too_late_is_late_even_if_its_verdict_came_later_still() -> None:
    bench = Bench()
    bench.hold(7, 2.0)
    bench.release(2.04)
    assert bench.ledger.totals["late"] == 0, "no number yet to name it by"
    bench.playout.judged(verdict(1, 7, 2.0), reading(2.3))
    assert bench.ledger.totals["late"] == 1
