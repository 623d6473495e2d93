"""A member is cut off for two seconds. The others don't notice, and a second later all play the same
again."""

import pytest
from laboratory.virtual.host import NEED_S, Member
from laboratory.virtual.jam import Jam

from bridge.scsynth.id_space import NODE_BITS
from relay.wire.osc import single_message
from relay.wire.sequence import Flag
from tests.sim.score import assert_same, events
from tests.sim.test_networks import MUSIC_AT_S, trio
from tests.worlds.networks import NETWORKS
from tests.worlds.traffic import generated

pytestmark = pytest.mark.computes

OUT_AT_S, OUT_S, WHOLE_AFTER_S = MUSIC_AT_S + 2.0, 2.0, 1.0
AHEAD_S = 0.5
BOB = 2


def slot_of(message: bytes) -> int:
    return int(single_message(message).args[1]) >> NODE_BITS


def least_margin_s(member: Member, slots: set[int], from_s: float) -> float:
    """Return the least margin (s) at one member among notes of these slots that are due after `from_s`."""
    margins = [
        (one.timetag_ns - one.at_ns) / 1e9
        for one in events(member)
        if b"sonic-pi-beep" in one.message
        and slot_of(one.message) in slots
        and one.timetag_ns is not None
        and one.timetag_ns / 1e9 > from_s
    ]
    assert len(margins) > 30
    return min(margins)


def test_an_outage_of_one_member_is_unnoticed_by_the_others_and_over_a_second_after_its_end() -> None:
    jam = Jam(seed=21)
    ada, bob, cleo = trio(jam, NETWORKS["studio-lan"])
    jam.wires.meddle = lambda who, way, at_s: (
        None if who == "bob" and OUT_AT_S < at_s < OUT_AT_S + OUT_S else 0.0
    )
    for index, member in enumerate((ada, bob, cleo)):
        jam.play(member, generated(40 + index, seconds=8.0), MUSIC_AT_S)
    jam.run(MUSIC_AT_S + 14.0)
    whole_at_s = OUT_AT_S + OUT_S + WHOLE_AFTER_S
    for member in (ada, cleo):
        assert least_margin_s(member, {1, 3}, MUSIC_AT_S) > NEED_S
    assert {event.slot for event in jam.judged if Flag.RETIMED in event.flags} <= {BOB}
    stale = [
        event
        for event in jam.judged
        if event.slot == BOB and Flag.RETIMED in event.flags and b"sonic-pi-beep" in event.payload
    ]
    assert len(stale) <= 10, "what he played while he was away isn't heard all at once"
    assert assert_same(jam, ada, bob, cleo, after_s=whole_at_s) > 150
    for member in (ada, bob, cleo):
        assert least_margin_s(member, {1, 2, 3}, whole_at_s) > NEED_S
