"""Cancelled events: nodes that were made and freed again before any other member heard of them."""

import pytest

from bridge.session.cancelled import bygone
from relay.wire.osc import encode
from relay.wire.sequence import Kind, Stamped
from tests.worlds.bridge import group, instant, note


def events(*payloads: bytes) -> list[Stamped]:
    """Return bare messages as events with the numbers 1, 2, 3 and so on."""
    return [
        Stamped(seq, instant(1.0 + seq), None, Kind.UNTIMED, payload)
        for seq, payload in enumerate(payloads, 1)
    ]


def over(*payloads: bytes) -> set[int]:
    return bygone(events(*payloads), lambda event: True)


def test_an_fx_that_came_and_went_is_bygone_with_all_that_was_in_it() -> None:
    assert over(
        group(8),
        group(9, target=8),
        note(20, target=9),
        encode("/n_set", 20, "amp", 0.0),
        encode("/n_free", 8),
    ) == {1, 2, 3, 4, 5}


def test_what_is_not_freed_or_was_made_outside_stays() -> None:
    assert over(group(8), group(9), encode("/n_free", 9), encode("/n_set", 8, "amp", 0.5)) == {2, 3}


def test_a_free_of_what_the_others_have_stays_and_so_does_all_that_it_frees() -> None:
    assert over(group(8), encode("/n_free", 8, 7), encode("/n_free", 5)) == set()


def test_a_free_that_is_still_to_come_leaves_time_for_what_is_before_it() -> None:
    made = events(group(8), note(20, target=8), encode("/n_free", 8))
    assert bygone(made, lambda event: event.seq < 3) == set()


def test_a_node_that_is_still_to_come_is_kept_though_a_free_of_it_is_over() -> None:
    made = events(note(20), encode("/n_free", 20))
    assert bygone(made, lambda event: event.seq == 2) == set()


@pytest.mark.parametrize(
    "odd",
    [
        encode("/g_new", 10, 0, 0, 11, 0, 0),
        encode("/g_new", 10, 3, 8),
        encode("/n_order", 0, 4, 8),
        encode("/g_head", 4, 8),
    ],
)
def test_where_nodes_are_placed_in_other_ways_nothing_is_bygone(odd: bytes) -> None:
    assert over(group(8), odd, encode("/n_free", 8)) == set()


def test_a_message_that_also_concerns_what_lives_stays() -> None:
    assert over(group(8), group(9), encode("/n_free", 8), encode("/n_run", 8, 0, 9, 0)) == {1, 3}


def test_slot_resets_and_resources_are_left_alone() -> None:
    reset = Stamped(1, instant(1.0), None, Kind.RESET, b"")
    load = Stamped(2, instant(1.0), None, Kind.RESOURCE, encode("/b_alloc", 1, 2))
    assert bygone([reset, load], lambda event: True) == set()
