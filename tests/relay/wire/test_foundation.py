"""A member's foundation: the newest message for each node and buffer, and the values set on them since."""

import pytest

from relay.wire.errors import MalformedOsc, Refused
from relay.wire.foundation import BYTES_MAX, MESSAGES_MAX, FoundationStore, Told
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.meaning import Meaning
from relay.wire.osc import bundle, encode, single_message
from relay.wire.sequence import Kind


def group(node: int, target: int = 0) -> bytes:
    return encode("/g_new", node, 0, target)


def test_creations_and_loads_are_kept_in_the_order_of_their_execution() -> None:
    store = FoundationStore()
    messages = [group(2), encode("/s_new", "sonic-pi-mixer", 5, 0, 2), encode("/b_alloc", 2, 8, 1)]
    assert [store.apply(Meaning(message)) for message in messages] == [True] * 3
    assert store.told().messages == messages


def test_the_same_again_changes_nothing_and_a_newer_one_takes_its_place_at_the_end() -> None:
    store = FoundationStore()
    store.apply(Meaning(group(2)))
    store.apply(Meaning(group(3)))
    assert not store.apply(Meaning(group(2)))
    assert store.apply(Meaning(group(2, 3)))
    assert store.told().messages == [group(3), group(2, 3)]


def test_a_node_and_a_buffer_of_one_number_are_two_things() -> None:
    store = FoundationStore()
    store.apply(Meaning(group(7)))
    store.apply(Meaning(encode("/b_allocRead", 7, "x.flac")))
    assert len(store) == 2


def test_a_freed_buffer_is_forgotten() -> None:
    store = FoundationStore()
    store.apply(Meaning(encode("/b_alloc", 7, 8, 1)))
    assert store.apply(Meaning(encode("/b_free", 7)))
    assert not store.apply(Meaning(encode("/b_free", 7)))
    assert store.told().messages == []


def test_clearing_forgets_everything_and_makes_room() -> None:
    store = FoundationStore()
    store.apply(Meaning(group(7)))
    store.clear()
    assert len(store) == 0
    assert store.apply(Meaning(group(7)))


@pytest.mark.parametrize(
    "payload",
    [encode("/n_free", 5), encode("/g_new", 1.5, 0, 0), encode("/g_new"), encode("/s_new", 5, "x"),
     encode("/b_free", "x"), encode("/n_map", 5, "amp", 3)],
)  # fmt: skip
def test_what_builds_nothing_is_refused(payload: bytes) -> None:
    with pytest.raises(Refused, match="not-a-foundation"):
        FoundationStore().apply(Meaning(payload))


@pytest.mark.parametrize("payload", [b"", b"/g_new", b"\xff" * 16, bundle(2**63, group(2))])
def test_what_is_not_one_bare_message_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedOsc):
        FoundationStore().apply(Meaning(payload))


def test_the_count_is_bounded_and_what_was_there_stays() -> None:
    store = FoundationStore()
    for node in range(MESSAGES_MAX):
        store.apply(Meaning(group(node)))
    with pytest.raises(Refused, match="foundation-full"):
        store.apply(Meaning(group(MESSAGES_MAX)))
    assert store.apply(Meaning(group(0, 9)))
    assert len(store) == MESSAGES_MAX


