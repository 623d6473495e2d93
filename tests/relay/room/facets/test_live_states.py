"""Live states: a member who joins or returns gets everybody's running music, and nobody else is disturbed."""

from collections.abc import Iterable
from itertools import pairwise

import pytest

from relay.room.facets.live_states import (
    PART_EVERY,
    PARTS_BURST,
    PARTS_PER_S,
    REQUESTS_BURST,
    UPLOADS_BURST,
    UPLOADS_MAX,
    UPLOADS_PER_S,
    LiveStates,
)
from relay.room.live_slot import APPLIED_KEPT, LOOK_AFTER, STEP_MESSAGES, UNREAD, WAITING_MAX
from relay.wire import control, frames
from relay.wire.control.live import PART_BYTES
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.live.state import LiveState, Piece
from relay.wire.live.timeline import Due, Timeline
from relay.wire.osc import Arg, encode
from relay.wire.sequence import HANDED_AHEAD_MAX, Judged, Kind, Scheme
from relay.wire.timetag import TICKS_PER_S, seconds, ticks
from tests.worlds.relay import EPOCH, FakeBridge, Jam

SETTLED_S = 0.5
"""Long enough for every copy in these tests, at one part each 20 ms."""


def group(node: int, target: int = 0) -> bytes:
    return encode("/g_new", node, 1, target)


def synth(node: int, target: int = 5, name: str = "sonic-pi-fx_reverb", *controls: Arg) -> bytes:
    return encode("/s_new", name, node, 1, target, *controls)


def volume(node: int, amp: float) -> bytes:
    return encode("/n_set", node, "amp", amp)


def build(bridge: FakeBridge, *payloads: bytes) -> None:
    for payload in payloads:
        bridge.play(payload, kind=Kind.UNTIMED)


def copies(bridge: FakeBridge, slot: int) -> list[list[control.LivePart]]:
    """Return all complete copies of a slot that a bridge was given, each as its parts."""
    found: list[list[control.LivePart]] = [[]]
    for part in bridge.heard(control.LivePart):
        if part.slot == slot:
            found[-1].append(part)
            assert part.index == len(found[-1]) - 1
            if part.last:
                found.append([])
    return found[:-1]


def built(parts: Iterable[control.LivePart]) -> LiveState:
    """Return the live state in a copy, as of its instant."""
    state = LiveState()
    assert state.restore(Piece(*one) for part in parts for one in part.pieces) == 0
    return state


def played(parts: list[control.LivePart]) -> Timeline:
    """Return the live state in a copy with its waiting events."""
    timeline = Timeline(built(parts), parts[0].at)
    for encoded in (one for part in parts for one in part.events):
        (event,) = frames.decode(encoded)
        assert isinstance(event, Judged)
        timeline.push(Due(event.due, event.number, event.seq, event.kind, event.meaning))
    return timeline


def shape(state: LiveState) -> object:
    """Return all that a live state tells."""
    return [(one.payload, one.settings) for one in state.pieces()]


def of(bridge: FakeBridge, jam: Jam) -> LiveStates:
    return jam.hub.rooms[bridge.room].facet(LiveStates)


def refused(jam: Jam, slot: int = 1) -> int:
    return jam.hub.rooms["main"].seats[slot].refused


def own(
    *payloads: bytes, index: int = 0, last: bool = True, number: int = 0, at: int = 0
) -> control.LivePart:
    """Return a part of the sender's own live state."""
    pieces = [(payload, (), 0, 0) for payload in payloads]
    return control.LivePart(slot=1, number=number, at=at, index=index, last=last, pieces=pieces)


def together(jam: Jam, *names: str) -> list[FakeBridge]:
    """Let bridges join, and return them once they have been given all that is there."""
    bridges = [jam.join(name) for name in names]
    jam.advance(SETTLED_S)
    for bridge in bridges:
        bridge.said.clear()
    return bridges


# -- who is given what ---------------------------------------------------------------------------------


