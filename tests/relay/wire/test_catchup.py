"""Late notes: which delay is usual, and which notes count as missed, at relay, bridge and tap."""

from dataclasses import replace

import pytest

from bridge.playout.second_reports import PathFigures
from bridge.tap.tap import Player
from relay.room.judge import AHEAD_MAX, GAP_GUARD, Judge
from relay.room.why import Why
from relay.wire.catchup import (
    BEHIND_MAX,
    CHORDS_KEPT,
    MOMENT,
    MOMENTS_KEPT,
    ORDER_WAIT,
    WITH_OTHERS_MAX,
    Chords,
    UsualWay,
)
from relay.wire.osc import bundle, encode
from relay.wire.sequence import Flag, Judged, Kind, Scheme, Stamped, Timing
from relay.wire.timetag import ticks
from tests.bridge.tap.test_tap import told
from tests.worlds.bridge import ADVANCE_S, TAP, Bench, instant, judged, note, reading
from tests.worlds.relay import EPOCH, GROUP, NOTE

FX = encode("/s_new", "sonic-pi-fx_reverb", 30, 0, 4)
SETTING = encode("/n_set", 30, "amp", 0.5)
FREE = encode("/n_free", 30)
MIXER = encode("/s_new", "sonic-pi-basic_mixer", 30, 0, 4)
USUAL = ticks(0.030)
LATE = USUAL + BEHIND_MAX + ticks(0.001)


# -- what is usual -----------------------------------------------------------------------------------


def way_of(*ways_s: float, apart: int = MOMENT) -> UsualWay:
    way = UsualWay()
    for at, took_s in enumerate(ways_s):
        way.took(ticks(took_s), EPOCH + at * apart)
    return way


def test_nobody_knows_what_is_usual_before_anything_has_come() -> None:
    assert UsualWay().usual() is None
    assert way_of(0.03).usual() == ticks(0.03)


def test_usual_is_the_median_of_the_last_moments() -> None:
    assert way_of(0.03, 0.05, 0.04).usual() == ticks(0.04)
    lasting = way_of(*[0.03] * MOMENTS_KEPT, *[0.40] * (MOMENTS_KEPT + 1))
    assert lasting.usual() == ticks(0.40), "what takes longer for good is usual in the end"


def test_a_backlog_that_comes_at_once_counts_once_by_its_fastest() -> None:
    way = way_of(*[0.03] * 3)
    end = EPOCH + ticks(9.0)
    for step in range(200):
        way.took(ticks(5.0 - step * 0.025), end + step)
    assert way.usual() == ticks(0.03)
    assert way.moments == 4


def test_a_clock_that_is_set_makes_it_begin_anew() -> None:
    way = way_of(0.03, 0.03)
    way.forget()
    assert (way.usual(), way.moments) == (None, 0)


@pytest.mark.parametrize(
    ("behind", "missed"),
    [
        ((0, BEHIND_MAX, BEHIND_MAX + 1), (False, False, False)),
        ((BEHIND_MAX + 1, BEHIND_MAX, 0), (True, True, True)),
        ((0, WITH_OTHERS_MAX + 1), (False, True)),
    ],
)
def test_the_notes_of_a_chord_follow_the_first_but_for_one_that_comes_far_too_late(
    behind: tuple[int, ...], missed: tuple[bool, ...]
) -> None:
    chords = Chords()
    assert tuple(chords.misses("chord", one) for one in behind) == missed


def test_chords_that_are_remembered_are_bounded() -> None:
    chords = Chords()
    chords.misses(0, BEHIND_MAX + 1)
    for chord in range(1, CHORDS_KEPT + 1):
        chords.misses(chord, 0)
    assert not chords.misses(0, 0)


# -- the relay ---------------------------------------------------------------------------------------


def a_judge(scheme: Scheme = Scheme.JUDGED, refused: list[tuple[int, Why, int]] | None = None) -> Judge:
    def note_refused(slot: int, why: Why, events: int, now: int) -> None:
        if refused is not None:
            refused.append((slot, why, events))

    timing = Timing(ticks(0.150), 0)
    return Judge(timing, horizon=ticks(0.030), scheme=scheme, on_refused=note_refused)


def stamped(seq: int, payload: bytes = NOTE, *, ahead_s: float | None = 0.15) -> Stamped:
    if ahead_s is None:
        return Stamped(seq, EPOCH, None, Kind.UNTIMED, payload)
    return Stamped(seq, EPOCH, EPOCH + ticks(ahead_s), Kind.TIMED, payload)


