"""The guard gives the same verdict at the tap, at the relay and at every other bridge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.effects import Tell
from bridge.playout.live_slot import Copy
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.room.judge import Judge
from relay.wire import control
from relay.wire.live.state import Piece
from relay.wire.osc import bundle, encode, single_message
from relay.wire.sequence import Kind, Stamped, Timing
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.bridge.tap.test_tap import told
from tests.worlds.bridge import TAP, Bench, group, instant, judged, note, reading
from tests.worlds.hostile import KILLERS
from tests.worlds.relay import Jam

GVERB, REVERB, BEEP = "sonic-pi-fx_gverb", "sonic-pi-fx_reverb", "sonic-pi-beep"
TIMING = Timing(ticks(0.2), 0)
MESSAGES = st.one_of(
    st.builds(
        lambda name, node, control, value: encode("/s_new", name, node, 0, 2, control, value),
        st.sampled_from([GVERB, REVERB, BEEP, "sonic-pi-dsaw"]),
        st.integers(8, 12),
        st.sampled_from(["room", "cutoff", "amp"]),
        st.sampled_from([0.0, 0.3, 1.0, 130.0, -1.0, 1e9]),
    ),
    st.builds(
        lambda node, control, value: encode("/n_set", node, control, value),
        st.integers(8, 12),
        st.sampled_from(["room", "cutoff", "amp"]),
        st.sampled_from([0.0, 0.3, 1.0, 130.0, -1.0, 1e9, "c3"]),
    ),
    st.builds(lambda node: encode("/g_new", node, 0, 2), st.integers(8, 12)),
)


def send(player_at: Bench, *payloads: bytes) -> list[Tell]:
    """Let Sonic Pi send messages; return the notices that its player gets."""
    player = player_at.player()
    for payload in payloads:
        player.receive(payload, TAP, received_local_ns=0, reading=reading(0.0))
    return player._emission.news()


def released(bench: Bench, until_s: float = 60.0) -> list[bytes]:
    """Return what scsynth is handed until second `until_s`, by a bridge that wakes up for each release."""
    handed: list[bytes] = []
    while (due := bench.playout.next_release()) is not None and due <= instant(until_s):
        bench.playout.release(reading((due - instant(0)) / TICKS_PER_S + 1e-6))
        handed += bench.playout.drain()
    return handed


@pytest.mark.parametrize("killer", KILLERS.values(), ids=KILLERS)
def test_a_note_that_would_end_scsynth_is_refused_at_home_by_the_relay_and_by_every_bridge(
    killer: tuple[str, str, float],
) -> None:
    synthdef, control, value = killer
    as_note = encode("/s_new", synthdef, 20, 0, 4, control, value)
    made = encode("/s_new", synthdef, 20, 0, 4)
    for payloads in ([as_note], [made, encode("/n_set", 20, control, value)]):
        at_home = Bench().player()
        judge = Judge(TIMING, horizon=ticks(0.1))
        elsewhere = Bench()
        for seq, payload in enumerate(payloads, 1):
            at_home.receive(bundle(instant(1.5), payload), TAP, received_local_ns=0, reading=reading(0.0))
            event = Stamped(seq, instant(1.0), instant(1.5), Kind.TIMED, payload)
            judge.judge(3, event, instant(1.0))
            elsewhere.playout.judged(judged(seq, 1.5, payload, slot=3), reading(1.0))
        handed = released(elsewhere)
        assert at_home.counts.refused == {"range": 1}
        assert judge.counts(3).refused == 1
        assert judge.counts(3).judged == len(payloads) - 1
        assert elsewhere.playout.counts.refused == {"range": 1}
        assert sum(synthdef.encode() in datagram for datagram in handed) == len(payloads) - 1
        assert not any(b"/n_set\0" in datagram for datagram in handed)


def test_a_note_out_of_range_is_answered_as_if_it_had_been_played() -> None:
    player = Bench().player()
    payload = encode("/s_new", GVERB, 20, 0, 8, "room", 0.0)
    player.receive(bundle(instant(1.5), payload), TAP, received_local_ns=0, reading=reading(0.0))
    assert [single_message(answer).address for answer in told(player)] == ["/n_go", "/n_end"]


def test_the_player_is_told_once_what_was_found_and_what_was_expected() -> None:
    gverb = [encode("/s_new", GVERB, 20 + index, 0, 4, "room", 0.0) for index in range(3)]
    others = [encode("/s_new", "sonic-pi-tb303", 30, 0, 4, "cutoff", 140), encode("/n_set", 31, "res", -1.0)]
    first, second, third = send(Bench(), *gverb, *others)
    assert first.warning
    assert first.text.startswith(
        "fx_gverb's room: found 0, expected 1 to 3000, else it could end everybody's"
    )
    assert second.text.startswith("tb303's cutoff: found 140, expected 130 or less, as Sonic Pi's own")
    assert third.text.startswith("res: found -1, expected 0 to 1")


def test_a_node_that_only_this_host_has_is_guarded_too() -> None:
    player = Bench().player()
    payload = encode("/s_new", "sonic-pi-sound_in", 20, 0, 4, "amp", -1.0)
    player.receive(bundle(instant(1.5), payload), TAP, received_local_ns=0, reading=reading(0.0))
    assert player.counts.refused == {"range": 1}


def test_after_sonic_pi_began_anew_its_ids_stand_for_other_things() -> None:
    bench = Bench()
    player = bench.player()

    def sent(payload: bytes) -> int:
        player.receive(payload, TAP, received_local_ns=0, reading=reading(0.0))
        return player.counts.refused.get("range", 0)

    assert sent(encode("/s_new", GVERB, 20, 0, 4)) == 0
    assert sent(encode("/n_set", 20, "room", 0.3)) == 1
    assert sent(encode("/clearSched")) == 1
    assert sent(encode("/s_new", REVERB, 20, 0, 4)) == 1
    assert sent(encode("/n_set", 20, "room", 0.3)) == 1


def test_after_a_reset_in_the_room_ids_stand_for_other_things_at_relay_and_bridges() -> None:
    judge, bench = Judge(TIMING, horizon=ticks(0.1)), Bench()
    payloads = [
        encode("/s_new", GVERB, 20, 0, 4),
        b"",
        encode("/s_new", REVERB, 20, 0, 4),
        encode("/n_set", 20, "room", 0.3),
    ]
    for seq, payload in enumerate(payloads, 1):
        kind = Kind.UNTIMED if payload else Kind.RESET
        for one in judge.judge(2, Stamped(seq, instant(seq), None, kind, payload), instant(seq)):
            bench.playout.judged(one, reading(seq))
    released(bench)
    assert judge.counts(2).refused == 0
    assert bench.playout.counts.refused == {}


def test_no_relay_can_play_in_the_own_slot_what_the_player_may_not() -> None:
    bench = Bench()
    player = bench.player()
    player.receive(encode("/s_new", GVERB, 20, 0, 4), TAP, received_local_ns=0, reading=reading(0.0))
    released(bench)
    bench.playout.judged(judged(7, 1.5, encode("/n_set", 20, "room", 0.3), slot=1, seq=99), reading(1.0))
    released(bench)
    assert bench.playout.counts.refused == {"range": 1}


def test_a_live_state_is_guarded_at_the_bridge() -> None:
    bench = Bench()
    bench.playout.synthdefs_loaded()
    pieces = (
        Piece(group(5, 0)),
        Piece(encode("/s_new", GVERB, 20, 0, 5, "room", 0.0), (encode("/n_set", 20, "mix", 0.5),)),
        Piece(note(21, 5), (encode("/n_set", 21, "res", 9.0),)),
    )
    bench.playout.expect([2])
    bench.playout.meet(Origin(2))
    bench.playout.learn(Copy(2, 0, instant(1.0), pieces), reading(1.0))
    bench.release(1.0)
    built = b"".join(message for _, message in bench.release(1.3))
    assert bench.playout.counts.refused == {"range": 1}
    assert remap(single_message(encode("/g_new", 5, 0, 0)), Origin(2)) in built
    assert b"fx_gverb" not in built


def test_a_live_state_is_guarded_at_the_relay() -> None:
    jam = Jam()
    ann = jam.join("ann")
    bad = encode("/s_new", GVERB, 20, 0, 5, "room", 0.0)
    set_badly = encode("/n_set", 5, "res", 9.0)
    ann.say(
        control.LivePart(slot=ann.welcome.slot, pieces=[(group(5, 0), (set_badly,), 0, 0), (bad, (), 0, 0)])
    )
    bob = jam.join("bob")
    jam.advance(1.0)
    [part] = [one for one in bob.heard(control.LivePart) if one.slot == ann.welcome.slot]
    assert [Piece(*piece).payload for piece in part.pieces] == [group(5, 0)]
    assert jam.hub.rooms["main"].seats[ann.welcome.slot].refused == 2


def test_a_relay_whose_clock_is_behind_its_last_is_still_let_build() -> None:
    bench = Bench()
    bench.playout.judged(judged(1, 9.0, kind=Kind.RESET), reading(1.0))
    released(bench, 10.0)
    bench.playout.enter_epoch()
    bench.playout.judged(judged(1, 2.0, group(5)), reading(1.0))
    released(bench)
    assert bench.playout.counts.refused == {}


def test_an_event_that_the_guard_refuses_takes_its_number_with_it() -> None:
    judge = Judge(TIMING, horizon=ticks(0.1))
    bad = encode("/s_new", GVERB, 20, 0, 4, "room", 0.0)
    events = [
        Stamped(seq, instant(1.0), instant(1.5), Kind.TIMED, payload)
        for seq, payload in enumerate([note(), bad, note()], 1)
    ]
    assert judge.judge(2, events[2], instant(1.0)) == []
    assert judge.judge(2, events[1], instant(1.0)) == []
    assert [(one.number, one.seq) for one in judge.judge(2, events[0], instant(1.0))] == [(1, 1), (2, 3)]
    assert (judge.counts(2).refused, judge.counts(2).moved, judge.counts(2).retimed) == (1, 0, 0)


def test_a_note_that_comes_before_its_node_was_judged_waits_and_is_judged_by_what_the_node_is() -> None:
    judge = Judge(TIMING, horizon=ticks(0.1))
    made = Stamped(1, instant(1.0), instant(1.5), Kind.TIMED, encode("/s_new", REVERB, 20, 0, 4))
    told_room = Stamped(2, instant(1.0), instant(1.5), Kind.TIMED, encode("/n_set", 20, "room", 0.3))
    assert judge.judge(2, told_room, instant(1.0)) == []
    assert len(judge.judge(2, made, instant(1.0))) == 2


def test_who_takes_a_slot_over_cant_make_what_its_last_owner_sent_a_room_of_0() -> None:
    judge = Judge(TIMING, horizon=ticks(0.1))
    for seq, payload in enumerate([encode("/s_new", REVERB, 20, 0, 4), encode("/n_set", 20, "room", 0.3)], 1):
        judge.judge(2, Stamped(seq, instant(1.0), instant(9.0), Kind.TIMED, payload), instant(1.0))
    judge.reset(2, instant(1.1), silenced=True)
    judge.forget(2)
    made = Stamped(
        judge.next_seq(2), instant(1.2), instant(2.0), Kind.TIMED, encode("/s_new", GVERB, 20, 0, 4)
    )
    assert judge.judge(2, made, instant(1.2)) == []
    assert judge.counts(2).refused == 1


@given(messages=st.lists(MESSAGES, max_size=12))
def test_relay_and_bridge_give_the_same_verdict(messages: list[bytes]) -> None:
    judge = Judge(TIMING, horizon=ticks(0.1))
    passed: list[bytes] = []
    strict, lenient = Bench(), Bench()
    for seq, payload in enumerate(messages, 1):
        event = Stamped(seq, instant(1.0), instant(1.5), Kind.TIMED, payload)
        for one in judge.judge(2, event, instant(1.0)):
            passed.append(one.payload)
            strict.playout.judged(one, reading(1.0))
        lenient.playout.judged(judged(seq, 1.5, payload), reading(1.0))
    guarded = ("range", "id-reused")
    released(strict), released(lenient)
    assert not any(strict.playout.counts.refused.get(reason) for reason in guarded)
    refused = sum(lenient.playout.counts.refused.get(reason, 0) for reason in guarded)
    assert refused == judge.counts(2).refused == len(messages) - len(passed)
