"""Foundations: the newest message for every node and buffer, within bounds."""

import pytest

from relay.foundation import BYTES_MAX, MESSAGES_MAX, FoundationStore
from relay.wire.errors import MalformedOsc, Refused
from relay.wire.osc import bundle, encode


def group(node: int, target: int = 0) -> bytes:
    return encode("/g_new", node, 0, target)


def test_creations_and_loads_are_kept_in_the_order_of_their_execution() -> None:
    store = FoundationStore()
    messages = [group(2), encode("/s_new", "sonic-pi-mixer", 5, 0, 2), encode("/b_alloc", 2, 8, 1)]
    assert [store.apply(message) for message in messages] == [True] * 3
    assert store.messages() == messages


def test_the_same_again_changes_nothing_and_a_newer_one_takes_its_place_at_the_end() -> None:
    store = FoundationStore()
    store.apply(group(2))
    store.apply(group(3))
    assert not store.apply(group(2))
    assert store.apply(group(2, 3))
    assert store.messages() == [group(3), group(2, 3)]


def test_a_node_and_a_buffer_of_one_number_are_two_things() -> None:
    store = FoundationStore()
    store.apply(group(7))
    store.apply(encode("/b_allocRead", 7, "x.flac"))
    assert len(store) == 2


def test_a_freed_buffer_is_forgotten() -> None:
    store = FoundationStore()
    store.apply(encode("/b_alloc", 7, 8, 1))
    assert store.apply(encode("/b_free", 7))
    assert not store.apply(encode("/b_free", 7))
    assert store.messages() == []


def test_clearing_forgets_everything_and_makes_room() -> None:
    store = FoundationStore()
    store.apply(group(7))
    store.clear()
    assert len(store) == 0
    assert store.apply(group(7))


@pytest.mark.parametrize(
    "payload",
    [encode("/n_free", 5), encode("/g_new", 1.5, 0, 0), encode("/g_new"), encode("/s_new", 5, "x"),
     encode("/b_free", "x")],
)  # fmt: skip
def test_what_builds_nothing_is_refused(payload: bytes) -> None:
    with pytest.raises(Refused, match="not-a-foundation"):
        FoundationStore().apply(payload)


@pytest.mark.parametrize("payload", [b"", b"/g_new", b"\xff" * 16, bundle(2**63, group(2))])
def test_what_is_not_one_bare_message_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedOsc):
        FoundationStore().apply(payload)


def test_the_count_is_bounded_and_what_was_there_stays() -> None:
    store = FoundationStore()
    for node in range(MESSAGES_MAX):
        store.apply(group(node))
    with pytest.raises(Refused, match="foundation-full"):
        store.apply(group(MESSAGES_MAX))
    assert store.apply(group(0, 9))
    assert len(store) == MESSAGES_MAX


def test_the_bytes_are_bounded_and_a_refused_replacement_costs_nothing() -> None:
    store = FoundationStore()
    small, large = encode("/b_allocRead", 99, "a"), encode("/b_allocRead", 99, "a" * 60_000)
    store.apply(small)
    for buffer in range(BYTES_MAX // 60_000):
        store.apply(encode("/b_allocRead", buffer, "b" * 60_000))
    with pytest.raises(Refused, match="foundation-full"):
        store.apply(large)
    assert small in store.messages()
    store.apply(encode("/b_free", 0))
    assert store.apply(large)
    assert small not in store.messages()
