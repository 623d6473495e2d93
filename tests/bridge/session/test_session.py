"""A bridge's session with a relay: joining, sending, and following the room's numbers."""

import pytest

from bridge.effects import Abandon, SendControl, Tell, ToSynth
from bridge.restart_state import Memory
from bridge.session.session import JamSession
from bridge.session.states import State
from relay.wire import control, frames
from relay.wire.carrier import TLS, UDP
from relay.wire.datagram import Sealer
from relay.wire.osc import encode
from relay.wire.sequence import Flag, Ramp, Scheme
from relay.wire.timetag import ticks
from tests.worlds import carried
from tests.worlds.bridge import Bench, bundles, group, instant, judged, note, reading
from tests.worlds.session import CHANNEL, EPOCH, OTHER_EPOCH, Relay, emit, joined, seqs


def test_nothing_is_said_of_the_music_before_session_time_is_known() -> None:
    bench = Bench()
    session = bench.session()
    relay = Relay(session, ahead_s=4.0)
    relay.welcome(at_s=1.0)
    emit(session, note(20), 1.0, 2.0)
    sent, _ = relay.turn(1.001)
    assert seqs(sent) == []
    assert not any(isinstance(frame, frames.BeatUp) for frame in sent)
    told = relay.lock(1.01) + relay.lock(1.35)
    assert set(seqs(told)) == {1}
    event, *_ = [frame for frame in told if isinstance(frame, frames.Stamped)]
    assert abs(event.emitted - instant(5.0)) < ticks(0.002), "in the room's time"
    assert event.timetag is not None
    assert abs(event.timetag - instant(7.0)) < ticks(0.002)
    assert [round(due, 2) for due, _ in bench.release(2.95)] == [3.0], "at home it plays when it should"


def test_what_was_judged_before_session_time_is_known_waits_for_it() -> None:
    bench = Bench()
    session = bench.session()
    relay = Relay(session, ahead_s=-30.0)
    relay.welcome(at_s=1.0)
    relay.say(judged(1, -26.0, note(20)), at_s=1.0)  # due in 3 s by the relay's clock
    relay.lock(1.0)
    assert bench.playout.held_numbers() == [1]
    assert [round(due, 2) for due, _ in bench.release(3.95)] == [4.0]


@pytest.mark.parametrize(("way", "sent_times"), [("udp", 2), ("tls", 1), ("udp, no repair", 1)])
def test_an_untimed_event_is_sent_twice_where_that_makes_sense(way: str, sent_times: int) -> None:
    session = Bench().session(carrier=TLS if way == "tls" else UDP)
    carried.much_by(session.emission.uplink.outbox)
    relay = Relay(session)
    relay.welcome(at_s=1.0)
    relay.lock(1.0)
    if way == "udp, no repair":
        room = control.Settings(lead=ticks(0.2), shift=0, horizon=ticks(0.1), repair=False)
        session.receive_control(room, reading(1.9))
    emit(session, group(20), 2.0, None)
    sent = [frame for count in range(40) for frame in relay.turn(2.0 + count * 0.01)[0]]
    assert seqs(sent) == [1] * sent_times


def test_a_connection_on_which_nothing_comes_any_more_is_given_up_though_tcp_still_waits() -> None:
    _, session, relay = joined()
    for at_s in range(2, 40):
        if at_s % 5 == 0:
            relay.say(frames.BeatDown(0, 0, instant(at_s)), at_s=at_s)
        assert Abandon() not in relay.turn(at_s)[1]
    assert Abandon() in [effect for at_s in range(40, 50) for effect in relay.turn(at_s)[1]]
    session.disconnected()
    assert Abandon() not in relay.turn(90.0)[1], "there is none"
    session.hello(reading(100.0))
    assert Abandon() not in relay.turn(111.0)[1]
    assert Abandon() in relay.turn(113.0)[1], "nor does a relay that never answers keep anybody waiting"


