"""Replies about the local player's nodes: which Sonic Pi gets, and when."""

from bridge.tap.node_replies import (
    AFTER,
    HEAD,
    TAIL,
    NodeTracker,
)
from relay.wire.osc import encode, single_message
from relay.wire.write import group_began, group_ended, synth_began, synth_ended


def say(tracker: NodeTracker, *reply: str | int) -> list[bytes]:
    address, *args = reply
    return tracker.reply(single_message(encode(str(address), *args)))


def test_a_groups_n_go_is_answered_at_once_and_the_real_one_swallowed_exactly_once() -> None:
    tracker = NodeTracker()
    assert tracker.create_groups(((8, 1, 4), (9, 0, 8))) == [group_began(8, 4), group_began(9, 8)]
    assert say(tracker, "/n_go", 8, 4, -1, -1, 1, -1, -1) == []
    again = encode("/n_go", 8, 4, -1, -1, 1, -1, -1)
    assert tracker.reply(single_message(again)) == [again]
    assert say(tracker, "/n_go", 9, 8, -1, -1, 1, -1, -1) == []


def test_a_synths_n_go_is_the_real_one() -> None:
    tracker = NodeTracker()
    tracker.create_synth(20, HEAD, 8)
    assert say(tracker, "/n_go", 20, 8, -1, -1, 0) == [encode("/n_go", 20, 8, -1, -1, 0)]


def test_notes_that_never_started_are_resolved_before_the_end_of_their_group() -> None:
    tracker = NodeTracker()
    for synth, action in ((20, HEAD), (21, TAIL), (22, TAIL)):
        tracker.create_synth(synth, action, 8)
    tracker.create_synth(30, HEAD, 9)
    tracker.create_synth(31, AFTER, 8)
    say(tracker, "/n_go", 21, 8, -1, -1, 0)
    end = encode("/n_end", 8, 4, -1, -1, 1, -1, -1)
    resolved = [synth_began(20, 8), synth_ended(20), synth_began(22, 8), synth_ended(22)]
    assert tracker.reply(single_message(end)) == [*resolved, end]
    assert tracker.reply(single_message(end)) == [end], "only once"


def test_a_note_that_ended_without_a_start_is_not_resolved_again() -> None:
    tracker = NodeTracker()
    tracker.create_synth(20, HEAD, 8)
    say(tracker, "/n_end", 20, 8, -1, -1, 0)
    end = encode("/n_end", 8, 4, -1, -1, 1, -1, -1)
    assert tracker.reply(single_message(end)) == [end]


def test_a_group_that_could_not_be_made_is_ended_for_sonic_pi() -> None:
    tracker = NodeTracker()
    tracker.create_groups(((8, 1, 77), (9, 1, 4)))
    fail = encode("/fail", "/g_new", "Group 77 not found")
    assert tracker.reply(single_message(fail)) == [fail, group_ended(8)]
    assert tracker.reply(single_message(fail)) == [fail]


def test_nodes_that_will_never_be_start_and_end_at_once() -> None:
    tracker = NodeTracker()
    assert tracker.refused(((20, 0, 8),), groups=False) == [synth_began(20, 8), synth_ended(20)]
    assert tracker.refused(((9, 0, 8),), groups=True) == [group_began(9, 8), group_ended(9)]


def test_a_synth_asked_for_twice_belongs_to_its_last_group() -> None:
    tracker = NodeTracker()
    tracker.create_synth(20, HEAD, 8)
    tracker.create_synth(20, HEAD, 9)
    end = encode("/n_end", 8, 4, -1, -1, 1, -1, -1)
    assert tracker.reply(single_message(end)) == [end]
    say(tracker, "/n_go", 20, 9, -1, -1, 0)
    assert tracker._group_of == {}
    assert tracker._unstarted == {}