@pytest.mark.parametrize("late", [False, True], ids=["as usual", "late"])
def test_a_note_that_comes_late_and_after_its_time_has_a_number_and_no_time(late: bool) -> None:
    judge = a_judge()
    (one,) = judge.judge(1, stamped(1), EPOCH + (LATE if late else ticks(0.179)), usual=USUAL)
    assert (one.number, Flag.MISSED in one.flags, Flag.RETIMED in one.flags) == (1, late, not late)
    counts = judge.counts(1)
    assert (counts.missed, counts.retimed, counts.judged) == (late, not late, 1)


def test_a_note_that_comes_late_but_in_time_is_played() -> None:
    (one,) = a_judge().judge(1, stamped(1, ahead_s=0.5), EPOCH + LATE, usual=USUAL)
    assert (one.flags, one.due) == (Flag.NONE, EPOCH + ticks(0.5))


@pytest.mark.parametrize("usual", [None, ticks(0.4)], ids=["unknown", "far"])
def test_distance_alone_drops_nothing(usual: int | None) -> None:
    (one,) = a_judge().judge(1, stamped(1), EPOCH + ticks(0.4), usual=usual)
    assert one.flags == Flag.RETIMED | Flag.MOVED


@pytest.mark.parametrize("payload", [GROUP, FX, MIXER, SETTING, FREE], ids=lambda one: one[:6].decode())
@pytest.mark.parametrize("ahead_s", [None, 0.15], ids=["bare", "timed"])
def test_what_others_need_passes_however_late(payload: bytes, ahead_s: float | None) -> None:
    (one,) = a_judge().judge(1, stamped(1, payload, ahead_s=ahead_s), EPOCH + ticks(5.0), usual=USUAL)
    assert Flag.MISSED not in one.flags
    assert Flag.RETIMED in one.flags


def test_by_timestamps_nothing_misses_its_time() -> None:
    (one,) = a_judge(Scheme.TIMESTAMP).judge(1, stamped(1), EPOCH + ticks(5.0), usual=USUAL)
    assert one.flags == Flag.NONE


def test_a_note_that_missed_its_time_holds_up_nothing_that_follows() -> None:
    judge = a_judge()
    judge.judge(1, stamped(1, ahead_s=None), EPOCH + LATE, usual=USUAL)
    late = Stamped(2, EPOCH, None, Kind.UNTIMED, NOTE)
    (missed,) = judge.judge(1, late, EPOCH + ticks(5.0), usual=USUAL)
    assert Flag.MISSED in missed.flags
    fresh = Stamped(3, EPOCH + ticks(4.99), EPOCH + ticks(5.2), Kind.TIMED, NOTE)
    (after,) = judge.judge(1, fresh, EPOCH + ticks(5.0), usual=USUAL)
    assert (after.flags, after.due) == (Flag.NONE, fresh.timetag)


def test_what_waited_for_a_gap_as_long_as_was_meant_is_not_late() -> None:
    judge = a_judge()
    assert judge.judge(1, stamped(2), EPOCH + USUAL, usual=USUAL) == []
    (one,) = judge.wake(judge.next_wakeup() or 0)
    assert one.flags == Flag.NONE
    assert one.due == EPOCH + ticks(0.15)


def test_what_waited_for_a_gap_while_the_relay_stood_still_is_late() -> None:
    judge = a_judge()
    assert judge.judge(1, stamped(2), EPOCH + USUAL, usual=USUAL) == []
    (one,) = judge.wake(EPOCH + ticks(5.0))
    assert Flag.MISSED in one.flags


def test_what_comes_long_after_its_time_waits_a_little_for_what_was_sent_before_it() -> None:
    judge, now = a_judge(), EPOCH + ticks(5.0)
    assert judge.judge(1, stamped(2, FREE, ahead_s=None), now, usual=USUAL) == []
    assert judge.next_wakeup() == now + ORDER_WAIT
    got = judge.judge(1, stamped(1, GROUP, ahead_s=None), now + ticks(0.01), usual=USUAL)
    assert [one.seq for one in got] == [1, 2]
    assert not any(Flag.OVERTAKEN in one.flags for one in got)


def test_what_is_only_just_too_late_waits_for_nothing() -> None:
    judge = a_judge()
    now = EPOCH + ticks(0.15) - ticks(0.030) - GAP_GUARD + ticks(0.02)
    judge.judge(1, stamped(2, ahead_s=0.15), now, usual=USUAL)
    assert (judge.next_wakeup() or 0) <= now


def test_what_never_came_and_what_is_refused_is_told_with_its_reason() -> None:
    refused: list[tuple[int, Why, int]] = []
    judge = a_judge(refused=refused)
    judge.judge(1, stamped(1, ahead_s=61.0), EPOCH)
    judge.judge(1, stamped(9), EPOCH)
    judge.wake(judge.next_wakeup() or 0)
    assert judge.give_up(1, [2, 3, 10], EPOCH + ticks(1.0), counts=lambda seq: seq != 3) == []
    judge.judge(1, stamped(11), EPOCH)
    assert refused == [(1, Why.FAR, 1), (1, Why.LOST, 2)]
    assert judge.counts(1).judged == 2, "11 didn't wait for 10"
    assert judge.wanted(1, 5) == [5, 6, 7, 8]


