"""Changes: the messages that turn one tree into another, in scsynth's order, and no needless ones."""

from hypothesis import given

from relay.wire.live.changes import changes
from relay.wire.live.state import LiveState
from relay.wire.live.tree import Tree
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, encode
from tests.relay.wire.live.generated import MESSAGES


def state_of(*messages: bytes) -> LiveState:
    state = LiveState()
    for payload in messages:
        state.apply(Meaning(payload))
    return state


def group(node: int, action: int = 1, target: int = 0) -> bytes:
    return encode("/g_new", node, action, target)


def synth(node: int, action: int = 1, target: int = 0, name: str = "sonic-pi-fx_echo", *more: Arg) -> bytes:
    return encode("/s_new", name, node, action, target, *more)


MIXER = synth(7, 1, 5, "sonic-pi-mixer")
RUN = synth(8, 2, 7, "sonic-pi-basic_mixer")


def sent(have: LiveState, want: LiveState) -> list[bytes]:
    return [one for step in changes(have.tree, want.tree).steps for one in step.messages]


def tree(one: Tree) -> list[tuple[int, int | None, bool, object, bool]]:
    """Return what scsynth has: each node with its group, in order, its settings, and whether it runs."""
    return [
        (node.id, node.parent and node.parent.id, node.is_group, node.settings, node.runs)
        for node in one.walk()
    ]


def test_nothing_differs_of_the_same_and_then_nothing_is_sent() -> None:
    have, want = (state_of(group(5), MIXER, RUN, encode("/n_set", 7, "amp", 0.3)) for _ in range(2))
    assert changes(have.tree, want.tree) == ([], [], [])


def test_a_newcomer_builds_a_run_mixer_before_the_master_mixer_each_node_with_its_settings() -> None:
    want = state_of(group(5), MIXER, RUN, encode("/n_set", 8, "amp", 0.3), encode("/n_run", 8, 0))
    found = changes(Tree(), want.tree)
    assert found.missing == [5, 8, 7]
    assert found.extra == []
    assert [(step.node, step.messages) for step in found.steps] == [
        (5, [group(5, 0, 0)]),
        (
            8,
            [
                synth(8, 1, 5, "sonic-pi-basic_mixer"),
                encode("/n_set", 8, "amp", 0.3),
                encode("/n_run", 8, 0),
            ],
        ),
        (7, [MIXER]),
    ]


def test_a_missing_node_is_put_behind_its_neighbour_or_first() -> None:
    want = state_of(group(5), synth(6, 1, 5), synth(7, 1, 5), synth(8, 1, 5))
    assert sent(state_of(group(5), synth(6, 1, 5), synth(8, 1, 5)), want) == [synth(7, 3, 6)]
    assert sent(state_of(group(5), synth(7, 1, 5), synth(8, 1, 5)), want) == [synth(6, 0, 5)]


def test_an_extra_node_is_freed_once_and_what_is_in_it_goes_with_it() -> None:
    have = state_of(group(5), group(6, 1, 5), synth(7, 1, 6))
    found = changes(have.tree, state_of(group(5)).tree)
    assert (found.missing, found.extra) == ([], [6, 7])
    assert found.steps == [(6, [encode("/n_free", 6)])]


def test_another_kind_of_node_or_another_group_is_made_anew() -> None:
    have = state_of(group(5), synth(6, 1, 5))
    assert sent(have, state_of(group(5), synth(6, 1, 5, "sonic-pi-fx_reverb"))) == [
        encode("/n_free", 6),
        synth(6, 0, 5, "sonic-pi-fx_reverb"),
    ]
    assert sent(have, state_of(group(5), group(6, 1, 5))) == [encode("/n_free", 6), group(6, 0, 5)]
    assert sent(have, state_of(group(5), synth(6))) == [encode("/n_free", 6), synth(6, 3, 5)]


def test_only_settings_that_differ_are_sent() -> None:
    have = state_of(group(5), synth(6, 1, 5), synth(7, 1, 5), encode("/n_set", 5, "amp", 0.3))
    want = state_of(
        group(5),
        synth(6, 1, 5),
        synth(7, 1, 5),
        encode("/n_set", 5, "amp", 0.3),
        encode("/n_set", 7, "mix", 0.1),
    )
    assert sent(have, want) == [encode("/n_set", 7, "amp", 0.3, "mix", 0.1)]


def test_a_paused_node_goes_on_and_one_that_runs_is_paused() -> None:
    runs, paused = state_of(synth(6)), state_of(synth(6), encode("/n_run", 6, 0))
    assert sent(runs, paused) == [encode("/n_run", 6, 0)]
    assert sent(paused, runs) == [encode("/n_run", 6, 1)]


@given(MESSAGES, MESSAGES)
def test_applied_to_what_is_there_they_give_what_is_wanted(first: list[bytes], second: list[bytes]) -> None:
    have, want = state_of(*first), state_of(*second)
    had = {node.id for node in have.tree.walk()}
    found = changes(have.tree, want.tree)
    wanted = {node.id for node in want.tree.walk()}
    assert set(found.missing) <= wanted
    assert set(found.extra) <= had
    for step in found.steps:
        for message in step.messages:
            have.apply(Meaning(message))
    # A control that is set in `have` alone keeps its value: what it was at its start, nobody knows.
    assert [one[:3] for one in tree(have.tree)] == [one[:3] for one in tree(want.tree)]
    for mine, wish in zip(have.tree.walk(), want.tree.walk(), strict=True):
        assert mine.runs == wish.runs
        assert mine.settings.items() >= wish.settings.items()


@given(MESSAGES)
def test_from_nothing_they_build_a_live_state_in_scsynths_order(messages: list[bytes]) -> None:
    want, built = state_of(*messages), LiveState()
    for message in sent(LiveState(), want):
        built.apply(Meaning(message))
    assert tree(built.tree) == tree(want.tree)
    assert changes(built.tree, want.tree) == ([], [], [])


@given(MESSAGES, MESSAGES)
def test_nothing_is_made_that_was_there_in_its_place(first: list[bytes], more: list[bytes]) -> None:
    have, want = state_of(*first), state_of(*first, *more)
    found = changes(have.tree, want.tree)
    same = [node for node in want.tree.walk() if node.id in have.tree]
    if found.missing == found.extra == []:
        assert len(same) == len(have.tree) == len(want.tree)
