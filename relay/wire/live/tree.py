"""Tree: the groups and synths of one slot, in scsynth's order, with the values that were set on them.

Pure. A message with an add action and a target changes this tree as it changes the tree of scsynth 3.13. A
message that scsynth would refuse changes nothing. All ids are the owner's own; the root is node 0. Source:
Server Command Reference of scsynth.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

ROOT = 0
GROWTH_MAX = 4096
"""Greatest number of new settings that are counted: a message that makes more is refused in any case."""
HEAD, TAIL, BEFORE, AFTER, REPLACE = range(5)
"""scsynth's add actions. HEAD and TAIL put a node into a group, the others beside a node or in its place."""

DEPTH_MAX = 128
"""Greatest depth in the tree to which a group with nodes in it may be moved. Sonic Pi nests two groups for
each FX in an FX."""

_ADDED_BYTES = 32
"""Bytes counted for each setting in addition to its name and value: for its share of a command."""


class Setting(NamedTuple):
    """The latest value of one control, as it was sent.

    address: the command that set it. tags: the type tags of what follows the control's name in that command.
    data: the encoded arguments that follow the name.
    """

    address: str
    tags: str
    data: bytes


class Node:
    """A group or a synth.

    payload: the message that made it. due: the session instant from which it exists. seq: the number that its
    owner gave the event that made it. settings: the latest setting of each control, by the padded bytes of
    the control's name. is_note: a note ends by itself, and nothing depends on it. runs: False while it is
    paused. first, last: the first and the last node in a group. before, after: the node's neighbours in its
    own group.
    """

    __slots__ = (
        *(
            "after",
            "before",
            "due",
            "first",
            "id",
            "is_group",
            "is_note",
            "last",
            "parent",
            "payload",
            "runs",
        ),
        *("seq", "settings"),
    )

    def __init__(
        self,
        number: int,
        payload: bytes,
        *,
        due: int = 0,
        seq: int = 0,
        is_group: bool = True,
        is_note: bool = False,
    ) -> None:
        self.id = number
        self.payload = payload
        self.due = due
        self.seq = seq
        self.is_group = is_group
        self.is_note = is_note
        self.settings: dict[bytes, Setting] = {}
        self.runs = True
        self.parent: Node | None = None
        self.first: Node | None = None
        self.last: Node | None = None
        self.before: Node | None = None
        self.after: Node | None = None

    def size(self) -> int:
        """Return about how many bytes it takes to send the node."""
        return len(self.payload) + sum(_size(name, setting) for name, setting in self.settings.items())

    def synths(self) -> Iterator["Node"]:
        """Yield the node itself if it is a synth, else all synths in it and in the groups below it."""
        if not self.is_group:
            yield self
        else:
            yield from (node for node in _below(self) if not node.is_group)


