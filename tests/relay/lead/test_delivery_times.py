"""Delivery times: how long events took from emission until in hand, kept as the worst of each ten seconds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.lead.delivery_times import (
    BLOCK,
    BLOCKS_KEPT,
    EVENTS_KEPT,
    UNJUDGED_KEPT,
    DeliveryTimes,
    Peak,
    ranked,
)
from relay.wire.sequence import Flag, Judged, Kind, Stamped
from relay.wire.timetag import TICKS_PER_S, ticks
from tests.worlds.relay import EPOCH, NOTE

MOST = ticks(1.0)
ANN, BOB = 1, 2
ADVANCES = {ANN: ticks(0.070), BOB: ticks(0.070)}


class Told:
    """Delivery times, and events that are noted there."""

    def __init__(self) -> None:
        self.needs = DeliveryTimes(MOST)
        self.number = 0

    def play(self, at_s: float, *, up_s: float, downs_s: dict[int, float], sender: int = ANN) -> int:
        """Let an event be emitted, judged after `up_s`, and be there after `downs_s` more, by slot."""
        self.number += 1
        emitted = EPOCH + ticks(at_s)
        now = emitted + ticks(up_s)
        self.needs.came(sender, Stamped(self.number, emitted, None, Kind.UNTIMED, NOTE), now)
        judged = Judged(self.number, sender, self.number, now, now, Kind.UNTIMED, Flag.NONE, NOTE)
        self.needs.judged(judged)
        for slot, down_s in downs_s.items():
            self.needs.reported(slot, [(self.number, round(down_s * 1e4))], [])
        return self.number

    def worst_ms(self) -> list[float]:
        return [round(peak.need / TICKS_PER_S * 1e3, 1) for peak in self.needs.peaks(ADVANCES)]


def test_a_need_is_way_up_and_way_down_of_the_same_event_and_the_release_advance() -> None:
    told = Told()
    told.play(0.0, up_s=0.100, downs_s={ANN: 0.010, BOB: 0.020})
    told.play(1.0, up_s=0.010, downs_s={ANN: 0.010, BOB: 0.090})
    assert told.worst_ms() == [190.0]
    (peak,) = told.needs.peaks(ADVANCES)
    assert (peak.sender, peak.receiver) == (ANN, BOB)


def test_what_clocks_may_stray_counts_between_two_and_not_for_a_members_own_events() -> None:
    told = Told()
    told.play(0.0, up_s=0.020, downs_s={ANN: 0.050, BOB: 0.010})
    strays = {ANN: ticks(0.003), BOB: ticks(0.004)}
    (peak,) = told.needs.peaks(ADVANCES)
    assert (peak.receiver, round(peak.need / TICKS_PER_S, 4)) == (ANN, 0.140)
    (peak,) = told.needs.peaks({**ADVANCES, BOB: ticks(0.105)}, strays)
    assert (peak.receiver, round(peak.need / TICKS_PER_S, 4)) == (BOB, 0.142)


def test_of_each_ten_seconds_the_worst_is_kept_for_sixty_of_them() -> None:
    told = Told()
    for second in range(0, 10 * (BLOCKS_KEPT + 5), 5):
        told.play(float(second), up_s=0.001 * (second // 10), downs_s={BOB: 0.0})
    found = told.worst_ms()
    assert len(found) == BLOCKS_KEPT
    assert found[-1] - found[0] == BLOCKS_KEPT - 1


def test_who_has_left_asks_for_nothing_and_what_it_needed_is_forgotten() -> None:
    told = Told()
    told.play(0.0, up_s=0.010, downs_s={ANN: 0.010, BOB: 0.500})
    assert [round(peak.need / TICKS_PER_S, 4) for peak in told.needs.peaks({ANN: 0})] == [0.020]
    told.needs.forget(BOB)
    assert told.worst_ms() == [90.0]
    assert told.needs.down_peaks(BOB) == []


def test_what_needs_more_than_the_longest_lead_raises_nothing_and_is_counted_where_it_was_slow() -> None:
    told = Told()
    told.play(0.0, up_s=0.010, downs_s={ANN: 0.010, BOB: 1.500})
    told.play(1.0, up_s=2.000, downs_s={ANN: 0.010, BOB: 0.010})
    lost = told.play(2.0, up_s=0.010, downs_s={ANN: 0.010})
    told.needs.reported(BOB, [], [lost])
    told.needs.lost(ANN, 3, EPOCH)
    assert told.worst_ms() == [90.0]
    assert told.needs.beyond(BOB) == [2]
    assert told.needs.beyond(ANN) == [4]


def test_events_of_the_relay_itself_and_numbers_unknown_need_nothing() -> None:
    told = Told()
    told.needs.judged(Judged(9, ANN, 9, EPOCH, EPOCH, Kind.RESET, Flag.SILENCED, b""))
    told.needs.reported(BOB, [(9, 4000), (77, 4000)], [78])
    assert told.worst_ms() == []


def test_a_clock_that_is_ahead_makes_no_way_shorter_than_nothing() -> None:
    told = Told()
    told.play(0.0, up_s=-5.0, downs_s={BOB: 0.050})
    assert told.worst_ms() == [120.0]


def test_the_tail_of_the_way_down_is_of_closed_blocks_only() -> None:
    told = Told()
    for index in range(200):
        told.play(index * 0.04, up_s=0.0, downs_s={BOB: 0.001 * index})
    assert told.needs.down_tails(BOB, 12) == []
    told.play(10.5, up_s=0.0, downs_s={BOB: 0.0})
    told.play(20.5, up_s=0.0, downs_s={BOB: 0.0})
    assert [round(way / TICKS_PER_S * 1e3) for way in told.needs.down_tails(BOB, 12)] == [180]


def test_memory_is_bounded() -> None:
    told = Told()
    for seq in range(UNJUDGED_KEPT + EVENTS_KEPT):
        told.needs.came(ANN, Stamped(10**6 + seq, EPOCH, None, Kind.UNTIMED, NOTE), EPOCH)
    for index in range(EVENTS_KEPT + 10):
        told.play(index * 0.001, up_s=0.0, downs_s={})
    assert len(told.needs._unjudged) <= UNJUDGED_KEPT
    assert len(told.needs._events) <= EVENTS_KEPT


def peaks(*needs: int) -> list[Peak]:
    return [Peak(block, need) for block, need in enumerate(needs)]


@pytest.mark.parametrize("episode", [(400,), (400, 380), (380, 400), (400, 390, 380), (380, 390, 400)])
@pytest.mark.parametrize("before", [3, 6, 60])
@pytest.mark.parametrize("rank", [2, 3])
def test_one_episode_counts_once_though_it_reached_into_three_blocks(
    episode: tuple[int, ...], before: int, rank: int
) -> None:
    for after in range(30):
        found = ranked(
            peaks(*[10, 11, 12, 13, 11] * (before // 5), *[10] * (before % 5), *episode, *[10] * after), rank
        )
        assert found is not None
        assert found.need <= 13, after


def test_three_episodes_are_weather() -> None:
    found = ranked(peaks(*[10] * 20, 400, *[10] * 9, 390, *[10] * 9, 380, *[10] * 9), 3)
    assert found is not None
    assert found.need == 380


def test_two_episodes_are_no_accident() -> None:
    found = ranked(peaks(10, 400, 12, 11, 390, 13, 12), 2)  # three blocks on: no longer the same
    assert found is not None
    assert found.need == 390


def test_where_there_are_too_few_episodes_the_least_counts() -> None:
    found = ranked(peaks(12, 400, 380), 2)
    assert found is not None
    assert found.need == 12
    assert ranked([], 2) is None


def test_a_block_lasts_ten_seconds() -> None:
    assert ticks(10.0) == BLOCK


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_peak_is_that_of_all_pairs_though_few_are_looked_at(data: st.DataObject) -> None:
    told = Told()
    few = st.integers(0, 6)
    slots = range(1, 5)
    for at in range(data.draw(st.integers(1, 12))):
        downs_s = {slot: data.draw(few) * 0.01 for slot in slots}
        told.play(
            float(at), up_s=data.draw(few) * 0.01, downs_s=downs_s, sender=data.draw(st.sampled_from(slots))
        )
        advances = {slot: ticks(0.01 * data.draw(few)) for slot in data.draw(st.sets(st.sampled_from(slots)))}
        strays = {slot: ticks(0.01 * data.draw(few)) for slot in slots}
        peaks = told.needs.peaks(advances, strays)
        for block in told.needs._blocks.values():
            needs = [
                need + advances[receiver] + (sender != receiver) * (strays[sender] + strays[receiver])
                for (sender, receiver), need in block.pairs.items()
                if {sender, receiver} <= advances.keys()
            ]
            found = [peak.need for peak in peaks if peak.block == block.index]
            assert found == ([max(needs)] if needs else [])
