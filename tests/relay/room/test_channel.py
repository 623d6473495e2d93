"""A member's channel: which events the relay sends it again, by which transport, and how many at most."""

from collections import Counter

import pytest

from clock.exchange import client_request
from relay.hub.hub import RelayHub
from relay.wire import frames
from relay.wire.budget import BURST_BYTES, IP_UDP_BYTES, RATE_BYTES_PER_S
from relay.wire.endpoint import StreamAddress
from relay.wire.outbox import DATAGRAM_BYTES
from relay.wire.sequence import Judged, Kind
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds import carried
from tests.worlds.relay import GROUP, FakeBridge, Jam


def times(bridge: FakeBridge) -> dict[int, int]:
    """Return how often each event arrived at a bridge, by number."""
    return dict(Counter(frame.number for frame in bridge.frames if isinstance(frame, Judged)))


def lose(bridge: FakeBridge, *numbers: int) -> None:
    """Let a bridge ask for events again, as if they had been lost."""
    bridge.send(frames.Nack(tuple((number, number) for number in numbers)))


def test_while_nothing_is_known_of_the_ways_everything_reaches_everybody_thrice() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    ann.play(GROUP, kind=Kind.UNTIMED)
    ann.play()
    jam.advance(1.0)
    for bridge in (ann, bob):
        assert times(bridge) == {1: 3, 2: 3}


def test_an_untimed_event_reaches_everybody_twice_and_a_note_once_while_nothing_is_lost() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    carried.much_to_all(jam.hub)
    ann.play(GROUP, kind=Kind.UNTIMED)
    ann.play()
    jam.advance(1.0)
    assert times(ann) == times(bob) == {1: 2, 2: 1}


def test_copies_go_only_to_the_member_that_loses_events() -> None:
    jam = Jam()
    ann, bob = jam.join("ann"), jam.join("bob")
    carried.much_to_all(jam.hub)
    for _ in range(2):
        ann.play()
    lose(bob, 1, 2)
    ann.play()
    jam.advance(1.0)
    assert times(ann)[3] == 1
    assert times(bob)[3] >= 3


def test_a_member_that_says_it_has_everything_is_sent_no_copies() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for _ in range(2):
        ann.play()
    lose(ann, 1, 2)
    jam.advance(0.1)
    ann.play()
    ann.send(frames.BeatUp(3, 3, jam.now))
    jam.advance(1.0)
    assert times(ann)[3] == 1


@pytest.mark.parametrize("way", ["over TLS", "without repair"])
def test_where_copies_make_no_sense_there_are_none(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "without repair":
        original = RelayHub.__init__
        monkeypatch.setattr(RelayHub, "__init__", lambda hub, **what: original(hub, **what, repair=False))
    jam = Jam()
    ann = jam.join("ann")
    if way == "over TLS":
        ann.address = StreamAddress(99)  # type: ignore[assignment]  # a fake of UDP
        ann.beat()
    for _ in range(2):
        ann.play()
    lose(ann, 1, 2)
    ann.play(GROUP, kind=Kind.UNTIMED)
    jam.advance(1.0)
    assert times(ann) == {1: 2, 2: 2, 3: 1}


def test_a_member_that_comes_in_and_asks_for_the_past_counts_as_no_loss() -> None:
    jam = Jam()
    ann = jam.join("ann")
    for _ in range(20):
        ann.play()
    bob = jam.join("bob")
    carried.much_to_all(jam.hub)
    bob.send(frames.Nack(((1, 20),)))
    jam.advance(0.2)
    ann.play()
    jam.advance(1.0)
    assert times(bob)[21] == 1


def test_whatever_a_liar_asks_for_it_gets_no_more_than_the_bound() -> None:
    jam = Jam()
    ann, liar = jam.join("ann"), jam.join("liar")
    started, plain = jam.now, 0
    jam.sent.clear()
    for count in range(400):
        event = ann.play(GROUP, kind=Kind.UNTIMED)
        verdict = Judged(1, 1, 1, jam.now, jam.now, event.kind, next(iter(ann.judged)).flags, event.payload)
        plain += DATAGRAM_BYTES + len(frames.encode(verdict))
        for _ in range(3):
            liar.send(frames.Nack(((1, 2**63),) * frames.MAX_NACK_RANGES), frames.Clock(client_request(7)))
        liar.send(frames.Nack(tuple((1 + one, 1 + one) for one in range(max(0, count - 9), count + 1))))
        jam.advance(0.02)
        taken = sum(IP_UDP_BYTES + len(one.payload) for one in jam.sent if one.to == liar.address)
        elapsed_s = (jam.now - started) / TICKS_PER_S
        assert taken <= 3 * plain + elapsed_s * RATE_BYTES_PER_S + BURST_BYTES
    assert taken > 3 * plain, "it got what there is"
    assert jam.hub.rooms["main"].seats[2].refused > 100


def test_a_way_that_may_carry_no_more_asks_for_what_is_missing_as_soon_as_it_may() -> None:
    jam = Jam()
    liar = jam.join("liar")
    for _ in range(300):
        liar.play()
    for _ in range(100):
        liar.send(frames.Nack(((1, 256),)))
    liar.frames.clear()
    liar.stamp()
    liar.play()
    jam.advance(0.1)
    assert not any(isinstance(frame, frames.Nack) for frame in liar.frames)
    jam.advance(0.6)
    assert any(isinstance(frame, frames.Nack) for frame in liar.frames)


def test_the_loss_of_a_phrases_last_event_is_shown_by_a_heartbeat_within_20_ms() -> None:
    jam = Jam()
    ann = jam.join("ann")
    jam.advance(1.1)
    ann.frames.clear()
    ann.play()
    played = jam.now
    jam.advance(0.1)
    beats = [frame for frame in ann.frames if isinstance(frame, frames.BeatDown)]
    assert beats[0].number == 1
    assert beats[0].sent <= played + ticks(0.020)
