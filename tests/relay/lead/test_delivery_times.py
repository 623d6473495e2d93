"""Delivery times: how long events take from emission to arrival. The worst of every ten seconds is kept."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.lead import delivery_times
from relay.lead.delivery_times import (
    BLOCK,
    BLOCKS_KEPT,
    EVENTS_KEPT,
    OPEN_BLOCKS,
    TAIL,
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
    """A DeliveryTimes under test, with a method that passes events through it."""

    def __init__(self) -> None:
        self.needs = DeliveryTimes(MOST)
        self.number = 0

    def play(self, at_s: float, *, up_s: float, downs_s: dict[int, float], sender: int = ANN) -> int:
        """Let one event be emitted, judged and received; return its number.

        at_s: instant of emission. up_s: time from emission to verdict. downs_s: slot -> time from verdict to
        arrival.
        """
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
    assert len(told.needs._ups) == len(told.needs._origins) <= EVENTS_KEPT


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


# -- the same as plainly reckoned ----------------------------------------------------------------------


@dataclass
class Plain:
    """A simple reference for DeliveryTimes: it stores all input and computes each figure anew.

    All delays are in ticks. A block is ten seconds with music.
    """

    events: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """By number of the event: (sender, uplink delay, block)."""
    blocks: list[int] = field(default_factory=list)
    played: list[tuple[int, int, int]] = field(default_factory=list)
    """For each emitted event: (block, sender, uplink delay)."""
    arrived: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """For each arrival: (block, sender, receiver, uplink delay, downlink delay)."""
    came: list[tuple[int, int, int]] = field(default_factory=list)
    """For each arrival, also of events whose sender has left: (block, receiver, downlink delay)."""
    in_time: list[tuple[int, int, int]] = field(default_factory=list)
    """For each arrival that was reported while its block was open: (block, receiver, downlink delay)."""
    slow: list[tuple[int, int]] = field(default_factory=list)
    """For each event that took too long: (block, slot whose path is at fault)."""

    def open_block(self, block: int) -> None:
        if block not in self.blocks:
            self.blocks = [*self.blocks, block][-BLOCKS_KEPT:]

    def report(self, slot: int, ways: list[tuple[int, int]], missing: list[int]) -> None:
        for number, down in [*((one, way * TICKS_PER_S // 10**4) for one, way in ways),
                             *((one, MOST + 1) for one in missing)]:  # fmt: skip
            sender, up, block = self.events.get(number, (0, 0, -1))
            if block not in self.blocks:
                continue
            if up + down > MOST:
                self.slow.append((block, slot if down > up else sender))
                continue
            self.arrived.append((block, sender, slot, up, down))
            self.came.append((block, slot, down))
            if block > max(self.blocks) - OPEN_BLOCKS:
                self.in_time.append((block, slot, down))

    def forget(self, slot: int) -> None:
        self.events = {number: event for number, event in self.events.items() if event[0] != slot}
        self.played = [one for one in self.played if one[1] != slot]
        self.arrived = [one for one in self.arrived if slot not in one[1:3]]
        self.came = [one for one in self.came if one[1] != slot]
        self.in_time = [one for one in self.in_time if one[1] != slot]
        self.slow = [one for one in self.slow if one[1] != slot]

    def downs(self, block: int, slot: int) -> list[int]:
        return [down for at, receiver, down in self.came if (at, receiver) == (block, slot)]

    def tail(self, block: int, slot: int) -> list[int]:
        found = sorted(down for at, receiver, down in self.in_time if (at, receiver) == (block, slot))
        closed = block <= max(self.blocks) - OPEN_BLOCKS
        return [found[int(TAIL * len(found))]] if found and closed else []

    def needs(
        self, block: int, advances: dict[int, int], strays: dict[int, int]
    ) -> dict[int, set[tuple[int, int]]]:
        """Return for one block: lead needed (ticks) -> pairs (sender, receiver) that need it.

        advances, strays: each slot's release advance and clock error, in ticks.
        """
        found: dict[int, set[tuple[int, int]]] = {}
        for at, sender, receiver, up, down in self.arrived:
            if at == block and {sender, receiver} <= advances.keys():
                stray = strays[sender] + strays[receiver] if sender != receiver else 0
                found.setdefault(up + down + advances[receiver] + stray, set()).add((sender, receiver))
        return found


SLOTS_HERE = (1, 2, 3, 31)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_figure_is_as_reckoned_plainly_from_all_that_was_told(data: st.DataObject) -> None:
    needs, plain = DeliveryTimes(MOST), Plain()
    slot, way = st.sampled_from(SLOTS_HERE), st.sampled_from([0, 1, 7, 70, 300, 9_000, 11_000])
    at, number = EPOCH, 0
    for _ in range(data.draw(st.integers(1, 25))):
        what = data.draw(st.sampled_from(["play"] * 5 + ["report"] * 5 + ["wait", "lost", "forget"]))
        who = data.draw(slot)
        if what == "play":
            number += data.draw(st.integers(1, 3))
            up = ticks(data.draw(way) / 1e4)
            at += up
            needs.came(who, Stamped(number, at - up, None, Kind.UNTIMED, NOTE), at)
            needs.judged(Judged(number, who, number, at, at, Kind.UNTIMED, Flag.NONE, NOTE))
            plain.open_block(at // BLOCK)
            if up > MOST:
                plain.slow.append((at // BLOCK, who))
            else:
                plain.played.append((at // BLOCK, who, up))
                plain.events[number] = who, up, at // BLOCK
        elif what == "report":
            numbers = st.integers(max(1, number - 6), number + 2)
            ways = data.draw(st.lists(st.tuples(numbers, way), max_size=8))
            missing = data.draw(st.lists(numbers, max_size=2))
            needs.reported(who, ways, missing)
            plain.report(who, ways, missing)
        elif what == "wait":
            at += BLOCK * data.draw(st.integers(1, 80)) // 4
        elif what == "lost":
            needs.lost(who, 2, at)
            plain.open_block(at // BLOCK)
            plain.slow += [(at // BLOCK, who)] * 2
        else:
            needs.forget(who)
            plain.forget(who)
        assert_same(needs, plain, data)


def assert_same(needs: DeliveryTimes, plain: Plain, data: st.DataObject) -> None:
    few = st.integers(0, 6).map(lambda one: ticks(0.01 * one))
    advances = {slot: data.draw(few) for slot in SLOTS_HERE if data.draw(st.booleans())}
    strays = {slot: data.draw(few) for slot in SLOTS_HERE}
    peaks = {peak.block: peak for peak in needs.peaks(advances, strays)}
    assert list(peaks) == [block for block in plain.blocks if block in peaks]
    ups = {peak.block: (peak.need, peak.sender) for peak in needs.up_peaks(advances)}
    for block in plain.blocks:
        pairs = plain.needs(block, advances, strays)
        assert (block in peaks) == bool(pairs)
        if pairs:
            assert peaks[block].need == max(pairs)
            assert (peaks[block].sender, peaks[block].receiver) in pairs[max(pairs)]
        sent = [(up, sender) for at, sender, up in plain.played if at == block and sender in advances]
        assert ups.get(block) == max(sent, default=None)
    for slot in SLOTS_HERE:
        sent_in = {
            block: [up for at, who, up in plain.played if (at, who) == (block, slot)]
            for block in plain.blocks
        }
        assert [(one.block, one.need) for one in needs.sender_peaks(slot)] == [
            (block, max(ups)) for block, ups in sent_in.items() if ups
        ]
        assert needs.blocks_of(slot) == sum(map(bool, sent_in.values()))
        assert [(one.block, one.need) for one in needs.down_peaks(slot)] == [
            (block, max(downs)) for block in plain.blocks if (downs := plain.downs(block, slot))
        ]
        assert (
            needs.down_tails(slot, 3)
            == [tail for block in plain.blocks for tail in plain.tail(block, slot)][-3:]
        )
        slow = Counter(block for block, who in plain.slow if who == slot and block in plain.blocks)
        assert sorted(needs.beyond(slot)) == sorted(slow.values())


# -- how much is looked at -----------------------------------------------------------------------------


def test_a_second_of_music_makes_only_the_present_block_be_looked_through_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told()
    for block in range(BLOCKS_KEPT):
        for sender in range(1, 31):
            told.play(10.0 * block, up_s=0.01, downs_s={ANN: 0.010, BOB: 0.02}, sender=sender)
    looked_through: list[int] = []
    plain = delivery_times._greatest

    def noting(index: int, *rest: Any) -> Peak | None:
        looked_through.append(index)
        return plain(index, *rest)

    monkeypatch.setattr(delivery_times, "_greatest", noting)
    assert len(told.needs.up_peaks(range(1, 31))) == BLOCKS_KEPT
    assert len(looked_through) == BLOCKS_KEPT
    looked_through.clear()
    told.play(10.0 * BLOCKS_KEPT - 1, up_s=0.02, downs_s={ANN: 0.010})
    assert told.needs.up_peaks(range(1, 31))[-1].need == ticks(0.02)
    assert looked_through == [(EPOCH + ticks(10.0 * BLOCKS_KEPT - 1)) // BLOCK]


def test_of_a_thousand_pairs_few_are_looked_at_though_one_members_clock_strays_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, slots = Told(), range(1, 32)
    for sender in slots:
        downs_s = {receiver: 0.001 * (7 * receiver % 31) for receiver in slots}
        told.play(0.0, up_s=0.001 * (11 * sender % 31), downs_s=downs_s, sender=sender)
    added = 0

    def counting(one: int, other: int) -> int:
        nonlocal added
        added += 1
        return one + other

    monkeypatch.setattr(delivery_times, "add", counting)
    advances = dict.fromkeys(slots, ticks(0.02))
    told.needs.peaks(advances, dict.fromkeys(slots, ticks(0.002)))
    calm, added = added, 0
    told.needs.peaks(advances, dict.fromkeys(slots, ticks(0.002)) | {9: ticks(0.050)})
    assert calm <= 8 * 31
    assert added <= 31 * 31


def test_when_a_block_closes_nobodys_ways_are_still_to_be_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    told, slots = Told(), range(1, 32)
    for at in range(20):
        told.play(0.4 * at, up_s=0.01, downs_s=dict.fromkeys(slots, 0.01))
    for slot in slots:  # a report that has nothing of that block, as the next or the one after it
        told.needs.reported(slot, [], [])
    sorts = 0

    def counting(*args: Any) -> list[Any]:
        nonlocal sorts
        sorts += 1
        return sorted(*args)

    monkeypatch.setattr(delivery_times, "sorted", counting, raising=False)
    told.play(40.0, up_s=0.01, downs_s={})
    assert len(told.needs.down_tails(BOB, 12)) == 1
    assert sorts == 0