def test_the_bytes_are_bounded_and_a_refused_replacement_costs_nothing() -> None:
    store = FoundationStore()
    small, large = encode("/b_allocRead", 99, "a"), encode("/b_allocRead", 99, "a" * 60_000)
    store.apply(Meaning(small))
    for buffer in range(BYTES_MAX // 60_000):
        store.apply(Meaning(encode("/b_allocRead", buffer, "b" * 60_000)))
    with pytest.raises(Refused, match="foundation-full"):
        store.apply(Meaning(large))
    assert small in store.told().messages
    store.apply(Meaning(encode("/b_free", 0)))
    assert store.apply(Meaning(large))
    assert small not in store.told().messages


# -- values ---------------------------------------------------------------------------------------------

MIXER = encode("/s_new", "sonic-pi-mixer", 6, 0, 2, "in_bus", 34.0)
DUE = 1 << 63


def volume(amp: float, node: int = 6) -> bytes:
    return encode("/n_set", node, "pre_amp", amp)


def founded() -> FoundationStore:
    store = FoundationStore()
    for payload in (group(2), MIXER):
        store.apply(Meaning(payload), number=1)
    return store


def test_the_latest_value_of_each_control_is_told_behind_the_creations() -> None:
    store = founded()
    assert store.apply(Meaning(volume(0.3)), number=2, due=DUE)
    assert store.apply(
        Meaning(encode("/n_set", 6, "hpf", 60.0, "pre_amp", 1.6, "lpf_bypass", 1)), number=3, due=DUE + 1
    )
    expected = encode("/n_set", 6, "pre_amp", 1.6, "hpf", 60.0, "lpf_bypass", 1)
    assert store.told() == Told([group(2), MIXER], [(DUE + 1, expected)])


def test_values_of_different_dues_are_told_apart_and_the_earliest_first() -> None:
    store = founded()
    store.apply(Meaning(encode("/n_set", 6, "hpf", 60.0)), number=2, due=DUE + 5)
    store.apply(Meaning(volume(0.3)), number=3, due=DUE)
    assert store.told().values == [(DUE, volume(0.3)), (DUE + 5, encode("/n_set", 6, "hpf", 60.0))]


def test_what_is_set_on_a_node_that_is_not_founded_is_none_of_its_business() -> None:
    store = founded()
    assert not store.concerns(Kind.UNTIMED, Meaning(volume(0.3, node=9)), founds=False)
    assert store.concerns(Kind.UNTIMED, Meaning(volume(0.3)), founds=False)
    assert not store.concerns(Kind.UNTIMED, Meaning(encode("/n_free", 6)), founds=False)
    assert not store.apply(Meaning(volume(0.3, node=9)))
    assert store.told().values == []


def test_a_control_set_twice_at_once_has_the_last_value_as_at_scsynth() -> None:
    store = founded()
    store.apply(Meaning(encode("/n_set", 6, "amp", 1.0, "amp", 0.5)), number=2)
    assert store.told().values == [(0, encode("/n_set", 6, "amp", 0.5))]


def test_what_comes_late_never_undoes_what_is_due_later() -> None:
    store = founded()
    store.apply(Meaning(volume(1.6)), number=3, due=DUE + 2)
    assert not store.apply(Meaning(volume(0.3)), number=2, due=DUE)
    assert store.told().values == [(DUE + 2, volume(1.6))]


def test_a_node_that_is_made_anew_has_no_values_of_the_former_one() -> None:
    store = founded()
    store.apply(Meaning(volume(0.3)), number=2)
    store.apply(Meaning(encode("/s_new", "sonic-pi-mixer", 6, 1, 2)), number=3)
    assert store.told().values == []


@pytest.mark.parametrize(
    "payload",
    [encode("/n_set", 6, "amp"), encode("/n_set"), encode("/n_set", 6, 3, 0.5),
     encode("/n_set", 6, "amp", b"x"), encode("/n_set", "x", "amp", 0.5)],
)  # fmt: skip
def test_values_that_no_scsynth_is_given_are_refused(payload: bytes) -> None:
    with pytest.raises(Refused):
        founded().apply(Meaning(payload))


def test_values_are_bounded_with_all_else_and_every_message_of_them_can_travel() -> None:
    store = founded()
    for at in range(MESSAGES_MAX - 2):
        store.apply(Meaning(encode("/n_set", 6, f"control{at}", float(at))), number=2)
    with pytest.raises(Refused, match="foundation-full"):
        store.apply(Meaning(encode("/n_set", 6, "one_more", 0.5)), number=3)
    told = store.told()
    assert sum(single_message(payload).tags.count("f") for _, payload in told.values) == MESSAGES_MAX - 2
    assert max(len(payload) for _, payload in told.values) <= MAX_PAYLOAD_BYTES
    store.clear()
    assert store.apply(Meaning(group(2)))


# -- what is told ---------------------------------------------------------------------------------------


def told_of(store: FoundationStore, number: int, by: FoundationStore) -> Told:
    told = by.told()
    return store.learn(told.messages, told.values, number)[0]


def test_what_is_told_is_new_once_and_later_only_what_differs() -> None:
    there, here = founded(), FoundationStore()
    there.apply(Meaning(volume(0.3)), number=2, due=DUE)
    assert told_of(here, 2, there) == there.told()
    assert not told_of(here, 2, there)
    there.apply(Meaning(volume(1.6)), number=3, due=DUE + 1)
    assert told_of(here, 3, there) == Told([], [(DUE + 1, volume(1.6))])
    assert here.told() == there.told()


def test_what_came_with_a_later_event_is_not_undone_by_what_is_told_after_it() -> None:
    there, here = founded(), founded()
    there.apply(Meaning(volume(0.3)), number=2)
    here.apply(Meaning(volume(1.6)), number=5)
    here.apply(Meaning(encode("/b_alloc", 3, 8, 1)), number=6)
    there.apply(Meaning(encode("/b_alloc", 3, 16, 1)), number=3)
    assert not told_of(here, 4, there)
    assert here.told().values == [(0, volume(1.6))]
    assert here.told().messages[-1] == encode("/b_alloc", 3, 8, 1)


def test_what_is_told_of_no_event_counts_for_less_than_any() -> None:
    here = founded()
    here.apply(Meaning(volume(1.6)), number=2, due=DUE)
    fresh, refused = here.learn([MIXER, b"nonsense"], [(0, volume(0.3)), (5, volume(0.3)), (0, group(3))], 0)
    assert (fresh, refused) == (Told([], []), 3), "5 is no instant, a group is no value"
    assert here.told().values == [(DUE, volume(1.6))]


def test_a_value_that_is_told_no_more_goes_but_only_with_its_node() -> None:
    here = founded()
    here.apply(Meaning(encode("/n_set", 6, "hpf", 60.0, "pre_amp", 0.3)), number=2)
    here.learn([], [(0, volume(1.6))], 3)
    assert here.told().values == [(0, encode("/n_set", 6, "hpf", 60.0, "pre_amp", 1.6))]
    here.learn([MIXER], [(0, volume(1.6))], 4)
    assert here.told().values == [(0, volume(1.6))]
    here.apply(Meaning(encode("/n_set", 6, "lpf", 60.0)), number=6)
    here.learn([MIXER], [], 5)
    assert here.told().values == [(0, encode("/n_set", 6, "lpf", 60.0))], "set by a later event"


def test_what_is_told_stands_in_the_order_of_its_events_and_before_that_in_the_order_it_was_told() -> None:
    store = FoundationStore()
    store.apply(Meaning(group(9)), number=7)
    store.apply(Meaning(MIXER), number=2)
    store.apply(Meaning(group(2)), number=1)
    assert store.told().messages == [group(2), MIXER, group(9)]
    store.learn([group(3), group(2), MIXER], [], 4)
    assert store.told().messages == [group(3), group(2), MIXER, group(9)]


def test_a_reset_leaves_what_came_after_it() -> None:
    store = founded()
    store.apply(Meaning(group(3)), number=8)
    store.clear(up_to=7)
    assert store.told().messages == [group(3)]


def test_another_epoch_leaves_the_foundation_and_no_number_of_it_counts_any_more() -> None:
    here = founded()
    here.apply(Meaning(volume(1.6)), number=900, due=DUE)
    here.enter_epoch()
    assert here.told() == Told([group(2), MIXER], [(0, volume(1.6))])
    assert here.learn([], [(0, volume(0.3))], 0)[0] == Told([], [(0, volume(0.3))])