def test_after_a_reconnection_in_the_same_epoch_what_waits_is_sent_again_under_its_number() -> None:
    _, session, relay = joined()
    carried.much_by(session.emission.uplink.outbox)
    emit(session, note(20), 2.0, 9.0)
    emit(session, note(21), 2.1)
    emit(session, note(22), 2.2, 9.0)
    assert seqs(relay.turn(2.2)[0]) == [1, 2, 3]
    relay.turn(2.6)  # the second is played
    session.disconnected()
    emit(session, note(23), 3.0)
    assert session.hello(reading(3.0)).next_seq == 1
    relay.welcome(at_s=3.1, resumed=True)
    assert seqs(relay.turn(3.1)[0]) == [1, 3, 4]


def handed_over(relay: Relay, at_s: float) -> list[float]:
    """Return the dues of the bundles that scsynth is handed at second `at_s`."""
    datagrams = [effect.payload for effect in relay.turn(at_s)[1] if isinstance(effect, ToSynth)]
    return [due for due, _ in bundles(datagrams)]


def test_while_the_relay_is_away_own_events_go_to_scsynth_at_once() -> None:
    _, session, relay = joined()
    session.disconnected()
    handed_over(relay, 1.9)
    emit(session, note(20), 2.0, 0.5)
    emit(session, note(21), 2.0, 1.5)
    assert handed_over(relay, 2.0) == [2.5]
    assert session.next_wakeup_ns(reading(2.0)) <= reading(2.25).local_ns
    assert handed_over(relay, 2.501) == [3.5]


def test_what_was_played_alone_but_is_still_to_come_is_sent_when_the_relay_is_back_and_not_played_again() -> (
    None
):
    _, session, relay = joined()
    session.disconnected()
    emit(session, note(20), 2.0, 0.5)
    emit(session, note(21), 2.0, 0.2)
    assert handed_over(relay, 2.0)[-2:] == [2.2, 2.5]
    relay.welcome(at_s=2.3, resumed=True)
    assert seqs(relay.turn(2.3)[0]) == [1], "the other is over"
    relay.say(judged(1, 2.5, note(20), slot=1, seq=1), at_s=2.35)
    assert handed_over(relay, 2.35) == []


def test_groups_played_while_the_relay_was_away_are_sent_afterwards_and_notes_are_not() -> None:
    _, session, relay = joined()
    session.disconnected()
    emit(session, group(8), 2.0, None)
    emit(session, note(20), 2.0)
    relay.session.wake(reading(3.0))
    relay.welcome(at_s=3.0, resumed=True)
    assert seqs(relay.turn(3.0)[0]) == [1]
    session.disconnected()
    relay.session.wake(reading(14.0))
    relay.welcome(at_s=14.0, resumed=True)
    assert seqs(relay.turn(14.0)[0]) == [], "too old: it was freed everywhere"


def test_a_run_begun_while_the_relay_thought_us_gone_has_its_group_everywhere() -> None:
    _, session, relay = joined()
    session.disconnected()
    emit(session, group(8), 7.0, None)
    relay.session.wake(reading(7.1))
    relay.welcome(at_s=7.1, resumed=True)
    # What silenced us meanwhile has the number that our group has.
    relay.say(judged(1, 5.3, slot=1, seq=1, flags=Flag.SILENCED), at_s=7.1)
    relay.turn(7.1)
    pending = session.emission.uplink.pending(lambda event: True, now=instant(7.1))
    assert [event.seq for event in pending] == [1]


def test_what_was_made_and_freed_while_the_relay_was_away_is_kept_from_the_others() -> None:
    _, session, relay = joined()
    session.disconnected()
    emit(session, group(8), 2.0, None)
    emit(session, group(9, target=8), 2.1, None)
    emit(session, encode("/n_free", 8), 2.2, None)
    emit(session, group(10), 2.3, None)
    relay.session.wake(reading(2.32))
    relay.welcome(at_s=2.32, resumed=True)
    assert seqs(relay.turn(2.32)[0]) == [1, 2, 3, 4], "the free is still to come, and notes may be before it"
    session.disconnected()
    emit(session, group(11), 3.0, None)
    emit(session, encode("/n_free", 11), 3.1, None)
    relay.session.wake(reading(4.0))
    relay.welcome(at_s=4.0, resumed=True)
    assert seqs(relay.turn(4.0)[0]) == [1, 2, 3, 4], "of what was told before, the others may have the group"


