"""Tree checks: scsynth's answers show which nodes are missing. They are made again; what still differs
counts."""

from bridge.playout.holdback_queue import Held
from bridge.playout.live_slots import LiveSlots
from bridge.playout.tree_checks import TreeChecks, tree_of
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, Message, encode, single_message
from relay.wire.sequence import Kind
from relay.wire.timetag import ticks

OWN, OTHER = 1, 2
ROOT = OTHER << 26
ORIGIN = 1 << 60
MIXER, REVERB = "sonic-pi-mixer", "sonic-pi-fx_reverb"


def at(seconds: float) -> int:
    return ORIGIN + ticks(seconds)


def answer(*nodes: Arg) -> Message:
    return single_message(encode("/g_queryTree.reply", 0, *nodes))


WHOLE = answer(ROOT, 2, ROOT + 4, 0, ROOT + 2, 2, ROOT + 9, -1, REVERB, ROOT + 6, -1, MIXER)
WITHOUT_FX = answer(ROOT, 2, ROOT + 4, 0, ROOT + 2, 1, ROOT + 6, -1, MIXER)


class Scene:
    """A slot with two groups, a mixer and an FX before it, which were built long ago."""

    def __init__(self, slot: int = OTHER) -> None:
        self.slot = slot
        self.live = LiveSlots(OWN, lambda note, at: None, release_advance=0, let_go=lambda slot: None)
        self.checks = TreeChecks(OWN, self.live)
        for payload in (
            encode("/g_new", 2, 0, 0),
            encode("/g_new", 4, 0, 0),
            encode("/s_new", MIXER, 6, 0, 2),
            encode("/s_new", REVERB, 9, 0, 2),
        ):
            self.play(payload)
        self.live.tidy(at(3.0))
        self.checks.check(slot, at(3.0))

    def play(self, payload: bytes, due_s: float = 1.0) -> None:
        node = Held(at(due_s), self.slot, 0, Kind.UNTIMED, Meaning(payload))
        self.live.takes(node, at(0.9))

    def answered(self, message: Message, now_s: float) -> list[bytes]:
        self.checks.questions(at(now_s))
        self.checks.answered(message)
        return [
            message
            for _, made in self.checks.mend(at(now_s))
            for step in made.steps
            for message in step.messages
        ]


def test_a_tree_is_read_from_scsynths_answer() -> None:
    found = tree_of(WHOLE)
    assert found is not None
    slot, tree = found
    assert slot == OTHER
    assert [(node.id, node.is_group, node.parent and node.parent.id) for node in tree.walk()] == [
        (4, True, 0), (2, True, 0), (9, False, 2), (6, False, 2),
    ]  # fmt: skip


def test_answers_that_are_none_are_ignored() -> None:
    for message in (
        answer(),
        answer(0, 1),
        answer(ROOT + 2, 0),
        answer("x"),
        answer(ROOT),
        answer(ROOT, 3, 5),
    ):
        found = tree_of(message)
        assert found is None or len(found[1]) == 0
    assert tree_of(single_message(encode("/n_go", ROOT, 1, -1, -1, 1))) is None


def test_a_slot_that_is_as_it_should_be_is_asked_for_now_and_then() -> None:
    scene = Scene()
    assert scene.checks.questions(at(3.4)) == []
    assert scene.checks.questions(at(3.5)) == [OTHER]
    assert scene.answered(WHOLE, 3.5) == []
    assert scene.checks.questions(at(13.0)) == []
    assert scene.checks.questions(at(13.6)) == [OTHER]
    assert scene.checks.lacking() == 0


def test_a_slot_that_was_never_built_is_checked_now_and_then_too() -> None:
    scene = Scene()
    scene.checks.clear()
    for second in (3.0, 5.0):
        scene.checks.check_all(scene.live.standing(), at(second))
        assert scene.checks.questions(at(second)) == []
    assert scene.checks.questions(at(13.0)) == [OTHER]


def test_what_is_missing_twice_running_is_made_in_its_place_and_then_counted() -> None:
    scene = Scene()
    assert scene.answered(WITHOUT_FX, 3.5) == [], "it may be on its way"
    [made] = scene.answered(WITHOUT_FX, 4.0)
    assert single_message(made).args == (REVERB, 9, 0, 2)
    assert scene.checks.lacking() == 0
    assert scene.answered(WITHOUT_FX, 4.5) == []
    assert scene.checks.lacking() == 1
    scene.answered(WITHOUT_FX, 5.0)
    assert scene.checks.lacking() == 0, "each is counted once"


def test_what_was_freed_since_the_last_round_is_not_missed() -> None:
    scene = Scene()
    scene.play(encode("/n_free", 9), due_s=3.4)
    assert scene.answered(WITHOUT_FX, 3.5) == scene.answered(WITHOUT_FX, 4.0) == []
    scene.answered(WITHOUT_FX, 4.5)
    assert scene.checks.lacking() == 0


def test_what_is_too_much_twice_running_is_freed() -> None:
    scene = Scene()
    more = answer(
        ROOT, 3, ROOT + 4, 0, ROOT + 2, 2, ROOT + 9, -1, REVERB, ROOT + 6, -1, MIXER,
        ROOT + 30, 1, ROOT + 31, -1, REVERB,
    )  # fmt: skip
    assert scene.answered(more, 3.5) == []
    assert scene.answered(more, 4.0) == [encode("/n_free", 30)]


def test_what_is_about_to_begin_is_not_too_much_and_notes_are_left_alone() -> None:
    scene = Scene()
    scene.play(encode("/g_new", 30, 1, 0), due_s=9.0)
    more = answer(
        ROOT, 3, ROOT + 4, 1, ROOT + 40, -1, "sonic-pi-beep",
        ROOT + 2, 2, ROOT + 9, -1, REVERB, ROOT + 6, -1, MIXER, ROOT + 30, 0,
    )  # fmt: skip
    assert scene.answered(more, 3.5) == scene.answered(more, 4.0) == []


def test_a_note_that_is_gone_is_gone_from_the_live_state() -> None:
    scene = Scene()
    scene.play(encode("/s_new", "sonic-pi-beep", 40, 0, 4))
    scene.live.tidy(at(5.0))
    assert scene.answered(WHOLE, 5.5) == []
    scene.live.tidy(at(7.0))
    timeline = scene.live.timeline(OTHER)
    assert timeline is not None
    assert 40 not in timeline.state.tree


def test_nothing_of_the_own_slot_is_mended() -> None:
    scene = Scene(OWN)
    own = answer(OWN << 26, 0)
    assert scene.answered(own, 3.5) == scene.answered(own, 4.0) == []
    assert scene.checks.lacking() == 0
