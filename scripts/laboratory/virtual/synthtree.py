"""scsynth's tree of nodes, from what it was handed.

Pure. It executes messages as scsynth 3.13 does: by timetag and, of equal ones, as they came; bare ones and
late ones on arrival. A message ends at its first error, as a node that isn't there, but for /n_order, which
goes on with its next node (measured with genuine scsynth, `-N` and /g_dumpTree). Nodes don't end by
themselves here, so notes are left out of the trees, and `started` says which ever were.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rehearsal.rigs.tree import GROUP, Node

from bridge.scsynth.id_space import NODE_BITS
from laboratory.runs.tallying import Handed
from relay.wire.meaning import is_note
from relay.wire.osc import Message, single_message

HEAD, TAIL, BEFORE, AFTER, REPLACE = range(5)


class NoSuchPlace(Exception):
    """A message names a node that isn't there, or makes one that is: scsynth says /fail."""


@dataclass(slots=True, eq=False)
class _Live:
    id: int
    name: str
    is_note: bool = False
    parent: "_Live | None" = None
    inside: list["_Live"] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        return self.name == GROUP

    def seen(self, slot: int) -> Node:
        inside = (one for one in self.inside if not one.is_note and one.id >> NODE_BITS == slot)
        return Node(self.id, self.name, tuple(one.seen(slot) for one in inside))


class SynthTree:
    """One scsynth's nodes."""

    def __init__(self) -> None:
        self.started: set[int] = set()
        """All synths that ever began, notes included."""
        self._root = _Live(0, GROUP)
        self._nodes = {0: self._root}

    def run(self, handed: Iterable[Handed], until_ns: int) -> "SynthTree":
        """Execute what was handed over, up to a true instant; return itself."""
        for at_ns, _, _, one in sorted(
            (executed_ns(one), one.timetag, index, one) for index, one in enumerate(handed)
        ):
            if at_ns > until_ns:
                break
            self.execute(single_message(one.message))
        return self

    def slot(self, slot: int) -> Node:
        """Return a slot's part: its root group and all in it but notes and what only its own host has."""
        root = self._nodes.get(slot << NODE_BITS)
        return Node(slot << NODE_BITS, "missing") if root is None else root.seen(slot)

    def execute(self, message: Message) -> bool:
        """Execute one message; return False where scsynth says /fail."""
        does = _COMMANDS.get(message.address)
        try:
            if does is not None:
                does(self, message)
        except NoSuchPlace:
            return False
        return True

    def _s_new(self, message: Message) -> None:
        name, node, action, target = message.args[:4]
        self._make(_Live(int(node), str(name), is_note(message.raw)), int(action), int(target))
        self.started.add(int(node))

    def _g_new(self, message: Message) -> None:
        for node, action, target in _grouped(message, 3):
            if not self._stands(node, action, target):
                self._make(_Live(node, GROUP), action, target)

    def _stands(self, node: int, action: int, target: int) -> bool:
        """Tell whether a group that is asked for is there, in the right parent: then it stays where it is."""
        there, place = self._nodes.get(node), self._nodes.get(target)
        if there is None or place is None or action == REPLACE:
            return False
        return there.parent is (place if action in (HEAD, TAIL) else place.parent)

    def _n_free(self, message: Message) -> None:
        for (node,) in _grouped(message, 1):
            self._free(self._find(node))

    def _g_free_all(self, message: Message) -> None:
        for (group,) in _grouped(message, 1):
            for one in self._group(group).inside.copy():
                self._free(one)

    def _g_deep_free(self, message: Message) -> None:
        for (group,) in _grouped(message, 1):
            self._free_synths(self._group(group))

    def _g_head(self, message: Message) -> None:
        for group, node in _grouped(message, 2):
            self._place(self._find(node), HEAD if message.address == "/g_head" else TAIL, self._group(group))

    def _n_before(self, message: Message) -> None:
        for node, target in _grouped(message, 2):
            action = BEFORE if message.address == "/n_before" else AFTER
            self._place(self._find(node), action, self._find(target))

    def _n_order(self, message: Message) -> None:
        action, target, *nodes = (int(number) for number in message.args)
        place = self._group(target) if action in (HEAD, TAIL) else self._find(target)
        for node in nodes:
            if node in self._nodes:
                moved = self._find(node)
                self._place(moved, action, place)
                action, place = AFTER, moved

    def _make(self, node: _Live, action: int, target: int) -> None:
        if node.id in self._nodes:
            raise NoSuchPlace(node.id)
        place = self._group(target) if action in (HEAD, TAIL) else self._find(target)
        self._place(node, AFTER if action == REPLACE else action, place)
        self._nodes[node.id] = node
        if action == REPLACE:
            self._free(place)

    def _place(self, node: _Live, action: int, place: _Live) -> None:
        group = place if action in (HEAD, TAIL) else place.parent
        if group is None:
            raise NoSuchPlace("beside the root group")
        if node.parent is not None:
            node.parent.inside.remove(node)
        at = {HEAD: 0, TAIL: len(group.inside)}.get(action)
        if at is None:
            at = group.inside.index(place) + (action == AFTER)
        group.inside.insert(at, node)
        node.parent = group

    def _free(self, node: _Live) -> None:
        if node.parent is None:
            raise NoSuchPlace("the root group can't be freed")
        for one in node.inside.copy():
            self._free(one)
        node.parent.inside.remove(node)
        del self._nodes[node.id]

    def _free_synths(self, group: _Live) -> None:
        for one in group.inside.copy():
            if one.is_group:
                self._free_synths(one)
            else:
                self._free(one)

    def _find(self, node: int) -> _Live:
        if node not in self._nodes:
            raise NoSuchPlace(node)
        return self._nodes[node]

    def _group(self, node: int) -> _Live:
        group = self._find(node)
        if not group.is_group:
            raise NoSuchPlace(node)
        return group


def executed_ns(handed: Handed) -> int:
    """Return the true instant at which scsynth executes a message."""
    return max(handed.at_ns, handed.timetag_ns or 0)


def _grouped(message: Message, width: int) -> Iterator[tuple[int, ...]]:
    numbers = [int(number) for number in message.args]
    return iter([tuple(numbers[at : at + width]) for at in range(0, len(numbers), width)])


_COMMANDS: dict[str, Callable[[SynthTree, Message], None]] = {
    "/s_new": SynthTree._s_new,
    "/g_new": SynthTree._g_new,
    "/p_new": SynthTree._g_new,
    "/n_free": SynthTree._n_free,
    "/g_freeAll": SynthTree._g_free_all,
    "/g_deepFree": SynthTree._g_deep_free,
    "/g_head": SynthTree._g_head,
    "/g_tail": SynthTree._g_head,
    "/n_before": SynthTree._n_before,
    "/n_after": SynthTree._n_before,
    "/n_order": SynthTree._n_order,
}
