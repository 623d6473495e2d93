"""Live slot: it works in short steps, and a copy of it equals the result of a timeline of the same events."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.room import live_slot
from relay.room.live_slot import STEP_MESSAGES, STEP_VISITS, Copy, LiveSlot
from relay.wire import frames
from relay.wire.control import LivePart
from relay.wire.guard import Guard
from relay.wire.live.state import LiveState, Piece
from relay.wire.live.timeline import Due, Timeline
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from relay.wire.sequence import HANDED_AHEAD_MAX, Flag, Judged, Kind
from relay.wire.timetag import TICKS_PER_S
from tests.relay.wire.live.generated import OTHERS, SETS, TREE
from tests.worlds.relay import EPOCH

S = TICKS_PER_S


def judged(number: int, due: int, payload: bytes) -> Judged:
    kind = Kind.TIMED if payload else Kind.RESET
    return Judged(number, 1, number, EPOCH + due, EPOCH, kind, Flag.NONE, payload)


def add(slot: LiveSlot, *events: Judged) -> None:
    for event in events:
        slot.add(event.seq, frames.encode(event))


def work(slot: LiveSlot) -> Iterator[int]:
    """Do all steps of the slot's work; yield the number of nodes that each step looked at."""
    while slot.busy:
        visited = slot.state.tree.visits
        slot.work()
        yield slot.state.tree.visits - visited


def copied(slot: LiveSlot, at: int, number: int) -> tuple[Copy, Timeline]:
    """Return a copy, and the timeline that a newcomer makes of it."""
    copy = slot.copy(lambda: (EPOCH + at, number))
    list(work(slot))
    state = LiveState()
    assert state.restore(Piece(*piece) for part in copy.parts for piece in part.pieces) == 0
    timeline = Timeline(state, EPOCH + at)
    for encoded in (one for part in copy.parts for one in part.events):
        (event,) = frames.decode(encoded)
        assert isinstance(event, Judged)
        timeline.push(due(event))
    return copy, timeline


def due(event: Judged) -> Due:
    return Due(event.due, event.number, event.seq, event.kind, event.meaning)


def group(node: int, target: int = 0) -> bytes:
    return encode("/g_new", node, 1, target)