def test_a_newcomer_is_given_what_is_there_and_what_is_due_later() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5), synth(6), volume(6, 0.3))
    jam.advance(1.0)
    ann.send(ann.stamp(volume(6, 1.6), ahead_s=2.0), ann.stamp(synth(7), ahead_s=40.0))
    jam.advance(0.3)
    bob = jam.join("bob")
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert ann.heard(control.LivePart) == []
    assert [node.id for node in built([part]).tree.walk()] == [5, 6]
    events = [frames.decode(one)[0] for one in part.events]
    assert events == ann.judged[3:5], "as they were sent in datagrams"
    assert part.number == 5
    later = played([part])
    later.advance(ann.judged[3].due)
    assert shape(later.state) == [(group(5), ()), (synth(6), (volume(6, 1.6),))]


def test_a_copy_holds_all_up_to_the_watermark_of_its_own_instant() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    jam.advance(1.0)
    ann.play(group(8))  # due in 0.3 s, so that the next events decide which side of W0 it is on
    for _ in range(20):
        ann.play(volume(5, 0.5), kind=Kind.UNTIMED)
        jam.advance(0.02)
    bob = jam.join("bob")
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    horizon = jam.hub.rooms["main"].judge.horizon
    joined = EPOCH + ticks(1.4)
    assert joined + horizon <= part.at <= joined + horizon + ticks(0.05)
    dues = [frames.decode(one)[0].due for one in part.events]  # type: ignore[union-attr]
    assert dues == sorted(one.due for one in ann.judged if one.due > part.at)
    assert dues, "otherwise this shows nothing"
    assert [node.id for node in built([part]).tree.walk()] == [5, 8]


def test_without_a_judge_a_copy_is_as_of_now() -> None:
    jam = Jam(scheme=Scheme.TIMESTAMP)
    ann = jam.join("ann")
    build(ann, group(5))
    jam.advance(1.0)
    ann.play(group(8))
    bob = jam.join("bob")
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert EPOCH + ticks(1.0) <= part.at <= EPOCH + ticks(1.02)
    assert [node.id for node in built([part]).tree.walk()] == [5]
    assert len(part.events) == 1


def test_events_that_come_while_a_copy_is_made_are_no_part_of_it() -> None:
    jam = Jam(scheme=Scheme.TIMESTAMP)
    ann = jam.join("ann")
    build(ann, *(group(node) for node in range(5, 5 + 3 * STEP_MESSAGES)))
    jam.advance(1.0)
    bob = jam.join("bob")
    jam.advance(0.005)  # the first of its steps is done
    assert copies(bob, 1) == []
    late = ann.stamp(group(900), emitted=jam.now - ticks(1.0))  # due before the copy's instant
    ann.send(late)
    jam.advance(SETTLED_S)
    (parts,) = copies(bob, 1)
    assert 900 not in built(parts).tree
    assert not [one for part in parts for one in part.events]
    assert bob.judged[-1].seq == late.seq
    assert bob.judged[-1].number == parts[0].number + 1


def test_one_who_returns_is_given_its_own_and_the_others() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    build(ann, group(5))
    build(bob, group(6))
    ann.hang_up()
    jam.advance(2.0)
    ann.again()
    jam.advance(SETTLED_S)
    assert [one.slot for one in ann.heard(control.LivePart)] == [1, 2]
    assert bob.heard(control.LivePart) == []


def test_of_who_is_silenced_or_has_nothing_a_newcomer_is_given_an_empty_copy() -> None:
    jam = Jam()
    ann, _ = together(jam, "ann", "bob")
    build(ann, group(5))
    ann.hang_up()
    jam.advance(8.0)
    cleo = jam.join("cleo")
    jam.advance(SETTLED_S)
    assert [(one.slot, one.number, one.pieces) for one in cleo.heard(control.LivePart)] == [
        (1, 2, []),
        (2, 2, []),
    ]
    ann.again()
    jam.advance(SETTLED_S)
    ((part,),) = copies(ann, 1)
    assert [one.payload for one in built([part]).pieces()] == [group(5)], "its own is kept for its return"


def test_a_reset_of_a_members_own_empties_its_live_state_and_drops_what_is_far_ahead() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    ann.send(ann.stamp(group(6), ahead_s=1.0), ann.stamp(group(7), ahead_s=4.0))
    ann.play(b"", kind=Kind.RESET)
    ann.send(ann.stamp(group(8), ahead_s=4.0))
    jam.advance(2.0)
    bob = jam.join("bob")
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert [node.id for node in built([part]).tree.walk()] == [6]
    assert [frames.decode(one)[0].payload for one in part.events] == [group(8)]  # type: ignore[union-attr]


