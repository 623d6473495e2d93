"""Notices to the player about the connection, as a whole session gives them."""

from bridge.effects import Tell
from bridge.session.silent_udp import QUIET_AFTER_NS
from bridge.session.states import State
from relay.wire import control, frames
from tests.worlds.bridge import instant, reading
from tests.worlds.session import OTHER_EPOCH, Relay, joined

QUIET_S = QUIET_AFTER_NS / 1e9 + 0.1


def told(relay: Relay, at_s: float) -> list[str]:
    return [effect.text for effect in relay.turn(at_s)[1] if isinstance(effect, Tell)]


def beat(relay: Relay, at_s: float) -> None:
    relay.say(frames.BeatDown(0, 0, instant(at_s)), at_s=at_s)


def test_blocked_udp_is_told_once_though_the_relay_ends_and_takes_connections_again_and_again() -> None:
    _, session, relay = joined()
    told(relay, 2.0)
    (blocked,) = told(relay, 1.3 + QUIET_S)
    assert "is its UDP port open?" in blocked
    for number in range(5):
        at_s = 10.0 + 10 * number
        session.disconnected()
        session.hello(reading(at_s))
        relay.welcome(at_s=at_s, resumed=True)
        assert told(relay, at_s) == []
        assert told(relay, at_s + QUIET_S) == []
    beat(relay, 60.0)
    assert told(relay, 60.0) == ["back in room main as ada, slot 1; nobody else is here yet"]
    assert told(relay, 60.1) == []


def test_datagrams_that_come_again_on_the_same_connection_end_the_complaint() -> None:
    _, _, relay = joined()
    told(relay, 2.0)
    assert len(told(relay, 1.3 + QUIET_S)) == 1
    beat(relay, 6.0)
    assert told(relay, 6.0) == ["back in room main as ada, slot 1; nobody else is here yet"]


def test_a_relay_that_was_away_is_back_with_its_first_datagram_and_that_is_told_once() -> None:
    _, session, relay = joined()
    told(relay, 2.0)
    session.disconnected()
    assert told(relay, 2.1) == ["you play alone for now: the relay is away"]
    session.hello(reading(3.0))
    relay.welcome(at_s=3.0, epoch=OTHER_EPOCH)
    assert told(relay, 3.0) == []
    beat(relay, 3.2)
    assert told(relay, 3.2)[:1] == ["back in room main as ada, slot 1; nobody else is here yet"]
    beat(relay, 3.4)
    assert [text for text in told(relay, 3.4) if "room" in text] == []


def test_a_refusal_is_told_with_the_relays_own_words_and_whether_it_is_for_good() -> None:
    _, session, relay = joined()
    told(relay, 2.0)
    session.disconnected()
    told(relay, 2.1)
    for _ in range(3):
        session.hello(reading(3.0))
        session.receive_control(control.Refused(reason="room-full", text="room main is full"), reading(3.0))
        session.disconnected()
    assert told(relay, 3.0) == ["you play alone for now: the relay says: room main is full"]
    session.hello(reading(4.0))
    session.receive_control(control.Refused(reason="protocol", text="speaks 9", final=True), reading(4.0))
    assert session.state is State.GONE
    (final,) = told(relay, 4.0)
    assert "speaks 9; this join doesn't try again" in final