NOTE = st.integers(10, 17).map(lambda node: encode("/s_new", "sonic-pi-beep", node, 1, 0))
EVENTS = st.lists(
    st.tuples(st.integers(0, 6), TREE | TREE | NOTE | SETS | OTHERS | st.just(b"")), max_size=30
).map(
    lambda draws: [
        judged(number, half * S // 2, payload) for number, (half, payload) in enumerate(draws, start=1)
    ]
)


@given(
    EVENTS,
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=3),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_copy_is_what_a_timeline_of_the_same_events_gives(
    events: list[Judged], copies: list[tuple[int, int]], last: int, ends: bool
) -> None:
    """While events are added, copies are made, each of a later instant. Then some notes end.

    The judge lets no event come that is due before the instant of an earlier copy.
    """
    slot, there, closed = LiveSlot(1), Timeline(), -1
    plan = dict(copies)
    for index, event in enumerate(events):
        if index in plan:
            closed = max(closed, plan[index] * S)
            copied(slot, closed, index)
        if event.due - EPOCH <= closed:
            continue
        add(slot, event)
        there.push(due(event))
    if ends:
        ended = [event.seq for event in events if event.seq % 2]
        slot.end(ended)
        there.advance(EPOCH + closed)
        there.end(ended)
    at = max(closed, last * S)
    copy, newcomer = copied(slot, at, len(events))
    there.advance(EPOCH + at)
    assert newcomer.state.pieces() == there.state.pieces()
    assert [one.order for one in newcomer.waiting()] == [one.order for one in there.waiting()]
    assert [part.index for part in copy.parts] == list(range(len(copy.parts)))
    assert [part.last for part in copy.parts] == [False] * (len(copy.parts) - 1) + [True]


def test_nothing_changes_while_a_copy_is_made() -> None:
    slot = LiveSlot(1)
    notes = [encode("/s_new", "sonic-pi-beep", 10 + n, 1, 5) for n in range(3 * STEP_MESSAGES)]
    add(slot, judged(1, 0, group(5)), *(judged(2 + n, 0, note) for n, note in enumerate(notes)))
    copy = slot.copy(lambda: (EPOCH, 1 + len(notes)))
    while slot.busy and not slot.state.tree.visits > len(notes):
        slot.work()
    slot.work()
    slot.end(range(len(notes) - 17, len(notes) + 1))
    assert len(slot.state.tree) == 1 + len(notes)
    add(slot, judged(500, 1, b""))
    slot.look(EPOCH + 60 * S)
    list(work(slot))
    assert sum(len(part.pieces) for part in copy.parts) == 1 + len(notes)
    assert len(slot.state.tree) == 1 + len(notes) - 18, "afterwards they have ended"


def test_no_step_looks_at_many_more_nodes_than_said() -> None:
    slot = LiveSlot(1)
    several = 180
    add(slot, judged(1, 0, group(5)))
    for number in range(2, 13):
        ids = range(1000 * number, 1000 * number + 80)
        add(slot, judged(number, 0, encode("/g_new", *(part for node in ids for part in (node, 0, 5)))))
    for number in range(2, 13):
        synth = encode("/s_new", "sonic-pi-fx_echo", 50_000 + number, 1, 1000 * number)
        add(slot, judged(100 + number, 1, synth))
    for number in range(200, 400):
        nodes = [1000 * (2 + n % 11) + n // 11 for n in range(several)]
        add(slot, judged(number, 2, encode("/n_order", 0, 5, *nodes)))
        add(
            slot,
            judged(number + 1000, 2, encode("/n_set", 5, *(x for c in range(40) for x in (f"c{c}", 0.5)))),
        )
    slot.copy(lambda: (EPOCH + 3, 2000))
    steps = list(work(slot))
    one_set = 2 * 40 * 11  # 40 controls of 11 synths, which are looked at twice
    assert max(steps) <= STEP_VISITS + one_set, "a step ends with the message that passes the limit"
    assert len(steps) > 50


def test_an_end_of_many_notes_takes_several_steps() -> None:
    slot = LiveSlot(1)
    slot.end(range(3 * STEP_MESSAGES))
    assert slot.busy
    assert len(list(work(slot))) >= 3


def test_an_event_that_was_sent_before_a_reset_and_comes_after_it_is_dropped_too() -> None:
    slot = LiveSlot(1)
    far = HANDED_AHEAD_MAX + S + 1
    add(slot, judged(1, 0, group(5)), judged(4, S, b""))
    copied(slot, 2 * S, 4)
    add(slot, judged(2, far, group(6)), judged(3, far - 1, group(7)), judged(5, far, group(8)))
    copied(slot, far, 7)
    assert [node.id for node in slot.state.tree.walk()] == [7, 8]


def test_what_is_kept_is_bounded_in_bytes_and_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(frames.encode(judged(1, 0, group(5))))
    for name, most in (("WAITING_MAX", 20), ("WAITING_BYTES_MAX", 20 * size)):
        with monkeypatch.context() as patch:
            patch.setattr(live_slot, name, most)
            patch.setattr(live_slot, "LOOK_AFTER", 1)
            slot = LiveSlot(1)
            add(slot, *(judged(number, 50 * S + number, group(number)) for number in range(1, 61)))
            slot.look(EPOCH)
            list(work(slot))
            assert slot.waiting == 20
            assert [node.id for node in slot.state.tree.walk()] == list(range(1, 41))
            assert list(slot._applied) == list(range(21, 41))


@pytest.mark.parametrize(
    ("number", "at", "left"), [(2, 2, [9, 3]), (2, 1, [9, 2, 3]), (1, 2, [9, 2, 3]), (0, 9, [9, 1, 2, 3])]
)
def test_an_owners_own_includes_events_by_number_and_due(number: int, at: int, left: list[int]) -> None:
    slot = LiveSlot(1)
    add(slot, *(judged(one, one * S, group(one)) for one in (1, 2, 3)))
    copied(slot, 2 * S, 3)
    part = LivePart(slot=1, number=number, at=EPOCH + at * S, pieces=[(group(9), (), 0, 0)])
    slot.replace([part], Guard(), lambda: EPOCH, lambda refused: None)
    copied(slot, 9 * S, 3)
    assert [node.id for node in slot.state.tree.walk()] == left


def test_who_sends_more_than_can_be_applied_loses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_slot, "OVERFLOW", 50)
    slot = LiveSlot(1)
    add(slot, *(judged(number, number, group(number)) for number in range(1, 80)))
    assert slot.waiting == 50
    assert slot.refused == 29
    copied(slot, 100, 80)
    assert [node.id for node in slot.state.tree.walk()] == list(range(30, 80))


def test_a_failing_job_ends_alone() -> None:
    slot = LiveSlot(1)
    add(slot, judged(1, 0, group(5)))

    def fails() -> tuple[int, int]:
        raise ZeroDivisionError

    slot.copy(fails)
    copy = slot.copy(lambda: (EPOCH, 1))
    with pytest.raises(ZeroDivisionError):
        slot.work()
    list(work(slot))
    assert len(copy.parts) == 1


def test_a_live_state_of_the_owners_own_is_checked_in_steps_and_by_its_guard() -> None:
    slot, guard = LiveSlot(1), Guard()
    done: list[int] = []
    pieces = [(group(node), (), 0, 0) for node in range(5, 5 + 4 * STEP_MESSAGES)]
    bad = (encode("/s_new", "sonic-pi-fx_gverb", 9000, 1, 0, "room", 1e30), (), 0, 0)
    slot.replace([LivePart(slot=1, pieces=[*pieces, bad])], guard, lambda: EPOCH, done.append)
    assert len(list(work(slot))) >= 4
    assert done == [1]
    assert len(slot.state.tree) == len(pieces)


@given(EVENTS, EVENTS)
def test_what_the_owners_own_lacks_is_applied_to_it_in_order(before: list[Judged], own: list[Judged]) -> None:
    """The state that the owner sends includes none of the events that the relay has judged. So all of these
    events are applied to it."""
    slot, there, theirs = LiveSlot(1), Timeline(), Timeline()
    add(slot, *before)
    copied(slot, S, len(before))  # so that a part of it is applied already
    for event in own:
        theirs.push(due(event))
    theirs.advance(EPOCH + 9 * S)
    pieces = [tuple(piece) for piece in theirs.state.pieces()]
    slot.replace([LivePart(slot=1, pieces=pieces)], Guard(), lambda: EPOCH, lambda refused: None)
    again, guard = LiveState(), Guard()
    for payload, settings, at, seq in pieces:
        passed = [one for one in (payload, *settings) if guard.passes(Meaning(one), EPOCH)]
        assert again.restore([Piece(passed[0], tuple(passed[1:]), at, seq)]) == 0
    there = Timeline(again)
    for event in before:
        if not any(
            one.kind is Kind.RESET and one.seq > event.seq and event.due > one.due + HANDED_AHEAD_MAX
            for one in before
        ):
            there.push(due(event))
    _, newcomer = copied(slot, 9 * S, len(before))
    there.advance(EPOCH + 9 * S)
    assert newcomer.state.pieces() == there.state.pieces()