def test_what_a_bridge_never_sent_before_it_came_back_was_heard_by_its_player_alone() -> None:
    refused: list[tuple[int, Why, int]] = []
    judge = a_judge(refused=refused)
    judge.judge(1, stamped(1), EPOCH)
    judge.judge(1, stamped(4), EPOCH)
    judge.wake(judge.next_wakeup() or 0)
    judge.skip_to(1, 8, EPOCH, was_in=True)
    assert refused == [(1, Why.LOST, 5)], "2, 3, 5, 6 and 7"
    judge.skip_to(2, 8, EPOCH)
    assert len(refused) == 1, "who comes anew has missed nothing here"


@pytest.mark.parametrize("payload", [GROUP, FX, SETTING, FREE], ids=lambda one: one[:6].decode())
def test_what_others_need_is_never_too_far_ahead(payload: bytes) -> None:
    (one,) = a_judge().judge(1, stamped(1, payload, ahead_s=70.0), EPOCH)
    assert one.due == EPOCH + AHEAD_MAX


def judge_all(judge: Judge, events: list[tuple[float, Stamped]], usual_s: float) -> list[Judged]:
    out: list[Judged] = []
    for came_s, event in events:
        while (wakeup := judge.next_wakeup()) is not None and wakeup < EPOCH + ticks(came_s):
            out += judge.wake(wakeup)
        out += judge.judge(1, event, EPOCH + ticks(came_s), usual=ticks(usual_s))
    while (wakeup := judge.next_wakeup()) is not None:
        out += judge.wake(wakeup)
    return out


def real_time(seq: int, at_s: float) -> Stamped:
    return Stamped(seq, EPOCH + ticks(at_s), EPOCH + ticks(at_s), Kind.TIMED, NOTE)


def test_one_lost_event_of_a_far_member_drops_none_of_its_neighbours() -> None:
    notes = [(0.05 * seq + 0.4, real_time(seq, 0.05 * seq)) for seq in range(1, 21) if seq != 5]
    judged = judge_all(Judge(Timing(ticks(0.1), 0), horizon=ticks(0.03)), notes, 0.4)
    assert [one.seq for one in judged if Flag.MISSED in one.flags] == []


def test_a_fresh_note_does_not_wait_a_quarter_of_a_second_for_a_gap_in_old_structure() -> None:
    judge = Judge(Timing(ticks(0.1), 0), horizon=ticks(0.02))
    old = [(5.0, Stamped(seq, EPOCH + ticks(2.0 + seq / 100), None, Kind.UNTIMED, GROUP)) for seq in (2, 4)]
    first = [(0.02, Stamped(1, EPOCH, None, Kind.UNTIMED, GROUP))]
    fresh = [(5.02 + 0.05 * index, real_time(5 + index, 5.0 + 0.05 * index)) for index in range(6)]
    judged = judge_all(judge, first + old + fresh, 0.02)
    assert [one.seq for one in judged if Flag.MISSED in one.flags] == []
    assert all(one.judged <= EPOCH + ticks(5.1) for one in judged if one.seq == 5)


# -- a bridge ----------------------------------------------------------------------------------------


def verdict(number: int, due_s: float, payload: bytes | None = None, **fields: object) -> Judged:
    payload = note(100 + number) if payload is None else payload
    return replace(judged(number, due_s, payload, **fields), judged=instant(due_s - 0.3))


def bench(usual_s: float = 0.03) -> Bench:
    """Return a bench that has received one verdict, `usual_s` after the verdict was given."""
    scene = Bench()
    scene.playout.came(instant(0.5 - usual_s), reading(0.5))
    return scene


@pytest.mark.parametrize("by_s", [0.04, 0.2], ids=["a little", "far too late"])
def test_a_note_is_handed_over_a_little_late_or_not_at_all(by_s: float) -> None:
    host = bench()
    host.playout.judged(verdict(1, 2.0), reading(2.0 + by_s))
    assert len(host.release(2.0 + by_s)) == (by_s < 0.1)
    assert len(host.digest(2)) == (by_s < 0.1), "it is missing here, and the relay will see it"
    assert host.playout.counts.missed == (by_s > 0.1)


def test_a_host_that_is_always_so_far_away_drops_nothing() -> None:
    host = bench(usual_s=0.5)
    host.playout.judged(verdict(1, 2.0), reading(2.2))
    assert len(host.release(2.2)) == 1