def test_a_new_epoch_forgets_what_was_handed_over_under_the_old_numbers() -> None:
    memory = Memory(
        slot=1, ticket=b"t" * 16, epoch=EPOCH, next_seq=50, complete_number=900,
        highest_number=950,
    )  # fmt: skip
    bench = Bench()
    session = bench.session(memory)
    relay = Relay(session)
    assert session.hello(reading(1.0)).next_seq == 50
    relay.welcome(at_s=1.0, epoch=OTHER_EPOCH)
    relay.lock(1.0)
    relay.say(judged(1, 2.0, note(20)), at_s=1.4)
    assert [due for due, _ in bench.release(1.95)] == [2.0]
    relay.turn(1.96)
    assert memory.highest_number == 1
    assert memory.epoch == OTHER_EPOCH


def test_a_bridge_killed_at_once_leaves_what_the_one_before_it_had_handed_over() -> None:
    memory = Memory(
        slot=1, ticket=b"t" * 16, epoch=EPOCH, next_seq=50, complete_number=900, highest_number=950,
        missing=(940,), unconfirmed=(48,),
    )  # fmt: skip
    relay = Relay(Bench().session(memory))
    relay.welcome(at_s=1.0, resumed=True)
    relay.turn(1.0)
    assert (memory.highest_number, memory.missing, memory.unconfirmed) == (950, (940,), (48,))


def test_memory_has_what_the_next_bridge_needs() -> None:
    bench, session, relay = joined()
    relay.say(judged(1, 2.0, note(20)), judged(2, 9.0, note(21)), judged(4, 2.1, note(23)), at_s=1.5)
    relay.turn(1.95)
    emit(session, note(30), 1.9, 0.2)
    relay.turn(2.05)
    relay.turn(2.1)
    memory = bench.memory
    assert memory.complete_number == 1
    assert (memory.highest_number, memory.missing, memory.unconfirmed) == (4, (3, 2), (1,))
    handed = memory.handed_over()
    assert handed.covers(judged(4, 2.1, note(23)), own=False)
    assert not handed.covers(judged(3, 2.05, note(22)), own=False)
    assert not handed.covers(judged(2, 9.0, note(21)), own=False)
    assert handed.covers(judged(5, 3.0, note(30), slot=1, seq=1), own=True)
    assert bench.ledger.totals["events"] + bench.ledger.totals["unconfirmed"] == 3


def test_a_place_given_to_somebody_else_is_left_alone() -> None:
    session = Bench().session()
    relay = Relay(session)
    relay.welcome(at_s=1.0, slot=5)
    effects = session.flush(reading(1.0))
    assert SendControl(control.Leave()) in effects
    assert session.state is State.GONE
    assert any(isinstance(effect, Tell) and effect.warning for effect in effects)


def test_what_no_member_sealed_has_no_effect_and_is_counted() -> None:
    bench, session, relay = joined()
    read = reading(2.0)
    sealed = Sealer(b"\2" * 32, CHANNEL).seal(frames.encode(judged(1, 3.0, note())))
    for payload in (b"", b"x" * 100, sealed):
        session.receive_datagram(payload, received_local_ns=read.local_ns, reading=read)
    relay.say(frames.BeatUp(1, 1, instant(2.0)), at_s=2.0)
    assert bench.counts()["datagrams_refused"] == 4
    assert bench.playout.next_release() is None


def test_a_silent_udp_path_is_told_once() -> None:
    _, _, relay = joined()
    told = [
        effect
        for second in (2.0, 4.6, 5.0, 9.0)
        for effect in relay.turn(second)[1]
        if isinstance(effect, Tell) and "UDP" in effect.text
    ]
    assert len(told) == 1