def test_who_has_the_slot_next_has_nothing_of_the_one_before() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    jam.join("bob")
    ann.say(control.Leave())
    cleo = jam.join("cleo")
    assert cleo.welcome.slot == 1
    jam.advance(SETTLED_S)
    dee = jam.join("dee")
    jam.advance(SETTLED_S)
    assert [one.slot for one in cleo.heard(control.LivePart)] == [2], "so its own is unknown"
    assert [one.pieces for one in dee.heard(control.LivePart)] == [[], []]


def test_a_note_that_missed_its_time_is_no_part_of_it() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    for _ in range(30):
        ann.play(synth(900, name="sonic-pi-beep"))
        jam.advance(0.1)
    missed = ann.stamp(synth(6, name="sonic-pi-beep"), emitted=jam.now - ticks(2.0))
    ann.send(missed)
    jam.advance(1.0)
    bob = jam.join("bob")
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert [node.id for node in built([part]).tree.walk()] == [5, 900]


def test_notes_that_have_ended_are_no_part_of_it_whether_they_wait_or_not() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    notes = [ann.play(synth(node, name="sonic-pi-beep")) for node in (10, 11, 12)]
    jam.advance(1.0)
    ann.say(control.Ended(seqs=[notes[0].seq, 1]))  # number 1 is the group, which doesn't end by itself
    bob = jam.join("bob")
    jam.advance(SETTLED_S)
    assert [node.id for node in built(copies(bob, 1)[0]).tree.walk()] == [5, 11, 12]
    ann.say(control.Ended(seqs=[notes[1].seq]))
    cleo = jam.join("cleo")
    jam.advance(SETTLED_S)
    assert [node.id for node in built(copies(cleo, 1)[0]).tree.walk()] == [5, 12]


def test_many_events_are_applied_without_a_newcomer_and_ended_notes_never() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    waits = []
    for number in range(3 * LOOK_AFTER):
        note = ann.play(synth(1000 + number, name="sonic-pi-beep"))
        if number % 2:
            ann.say(control.Ended(seqs=[note.seq]))
        jam.advance(0.05)
        waits.append(of(ann, jam).stats()["live_waiting"])
    unread = (seconds(UNREAD) + SETTLED_S) * 20 / 2
    assert max(waits) <= LOOK_AFTER + unread
    figures = of(ann, jam).stats()
    assert figures["live_refused"] == 0
    assert 200 < figures["live_parts"] <= 1 + 3 * LOOK_AFTER / 2, "the others are held as notes that sound"


# -- pace ------------------------------------------------------------------------------------------------


