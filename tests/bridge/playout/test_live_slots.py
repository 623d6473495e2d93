"""Live slots: a slot's running music is built from a copy, and each event is played exactly once."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.playout.holdback_queue import Held
from bridge.playout.live_slot import Copy
from bridge.playout.live_slots import BUILT_AHEAD, LiveSlots
from bridge.playout.still_sounding import rest_of
from relay.wire.live.changes import changes
from relay.wire.live.state import LiveState, Piece
from relay.wire.live.timeline import Due, Timeline
from relay.wire.live.tree import Node, Tree
from relay.wire.meaning import NOTHING, Meaning
from relay.wire.osc import encode
from relay.wire.sequence import HANDED_AHEAD_MAX, Flag, Judged, Kind
from relay.wire.timetag import ticks

OWN, OTHER = 1, 2
ADVANCE = ticks(0.065)
ORIGIN = 1 << 60


def at(seconds: float) -> int:
    return ORIGIN + ticks(seconds)


def group(node: int, target: int = 0) -> bytes:
    return encode("/g_new", node, 1, target)


def fx(node: int, target: int, mix: float = 0.5) -> bytes:
    return encode("/s_new", "sonic-pi-fx_reverb", node, 1, target, "mix", mix)


def held(
    number: int, due_s: float, payload: bytes = b"", *, slot: int = OTHER, flags: Flag = Flag.NONE
) -> Held:
    kind = Kind.UNTIMED if payload else Kind.RESET
    meaning = Meaning(payload) if payload else NOTHING
    return Held(at(due_s), slot, number, kind, meaning, 0, number, flags)


class Scene:
    """Live slots that were just made: `let_go` has the slots whose events may leave early."""

    def __init__(self) -> None:
        self.let_go: list[int] = []
        self.live = LiveSlots(OWN, self.rest, release_advance=ADVANCE, let_go=self.let_go.append)

    def rest(self, note: Node, instant: int) -> Node | None:
        return None

    def copy(
        self, *payloads: bytes, number: int = 0, at_s: float = 0.0, events: tuple[Judged, ...] = ()
    ) -> Copy:
        return Copy(OTHER, number, at(at_s), tuple(Piece(one) for one in payloads), events)

    def choose(self, now_s: float, over_s: float = 0.0) -> None:
        self.live.choose([OTHER], lambda slot: at(over_s), at(now_s))

    def nodes(self) -> list[int]:
        timeline = self.live.timeline(OTHER)
        assert timeline is not None
        timeline.advance(at(1000.0))
        return [node.id for node in timeline.state.tree.walk()]


def test_a_member_that_comes_later_is_played_from_its_beginning() -> None:
    scene = Scene()
    assert scene.live.takes(held(1, 1.0, group(2)), at(0.5))
    assert scene.nodes() == [2]


def test_who_was_there_before_is_not_played_before_it_is_built() -> None:
    scene = Scene()
    assert scene.live.expect([OTHER]) == [OTHER]
    assert scene.live.timeline(OTHER) is None
    assert not scene.live.takes(held(5, 1.0, group(8, 2)), at(0.9))
    scene.live.learn(scene.copy(group(2), number=4, at_s=0.8))
    assert list(scene.live.build(at(2.0))) == [], "nobody has chosen T"
    scene.choose(1.0)
    assert scene.let_go == [OTHER]
    assert not scene.live.takes(held(6, 1.25, group(9, 8)), at(1.0)), "due before T"
    assert scene.live.takes(held(7, 1.35, group(10, 8)), at(1.0)), "due after T"
    assert scene.live.next_build() == at(1.0) + BUILT_AHEAD - ADVANCE
    assert list(scene.live.build(at(1.0))) == []
    [(slot, built_at, made)] = scene.live.build(at(1.3))
    assert (slot, built_at, made.missing, made.extra) == (OTHER, at(1.0) + BUILT_AHEAD, [2, 8, 9], [])
    assert scene.live.timeline(OTHER) is not None
    assert scene.nodes() == [2, 8, 9, 10]


def test_what_a_copy_includes_is_not_played_again_and_what_it_lacks_is() -> None:
    scene = Scene()
    scene.live.expect([OTHER])
    scene.live.learn(scene.copy(group(2), number=4, at_s=1.0))
    scene.choose(1.0)
    list(scene.live.build(at(1.3)))
    assert not scene.live.takes(held(4, 0.9, group(2)), at(1.4))
    assert scene.live.takes(held(3, 1.1, group(3)), at(1.4)), "due after W0"
    assert scene.live.takes(held(5, 0.9, group(4)), at(1.4)), "judged after the copy"


def test_a_slot_that_stands_plays_on_until_its_copy_is_built() -> None:
    scene = Scene()
    scene.live.takes(held(1, 0.5, group(2)), at(0.4))
    scene.live.learn(scene.copy(group(2), group(3, 2), number=4, at_s=1.0))
    assert scene.live.takes(held(3, 0.9, group(3, 2)), at(1.0)), "repaired late, and included"
    scene.choose(1.0)
    [(_, _, made)] = scene.live.build(at(1.3))
    assert (made.missing, made.extra) == ([], [])


def test_the_events_of_a_copy_count_once_however_often_they_come() -> None:
    scene = Scene()
    scene.live.expect([OTHER])
    event = Judged(3, OTHER, 3, at(1.2), at(1.0), Kind.UNTIMED, Flag.NONE, group(3, 2))
    scene.live.takes(held(3, 1.2, group(3, 2)), at(1.0))
    scene.live.learn(scene.copy(group(2), number=3, at_s=1.0, events=(event,)))
    scene.live.takes(held(3, 1.2, group(3, 2)), at(1.1))
    scene.choose(1.1)
    [(_, _, made)] = scene.live.build(at(1.5))
    assert made.missing == [2, 3]


def test_a_slot_is_not_built_before_its_last_reset_is_over() -> None:
    scene = Scene()
    scene.live.expect([OTHER])
    scene.live.learn(scene.copy(group(2), number=3, at_s=1.0))
    scene.choose(1.1, over_s=2.0)
    assert scene.live.next_build() == at(2.0) - ADVANCE


def test_a_reset_that_silenced_a_member_is_over_once_the_member_is_back() -> None:
    scene = Scene()
    scene.live.expect([OTHER])
    scene.live.learn(scene.copy(group(2), number=3, at_s=1.0))
    scene.choose(1.1)
    assert not scene.live.takes(held(3, 1.3, flags=Flag.SILENCED), at(1.2))
    [(_, _, made)] = scene.live.build(at(1.5))
    assert made.missing == [2]


def test_the_reset_of_a_running_member_frees_what_a_copy_has() -> None:
    scene = Scene()
    scene.live.expect([OTHER])
    scene.live.learn(scene.copy(group(2), number=3, at_s=1.0))
    scene.choose(1.1)
    assert not scene.live.takes(held(4, 1.2), at(1.2))
    [(_, _, made)] = scene.live.build(at(1.5))
    assert made.missing == []


def test_a_copy_of_a_slot_that_stands_builds_only_what_differs() -> None:
    scene = Scene()
    for number, payload in enumerate((group(2), group(3, 2), fx(4, 3)), 1):
        assert scene.live.takes(held(number, 1.0, payload), at(0.9))
    scene.live.learn(scene.copy(group(2), group(3, 2), group(5, 3), number=9, at_s=1.5))
    assert scene.live.timeline(OTHER) is not None
    scene.choose(1.6)
    [(_, _, made)] = scene.live.build(at(2.0))
    assert (made.missing, made.extra) == ([5], [4])
    assert scene.nodes() == [2, 3, 5]


def test_a_slot_that_another_bridge_has_built_is_played_on_and_then_known() -> None:
    scene = Scene()
    scene.live.inherit()
    scene.live.follow({OTHER: 1})
    assert scene.live.expect([OTHER]) == []
    assert scene.live.takes(held(7, 1.4, group(8, 2)), at(1.0))
    assert scene.live.is_unseen(OTHER)
    scene.live.learn(scene.copy(group(2), number=6, at_s=1.0))
    assert not scene.live.is_unseen(OTHER)
    assert list(scene.live.build(at(3.0))) == []
    assert scene.nodes() == [2, 8]


def test_the_own_live_state_is_learnt_only_by_a_bridge_that_does_not_know_it() -> None:
    scene = Scene()
    scene.live.takes(held(1, 1.0, group(2), slot=OWN), at(0.9))
    scene.live.learn(Copy(OWN, 9, at(5.0), (Piece(group(7)),)))
    assert [Meaning(piece.payload).creates[0][0] for piece in scene.live.own_pieces(at(6.0), dated=True)] == [
        2
    ]
    heir = Scene()
    heir.live.inherit()
    heir.live.takes(held(2, 5.1, group(8, 7), slot=OWN), at(5.0))
    assert heir.live.own_pieces(at(5.0), dated=True) == [], "what it knows is a part only"
    heir.live.learn(Copy(OWN, 1, at(5.0), (Piece(group(7)),)))
    assert [Meaning(piece.payload).creates[0][0] for piece in heir.live.own_pieces(at(6.0), dated=True)] == [
        7,
        8,
    ]


def test_the_own_live_state_has_dues_where_these_mean_something() -> None:
    scene = Scene()
    scene.live.takes(held(1, 1.0, encode("/s_new", "sonic-pi-beep", 20, 0, 0), slot=OWN), at(0.9))
    assert [piece.due for piece in scene.live.own_pieces(at(6.0), dated=True)] == [at(1.0)]
    assert [piece.due for piece in scene.live.own_pieces(at(6.0), dated=False)] == [0]


def test_a_reset_made_here_for_a_former_owner_leaves_the_new_owners_copy_alone() -> None:
    scene = Scene()
    load = encode("/b_allocRead", 0, "buffers/rand-stream.wav", 0, 0)
    scene.live.takes(held(1, 1.0, group(5)), at(0.9))
    scene.live.loads(Judged(2, OTHER, 2, at(1.0), 0, Kind.RESOURCE, Flag.NONE, load), at(0.9))
    gone = Held(at(400.0), OTHER, 0, Kind.RESET, NOTHING, flags=Flag.SILENCED | Flag.LEFT, counted=False)
    assert scene.live.takes(gone, at(400.0))
    loads, _ = scene.live.learn(scene.copy(load, group(8), number=150, at_s=400.05))
    assert [one.payload for one in loads] == [load], "the former owner's is freed"
    scene.choose(400.06, over_s=400.11)
    [(_, _, made)] = scene.live.build(at(400.4))
    assert made.missing == [8]


def test_a_slot_that_waits_is_played_from_its_beginning_once_it_has_another_owner() -> None:
    scene = Scene()
    scene.live.follow({OTHER: 3})
    scene.live.expect([OTHER])
    assert scene.live.follow({OTHER: 3}) == []
    assert scene.live.follow({OTHER: 9}) == [OTHER]
    assert scene.let_go == [OTHER]
    assert scene.live.takes(held(10, 2.0, group(5)), at(1.9))


def test_control_buses_are_set_before_anything_is_built() -> None:
    scene = Scene()
    scene.live.expect([OTHER])
    scene.live.learn(scene.copy(encode("/c_set", 3, 0.5), group(8), number=1, at_s=0.5))
    scene.choose(1.0)
    [(_, _, made)] = scene.live.build(at(1.4))
    assert [step.messages for step in made.steps] == [[encode("/c_set", 3, 0.5)], [encode("/g_new", 8, 0, 0)]]


def test_no_envelope_however_great_keeps_a_slot_from_being_built() -> None:
    endless = encode("/s_new", "sonic-pi-beep", 9, 1, 0, "attack", 100.0, "decay", 3e38, "sustain", 3e38)
    scene = Scene()
    scene.live = LiveSlots(OWN, rest_of, release_advance=ADVANCE, let_go=scene.let_go.append)
    scene.live.expect([OTHER])
    scene.live.learn(Copy(OTHER, 1, at(0.0), (Piece(endless, (), at(0.0), 1), Piece(group(8)))))
    scene.choose(1.0)
    [(_, _, made)] = scene.live.build(at(1.4))
    assert made.missing == [8]


def test_a_piece_without_a_name_of_a_synthdef_is_refused_and_nothing_raises() -> None:
    nameless = encode("/s_new", 1, 9, 1, 0)
    scene = Scene()
    for _ in range(2):
        _, refused = scene.live.learn(scene.copy(nameless, group(8), number=1, at_s=0.5))
        assert refused == 1
        scene.choose(1.0)
        list(scene.live.build(at(1.4)))
    assert scene.nodes() == [8]


def test_own_notes_that_have_ended_are_told_once_by_their_seqs() -> None:
    scene = Scene()
    note = encode("/s_new", "sonic-pi-beep", 20, 0, 2)
    scene.live.takes(held(1, 1.0, group(2), slot=OWN), at(0.9))
    scene.live.takes(held(2, 1.0, note, slot=OWN), at(0.9))
    scene.live.ended(OWN, 20)
    scene.live.tidy(at(3.0))
    assert scene.live.own_ended() == [2]
    assert scene.live.own_ended() == []
    scene.live.ended(OWN, 2)
    scene.live.tidy(at(5.0))
    assert scene.live.own_ended() == [], "a group is no note"


def test_a_buffer_is_loaded_once_whether_its_event_or_the_copy_comes_first() -> None:
    load = encode("/b_allocRead", 3, "samples/bd_haus.flac", 0, 0)
    event = Judged(3, OTHER, 3, at(1.2), at(1.0), Kind.RESOURCE, Flag.NONE, load)
    scene = Scene()
    assert scene.live.loads(event, at(1.0))
    loads, _ = scene.live.learn(scene.copy(load, number=3, at_s=1.5))
    assert loads == []
    assert not scene.live.loads(event, at(1.7))
    other = Scene()
    loads, _ = other.live.learn(other.copy(load, number=3, at_s=1.5))
    assert [one.payload for one in loads] == [load]
    freed = held(9, 2.0, encode("/b_free", 3))
    assert other.live.takes(freed, at(1.9))
    loads, _ = other.live.learn(other.copy(load, number=12, at_s=2.5))
    assert [one.payload for one in loads] == [load]


def test_a_slot_without_a_copy_is_played_from_when_it_is_given_up() -> None:
    scene = Scene()
    scene.live.expect([OTHER])
    scene.live.begin(OTHER)
    assert scene.let_go == [OTHER]
    assert scene.live.takes(held(5, 9.0, group(8)), at(8.5))


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.sampled_from([group(2), group(3, 2), group(4, 2), fx(5, 3), fx(6, 4), fx(7, 2), b""])
        | st.sampled_from([encode("/n_free", node) for node in range(2, 8)])
        | st.sampled_from([encode("/n_set", node, "mix", mix) for node in (5, 6, 7) for mix in (0.1, 0.9)]),
    ),
    max_size=24,
)


@given(events=EVENTS, joined=st.integers(0, 24), arrives=st.integers(0, 30), copied=st.integers(0, 24))
def test_whoever_joins_whenever_has_the_same_tree_as_who_was_there(
    events: list[tuple[int, bytes]], joined: int, arrives: int, copied: int
) -> None:
    """events: (due in centiseconds, message) each, in the order of arrival. The host joins before event
    number `joined`. The copy is made before number `joined + copied`, and arrives `arrives` events later."""
    numbered = [
        (number, due / 100 + number * 0.02, payload) for number, (due, payload) in enumerate(events, 1)
    ]
    made_at = joined + copied
    there, w0 = Timeline(), at(made_at * 0.02)
    known = Timeline()
    for number, due_s, payload in numbered:
        due_s = max(due_s, number * 0.02 + 0.2)
        one = held(number, due_s, payload)
        there.push(Due(one.due, number, number, one.kind, one.meaning))
        if number <= made_at:
            known.push(Due(one.due, number, number, one.kind, one.meaning))
    known.advance(w0)
    later = tuple(
        Judged(one.number, OTHER, one.seq, one.due, 0, one.kind, Flag.NONE, one.meaning.payload)
        for one in known.waiting()
    )
    copy = Copy(OTHER, made_at, w0, tuple(known.state.pieces()), later)
    scene = Scene()
    scene.live.expect([OTHER])
    learnt, have, built_at = False, LiveState(), 0
    handed = Timeline()
    resets: list[tuple[int, int]] = []
    coming = [
        (number, max(due_s, number * 0.02 + 0.2), payload)
        for number, due_s, payload in numbered
        if number > joined
    ]
    for step in range(1000):
        now_s = step * 0.02
        if not learnt and step >= made_at + arrives:
            learnt = True
            scene.live.learn(copy)
            scene.choose(now_s)
            built_at = at(now_s) + BUILT_AHEAD
            coming += [
                (event.number, (event.due - ORIGIN) / 2**32, event.payload)
                for event in copy.events
                if event.number <= joined
            ]
        for number, due_s, payload in [one for one in coming if learnt or one[0] > joined]:
            # A slot that isn't built yet hands its events out just before their due.
            # No event leaves more than a second before its due.
            numbered_here = learnt and now_s >= number * 0.02 and due_s <= now_s + 1.0
            if numbered_here or at(now_s) >= at(due_s) - ADVANCE:
                coming.remove((number, due_s, payload))
                one = held(number, due_s, payload)
                if any(number < other and one.due > due + HANDED_AHEAD_MAX for other, due in resets):
                    continue  # playout drops it
                if one.kind is Kind.RESET:
                    resets.append((number, one.due))
                if scene.live.takes(one, at(now_s)):
                    handed.push(Due(one.due, number, number, one.kind, one.meaning))
        for _, _, made in scene.live.build(at(now_s)):
            for one in made.steps:
                for message in one.messages:
                    have.apply(Meaning(message))
    handed.state = have
    handed.advance(at(1000.0))
    there.advance(at(1000.0))
    assert built_at
    difference = changes(handed.state.tree, there.state.tree)
    assert (difference.missing, difference.extra, difference.steps) == ([], [], [])
    assert Tree() is not there.state.tree