def test_who_hears_nothing_over_tls_is_not_sent_to_look_at_its_udp_port() -> None:
    relay = Relay(Bench().session(carrier=TLS))
    relay.welcome(at_s=1.0)
    told = [effect.text for effect in relay.turn(9.0)[1] if isinstance(effect, Tell)]
    assert any("nothing from the relay for 3 s" in text for text in told)
    assert not any("is its UDP port open?" in text for text in told)


def test_a_step_of_the_relays_clock_moves_own_events_along_and_not_the_judged() -> None:
    bench, session, relay = joined()
    relay.say(judged(1, 12.0, note(20)), at_s=1.5)
    emit(session, note(30), 2.0, 8.0)
    relay.ahead_ns = 1_000_000_000
    for count in range(12):
        relay.lock(2.5 + count * 0.4)
    assert bench.timebase.era == 2
    due = sorted(round(due, 2) for due, _ in bench.passes(8.0, 12.5))
    assert due == [10.0, 11.0], "by the wall clock"


def test_the_next_wakeup_lies_ahead_whatever_has_just_been_done() -> None:
    bench, session, relay = joined()
    emit(session, note(30), 2.0)
    relay.say(judged(3, 2.5, note(20)), at_s=2.0)
    local_ns = reading(2.0).local_ns
    for _ in range(300):
        read = reading(local_ns / 1e9)
        session.wake(read)
        session.flush(read)
        wakeup_ns = session.next_wakeup_ns(read)
        assert local_ns < wakeup_ns <= local_ns + 250_000_000
        local_ns = wakeup_ns
    assert local_ns > reading(6.0).local_ns, "no faster than there is to do"
    assert bench.ledger.totals["events"] + bench.ledger.totals["unconfirmed"] == 2


def test_settings_and_refusals_of_the_relay_are_taken_in() -> None:
    _, session, _ = joined()
    session.receive_control(control.Settings(lead=ticks(0.3), shift=ticks(0.1), horizon=0), reading(2.0))
    assert (session.emission.timing.lead, session.emission.timing.shift) == (ticks(0.3), ticks(0.1))
    session.receive_control(control.Refused(reason="full", text="no place", final=True), reading(2.0))
    assert session.state is State.GONE


def test_what_is_judged_goes_to_scsynth_at_once_but_not_past_a_gap() -> None:
    _, _, relay = joined()
    handed_over(relay, 1.9)
    relay.say(judged(2, 2.8, note(21), slot=2), at_s=2.0)
    assert handed_over(relay, 2.0) == [], "the first is missing, and may have the same due"
    relay.say(judged(1, 2.9, note(20), slot=2), at_s=2.1)
    relay.say(judged(3, 3.3, note(22), slot=2), at_s=2.1)
    assert handed_over(relay, 2.1) == [2.9, 2.8], "the third is due more than a second later"
    assert handed_over(relay, 2.3001) == [3.3]


def by_timestamp(session: JamSession) -> None:
    """Let the relay announce that the room uses the scheme "timestamp"."""
    settings = control.Settings(lead=ticks(0.2), shift=0, horizon=0, scheme=Scheme.TIMESTAMP)
    session.receive_control(settings, reading(1.4))


def test_in_a_room_by_timestamps_an_own_event_needs_no_verdict_and_none_counts_as_missed() -> None:
    bench, session, relay = joined()
    by_timestamp(session)
    emit(session, note(20), 2.0)
    assert bench.release(2.4) == [], "in its place among the others', not before"
    assert [due for due, _ in bench.release(2.45)] == [2.5]
    relay.say(judged(1, 2.5, note(20), slot=1, seq=1), at_s=2.6)
    assert bench.release(9.0) == [], "not twice"
    assert [number for number, _ in bench.digest(2)] == [1]
    assert bench.ledger.totals["events"] == 1
    assert bench.ledger.totals["unconfirmed"] == bench.ledger.unconfirmed == 0


