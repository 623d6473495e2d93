"""Foundation: what a relay that knows nothing is told of the local Sonic Pi."""

import bridge.foundation
from bridge.foundation import OwnFoundation
from relay.wire.osc import encode
from relay.wire.sequence import Kind
from tests.bridge_world import group, note

MIXER = encode("/s_new", "sonic-pi-mixer", 6, 0, 2, "in_bus", 34.0)
LOAD = encode("/b_allocRead", 3, "samples/bd_haus.flac", 0, 0)


def built() -> OwnFoundation:
    one = OwnFoundation()
    one.note(Kind.UNTIMED, group(2, 0), foundation=True)
    one.note(Kind.UNTIMED, MIXER, foundation=True)
    one.note(Kind.RESOURCE, LOAD, foundation=False)
    return one


def test_foundation_and_loads_are_kept_in_order_and_music_is_not() -> None:
    one = built()
    one.note(Kind.TIMED, note(), foundation=False)
    one.note(Kind.UNTIMED, group(9), foundation=False)
    assert one.messages() == [group(2, 0), MIXER, LOAD]


def test_a_freed_buffer_goes_and_a_buffer_loaded_again_is_the_new_one() -> None:
    one = built()
    again = encode("/b_allocRead", 3, "samples/ambi_choir.flac", 0, 0)
    one.note(Kind.RESOURCE, again, foundation=False)
    assert one.messages() == [group(2, 0), MIXER, again]
    one.note(Kind.UNTIMED, encode("/b_free", 3), foundation=False)
    one.note(Kind.UNTIMED, encode("/b_free", 99), foundation=False)
    assert one.messages() == [group(2, 0), MIXER]


def test_a_reset_by_sonic_pi_empties_it() -> None:
    one = built()
    one.note(Kind.RESET, b"", foundation=False)
    assert one.messages() == []


def test_a_restarted_bridge_learns_it_from_the_relay() -> None:
    one = OwnFoundation()
    one.learn(built().messages())
    assert one.messages() == built().messages()


def test_it_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(bridge.foundation, "MESSAGES_MAX", 3)
    one = OwnFoundation()
    for node in range(10):
        one.note(Kind.UNTIMED, group(node, 0), foundation=True)
    assert one.messages() == [group(7, 0), group(8, 0), group(9, 0)]
