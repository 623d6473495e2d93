"""The model of scsynth's node tree does what a genuine scsynth does, and in the same order of time."""

import struct
import subprocess
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from laboratory.runs.tallying import Handed
from laboratory.virtual.synthtree import SynthTree
from rehearsal.rigs.tree import GROUP, Node

from relay.wire.osc import Arg, bundle, encode, single_message
from relay.wire.timetag import ticks

ROOT = 1 << 26
GROUPS = ("/g_new", *(part for node in (10, 11, 12, 13) for part in (node, 1, 0)))
SCRIPTS: dict[str, tuple[list[tuple[Arg, ...]], str]] = {
    "a free ends at the first node that isn't there": (
        [GROUPS, ("/n_free", 10, 99, 11)],
        "0:group(11:group 12:group 13:group)",
    ),
    "groups end at the first place that isn't there": (
        [("/g_new", 10, 1, 0, 11, 1, 99, 12, 1, 0)],
        "0:group(10:group)",
    ),
    "an id that is taken ends a message": (
        [GROUPS, ("/g_new", 10, 1, 11, 14, 1, 10)],
        "0:group(10:group 11:group 12:group 13:group)",
    ),
    "a group that is there already, in its place, does not": (
        [GROUPS, ("/g_new", 10, 1, 0, 14, 1, 10)],
        "0:group(10:group(14:group) 11:group 12:group 13:group)",
    ),
    "an order to the head keeps the order": (
        [GROUPS, ("/n_order", 0, 0, 12, 13)],
        "0:group(12:group 13:group 10:group 11:group)",
    ),
    "an order goes on behind a node that isn't there": (
        [GROUPS, ("/n_order", 1, 0, 11, 99, 10)],
        "0:group(12:group 13:group 11:group 10:group)",
    ),
    "what is emptied ends at a group that isn't there": (
        [("/g_new", 10, 1, 0, 11, 1, 10, 12, 1, 0, 13, 1, 12), ("/g_freeAll", 10, 99, 12)],
        "0:group(10:group 12:group(13:group))",
    ),
    "moves end at a node that isn't there": (
        [GROUPS, ("/g_tail", 11, 10, 11, 99, 11, 12)],
        "0:group(11:group(10:group) 12:group 13:group)",
    ),
    "a deep free leaves groups": (
        [("/g_new", 10, 1, 0, 11, 1, 10), ("/g_deepFree", 10)],
        "0:group(10:group(11:group))",
    ),
    "groups go beside others": (
        [GROUPS, ("/g_new", 14, 2, 11, 15, 3, 11, 16, 0, 0), ("/n_before", 13, 10), ("/n_after", 10, 12)],
        "0:group(16:group 13:group 14:group 11:group 15:group 12:group 10:group)",
    ),
    "a group takes another's place": (
        [GROUPS, ("/g_new", 14, 1, 11, 15, 4, 11)],
        "0:group(10:group 15:group 12:group 13:group)",
    ),
}


def modelled(script: list[tuple[Arg, ...]]) -> str:
    tree = SynthTree()
    for address, *args in script:
        tree.execute(single_message(encode(str(address), *args)))
    return str(tree.slot(0))


