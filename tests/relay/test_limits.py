"""Token buckets: a burst may pass at once, then a fixed rate."""

from relay.limits import TokenBucket
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.relay import EPOCH


def test_a_burst_may_be_taken_at_once_and_no_more() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    assert [bucket.take(EPOCH) for _ in range(5)] == [True, True, True, False, False]


def test_it_fills_at_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    while bucket.take(EPOCH):
        pass
    taken = [bucket.take(EPOCH + ticks(0.01 * step)) for step in range(1, 101)]
    assert sum(taken) in (9, 10)


def test_it_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    bucket.take(EPOCH)
    assert sum(bucket.take(EPOCH + 3600 * TICKS_PER_S) for _ in range(9)) == 3


def test_a_refused_taking_costs_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(EPOCH)
    for step in range(1, 10):
        assert not bucket.take(EPOCH + ticks(0.1 * step))
    assert bucket.take(EPOCH + ticks(1.05))
