"""Changes: the messages that turn one tree of nodes into another.

Pure. They build a live state in a scsynth that has none of it, and mend one that has most of it. Nodes are
made in scsynth's order: each group before the nodes in it, and each node behind its neighbour. So a run's
mixer comes before the master mixer, as it must.
"""

from collections.abc import Iterator
from typing import NamedTuple

from relay.wire import write
from relay.wire.live.state import placed, settings
from relay.wire.live.tree import AFTER, HEAD, TAIL, Node, Tree
from relay.wire.meaning import Meaning


class Step(NamedTuple):
    """Messages that scsynth must run together, so that a node starts with its settings.

    node: the id of the node that they make, set or free, among the owner's own ids.
    """

    node: int
    messages: list[bytes]


class Changes(NamedTuple):
    """The differences between the present tree and the wanted tree, and the steps from one to the other.

    missing: ids of the nodes that are to be made. extra: ids of the nodes of the present tree that are to be
    freed. A node that must be made anew is in both. steps: in the order in which scsynth must run them.
    """

    missing: list[int]
    extra: list[int]
    steps: list[Step]


def changes(have: Tree, want: Tree) -> Changes:
    """Return what turns the tree `have` into the tree `want`.

    A node that is another kind of node in `have`, or is in another group there, is made anew.
    """
    kept = {node.id for node in want.walk() if _is_same(have.get(node.id), node)}
    _drop_disordered(have, want, kept)
    extra = [node.id for node in have.walk() if node.id not in kept]
    gone = set(extra)
    steps = [
        Step(node.id, [write.free_node(node.id)])
        for node in have.walk()
        if node.id in gone and node.parent is not None and node.parent.id not in gone
    ]
    missing = []
    for node, before in _with_neighbour(want):
        assert node.parent is not None, "the walk leaves the root out"
        old = have.get(node.id) if node.id in kept else None
        if old is None:
            missing.append(node.id)
            inside_new = node.parent.id not in kept and node.parent is not want.root
            place = (AFTER, before.id) if before is not None else (HEAD, node.parent.id)
            if inside_new:
                place = (TAIL, node.parent.id)
            steps.append(Step(node.id, [placed(node.payload, node.id, *place), *settings(node)]))
        elif node.runs != old.runs or node.settings != old.settings:
            set_again = settings(node)
            if node.runs and not old.runs:
                set_again.append(write.run_node(node.id, runs=True))
            if set_again:
                steps.append(Step(node.id, set_again))
    return Changes(missing, extra, steps)


def _is_same(have: Node | None, want: Node) -> bool:
    """Return whether a node is there already: in the same group, and with the same synthdef."""
    if have is None or have.parent is None or want.parent is None or have.parent.id != want.parent.id:
        return False
    if have.is_group or want.is_group:
        return have.is_group and want.is_group
    return Meaning(have.payload).synthdef == Meaning(want.payload).synthdef


def _drop_disordered(have: Tree, want: Tree, kept: set[int]) -> None:
    """Remove from `kept` the nodes that must be made anew: those that stand in `have` before a kept node that
    they must follow, and all nodes in a group that is made anew."""
    place = {node.id: at for at, node in enumerate(have.walk())}
    last: dict[int, int] = {}
    for node in want.walk():
        assert node.parent is not None, "the walk leaves the root out"
        group = node.parent.id
        if node.id not in kept:
            continue
        if (node.parent is not want.root and group not in kept) or place[node.id] < last.get(group, -1):
            kept.discard(node.id)
        else:
            last[group] = place[node.id]


def _with_neighbour(tree: Tree) -> Iterator[tuple[Node, Node | None]]:
    """Yield each node with the node right before it in its group; None if it is the group's first."""
    last: dict[int, Node] = {}
    for node in tree.walk():
        assert node.parent is not None, "the walk leaves the root out"
        yield node, last.get(node.parent.id)
        last[node.parent.id] = node
