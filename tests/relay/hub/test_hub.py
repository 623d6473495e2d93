"""The relay's core, through its public methods: what members, strangers and liars get from it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clock.exchange import client_request, parse_answer
from relay.effects import SendDatagram
from relay.limits import NTP_BURST, OUTBOX_FRAMES
from relay.room.facets.lead import Lead
from relay.wire import control, frames
from relay.wire.budget import BURST_BYTES, IP_UDP_BYTES, RATE_BYTES_PER_S
from relay.wire.datagram import Sealer
from relay.wire.sequence import Flag, Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.relay import GROUP, NOTE, FakeBridge, Jam


def test_an_event_reaches_every_member_its_sender_included_with_one_verdict() -> None:
    jam = Jam()
    bridges = [jam.join("ann"), jam.join("bob"), jam.join("cleo")]
    event = bridges[1].play()
    assert event.timetag is not None
    for bridge in bridges:
        (judged,) = bridge.judged
        assert (judged.number, judged.slot, judged.seq, judged.due) == (1, 2, 1, event.timetag)
        assert (judged.flags, judged.payload) == (Flag.NONE, NOTE)


def test_rooms_hear_nothing_of_one_another() -> None:
    jam = Jam()
    ann, bob = jam.join("ann", "one"), jam.join("bob", "two")
    ann.play()
    assert len(ann.judged) == 1
    assert bob.judged == []


def test_what_leaves_for_one_member_in_one_wake_up_is_joined() -> None:
    jam = Jam()
    ann = jam.join("ann")
    jam.sent.clear()
    ann.send(*(ann.stamp() for _ in range(5)))
    assert len(ann.judged) == 5
    assert len(jam.sent) == 1


# -- the network -------------------------------------------------------------------------------------


def test_a_replayed_datagram_has_no_effect() -> None:
    jam = Jam()
    ann = jam.join("ann")
    datagram = ann.send(ann.stamp())
    refused = jam.hub.figures.datagrams_refused
    jam.datagram(datagram, ("203.0.113.9", 9))
    assert len(ann.judged) == 1
    assert jam.hub.figures.datagrams_refused == refused + 1
    jam.advance(0.3)
    assert jam.strangers == []


def test_a_member_that_moves_to_another_address_is_followed_once_it_proves_itself() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    forged = Sealer(bytes(32), ann.welcome.channel, counter=500).seal(frames.encode(frames.Nack(((1, 1),))))
    jam.datagram(forged, ("203.0.113.9", 9))
    bob.play()
    assert len(ann.judged) == 1
    ann.address = ("198.51.100.7", 1234)
    bob.play()
    assert len(ann.judged) == 1
    ann.beat()
    bob.play()
    assert [judged.seq for judged in ann.judged] == [1, 3]
    assert {stray.to for stray in jam.strangers} == {("192.0.2.1", 40_000)}


def test_events_of_someone_who_was_never_welcomed_are_ignored() -> None:
    jam = Jam()
    ann = jam.join("ann")
    stamped = Stamped(1, jam.now, jam.now + ticks(0.3), Kind.TIMED, NOTE)
    for channel in (ann.welcome.channel, 12345):
        stranger = Sealer(b"k" * 32, channel)
        assert jam.datagram(stranger.seal(frames.encode(stamped)), ("203.0.113.9", 9)) == []
    jam.advance(1.0)
    assert ann.judged == []
    assert jam.strangers == []


def test_keys_of_a_former_connection_open_nothing() -> None:
    jam = Jam()
    ann = jam.join("ann")
    former = ann.sealer
    ann.hang_up()
    ann.again()
    jam.datagram(former.seal(frames.encode(ann.stamp())), ann.address)
    assert ann.judged == []


def test_a_lost_event_is_asked_for_and_delivered_in_its_senders_order() -> None:
    jam = Jam()
    ann = jam.join("ann")
    first, second = ann.stamp(GROUP, kind=Kind.UNTIMED), ann.stamp()
    ann.send(second)
    assert ann.judged == []
    jam.advance(0.006)
    (nack,) = [frame for frame in ann.frames if isinstance(frame, frames.Nack)]
    assert nack.ranges == ((1, 1),)
    ann.send(first)
    assert [judged.seq for judged in ann.judged] == [1, 2]


def test_the_loss_of_a_phrases_last_event_is_noticed_by_the_heartbeat() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.stamp()
    ann.beat()
    jam.advance(0.006)
    assert any(isinstance(frame, frames.Nack) for frame in ann.frames)


def test_an_event_that_never_comes_holds_nothing_back_for_longer_than_it_may() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.stamp()
    second = ann.play()
    jam.advance(0.5)
    (judged,) = ann.judged
    assert (judged.due, judged.flags) == (second.timetag, Flag.NONE)
    (room,) = jam.hub.stats(None, jam.now).rooms
    assert (room.members[0].retimed, room.overtaken) == (0, 0)


def test_a_nack_is_answered_from_the_ring_with_the_same_verdicts() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    for _ in range(4):
        ann.play()
    before = list(bob.judged)
    bob.frames.clear()
    bob.send(frames.Nack(((2, 3), (9, 2**60))))
    assert bob.judged == before[1:3]
    assert len(ann.judged) == 4


def test_what_can_be_asked_for_again_is_bounded() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for _ in range(300):
        ann.play()
    ann.frames.clear()
    refused = jam.hub.rooms["main"].seats[1].refused
    greedy = frames.Nack(tuple((1, 300) for _ in range(frames.MAX_NACK_RANGES)))
    jam.sent.clear()
    for _ in range(100):
        ann.send(greedy)
    taken = sum(IP_UDP_BYTES + len(datagram.payload) for datagram in jam.sent)
    assert 0.9 * BURST_BYTES < taken <= BURST_BYTES
    assert jam.hub.rooms["main"].seats[1].refused > refused
    jam.advance(1.0)
    jam.sent.clear()
    for _ in range(10):
        ann.send(greedy)
    again = sum(IP_UDP_BYTES + len(datagram.payload) for datagram in jam.sent)
    assert 0 < again <= RATE_BYTES_PER_S


def test_asking_for_what_is_kept_no_more_uses_up_nothing() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for _ in range(50):
        ann.play()
    jam.advance(31.0)
    ann.play()
    ann.frames.clear()
    for _ in range(2000):
        ann.send(frames.Nack(((1, 50),)))
    assert ann.judged == []
    ann.send(frames.Nack(((1, 51),)))
    assert [judged.number for judged in ann.judged] == [51]


def test_events_are_limited_by_rate_and_what_is_refused_holds_nothing_back() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for _ in range(1003):
        ann.play()
    assert len(ann.judged) == 1000
    jam.advance(0.1)
    ann.play()
    assert [judged.seq for judged in ann.judged][-2:] == [1000, 1004]
    (member,) = jam.hub.stats(None, jam.now).rooms[0].members
    assert (member.sent, member.refused) == (1004, 3)


def test_datagrams_are_limited_by_rate() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for _ in range(3100):
        ann.beat()
    assert jam.hub.figures.datagrams_refused == 101


def test_a_member_whose_udp_never_arrives_costs_bounded_memory() -> None:
    jam = Jam()
    ann = jam.join("ann")
    mute = FakeBridge(jam, "mute")
    mute.alive = False
    mute.beat = lambda: None
    mute.hello()
    for _ in range(20):
        ann.send(*(ann.stamp() for _ in range(10)))
    for _ in range(25):
        jam.advance(0.4)
        if not mute.closed:
            for _, channel in jam.hub.rooms["main"].channels():
                assert len(channel.outbox) <= OUTBOX_FRAMES
    assert mute.closed


def test_only_a_relay_says_what_a_relay_says() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.send(frames.BeatDown(jam.now, 10**9, jam.now))
    jam.advance(0.3)
    assert jam.hub.stats(None, jam.now).rooms[0].members[0].refused == 1


# -- clock -------------------------------------------------------------------------------------------


def test_a_clock_exchange_is_answered_at_once_and_sealed() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.send(frames.Clock(client_request(77)))
    (clock,) = [frame for frame in ann.frames if isinstance(frame, frames.Clock)]
    answer = parse_answer(clock.ntp)
    assert (answer.origin, answer.receive, answer.transmit) == (77, jam.now, jam.now)


def test_a_sealed_clock_frame_that_is_no_request_is_refused() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.send(frames.Clock(bytes(48)))
    assert jam.hub.stats(None, jam.now).rooms[0].members[0].refused == 1


def test_plain_ntp_is_answered_to_anybody_as_short_as_the_question_and_rate_limited() -> None:
    jam = Jam()
    stranger = ("203.0.113.9", 9)
    for _ in range(NTP_BURST + 50):
        jam.datagram(client_request(5), stranger)
    assert len(jam.strangers) == NTP_BURST
    assert all(len(stray.payload) == 48 and stray.to == stranger for stray in jam.strangers)
    jam.now += TICKS_PER_S
    jam.datagram(client_request(5), stranger)
    assert len(jam.strangers) == NTP_BURST + 1


@given(st.binary(max_size=1300))
def test_nothing_else_is_ever_answered_to_a_stranger(payload: bytes) -> None:
    jam = Jam()
    ann = jam.join("ann")
    answers = jam.datagram(payload, ("203.0.113.9", 9))
    for answer in answers:
        assert isinstance(answer, SendDatagram)
        assert len(answer.payload) <= len(payload)
        assert payload[0] & 7 == 3
    jam.advance(0.3)
    assert len(jam.strangers) == len(answers)
    assert ann.judged == []


# -- time --------------------------------------------------------------------------------------------


def beats(bridge: FakeBridge) -> list[frames.BeatDown]:
    return [frame for frame in bridge.frames if isinstance(frame, frames.BeatDown)]


def test_heartbeats_come_every_250_ms_while_nothing_is_pending() -> None:
    jam = Jam()
    ann = jam.join("ann")
    jam.advance(0.3)
    ann.frames.clear()
    jam.advance(2.0)
    sent = [beat.sent for beat in beats(ann)]
    assert len(sent) == 8
    assert all(later - first == ticks(0.25) for first, later in pairwise(sent))


def test_heartbeats_come_every_50_ms_from_an_event_until_its_due() -> None:
    jam = Jam()
    ann = jam.join("ann")
    jam.advance(0.01)
    ann.frames.clear()
    started = jam.now
    ann.play()  # due 0.3 s from now
    jam.advance(1.0)
    sent = [beat.sent for beat in beats(ann)]
    instants = [started, *[instant for instant in sent if instant <= started + ticks(0.3)]]
    assert len(instants) >= 6
    assert max(later - first for first, later in pairwise(instants)) <= ticks(0.05)
    assert len(sent) <= 10


def test_a_heartbeat_promises_the_numbers_of_everything_due_until_its_watermark() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for _ in range(30):
        ann.play()
        jam.advance(0.03)
    seen = 0
    for frame in ann.frames:
        if isinstance(frame, frames.BeatDown):
            seen += 1
            later = [judged for judged in ann.judged if judged.number > frame.number]
            assert all(judged.due > frame.watermark for judged in later)
    assert seen > 15


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["play", "skip", "far", "beat", "hang up", "wait", "reset"]), st.floats(0, 3)
        ),
        max_size=25,
    )
)
def test_whatever_happens_a_wake_up_moves_the_next_one_forward(script: list[tuple[str, float]]) -> None:
    """The assertion is in Jam.advance, at every wake-up."""
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    for what, seconds in script:
        if ann.closed:
            ann.again()
        match what:
            case "play":
                ann.play()
            case "skip":
                ann.stamp()
                ann.play(GROUP, kind=Kind.UNTIMED)
            case "far":
                ann.send(ann.stamp(ahead_s=61))
            case "beat":
                ann.stamp()
                ann.beat()
            case "hang up":
                ann.hang_up()
            case "reset":
                ann.play(b"", kind=Kind.RESET)
        jam.advance(seconds)
    bob.play()
    assert bob.judged[-1].slot == 2


@pytest.mark.parametrize("message", [control.Leave(), control.LivePart(slot=1)])
def test_before_hello_nothing_is_done_but_the_reason_is_said(message: control.Up) -> None:
    jam = Jam()
    early = FakeBridge(jam)
    early.connection, early.closed = 50, False
    early.say(message)
    (refused,) = early.heard(control.Refused)
    assert (refused.reason, refused.final) == ("no-hello", True)
    assert "say Hello first" in refused.text
    assert early.closed


def test_what_waited_for_the_clock_before_a_member_could_send_says_nothing_about_its_way() -> None:
    jam = Jam()
    ann = jam.join("ann")
    needs = jam.hub.rooms["main"].facet(Lead).tuning.needs
    long_ago = ann.stamp(emitted=jam.now - ticks(0.24))
    ann.send(long_ago, ann.stamp(emitted=jam.now - ticks(0.2)))
    assert len(ann.judged) == 2
    assert needs.up_peaks([1]) == []
    jam.advance(0.1)
    ann.send(ann.stamp(emitted=jam.now - ticks(0.03)))
    (peak,) = needs.up_peaks([1])
    assert peak.need == ticks(0.03)
