"""Id spaces: each member's ids map one-to-one into a range of its own, and exactly back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.scsynth.id_space import (
    AUDIO_BUS_COUNT,
    BUFFER_COUNT,
    BUFFERS_PER_SLOT,
    CONTROL_BUS_COUNT,
    CONTROL_BUSES_PER_SLOT,
    GUARD_BUSES,
    HARDWARE_BUSES,
    NODE_BITS,
    OUTPUT_BUSES,
    SLOT_COUNT,
    Origin,
)
from relay.wire.commands import SYNTHDEFS
from relay.wire.errors import LocalError, Refused

SLOTS = st.integers(1, SLOT_COUNT - 1)
ORIGINS = st.builds(Origin, SLOTS, st.integers(1, 64), st.integers(0, 64))
MEMBER = Origin(slot=3)


@given(ORIGINS, st.integers(0, 2**26 - 1))
def test_a_node_maps_into_its_slot_and_back(origin: Origin, own: int) -> None:
    node = origin.node(own)
    assert node >> NODE_BITS == origin.slot
    assert 0 < node < 2**31
    assert origin.own_node(node) == own


@given(ORIGINS, st.integers(0, 1500))
def test_an_audio_bus_maps_into_its_slot_and_back_or_is_refused(origin: Origin, own: int) -> None:
    first_internal = origin.outs + origin.ins
    if own < origin.outs or first_internal <= own < first_internal + 1024:
        bus = origin.audio_bus(own)
        assert origin.own_audio_bus(bus) == own
        assert HARDWARE_BUSES <= bus < AUDIO_BUS_COUNT
        return
    with pytest.raises(Refused) as refused:
        origin.audio_bus(own)
    assert refused.value.reason == ("hardware-input" if own < first_internal else "bus-range")


@given(ORIGINS, ORIGINS, st.integers(0, 1500), st.integers(0, 1500), st.integers(0, 5), st.integers(0, 5))
def test_six_channels_of_one_member_never_reach_the_buses_of_another(
    one: Origin, other: Origin, own: int, its_own: int, channel: int, its_channel: int
) -> None:
    try:
        buses = one.audio_bus(own) + channel, other.audio_bus(its_own) + its_channel
    except Refused:
        return
    if one.slot != other.slot:
        assert buses[0] != buses[1]
    assert max(buses) < AUDIO_BUS_COUNT
    assert min(buses) >= HARDWARE_BUSES


@given(ORIGINS, st.integers(0, 1500), st.integers(0, 1500))
def test_different_buses_of_a_member_stay_different(origin: Origin, one: int, other: int) -> None:
    try:
        same = origin.audio_bus(one) == origin.audio_bus(other)
    except Refused:
        return
    assert same == (one == other)


def test_buses_stay_neighbours_so_that_spilling_sounds_as_at_home() -> None:
    buses = [MEMBER.audio_bus(own) for own in range(32, 32 + 1024)]
    assert buses == list(range(buses[0], buses[0] + 1024))
    assert MEMBER.audio_bus(1) == MEMBER.audio_bus(0) + 1
    widest = max(definition.out_channels for definition in SYNTHDEFS.values())
    assert buses[-1] + widest - 1 < Origin(4).first_bus
    assert widest <= GUARD_BUSES


def test_more_outputs_than_a_slot_has_are_refused() -> None:
    wide = Origin(1, outs=80, ins=8)
    assert wide.audio_bus(OUTPUT_BUSES - 1) == wide.first_bus + 63
    with pytest.raises(Refused, match="bus-range"):
        wide.audio_bus(OUTPUT_BUSES)


@given(ORIGINS, st.integers(0, BUFFERS_PER_SLOT - 1), st.integers(0, CONTROL_BUSES_PER_SLOT - 1))
def test_buffers_and_control_buses_map_into_their_slot_and_back(
    origin: Origin, buffer: int, bus: int
) -> None:
    assert origin.own_buffer(origin.buffer(buffer)) == buffer
    assert origin.own_control_bus(origin.control_bus(bus)) == bus
    assert origin.buffer(buffer) < BUFFER_COUNT
    assert origin.control_bus(bus) < CONTROL_BUS_COUNT
    assert origin.buffer(0) == origin.slot * BUFFERS_PER_SLOT


@given(ORIGINS, ORIGINS, st.integers(0, 2**31 - 1))
def test_no_number_belongs_to_two_members(one: Origin, other: Origin, number: int) -> None:
    if one.slot == other.slot:
        return
    assert one.own_buffer(number) is None or other.own_buffer(number) is None
    assert one.own_audio_bus(number) is None or other.own_audio_bus(number) is None
    assert one.own_control_bus(number) is None or other.own_control_bus(number) is None
    if number >= 1 << NODE_BITS:
        assert one.own_node(number) is None or other.own_node(number) is None


@pytest.mark.parametrize(("slot", "outs"), [(0, 2), (32, 2), (-1, 2), (1, -1), (1, 5000)])
def test_an_origin_that_cannot_be_is_not_made(slot: int, outs: int) -> None:
    with pytest.raises(LocalError):
        Origin(slot, outs)
