"""A room's heartbeats: soon after the last event, often while something is pending, seldom in silence."""

from relay.room.heartbeat import BEAT_AFTER_EVENT, BEAT_PENDING, BEAT_QUIET, Heartbeat
from relay.wire.timetag import ticks
from tests.worlds.relay import EPOCH


def test_the_last_event_of_a_phrase_is_followed_within_20_ms() -> None:
    heartbeat = Heartbeat()
    heartbeat.beat(EPOCH, pending=False)
    assert heartbeat.due_at == EPOCH + BEAT_QUIET
    heartbeat.published(EPOCH + ticks(0.1))
    assert heartbeat.due_at == EPOCH + ticks(0.1) + BEAT_AFTER_EVENT <= EPOCH + ticks(0.12)


def test_an_event_that_follows_sooner_puts_the_beat_off_but_never_beyond_50_ms() -> None:
    heartbeat = Heartbeat()
    heartbeat.beat(EPOCH, pending=True)
    for count in range(20):
        at = EPOCH + count * ticks(0.010)
        if at >= heartbeat.due_at:
            break
        heartbeat.published(at)
    assert heartbeat.due_at == EPOCH + BEAT_PENDING


def test_a_beat_that_is_lost_is_followed_by_another_within_50_ms_while_something_is_pending() -> None:
    heartbeat = Heartbeat()
    heartbeat.beat(EPOCH, pending=False)
    heartbeat.published(EPOCH)
    heartbeat.beat(heartbeat.due_at, pending=True)
    assert heartbeat.due_at == EPOCH + BEAT_AFTER_EVENT + BEAT_PENDING


def test_in_silence_a_beat_comes_every_250_ms() -> None:
    heartbeat = Heartbeat()
    heartbeat.published(EPOCH)
    heartbeat.beat(EPOCH + ticks(1.0), pending=False)
    assert heartbeat.due_at == EPOCH + ticks(1.25)
