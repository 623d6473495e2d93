"""The outbox: which events are sent again, when, and how many bytes that may cost."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.wire import frames
from relay.wire.budget import BURST_BYTES, RATE_BYTES_PER_S
from relay.wire.errors import Refused
from relay.wire.outbox import (
    AGAIN_S_MAX,
    CLOSE_S,
    DATAGRAM_BYTES,
    NACK_BYTES_MAX,
    REPEAT_S,
    SPREAD_S,
    Outbox,
)
from relay.wire.sequence import Flag, Judged, Kind
from tests.worlds import carried
from tests.worlds.relay import EPOCH, NOTE

EVERYTHING = range(1, 2**40)


def event(number: int) -> bytes:
    return frames.encode(Judged(number, 2, number, EPOCH, EPOCH, Kind.TIMED, Flag.NONE, NOTE))


class Sender:
    """An outbox over a list of events, with a log of when each event was sent."""

    def __init__(self, *, rtt_s: float = 0.1) -> None:
        self.kept: dict[int, bytes] = {}
        self.outbox = Outbox(self.fetch)
        self.outbox.rtt_s = rtt_s
        self.log: list[tuple[float, int]] = []
        self.datagrams = 0
        self.wire_bytes = 0
        self.plain_bytes = 0

    def fetch(self, numbers: Iterable[int], now_s: float) -> list[bytes]:
        return [self.kept[number] for number in numbers if number in self.kept]

    def put(self, number: int, at_s: float, *, ahead_s: float = 0.27, always: bool = False) -> None:
        self.kept[number] = event(number)
        self.plain_bytes += DATAGRAM_BYTES + len(self.kept[number])
        self.outbox.put(number, self.kept[number], at_s, due_s=at_s + ahead_s, always=always)

    def flush(self, at_s: float) -> None:
        for plaintext in self.outbox.flush(at_s):
            self.datagrams += 1
            self.wire_bytes += DATAGRAM_BYTES + len(plaintext)
            for frame in frames.decode(plaintext):
                if isinstance(frame, Judged):
                    self.log.append((at_s, frame.number))

    def run(self, until_s: float) -> None:
        """Flush the outbox at each of its wake-ups until second `until_s`."""
        while (at_s := self.outbox.next_wakeup_s()) is not None and at_s <= until_s:
            self.flush(at_s)

    def make_lossy(self) -> None:
        """Make the outbox lossy: two events are sent and reported lost, long before the test begins."""
        for number in (1, 2):
            self.put(number, 0.0)
        self.flush(0.0)
        self.outbox.answer(((1, 2),), EVERYTHING, 0.1)
        self.run(0.5)
        assert self.outbox.lossy
        self.log.clear()
        self.datagrams = self.wire_bytes = self.plain_bytes = 0

    def times(self, number: int) -> list[float]:
        return [round(at_s, 6) for at_s, which in self.log if which == number]


def test_where_nothing_is_lost_an_event_is_sent_once_and_an_untimed_one_twice() -> None:
    sender = Sender()
    carried.much_by(sender.outbox)
    sender.put(1, 1.0)
    sender.put(2, 1.0, always=True)
    sender.flush(1.0)
    sender.run(9.0)
    assert sender.times(1) == [1.0]
    assert sender.times(2) == [1.0, 1.0 + SPREAD_S[0]]


def test_where_events_are_lost_each_is_sent_three_times_spread_in_time() -> None:
    sender = Sender()
    sender.make_lossy()
    sender.put(3, 1.0)
    sender.flush(1.0)
    sender.run(9.0)
    assert sender.times(3)[:3] == [1.0, *(1.0 + after_s for after_s in SPREAD_S)]


@pytest.mark.parametrize(
    ("ahead_s", "after_s"),
    [(0.261, SPREAD_S), (0.259, (SPREAD_S[0], CLOSE_S[1])), (0.164, CLOSE_S), (-1.0, CLOSE_S)],
)
def test_copies_that_would_come_too_late_follow_closely_instead(
    ahead_s: float, after_s: tuple[float, float]
) -> None:
    sender = Sender(rtt_s=0.1)
    sender.make_lossy()
    sender.put(3, 1.0, ahead_s=ahead_s)
    sender.flush(1.0)
    sender.run(9.0)
    assert sender.times(3)[:3] == sorted(round(1.0 + one, 6) for one in (0.0, *after_s))


def test_how_long_before_its_due_an_event_must_be_there_leaves_less_room() -> None:
    sender = Sender(rtt_s=0.1)
    sender.make_lossy()
    sender.outbox.ahead_s = 0.2
    sender.put(3, 1.0, ahead_s=0.36)
    sender.flush(1.0)
    sender.run(9.0)
    assert sender.times(3)[:3] == [1.0, *(1.0 + after_s for after_s in CLOSE_S)]
    assert 1.31 - REPEAT_S < sender.times(3)[-1] <= 1.31, "later than wanted is still better than never"


def test_a_copy_rides_on_a_datagram_that_leaves_shortly_before_its_time() -> None:
    sender = Sender()
    sender.make_lossy()
    sender.put(3, 1.0, ahead_s=0.0)
    sender.flush(1.0)
    sender.outbox.say(frames.encode(frames.BeatDown(1, 1, 1)))
    sender.flush(1.0 + CLOSE_S[0] - 0.009)
    assert sender.times(3) == [1.0, round(1.0 + CLOSE_S[0] - 0.009, 6)]
    assert sender.datagrams == 2


def test_a_copy_never_travels_with_what_it_is_to_outlive() -> None:
    sender = Sender(rtt_s=0.0)
    sender.make_lossy()
    sender.put(3, 1.0, ahead_s=-1.0)
    sender.outbox.answer(((2, 2),), EVERYTHING, 1.0)
    sender.flush(1.0)
    assert sender.log == [(1.0, 3), (1.0, 2)]


def test_what_is_asked_for_is_sent_at_once_and_once_more() -> None:
    sender = Sender(rtt_s=0.1)
    sender.put(1, 1.0)
    sender.flush(1.0)
    sender.outbox.answer(((1, 1),), EVERYTHING, 2.0)
    sender.flush(2.0)
    sender.run(9.0)
    assert sender.times(1) == [1.0, 2.0, 2.0 + AGAIN_S_MAX]


def test_what_is_asked_for_twice_in_one_breath_is_sent_once() -> None:
    sender = Sender()
    sender.put(1, 1.0)
    sender.flush(1.0)
    sender.outbox.answer(((1, 1),) * 64, EVERYTHING, 2.0)
    sender.flush(2.0)
    assert sender.times(1) == [1.0, 2.0]


def test_a_copy_of_what_the_other_end_has_is_not_sent() -> None:
    sender = Sender()
    sender.make_lossy()
    for number in (3, 4, 5):
        sender.put(number, 1.0)
    sender.flush(1.0)
    sender.outbox.known_to_have(3, 1.05)
    del sender.kept[4]  # the sender has no more use for it: its verdict is there
    sender.run(9.0)
    assert [len(sender.times(number)) for number in (3, 4, 5)] == [1, 1, 3]


def test_while_there_is_room_what_the_other_end_lacks_is_sent_over_and_over() -> None:
    sender = Sender(rtt_s=0.1)
    sender.make_lossy()
    sender.put(3, 1.0, ahead_s=0.3 + 0.1)
    sender.flush(1.0)
    sender.run(9.0)
    after = (0.0, *SPREAD_S, *(SPREAD_S[-1] + count * REPEAT_S for count in (1, 2, 3, 4)))
    assert sender.times(3) == [round(1.0 + after_s, 6) for after_s in after]
    assert after[-1] <= 0.35 < after[-1] + REPEAT_S, "until half a round trip before its due"


def test_who_says_what_it_has_is_sent_no_more_than_the_copies_before_it_could_have_said_so() -> None:
    sender = Sender(rtt_s=0.1)
    sender.make_lossy()
    sender.outbox.known_to_have(2, 1.09)  # on its way when 3 was sent
    sender.put(3, 1.0, ahead_s=0.6)
    sender.flush(1.0)
    sender.run(1.3)
    assert len(sender.times(3)) == 1 + len(SPREAD_S)
    sender.outbox.known_to_have(2, 1.3)
    sender.run(1.35)
    assert len(sender.times(3)) == 2 + len(SPREAD_S)
    sender.outbox.known_to_have(3, 1.35)
    sender.run(9.0)
    assert len(sender.times(3)) == 2 + len(SPREAD_S)


def test_a_way_without_copies_answers_and_no_more() -> None:
    sender = Sender()
    sender.make_lossy()
    sender.outbox.copies = False
    sender.put(3, 1.0, always=True)
    sender.flush(1.0)
    sender.outbox.answer(((3, 3),), EVERYTHING, 1.5)
    sender.flush(1.5)
    sender.run(9.0)
    assert sender.times(3) == [1.0, 1.5]


def test_a_huge_range_is_answered_in_part_and_what_is_not_kept_costs_nothing() -> None:
    sender = Sender()
    for number in range(1000, 1600):
        sender.kept[number] = event(number)
    sender.outbox.answer(((1, 2**63),), range(1000, 1600), 1.0)
    sender.flush(1.0)
    assert [number for _, number in sender.log] == list(range(1000, 1256))


def test_a_liar_that_asks_for_ever_gets_no_more_than_the_bound_and_then_nothing() -> None:
    sender = Sender()
    for number in range(1, 201):
        sender.put(number, 1.0)
    sender.flush(1.0)
    refused = 0
    for count in range(2000):
        at_s = 1.0 + count * 0.01
        try:
            sender.outbox.answer(((1, 200),), EVERYTHING, at_s)
        except Refused:
            refused += 1
        sender.flush(at_s)
        bound = 3 * sender.plain_bytes + (at_s - 1.0) * RATE_BYTES_PER_S + BURST_BYTES
        assert sender.wire_bytes <= bound
    assert refused > 1900
    assert sender.wire_bytes > 0.9 * (bound - 2 * sender.plain_bytes), "what may be given is given"


def test_when_bytes_run_short_copies_give_way_to_what_is_asked_for() -> None:
    sender = Sender()
    sender.make_lossy()
    sender.put(3, 1.0)
    sender.flush(1.0)
    for _ in range(40):
        sender.outbox.say(bytes(1000))
        sender.outbox.flush(1.0)
    sender.run(1.5)
    assert sender.times(3) == [1.0], "no copy"
    sender.outbox.answer(((3, 3),), EVERYTHING, 1.6)
    sender.flush(1.6)
    assert sender.times(3) == [1.0, 1.6]


def test_a_way_that_has_nothing_left_does_not_ask_either_until_it_has() -> None:
    outbox = Sender().outbox
    assert outbox.asks_from_s() <= 1.0
    while outbox.pay(1000, 1.0):
        pass
    assert 1.0 < outbox.asks_from_s() <= 1.0 + NACK_BYTES_MAX / RATE_BYTES_PER_S


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.floats(1, 120), st.floats(0.0, 0.5))
def test_under_any_loss_the_bytes_stay_within_three_times_the_plain_ones_and_24_kbit(
    seed: int, per_s: float, loss: float
) -> None:
    dice, sender = Random(seed), Sender()
    number, at_s = 0, 1.0
    while at_s < 8.0:
        at_s += dice.expovariate(per_s)
        sender.run(at_s)
        number += 1
        sender.put(number, at_s, ahead_s=dice.choice([0.5, 0.2]), always=dice.random() < 0.1)
        if dice.random() < loss:
            lost = max(1, number - 3)
            sender.outbox.answer(((lost, lost),), EVERYTHING, at_s)
        if dice.random() < 0.3:
            sender.outbox.say(frames.encode(frames.BeatDown(1, 1, 1)))
        sender.flush(at_s)
        assert sender.wire_bytes <= 3 * sender.plain_bytes + (at_s - 1.0) * RATE_BYTES_PER_S + BURST_BYTES


def test_forgetting_keeps_the_newest_and_no_copies() -> None:
    sender = Sender()
    for number in range(1, 6):
        sender.put(number, 1.0, always=True)
    sender.outbox.clear(keep=2)
    assert len(sender.outbox) == 2
    sender.flush(2.0)
    assert sender.log == [(2.0, 4), (2.0, 5)]
    assert sender.outbox.next_wakeup_s() is None