def big(bridge: FakeBridge, bytes_wanted: int) -> None:
    """Let a bridge build a live state of about that many bytes."""
    build(bridge, group(5))
    for number in range(bytes_wanted // 1000):
        build(bridge, encode("/b_allocRead", number, "samples/" + "x" * 960, 0, 0))
        bridge.jam.advance(0.002)


def test_parts_are_about_as_big_as_said_and_come_one_each_20_ms() -> None:
    jam = Jam()
    ann = jam.join("ann")
    big(ann, 200_000)
    jam.advance(1.0)
    bob = jam.join("bob")
    arrivals: list[int] = []
    while not copies(bob, 1):
        had = len(bob.said)
        jam.advance(0.001)
        arrivals += [jam.now] * sum(isinstance(one, control.LivePart) for one in bob.said[had:])
        assert jam.now < EPOCH + ticks(30.0)
    (parts,) = copies(bob, 1)
    sizes = [len(control.encode(one)) for one in parts]
    assert len(sizes) >= 12
    assert max(sizes) <= PART_BYTES + 1024
    assert min(sizes[:-1]) >= PART_BYTES - 2048
    gaps = [later - before for before, later in pairwise(arrivals)]
    assert min(gaps) >= PART_EVERY - ticks(0.001)
    assert len(built(parts).loads()) == 200


def test_in_the_long_run_a_newcomer_gets_no_more_than_a_slow_way_carries() -> None:
    jam = Jam(members_max=8)
    ann = jam.join("ann")
    big(ann, 400_000)
    bob = jam.join("bob")
    jam.advance(2.0)
    (parts,) = copies(bob, 1)
    for _ in range(8):
        bob.say(control.LiveRequest(slot=1))
        jam.advance(2.0)
    got = len(bob.heard(control.LivePart))
    assert got <= PARTS_BURST + PARTS_PER_S * 18.0 + 1 < 9 * len(parts)
    jam.advance(10.0)
    assert copies(bob, 1)[-1][-1].last


def test_those_who_come_together_share_one_copy_of_each() -> None:
    jam = Jam(members_max=8)
    ann = jam.join("ann")
    big(ann, 50_000)
    others = [jam.join(name) for name in ("bob", "cleo", "dee")]
    jam.advance(SETTLED_S)
    given = [copies(one, 1)[0] for one in others]
    assert given[0] == given[1] == given[2]


def test_one_who_comes_after_an_event_is_given_no_copy_from_before_it() -> None:
    jam = Jam(members_max=8)
    ann = jam.join("ann")
    big(ann, 50_000)
    bob = jam.join("bob")
    jam.advance(0.1)
    build(ann, group(6))
    cleo = jam.join("cleo")
    jam.advance(SETTLED_S)
    assert copies(bob, 1)[0][0].number + 1 == copies(cleo, 1)[0][0].number == cleo.welcome.number


def test_a_copy_is_shared_for_a_moment_only() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    bob = jam.join("bob")
    jam.advance(0.4)
    cleo = jam.join("cleo")
    jam.advance(SETTLED_S)
    assert copies(cleo, 1)[0][0].at >= copies(bob, 1)[0][0].at + ticks(0.3)


def test_long_work_for_one_slot_holds_up_no_other() -> None:
    jam = Jam()
    ann, bob, cleo = together(jam, "ann", "bob", "cleo")
    build(bob, group(5))
    jam.advance(1.0)
    for index in range(3):
        groups = [group(node) for node in range(500 * index, 500 * index + 500)]
        ann.say(own(*groups, index=index, last=index == 2))
    cleo.say(control.LiveRequest(slot=2))
    jam.advance(0.02)
    assert copies(cleo, 2)
    assert not copies(cleo, 1), "otherwise this shows nothing"
    jam.advance(1.0)
    assert copies(cleo, 1)


def test_who_goes_away_is_sent_no_more_and_starts_anew_on_return() -> None:
    jam = Jam()
    ann = jam.join("ann")
    big(ann, 100_000)
    bob = jam.join("bob")
    jam.advance(0.05)
    begun = len(bob.heard(control.LivePart))
    assert begun
    bob.hang_up()
    jam.advance(0.02)
    assert of(bob, jam).next_wakeup() is None, "nothing is done for one who isn't there"
    jam.advance(1.0)
    assert len(bob.heard(control.LivePart)) == begun
    bob.said.clear()
    bob.again()
    jam.advance(1.0)
    assert len(copies(bob, 1)) == 1
    assert of(bob, jam).next_wakeup() is None, "nothing is left to do"


def test_no_copy_of_one_who_leaves_goes_on() -> None:
    jam = Jam()
    ann = jam.join("ann")
    big(ann, 100_000)
    bob = jam.join("bob")
    jam.advance(0.05)
    ann.say(control.Leave())
    jam.advance(1.0)
    assert copies(bob, 1) == []
    assert of(bob, jam).next_wakeup() is None
    cleo, dee = jam.join("cleo"), jam.join("dee")
    assert cleo.welcome.slot == 1
    cleo.say(control.Leave())
    jam.advance(1.0)
    assert {one.slot for one in dee.heard(control.LivePart)} == {2}, "and none begins"


# -- what members send -------------------------------------------------------------------------------------


def test_a_members_own_takes_the_place_of_what_was_known_and_all_others_are_given_it() -> None:
    jam = Jam()
    ann, bob, cleo = together(jam, "ann", "bob", "cleo")
    build(ann, group(5))
    jam.advance(1.0)
    (event,) = ann.judged
    ann.say(own(group(6), synth(7, 6), last=False, number=event.number, at=jam.now))
    assert not bob.heard(control.LivePart)
    ann.say(own(group(8, 6), index=1))
    jam.advance(SETTLED_S)
    for bridge in (bob, cleo):
        (parts,) = copies(bridge, 1)
        assert [node.id for node in built(parts).tree.walk()] == [6, 7, 8]
    assert ann.heard(control.LivePart) == []
    assert refused(jam) == 0


def test_what_a_members_own_lacks_is_applied_to_it_and_what_it_includes_is_not() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    build(ann, group(5), volume(5, 0.1))
    jam.advance(1.0)
    included = ann.judged[-1]
    build(ann, group(20))
    ann.send(ann.stamp(group(21), ahead_s=2.0))
    jam.advance(1.0)
    jam.join("cleo")  # so that group 20 has been applied when the state comes
    jam.advance(SETTLED_S)
    ann.say(own(group(9), number=included.number, at=included.due))
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert [node.id for node in built([part]).tree.walk()] == [9, 20]
    assert [frames.decode(one)[0].payload for one in part.events] == [group(21)]  # type: ignore[union-attr]


def test_after_a_members_own_nobody_is_given_the_copy_from_before_it() -> None:
    jam = Jam()
    (ann,) = together(jam, "ann")
    build(ann, group(5))
    jam.advance(1.0)
    bob = jam.join("bob")
    jam.advance(0.05)
    ann.say(own(group(9), number=1, at=jam.now))
    jam.advance(SETTLED_S)
    assert [[node.id for node in built(one).tree.walk()] for one in copies(bob, 1)] == [[5], [9]]


def test_a_part_out_of_its_turn_ends_it_all() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    ann.say(own(group(5), index=1))
    ann.say(own(group(5), last=False))
    ann.say(own(group(6), index=2))
    ann.say(own(group(7), index=1))
    jam.advance(SETTLED_S)
    assert refused(jam) == 3
    assert bob.heard(control.LivePart) == []
    jam.advance(5.0)
    ann.say(own(group(8)))
    jam.advance(SETTLED_S)
    assert [node.id for node in built(copies(bob, 1)[0]).tree.walk()] == [8]


def test_a_part_begun_before_the_connection_broke_is_not_gone_on_with() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    ann.say(own(group(5), last=False))
    ann.hang_up()
    ann.again()
    ann.say(own(group(6), index=1))
    jam.advance(SETTLED_S)
    assert bob.heard(control.LivePart) == []
    assert refused(jam) == 1


@pytest.mark.parametrize(
    "bad",
    [
        b"nonsense",
        encode("/n_free", 5)[:-4],
        b"",
        encode("/g_new", 5, 1, 0) + b"x",
        encode("/b_allocRead", 1, "x" * MAX_PAYLOAD_BYTES),
        encode("/s_new", "sonic-pi-fx_gverb", 7, 1, 0, "room", 1e30),
        encode("/g_new", 7, 1, "a"),
        encode("/c_setn", 1, 2**30, 1.0),
    ],
    ids=lambda bad: bad[:12].decode("ascii", "replace"),
)
def test_what_would_be_refused_as_an_event_is_refused_in_a_live_state(bad: bytes) -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    ann.say(own(bad, group(9)))
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert [one[0] for one in part.pieces] == [group(9)]
    assert refused(jam) == (0 if bad == b"nonsense" else 1)


@pytest.mark.parametrize("piece", [(group(5), (), 7, 1), (group(5), (), -1, 1), (group(5), (), 0, -1)])
def test_no_instant_and_no_number_that_an_event_could_not_have(piece: tuple) -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    ann.say(control.LivePart(slot=1, pieces=[piece, (group(9), (), EPOCH, 3)]))
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert part.pieces == [(group(9), (), EPOCH, 3)]
    assert refused(jam) == 1


def test_a_live_state_with_events_is_refused() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    ann.say(control.LivePart(slot=1, pieces=[(group(5), (), 0, 0)], events=[b"x"]))
    jam.advance(SETTLED_S)
    assert bob.heard(control.LivePart) == []
    assert refused(jam) == 1


def test_too_much_in_one_part_or_altogether_is_refused() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    ann.say(own(*[group(node) for node in range(1200)]))
    assert refused(jam) == 1
    jam.advance(5.0)
    full = [encode("/b_allocRead", 1, "x" * 1000)] * 30
    for index in range(40):
        ann.say(own(*full, index=index, last=False))
    assert refused(jam) == 1 + 40 - 24, "32 bytes are counted for each message"
    jam.advance(SETTLED_S)
    assert bob.heard(control.LivePart) == []


def test_who_sends_its_own_again_and_again_makes_little_traffic() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    for _ in range(150):
        ann.say(own(group(5)))
        jam.advance(0.1)
    given = len(copies(bob, 1))
    assert given == UPLOADS_MAX <= UPLOADS_BURST + UPLOADS_PER_S * 15.0
    assert refused(jam) == 150 - given
    for _ in range(3):  # coming again doesn't help at once
        ann.hang_up()
        ann.again()
        ann.say(own(group(5)))
        jam.advance(0.1)
    jam.advance(SETTLED_S)
    assert len(copies(bob, 1)) <= UPLOADS_MAX + UPLOADS_BURST


def test_for_a_request_there_is_an_answer_even_if_nothing_is_there() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    bob.say(control.LiveRequest(slot=1))
    jam.advance(SETTLED_S)
    ((part,),) = copies(bob, 1)
    assert (part.pieces, part.events, part.number) == ([], [], 0)
    build(ann, group(5))
    bob.say(control.LiveRequest(slot=1))
    bob.say(control.LiveRequest(slot=1))
    jam.advance(SETTLED_S)
    assert len(copies(bob, 1)) == 2, "one was queued already"
    bob.say(control.LiveRequest(slot=3))
    assert refused(jam, 2) == 1, "there is nobody"
    ann.hang_up()
    jam.advance(8.0)
    bob.say(control.LiveRequest(slot=1))
    jam.advance(SETTLED_S)
    assert copies(bob, 1)[-1][0].pieces == [], "it is silenced: nothing of it exists anywhere"


def test_a_request_for_a_copy_that_is_on_its_way_is_none() -> None:
    jam = Jam()
    ann = jam.join("ann")
    big(ann, 100_000)
    bob = jam.join("bob")
    jam.advance(0.05)
    assert bob.heard(control.LivePart)
    bob.say(control.LiveRequest(slot=1))
    jam.advance(2.0)
    assert len(copies(bob, 1)) == 1


def test_requests_without_end_are_refused() -> None:
    jam = Jam()
    ann, bob = together(jam, "ann", "bob")
    build(ann, group(5))
    jam.advance(SETTLED_S)
    for _ in range(100):
        bob.say(control.LiveRequest(slot=1))
        jam.advance(0.1)
    assert len(copies(bob, 1)) <= REQUESTS_BURST + 11
    assert refused(jam, 2) >= 100 - REQUESTS_BURST - 11


def test_ended_of_who_has_nothing_is_ignored() -> None:
    jam = Jam()
    ann = jam.join("ann")
    ann.say(control.Ended(seqs=[1, 2]))
    assert refused(jam) == 0


# -- bounds ------------------------------------------------------------------------------------------------


def test_events_far_ahead_are_kept_within_bounds() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    for number in range(3000):
        ann.send(ann.stamp(group(10 + number, 5), ahead_s=50.0))
        jam.advance(0.01)
    figures = of(ann, jam).stats()
    assert WAITING_MAX - LOOK_AFTER < figures["live_waiting"] <= WAITING_MAX + 2 * LOOK_AFTER
    assert figures["live_parts"] >= 3000 - figures["live_waiting"], "the earliest are applied at once"


def test_applied_events_are_not_kept_for_long() -> None:
    jam = Jam()
    ann = jam.join("ann")
    build(ann, group(5))
    for _ in range(3 * LOOK_AFTER):
        build(ann, volume(5, 0.5))
        jam.advance(0.1)
    kept = of(ann, jam)._slots[1]._applied
    assert len(kept) <= (seconds(APPLIED_KEPT) + 1) * 10 + LOOK_AFTER


def test_the_statistics_have_what_is_held() -> None:
    jam = Jam()
    ann = jam.join("ann")
    assert not of(ann, jam).stats()
    build(ann, group(5))
    jam.advance(1.0)
    jam.join("bob")
    jam.advance(SETTLED_S)
    found = jam.hub.stats("main", jam.now).rooms[0].facets
    assert found == {"live_parts": 1, "live_bytes": len(group(5)), "live_waiting": 0, "live_refused": 0}


def test_waiting_long_costs_no_more_than_it_must() -> None:
    assert HANDED_AHEAD_MAX < UNREAD, "so a reset always finds what it drops"
    assert TICKS_PER_S // PART_EVERY <= 50
