"""Uplink: own numbers, what waits for a verdict, heartbeats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge.uplink
from bridge.uplink import BEAT_AFTER_EVENT, BEAT_QUIET, Uplink
from relay.wire import frames
from relay.wire.sequence import Kind, Scheme, Stamped, Timing
from relay.wire.timetag import ticks
from tests.bridge_world import instant, note

TIMING = Timing(lead=ticks(0.2), shift=0)


def stamp(uplink: Uplink, kind: Kind, emitted_s: float, ahead_s: float = 0.5) -> Stamped:
    timetag = instant(emitted_s + ahead_s) if kind is Kind.TIMED else None
    payload = b"" if kind is Kind.RESET else note()
    return uplink.stamp(kind, payload, emitted=instant(emitted_s), timetag=timetag, foundation=False)


def test_numbers_are_dense_and_go_on_where_the_last_bridge_ended() -> None:
    uplink = Uplink(next_seq=42)
    assert [stamp(uplink, Kind.TIMED, at).seq for at in (1.0, 1.1, 1.2)] == [42, 43, 44]


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Kind)), st.floats(0, 0.3), st.floats(-0.1, 3.0)),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([(0.2, 0.0), (0.15, 0.0), (0.2, 0.2), (0.3, 0.1)]),
)
def test_nothing_is_due_before_a_bare_message_sent_earlier(
    sent: list[tuple[Kind, float, float]], timing: tuple[float, float]
) -> None:
    uplink, at_s, last_bare = Uplink(), 1.0, 0
    rule = Timing(ticks(timing[0]), ticks(timing[1]))
    for kind, wait_s, ahead_s in sent:
        at_s += wait_s
        due = uplink.due_as_stamped(stamp(uplink, kind, at_s, ahead_s), rule)
        assert due >= last_bare
        assert due >= instant(at_s) + rule.lead - 1
        if kind in (Kind.UNTIMED, Kind.RESET):
            last_bare = due


def test_a_note_half_a_second_ahead_is_due_at_its_timetag() -> None:
    uplink = Uplink()
    uplink.due_as_stamped(stamp(uplink, Kind.UNTIMED, 1.0), TIMING)
    assert uplink.due_as_stamped(stamp(uplink, Kind.TIMED, 1.01), TIMING) == instant(1.51)


def test_what_has_no_verdict_is_sent_again_as_it_was_and_what_has_is_not() -> None:
    uplink = Uplink()
    first, second, third = (stamp(uplink, Kind.TIMED, at) for at in (1.0, 1.1, 1.2))
    uplink.settle(second.seq)
    assert uplink.send_again(((1, 9),)) == [frames.encode(first), frames.encode(third)]
    assert uplink.send_again(((2, 2), (3, 3))) == [frames.encode(third)]


def test_an_absurd_range_is_answered_in_part() -> None:
    uplink = Uplink()
    for count in range(600):
        stamp(uplink, Kind.TIMED, 1.0 + count / 100)
    assert len(uplink.send_again(((1, 2**63),))) == 256


def test_after_a_reconnection_what_is_wanted_keeps_its_numbers_though_they_have_gaps() -> None:
    uplink = Uplink()
    events = [stamp(uplink, Kind.TIMED, 1.0 + count) for count in range(5)]
    assert uplink.pending(lambda event: event.seq in (1, 3, 4)) == [events[0], events[2], events[3]]
    sent = [uplink.send(event, instant(9.0)) for event in uplink.pending(lambda event: True)]
    assert sent == [frames.encode(events[index]) for index in (0, 2, 3)]
    assert stamp(uplink, Kind.TIMED, 9.0).seq == 6


def test_a_clock_that_was_set_moves_what_waits_and_the_floor() -> None:
    uplink = Uplink()
    timed, bare = stamp(uplink, Kind.TIMED, 1.0), stamp(uplink, Kind.UNTIMED, 1.1)
    uplink.due_as_stamped(bare, TIMING)
    assert set(uplink.instants()) == {uplink.floor, timed.emitted, timed.timetag, bare.emitted}
    uplink.convert(lambda at: at + ticks(7.0))
    moved = uplink.pending(lambda event: True)
    assert [event.emitted for event in moved] == [instant(8.0), instant(8.1)]
    assert [event.timetag for event in moved] == [instant(8.5), None]
    assert abs(uplink.floor - instant(8.3)) <= 1


def test_a_heartbeat_follows_an_event_soon_and_silence_seldom() -> None:
    uplink = Uplink()
    now = instant(1.0)
    assert uplink.beat(7, now) == frames.encode(frames.BeatUp(0, 7, now))
    assert uplink.beat_at == now + BEAT_QUIET
    uplink.send(stamp(uplink, Kind.TIMED, 1.0), now)
    assert uplink.beat_at == now + BEAT_AFTER_EVENT
    uplink.beat(7, uplink.beat_at)
    assert uplink.beat_at == now + BEAT_AFTER_EVENT + BEAT_QUIET


def test_what_never_gets_a_verdict_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.uplink, "PENDING_MAX", 10)
    uplink = Uplink()
    for count in range(50):
        stamp(uplink, Kind.TIMED, 1.0 + count)
    assert [event.seq for event in uplink.pending(lambda event: True)] == list(range(41, 51))


def test_a_floor_is_kept_in_a_judged_room_and_unknown_in_one_that_goes_by_timestamps() -> None:
    uplink = Uplink()
    bare = stamp(uplink, Kind.UNTIMED, 2.0)
    clock_set_back = stamp(uplink, Kind.UNTIMED, 1.0)
    assert uplink.due_as_stamped(bare, TIMING) == instant(2.2)
    assert uplink.due_as_stamped(clock_set_back, TIMING) == instant(2.2)
    assert uplink.due_at_home(clock_set_back, TIMING) == instant(2.2)
    uplink.follow(Scheme.TIMESTAMP)
    assert uplink.due_at_home(clock_set_back, TIMING) == instant(1.2), "the floor of before is forgotten"
    assert uplink.due_as_stamped(bare, TIMING) == instant(2.2)
    assert uplink.due_as_stamped(clock_set_back, TIMING) == instant(1.2)
