"""Timeline: events apply at their due, in the room's order. A copy with its waiting events gives the same."""

from hypothesis import given
from hypothesis import strategies as st

from relay.wire.live import timeline as one_timeline
from relay.wire.live.state import LiveState
from relay.wire.live.timeline import RESETS_KEPT, Due, Timeline
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from relay.wire.sequence import HANDED_AHEAD_MAX, Kind
from relay.wire.timetag import TICKS_PER_S
from tests.relay.wire.live.generated import OTHERS, SETS, TREE

S = TICKS_PER_S


def group(node: int) -> bytes:
    return encode("/g_new", node, 1, 0)


def note(node: int) -> bytes:
    return encode("/s_new", "sonic-pi-beep", node, 1, 0)


def event(due: int, number: int, payload: bytes, seq: int | None = None) -> Due:
    kind = Kind.TIMED if payload else Kind.RESET
    return Due(due, number, number if seq is None else seq, kind, Meaning(payload))


def nodes(timeline: Timeline) -> list[int]:
    return [node.id for node in timeline.state.tree.walk()]


def test_events_apply_at_their_due_and_of_equal_dues_by_number() -> None:
    timeline = Timeline()
    for one in (
        event(20, 1, group(5)),
        event(10, 2, group(6)),
        event(10, 3, group(7)),
        event(30, 4, group(8)),
    ):
        timeline.push(one)
    timeline.advance(9)
    assert nodes(timeline) == []
    timeline.advance(20)
    assert nodes(timeline) == [6, 7, 5]
    assert [one.number for one in timeline.waiting()] == [4]
    assert timeline.at == 20


def test_an_event_that_is_late_applies_at_the_next_turn_and_time_never_goes_back() -> None:
    timeline = Timeline()
    timeline.advance(50)
    timeline.push(event(10, 1, group(5)))
    timeline.advance(20)
    assert nodes(timeline) == [5]
    assert timeline.at == 50


def test_a_node_has_the_due_and_the_number_of_its_event() -> None:
    timeline = Timeline()
    timeline.push(event(10, 7, group(5), seq=3))
    timeline.advance(10)
    (piece,) = timeline.state.pieces()
    assert (piece.due, piece.seq) == (10, 3)


def test_a_refused_event_is_counted_and_the_next_ones_apply() -> None:
    timeline = Timeline()
    timeline.push(event(1, 1, encode("/n_free", "x")))
    timeline.push(event(2, 2, group(5)))
    timeline.advance(3)
    assert (timeline.refused, nodes(timeline)) == (1, [5])


def test_a_reset_frees_all_and_drops_what_was_sent_before_it_and_is_due_long_after_it() -> None:
    timeline = Timeline()
    reset = 10 * S
    near, far = reset + HANDED_AHEAD_MAX, reset + HANDED_AHEAD_MAX + 1
    timeline.push(event(reset - 1, 1, group(5)))
    timeline.push(event(near, 2, group(6)))
    timeline.push(event(far, 3, group(7)))
    timeline.push(event(reset, 4, b""))
    timeline.push(event(far, 5, group(8)))
    timeline.advance(far + S)  # all at once: what is dropped must not depend on how often it is advanced
    assert nodes(timeline) == [6, 8]
    timeline.push(event(far, 6, group(9), seq=2))
    timeline.push(event(near, 7, group(10), seq=2))
    timeline.advance(far + 2 * S)
    assert nodes(timeline) == [6, 8, 10], "number 9 came after the reset, but was sent before it"


def test_few_resets_are_remembered() -> None:
    timeline = Timeline()
    for number in range(1, 3 * RESETS_KEPT):
        timeline.push(event(number, number, b""))
    timeline.advance(3 * RESETS_KEPT)
    assert len(timeline._resets) == RESETS_KEPT


def test_ended_notes_are_gone_whether_they_wait_or_not_and_nothing_else_is() -> None:
    timeline = Timeline()
    for one in (event(1, 1, note(5)), event(2, 2, note(6)), event(9, 3, note(7)), event(9, 4, group(8))):
        timeline.push(one)
    timeline.advance(5)
    timeline.end([1, 3, 4])
    assert nodes(timeline) == [6]
    assert [one.number for one in timeline.waiting()] == [4]


def test_too_many_waiting_events_apply_at_once_the_earliest_first() -> None:
    timeline = Timeline()
    for number in range(one_timeline.EVENTS_MAX + 3):
        timeline.push(event(1000 - number % 7, number, group(10 + number)))
    assert len(timeline.waiting()) == one_timeline.EVENTS_MAX
    assert len(nodes(timeline)) == 3


def test_it_is_true_while_something_is_there_or_waits() -> None:
    timeline = Timeline()
    assert not timeline
    timeline.push(event(5, 1, group(5)))
    assert timeline
    timeline.advance(5)
    assert timeline
    timeline.push(event(6, 2, encode("/n_free", 5)))
    timeline.advance(6)
    assert not timeline


EVENTS = st.lists(st.tuples(st.integers(0, 6), TREE | SETS | OTHERS | st.just(b"")), max_size=30).map(
    lambda draws: [
        event(due * S // 2, number, payload) for number, (due, payload) in enumerate(draws, start=1)
    ]
)


@given(EVENTS, st.integers(0, 4), st.integers(0, 4))
def test_a_copy_with_its_waiting_events_is_as_good_as_having_been_there(
    events: list[Due], w0: int, later: int
) -> None:
    until, t = w0 * S, (w0 + later) * S
    there, relay = Timeline(), Timeline()
    for one in events:
        there.push(one)
        relay.push(one)
    relay.advance(until)
    newcomer = Timeline(at=until)
    assert newcomer.state.restore(relay.state.pieces()) == 0
    for one in relay.waiting():
        newcomer.push(one)
    newcomer.advance(t)
    there.advance(t)
    assert newcomer.state.pieces() == there.state.pieces()
    assert newcomer.waiting() == there.waiting()


@given(EVENTS, st.lists(st.integers(0, 8), max_size=8))
def test_how_often_it_is_advanced_makes_no_difference(events: list[Due], turns: list[int]) -> None:
    once, often = Timeline(), Timeline()
    for one in events:
        once.push(one)
        often.push(one)
    for turn in sorted(turns):
        often.advance(turn * S)
    once.advance(9 * S)
    often.advance(9 * S)
    assert once.state.pieces() == often.state.pieces()


def test_it_may_begin_with_a_live_state() -> None:
    state = LiveState()
    state.apply(Meaning(group(5)))
    timeline = Timeline(state, 7)
    assert (nodes(timeline), timeline.at) == ([5], 7)
