"""Synth tree: computes scsynth's tree of nodes from the messages that scsynth was handed.

Pure. Messages are executed as by scsynth 3.13. Messages with a timetag are executed by timetag, those with
equal timetags in the order of arrival. Messages without a timetag and late ones are executed on arrival. A
message ends at its first error, such as a missing node. Only /n_order then goes on with its next node
(measured with genuine scsynth, `-N` and /g_dumpTree).

A node here ends only if it is freed. So `slot` leaves out notes, and `started` has all synths that ever
began.
"""

from collections.abc import Callable, Iterable, Iterator

from rehearsal.rigs.nodes import AFTER, BEFORE, HEAD, REPLACE, TAIL, LiveNode, Nodes, NoSuchPlace
from rehearsal.rigs.tree import Node

from bridge.scsynth.id_space import NODE_BITS
from laboratory.runs.tallying import Handed
from relay.wire.meaning import Meaning
from relay.wire.osc import Message, single_message


class SynthTree:
    """The tree of nodes of one scsynth."""

    def __init__(self) -> None:
        self.started: set[int] = set()
        """Node ids of all synths that ever began, notes included."""
        self._notes: set[int] = set()
        self._nodes = Nodes()

    def run(self, handed: Iterable[Handed], until_ns: int) -> "SynthTree":
        """Execute the messages that are due by the true instant until_ns (ns); return this object."""
        for at_ns, _, _, one in sorted(
            (executed_ns(one), one.timetag, index, one) for index, one in enumerate(handed)
        ):
            if at_ns > until_ns:
                break
            self.execute(single_message(one.message))
        return self

    def slot(self, slot: int) -> Node:
        """Return a slot's part of the tree: its root group and the slot's nodes inside.

        Notes are left out, and so are nodes that only the member's own host has.
        """
        root = self._nodes.by_id.get(slot << NODE_BITS)
        return Node(slot << NODE_BITS, "missing") if root is None else self._seen(root, slot)

    def nodes_of(self, group: int) -> list[int]:
        """Return the ids of the nodes right inside a group, in scsynth's order; none if there is no such
        group."""
        found = self._nodes.by_id.get(group)
        return [] if found is None else [one.id for one in found.inside or ()]

    def _seen(self, node: LiveNode, slot: int) -> Node:
        inside = (
            one for one in node.inside or () if one.id not in self._notes and one.id >> NODE_BITS == slot
        )
        return Node(node.id, node.name, tuple(self._seen(one, slot) for one in inside))

    def execute(self, message: Message) -> bool:
        """Execute one message. Return False if scsynth would answer /fail."""
        does = _COMMANDS.get(message.address)
        try:
            if does is not None:
                does(self, message)
        except NoSuchPlace:
            return False
        return True

    def _s_new(self, message: Message) -> None:
        name, node, action, target = message.args[:4]
        self._nodes.make(int(node), int(action), int(target), synth=str(name))
        self.started.add(int(node))
        (self._notes.add if Meaning(message.raw).is_note else self._notes.discard)(int(node))

    def _g_new(self, message: Message) -> None:
        for node, action, target in _grouped(message, 3):
            if not self._stands(node, action, target):
                self._nodes.make(node, action, target)
                self._notes.discard(node)

    def _stands(self, node: int, action: int, target: int) -> bool:
        """Tell whether a group to be created exists already in the right parent. Then it stays where it
        is."""
        there, place = self._nodes.by_id.get(node), self._nodes.by_id.get(target)
        if there is None or place is None or action == REPLACE:
            return False
        return there.parent is (place if action in (HEAD, TAIL) else place.parent)

    def _n_free(self, message: Message) -> None:
        for (node,) in _grouped(message, 1):
            self._nodes.free(self._nodes.find(node))

    def _g_free_all(self, message: Message) -> None:
        for (group,) in _grouped(message, 1):
            for one in list(self._nodes.group(group).inside or ()):
                self._nodes.free(one)

    def _g_deep_free(self, message: Message) -> None:
        for (group,) in _grouped(message, 1):
            self._nodes.free_synths(self._nodes.group(group))

    def _g_head(self, message: Message) -> None:
        for group, node in _grouped(message, 2):
            action = HEAD if message.address == "/g_head" else TAIL
            self._nodes.move(self._nodes.find(node), action, self._nodes.group(group))

    def _n_before(self, message: Message) -> None:
        for node, target in _grouped(message, 2):
            action = BEFORE if message.address == "/n_before" else AFTER
            self._nodes.move(self._nodes.find(node), action, self._nodes.find(target))

    def _n_order(self, message: Message) -> None:
        action, target, *nodes = (int(number) for number in message.args)
        place = self._nodes.group(target) if action in (HEAD, TAIL) else self._nodes.find(target)
        for node in nodes:
            if node in self._nodes.by_id:
                moved = self._nodes.find(node)
                self._nodes.move(moved, action, place)
                action, place = AFTER, moved


def executed_ns(handed: Handed) -> int:
    """Return the true instant (ns) at which scsynth executes a message."""
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