def genuine(script: list[tuple[Arg, ...]], folder: Path) -> str:
    """Return the tree of groups that a genuine scsynth dumps after executing these messages."""
    score = [*((0.0, encode(str(address), *args)) for address, *args in script)]
    score += [(0.1, encode("/g_dumpTree", 0, 0)), (0.2, encode("/c_set", 0, 0.0))]
    packets = [bundle(ticks(at_s), message) for at_s, message in score]
    (folder / "score").write_bytes(b"".join(struct.pack(">i", len(one)) + one for one in packets))
    command = ["scsynth", "-N", "score", "_", "out.wav", "44100", "WAV", "int16", "-o", "2", "-i", "0"]
    out = subprocess.run(
        [*command, "-D", "0", "-R", "0"], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    lines = out.stdout.partition("NODE TREE Group 0\n")[2].splitlines()
    rows = [(len(line) - len(line.lstrip()), int(line.split()[0])) for line in lines if "group" in line]
    return str(Node(0, GROUP, tuple(_nested(rows, 3))))


def _nested(rows: list[tuple[int, int]], depth: int) -> list[Node]:
    starts = [at for at, (indent, _) in enumerate(rows) if indent == depth]
    return [
        Node(rows[at][1], GROUP, tuple(_nested(rows[at + 1 : end], depth + 3)))
        for at, end in pairwise([*starts, len(rows)])
    ]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_model_does_what_was_measured(name: str) -> None:
    script, wanted = SCRIPTS[name]
    assert modelled(script) == wanted


@pytest.mark.real
@pytest.mark.unhurried
def test_genuine_scsynth_does_what_the_model_says(tmp_path: Path) -> None:
    for script, wanted in SCRIPTS.values():
        assert genuine(script, tmp_path) == wanted


@pytest.mark.real
@pytest.mark.exhaustive
@pytest.mark.unhurried
@pytest.mark.parametrize("seed", range(20))
def test_genuine_scsynth_does_what_the_model_says_of_random_messages(seed: int, tmp_path: Path) -> None:
    script = random_script(Random(seed))
    assert genuine(script, tmp_path) == modelled(script)


def random_script(dice: Random) -> list[tuple[Arg, ...]]:
    """Return random messages about a few groups, many of which don't exist.

    No message moves a group into a group that it contains.
    """
    script: list[tuple[Arg, ...]] = [GROUPS]
    for _ in range(40):
        many = range(dice.randint(1, 3))
        node = lambda: dice.randint(10, 20)  # noqa: E731
        script.append(
            dice.choice(
                [
                    ("/g_new", *(part for _ in many for part in (node(), dice.choice([0, 1]), node()))),
                    ("/g_new", *(part for _ in many for part in (node(), dice.randint(0, 3), node()))),
                    ("/g_new", node(), dice.choice([0, 1]), 0),
                    ("/n_free", *(node() for _ in many)),
                    ("/g_freeAll", *(node() for _ in many)),
                    ("/n_order", dice.choice([0, 1]), 0, *dice.sample(range(10, 21), len(many))),
                    ("/g_head", *(part for _ in many for part in (0, node()))),
                    ("/g_tail", *(part for _ in many for part in (0, node()))),
                ]
            )
        )
    return script


def handed(at_s: float, due_s: float | None, *message: Arg) -> Handed:
    address, *args = message
    due_ns = None if due_s is None else round(due_s * 1e9)
    tag = 0 if due_s is None else ticks(due_s)
    return Handed(round(at_s * 1e9), due_ns, encode(str(address), *args), tag)


SLOT = handed(0.0, None, "/g_new", ROOT, 1, 0)
GROUP_1 = ("/g_new", ROOT + 1, 1, ROOT)
FREE_1 = ("/n_free", ROOT + 1)


@pytest.mark.parametrize(
    ("messages", "stays"),
    [
        ([handed(0.1, 2.0, *FREE_1), handed(0.2, 1.0, *GROUP_1)], False),  # by timetag, whatever came first
        ([handed(0.1, 2.0, *FREE_1), handed(0.2, 2.0, *GROUP_1)], True),  # of equal ones, as they came
        ([handed(0.1, 2.0, *GROUP_1), handed(0.2, None, *FREE_1)], True),  # a bare one at once
        ([handed(0.5, 0.2, *FREE_1), handed(0.6, 0.1, *GROUP_1)], True),  # late ones as they came
        ([handed(0.5, 0.2, *FREE_1), handed(0.5, 0.1, *GROUP_1)], False),  # together, by timetag
    ],
)
def test_messages_are_executed_by_timetag_and_late_ones_on_arrival(
    messages: list[Handed], stays: bool
) -> None:
    tree = SynthTree().run([SLOT, *messages], 3_000_000_000)
    assert (tree.slot(1).find(ROOT + 1) is not None) == stays


def test_a_tree_is_that_of_an_instant_without_notes_and_what_only_the_host_has() -> None:
    messages = [
        SLOT,
        handed(0.1, 0.2, *GROUP_1),
        handed(0.1, 0.3, "/s_new", "sonic-pi-beep", ROOT + 2, 0, ROOT + 1),
        handed(0.1, 0.3, "/s_new", "sonic-pi-fx_echo", ROOT + 3, 1, ROOT + 1),
        handed(0.1, 0.3, "/s_new", "sonic-pi-scope", 77, 1, ROOT + 1),
        handed(0.1, 0.4, "/s_new", "sonic-pi-beep", ROOT + 4, 0, ROOT + 9),
        handed(0.1, 0.9, *FREE_1),
    ]
    tree = SynthTree().run(messages, 500_000_000)
    assert str(tree.slot(1)) == f"{ROOT}:group({ROOT + 1}:group({ROOT + 3}:fx_echo))"
    assert tree.started == {ROOT + 2, ROOT + 3, 77}, "a note whose group isn't there never began"
    assert SynthTree().run(messages, 10**9).slot(1) == Node(ROOT, GROUP)
    assert SynthTree().run(messages, 10**9).slot(2).name == "missing"