class Tree:
    """The nodes of one slot."""

    def __init__(self) -> None:
        self.root = Node(ROOT, b"")
        self._nodes = {ROOT: self.root}
        self._notes: dict[int, Node] = {}
        self.cost = Cost()
        self.visits = 0
        """How many nodes were looked at so far. The callers divide long work into steps by this count."""

    def __len__(self) -> int:
        return len(self._nodes) - 1

    def __contains__(self, number: int) -> bool:
        return number in self._nodes

    def get(self, number: int) -> Node | None:
        """Return the node with that id; None if there is none."""
        return self._nodes.get(number)

    def walk(self) -> Iterator[Node]:
        """Yield all nodes but the root, each group before the nodes in it, in scsynth's order."""
        return _below(self.root)

    def notes(self) -> Iterator[Node]:
        """Yield the notes, in the order in which they were made."""
        return iter(self._notes.values())

    def add(self, node: Node, action: int, target: int) -> bool:
        """Put a new node into the tree. Return False if scsynth would refuse it."""
        place = self._nodes.get(target)
        if node.id in self._nodes or place is None or not self._put(node, action, place):
            return False
        self._nodes[node.id] = node
        if node.is_note:
            self._notes[node.id] = node
        self.cost.add(1 + len(node.settings), node.size())
        if action == REPLACE:
            self.free(target)
        return True

    def move(self, number: int, action: int, target: int) -> bool:
        """Put a node elsewhere. Return False if scsynth would refuse it, or if the target lies too deep."""
        node, place = self._nodes.get(number), self._nodes.get(target)
        if node is None or place is None or node is place or action == REPLACE:
            return False
        return not self._holds(node, place) and self._put(node, action, place)

    def free(self, number: int) -> bool:
        """Remove a node with all nodes in it. Return False if there is none. The root is never removed."""
        node = self._nodes.get(number)
        if node is None or node is self.root:
            return False
        for one in [node, *_below(node)]:
            self.visits += 1
            del self._nodes[one.id]
            self._notes.pop(one.id, None)
            self.cost.add(-1 - len(one.settings), -one.size())
        _unlink(node)
        return True

    def empty(self, number: int) -> None:
        """Remove all nodes in a group."""
        group = self._nodes.get(number)
        while group is not None and group.first is not None:
            self.free(group.first.id)

    def free_synths(self, number: int) -> None:
        """Remove all synths in a group and in the groups below it. The groups stay."""
        group = self._nodes.get(number)
        if group is not None and group.is_group:
            for synth in list(group.synths()):
                self.free(synth.id)

    def remake(self, node: Node, payload: bytes) -> None:
        """Replace the message by which `node` is created. The node keeps its place and its settings."""
        self.cost.add(0, len(payload) - len(node.payload))
        node.payload = payload

    def growth(self, number: int, given: Mapping[bytes, Setting]) -> tuple[int, int, int]:
        """Return by how much the cost would grow if a node got these settings. A group gives them to all
        synths in it. The result is (number of new settings, bytes, the greatest number of settings that one
        of the synths would then have). It is a part only if there are more than GROWTH_MAX new settings."""
        node = self._nodes.get(number)
        count = size = most = 0
        for synth in node.synths() if node is not None else ():
            self.visits += len(given)
            new = 0
            for name, setting in given.items():
                old = synth.settings.get(name)
                new += old is None
                size += _size(name, setting) if old is None else len(setting.data) - len(old.data)
            count += new
            most = max(most, len(synth.settings) + new)
            if count > GROWTH_MAX:
                break
        return count, size, most

    def set(self, number: int, given: Mapping[bytes, Setting]) -> None:
        """Set controls of a synth, or of all synths in a group.

        given: the settings, by the padded bytes of the control's name.
        """
        self.cost.add(*self.growth(number, given)[:2])
        node = self._nodes.get(number)
        for synth in node.synths() if node is not None else ():
            synth.settings.update(given)

    def run(self, number: int, *, runs: bool) -> None:
        """Pause a node, or let it go on."""
        node = self._nodes.get(number)
        if node is not None:
            node.runs = runs

    def _holds(self, node: Node, place: Node) -> bool:
        """Return whether `place` is in the group `node`. The result is also True if `place` lies deeper than
        DEPTH_MAX.

        All nodes are in the root, so the root is never moved.
        """
        if node.first is None:
            return False
        above: Node | None = place.parent
        for _ in range(DEPTH_MAX):
            self.visits += 1
            if above is node:
                return True
            if above is None:
                return False
            above = above.parent
        return True

    def _put(self, node: Node, action: int, place: Node) -> bool:
        group = place if action in (HEAD, TAIL) else place.parent
        if group is None or not group.is_group or not HEAD <= action <= REPLACE:
            return False
        self.visits += 1
        _unlink(node)
        before = {HEAD: None, TAIL: group.last, BEFORE: place.before}.get(action, place)
        after = group.first if before is None else before.after
        node.parent, node.before, node.after = group, before, after
        if before is None:
            group.first = node
        else:
            before.after = node
        if after is None:
            group.last = node
        else:
            after.before = node
        return True


class Cost:
    """How much a live state holds.

    count: its nodes, settings, buffers and buses together. size: about how many bytes it takes to send them.
    """

    __slots__ = ("count", "size")

    def __init__(self) -> None:
        self.count = 0
        self.size = 0

    def add(self, count: int, size: int) -> None:
        """Add to both figures; a negative number reduces its figure."""
        self.count += count
        self.size += size


def _size(name: bytes, setting: Setting) -> int:
    return len(name) + len(setting.data) + _ADDED_BYTES


def _below(node: Node) -> Iterator[Node]:
    """Yield all nodes in a group and in the groups below it, each group before the nodes in it.

    There is no recursion: a member may nest groups as deeply as it likes.
    """
    one = node.first
    while one is not None:
        yield one
        if one.first is not None:
            one = one.first
            continue
        while one.after is None:
            assert one.parent is not None, "only nodes of the tree are looked at"
            one = one.parent
            if one is node:
                return
        one = one.after


def _unlink(node: Node) -> None:
    """Take a node out of its group, if it is in one."""
    group = node.parent
    if group is None:
        return
    if node.before is None:
        group.first = node.after
    else:
        node.before.after = node.after
    if node.after is None:
        group.last = node.before
    else:
        node.after.before = node.before
    node.parent = node.before = node.after = None
