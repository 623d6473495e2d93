"""The uplink: sequence numbers, events that wait for their verdict, and heartbeats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge.session.uplink
from bridge.session.uplink import (
    BEAT_BYTES,
    BEAT_QUIET_S,
    BEATS_AFTER_EVENT_S,
    BEATS_WHILE_LOSSY_S,
    STALE_S,
    Uplink,
)
from relay.wire import frames
from relay.wire.meaning import Meaning
from relay.wire.sequence import Kind, Scheme, Stamped, Timing
from relay.wire.timetag import ticks
from tests.worlds import carried
from tests.worlds.bridge import group as group_of
from tests.worlds.bridge import instant, note

TIMING = Timing(lead=ticks(0.2), shift=0)


def stamp(uplink: Uplink, kind: Kind, emitted_s: float, ahead_s: float = 0.5) -> Stamped:
    timetag = instant(emitted_s + ahead_s) if kind is Kind.TIMED else None
    payload = b"" if kind is Kind.RESET else note()
    return uplink.stamp(kind, Meaning(payload), emitted=instant(emitted_s), timetag=timetag)


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
    uplink.outbox.copies = False
    uplink.send_again(((1, 9),), 2.0)
    assert left(uplink, 2.0) == [first, third]
    uplink.send_again(((2, 2), (3, 3)), 3.0)
    assert left(uplink, 3.0) == [third]


def test_an_absurd_range_is_answered_in_part() -> None:
    uplink = Uplink()
    for count in range(600):
        stamp(uplink, Kind.TIMED, 1.0 + count / 100)
    uplink.send_again(((1, 2**63),), 9.0)
    assert len(left(uplink, 9.0)) == 256


def test_after_a_reconnection_what_is_wanted_keeps_its_numbers_though_they_have_gaps() -> None:
    uplink = Uplink()
    events = [stamp(uplink, Kind.TIMED, 1.0 + count) for count in range(5)]
    kept = uplink.pending(lambda event: event.seq in (1, 3, 4), now=instant(9.0))
    assert kept == [events[0], events[2], events[3]]
    uplink.send_pending(lambda event: True, TIMING, now=instant(9.0), now_s=9.0)
    assert left(uplink, 9.0) == [events[index] for index in (0, 2, 3)]
    assert uplink.beat_at_s == 9.0
    assert stamp(uplink, Kind.TIMED, 9.0).seq == 6


def test_a_clock_that_was_set_moves_what_waits_and_the_floor() -> None:
    uplink = Uplink()
    stamp(uplink, Kind.TIMED, 1.0)
    bare = stamp(uplink, Kind.UNTIMED, 1.1)
    uplink.due_as_stamped(bare, TIMING)
    uplink.convert(lambda at: at + ticks(7.0))
    moved = uplink.pending(lambda event: True, now=instant(9.0))
    assert [event.emitted for event in moved] == [instant(8.0), instant(8.1)]
    assert [event.timetag for event in moved] == [instant(8.5), None]
    assert abs(uplink.floor - instant(8.3)) <= 1


def send(uplink: Uplink, at_s: float) -> Stamped:
    event = stamp(uplink, Kind.TIMED, at_s)
    uplink.send(event, TIMING, now=instant(at_s), now_s=at_s)
    left(uplink, at_s)
    return event


def left(uplink: Uplink, at_s: float) -> list[frames.Frame]:
    """Flush the uplink; return the frames that were sent."""
    return [frame for text in uplink.outbox.flush(at_s) for frame in frames.decode(text)]


def beats(uplink: Uplink, until_s: float) -> list[float]:
    """Send a heartbeat whenever one is due; return the instants (s) of sending."""
    instants = []
    while uplink.beat_at_s <= until_s:
        at_s = uplink.beat_at_s
        uplink.beat(7, now=instant(at_s), now_s=at_s)
        frame = frames.BeatUp(uplink.next_seq - 1, 7, instant(at_s))
        assert frame in left(uplink, at_s)
        instants.append(round(at_s, 6))
    return instants


def test_heartbeats_follow_an_event_soon_and_again_and_silence_seldom() -> None:
    uplink = Uplink()
    carried.much_by(uplink.outbox)
    beats(uplink, 0.9)
    send(uplink, 1.0)
    after = [round(1.0 + after_s, 6) for after_s in BEATS_AFTER_EVENT_S]
    assert after[0] <= 1.020
    quiet = [round(after[-1] + count * BEAT_QUIET_S, 6) for count in (1, 2)]
    assert beats(uplink, 1.7) == [*after, *quiet]


def test_while_events_are_lost_a_lost_heartbeat_leaves_nothing_unseen_for_long() -> None:
    uplink = Uplink()
    for at_s in (0.1, 0.2):
        send(uplink, at_s)
    uplink.send_again(((1, 2),), 0.3)
    beats(uplink, 0.9)
    send(uplink, 1.0)
    assert uplink.outbox.lossy
    assert beats(uplink, 1.1) == [round(1.0 + after_s, 6) for after_s in BEATS_WHILE_LOSSY_S]


def test_a_heartbeat_that_is_nearly_due_rides_on_what_leaves() -> None:
    uplink = Uplink()
    carried.much_by(uplink.outbox)
    beats(uplink, 0.9)
    send(uplink, 1.0)
    near_s = 1.0 + BEATS_AFTER_EVENT_S[0] - 0.008
    uplink.beat(7, now=instant(near_s), now_s=near_s)
    assert left(uplink, near_s) == [], "nothing else leaves"
    uplink.outbox.say(frames.encode(frames.Nack(((1, 1),))))
    uplink.beat(7, now=instant(near_s), now_s=near_s)
    assert isinstance(left(uplink, near_s)[-1], frames.BeatUp)
    assert uplink.beat_at_s == pytest.approx(1.0 + BEATS_AFTER_EVENT_S[1])


def test_a_heartbeat_has_the_size_that_is_reckoned_with() -> None:
    assert len(frames.encode(frames.BeatUp(1, 2, 3))) == BEAT_BYTES


def test_a_copy_of_what_has_its_verdict_is_not_sent() -> None:
    uplink = Uplink()
    group, other = (stamp(uplink, Kind.UNTIMED, at) for at in (1.0, 1.0))
    for event in (group, other):
        uplink.send(event, TIMING, now=instant(1.0), now_s=1.0)
    assert left(uplink, 1.0) == [group, other]
    uplink.settle(group.seq)
    at_s = uplink.outbox.next_wakeup_s()
    assert at_s is not None
    assert left(uplink, at_s) == [other]


def test_what_never_gets_a_verdict_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.session.uplink, "PENDING_MAX", 10)
    uplink = Uplink()
    for count in range(50):
        stamp(uplink, Kind.TIMED, 1.0 + count)
    assert [event.seq for event in uplink.pending(lambda event: True, now=instant(9.0))] == list(
        range(41, 51)
    )


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


def test_a_note_that_is_long_over_is_not_sent_again_but_what_others_need_is_however_late() -> None:
    uplink = Uplink()
    sounding = stamp(uplink, Kind.TIMED, 1.0)
    group = uplink.stamp(Kind.UNTIMED, Meaning(group_of(30)), emitted=instant(1.0), timetag=None)
    for event in (sounding, group):
        uplink.send(event, TIMING, now=instant(1.0), now_s=1.0)
    left(uplink, 1.0)
    uplink.send_again(((1, 2),), 1.5 + STALE_S - 0.01)
    assert left(uplink, 1.5 + STALE_S - 0.01) == [sounding, group]
    uplink.send_again(((1, 2),), 1.5 + STALE_S + 0.01)
    assert left(uplink, 1.5 + STALE_S + 0.01) == [group]