def test_nothing_is_late_before_it_is_known_what_is_usual() -> None:
    host = Bench()
    host.playout.judged(verdict(1, 2.0), reading(2.2))
    assert len(host.release(2.2)) == 1


@pytest.mark.parametrize("payload", [GROUP, FX, SETTING, FREE], ids=lambda one: one[:6].decode())
def test_what_others_need_is_handed_over_however_late(payload: bytes) -> None:
    host = bench()
    host.playout.judged(verdict(1, 2.0, payload), reading(7.0))
    assert len(host.release(7.0)) == 1


def test_what_lay_in_hand_while_the_host_stood_still_is_not_played_all_at_once() -> None:
    host = bench()
    for number in range(1, 31):
        host.playout.judged(verdict(number, 2.0 + 0.1 * number), reading(1.0))
    assert len(host.release(1.2, ready=9)) == 2
    handed = host.release(7.0, ready=30)
    assert all(due > 6.9 for due, _ in handed)


def test_a_chord_is_dropped_or_played_together() -> None:
    host = bench()
    for number, at_s in ((1, 2.05), (2, 2.12), (3, 2.05)):
        host.playout.judged(verdict(number, 2.0, seq=number), reading(at_s))
        host.release(at_s)
    assert host.playout.counts.missed == 0
    for number, at_s in ((4, 3.16), (5, 3.04)):
        host.playout.judged(verdict(number, 3.0, seq=number), reading(at_s))
        host.release(at_s)
    assert host.playout.counts.missed == 2


def test_by_timestamps_a_bridge_drops_nothing() -> None:
    host = bench()
    host.playout.follow(Scheme.TIMESTAMP)
    host.playout.judged(verdict(1, 2.0), reading(7.0))
    assert len(host.release(7.0)) == 1


@pytest.mark.parametrize("played", [False, True], ids=["in hand", "played"])
def test_what_missed_its_time_is_dropped_by_all_and_its_player_counts_what_he_heard_alone(
    played: bool,
) -> None:

    host = bench()
    host.hold(7, 2.0)
    if played:
        assert len(host.release(2.0 - ADVANCE_S + 0.001)) == 1
    for slot, seq in ((1, 7), (2, 8)):
        host.playout.judged(verdict(seq, 2.3, slot=slot, seq=seq, flags=Flag.MISSED), reading(1.99))
    assert host.passes(1.99, 3.0) == []
    assert host.digest(2) == []
    reports = host.ledger.due_reports(instant(4.0), PathFigures())
    assert sum(report.alone for report in reports) == played


# -- the tap -----------------------------------------------------------------------------------------


def lay_unread(
    player: Player, payload: bytes, *, timetag_s: float | None, from_s: float, until_s: float
) -> None:
    datagram = payload if timetag_s is None else bundle(instant(timetag_s), payload)
    received = reading(from_s).local_ns
    player.receive(datagram, TAP, received_local_ns=received, reading=reading(until_s))


@pytest.mark.parametrize(
    ("timetag_s", "until_s", "dropped"),
    [(1.5, 1.6, True), (1.5, 1.4, False), (1.05, 1.1, False), (0.9, 1.001, False)],
    ids=["its time is over", "still to come", "it lay there shortly", "a thread that is behind"],
)
def test_a_note_that_lay_unread_until_its_time_was_over_is_not_played(
    timetag_s: float, until_s: float, dropped: bool
) -> None:
    host = Bench()
    player = host.player()
    lay_unread(player, note(20), timetag_s=timetag_s, from_s=1.0, until_s=until_s)
    assert len(player._emission.uplink.unjudged()) == (not dropped)
    assert host.ledger.unplayed == dropped
    assert (len(told(player)) > 0) == dropped, "Sonic Pi waits for its answers"
    assert host.ledger.refused == 0


@pytest.mark.parametrize("payload", [GROUP, FX, SETTING, FREE], ids=lambda one: one[:6].decode())
@pytest.mark.parametrize("timetag_s", [None, 1.5], ids=["bare", "timed"])
def test_what_others_need_is_sent_however_long_it_lay_there(payload: bytes, timetag_s: float | None) -> None:
    player = Bench().player()
    lay_unread(player, payload, timetag_s=timetag_s, from_s=1.0, until_s=6.0)
    assert [one.payload for one in player._emission.uplink.unjudged()] == [payload]


def test_an_fx_of_the_players_own_is_sent_however_long_it_lay_there() -> None:
    player = Bench().player()
    own = encode("/s_new", "my_chorus", 30, 0, 4, "in_bus", 40.0, "out_bus", 34.0)
    lay_unread(player, own, timetag_s=1.5, from_s=1.0, until_s=6.0)
    assert len(player._emission.uplink.unjudged()) == 1