def test_in_a_room_by_timestamps_what_comes_too_late_is_handed_over_as_stamped_and_counted_late() -> None:
    bench, session, relay = joined()
    by_timestamp(session)
    emit(session, note(20), 2.0)
    relay.say(judged(1, 2.5, note(20), slot=1, seq=1), at_s=2.1)
    assert len(bench.release(2.45)) == 1
    relay.say(judged(2, 2.4, note(30)), at_s=2.7)
    assert [due for due, _ in bench.release(2.7)] == [2.4]
    assert (bench.ledger.totals["late"], bench.ledger.totals["out_of_order"]) == (1, 1)


def test_a_change_of_lead_or_shift_holds_from_the_instant_that_was_told() -> None:
    _, session, _ = joined()
    at = instant(4.0)
    session.receive_control(
        control.Settings(
            lead=ticks(0.4), shift=ticks(0.1), horizon=0,
            lead_was=Ramp(ticks(0.2), at, at), shift_was=Ramp(0, at, at + ticks(5.0)),
        ),
        reading(3.0),
    )  # fmt: skip
    timing = session.emission.timing
    assert [timing.lead_at(instant(at_s)) for at_s in (3.9, 4.0)] == [ticks(0.2), ticks(0.4)]
    assert timing.shift_at(instant(6.5)) == ticks(0.1) // 2


def test_a_notice_of_the_relay_is_told_to_people() -> None:
    _, session, _ = joined()
    session.flush(reading(3.0))
    session.receive_control(control.Notice(text="your path takes 1570 ms"), reading(3.0))
    told = [effect for effect in session.flush(reading(3.0)) if isinstance(effect, Tell)]
    assert told == [Tell("your path takes 1570 ms", warning=True)]


def test_what_was_played_alone_keeps_its_local_instant_when_the_clock_is_set() -> None:
    bench, session, relay = joined()
    session.disconnected()
    emit(session, note(20), 2.0, 0.5)
    handed_over(relay, 2.0)
    before = bench.playout.due_unjudged(1)
    assert before is not None
    local_ns = bench.timebase.local_at(before)
    relay.ahead_ns = 1_000_000_000
    relay.welcome(at_s=2.1, epoch=OTHER_EPOCH)
    relay.lock(2.1)
    after = bench.playout.due_unjudged(1)
    assert after is not None
    assert abs(bench.timebase.local_at(after) - local_ns) < 1_000_000
    assert abs(after - before) > ticks(0.9)


def test_a_bridge_after_one_that_died_counts_no_second_in_which_that_one_handed_something_over() -> None:
    for highest, first_whole in ((0, 3), (5, 4)):
        bench = Bench()
        memory = Memory(slot=1, ticket=b"t" * 16, epoch=EPOCH, highest_number=highest)
        session = bench.session(memory)
        if not highest:
            bench.playout.take_over(None)
        relay = Relay(session)
        relay.welcome(at_s=1.9, resumed=True)
        relay.lock(1.9)
        session.wake(reading(8.0))
        reports = [one.message for one in session.flush(reading(8.0)) if isinstance(one, SendControl)]
        seconds = [one.second - (instant(0.0) >> 32) for one in reports if isinstance(one, control.Report)]
        assert min(seconds) == first_whole


def test_who_leaves_says_so_and_nothing_more_and_is_not_told_that_the_relay_is_away() -> None:
    _, session, relay = joined()
    assert session.leave() == [SendControl(control.Leave())]
    session.disconnected()
    emit(session, note(20), 2.0)
    sent, others = relay.turn(2.0)
    assert sent == []
    assert not any(isinstance(effect, Tell) and effect.warning for effect in others)


def test_who_is_put_out_for_good_sends_nothing_more_and_plays_on_alone() -> None:
    _, session, relay = joined()
    session.receive_control(control.Refused(reason="flood", text="too much", final=True), reading(2.0))
    emit(session, note(20), 2.0)
    sent, others = relay.turn(2.0)
    assert sent == []
    assert any(isinstance(effect, ToSynth) for effect in others)
