"""The own Sonic Pi's foundation, as a bridge sends it to a relay that was started anew."""

from bridge.session.own_boot_state import OwnFoundation
from relay.wire.control import Foundation
from relay.wire.osc import encode
from relay.wire.sequence import Kind, Stamped
from tests.worlds.bridge import group, instant, note

MIXER = encode("/s_new", "sonic-pi-mixer", 6, 0, 2, "in_bus", 34.0)
LOAD = encode("/b_allocRead", 3, "samples/bd_haus.flac", 0, 0)


def event(seq: int, payload: bytes, kind: Kind = Kind.UNTIMED, *, founds: bool = False) -> Stamped:
    return Stamped(seq, instant(seq), None, kind, payload, founds)


def volume(amp: float) -> bytes:
    return encode("/n_set", 6, "pre_amp", amp)


def built(unjudged: list[Stamped] | None = None) -> OwnFoundation:
    one = OwnFoundation(1, lambda: unjudged or [])
    one.note(event(1, group(2, 0), founds=True))
    one.note(event(2, MIXER, founds=True))
    one.note(event(3, LOAD, Kind.RESOURCE))
    return one


def told(one: OwnFoundation) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    (foundation,) = one.told(lambda _: True)
    return foundation.messages, foundation.values


def test_foundation_loads_and_volume_are_told_and_music_is_not() -> None:
    one = built()
    one.note(event(4, note(), Kind.TIMED))
    one.note(event(5, group(9)))
    one.note(event(6, volume(0.3)))
    one.note(event(7, encode("/n_set", 9, "amp", 0.5)))
    assert told(one) == ([group(2, 0), MIXER, LOAD], [(0, volume(0.3))])


def test_what_an_event_sets_that_is_still_to_come_is_left_to_the_event() -> None:
    sent = event(4, volume(0.3))
    one = built([sent])
    one.note(sent)
    assert told(one)[1] == []
    assert [each.values for each in one.told(lambda _: False)] == [[(0, volume(0.3))]]


def test_a_freed_buffer_goes_and_a_reset_by_sonic_pi_empties_it() -> None:
    one = built()
    one.note(event(4, encode("/b_free", 3)))
    assert told(one)[0] == [group(2, 0), MIXER]
    one.note(event(5, b"", Kind.RESET))
    assert one.told(lambda _: False) == []


def test_a_restarted_bridge_learns_from_the_relay_and_what_was_sent_since_counts_for_more() -> None:
    since = [event(9, volume(1.6)), event(10, group(7))]
    one = OwnFoundation(1, lambda: since)
    for sent in since:
        one.note(sent)
    one.learn(Foundation(slot=1, messages=[group(2, 0), MIXER], values=[(0, volume(0.3))]))
    (learnt,) = one.told(lambda _: False)
    assert (learnt.messages, learnt.values) == ([group(2, 0), MIXER], [(0, volume(1.6))])
