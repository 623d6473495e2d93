"""Nodes: a model of scsynth's node tree, with the standard library alone.

It creates, moves and frees nodes as scsynth 3.13 does, by add action and target, and rejects what scsynth
rejects. A node ends only if it is freed. The proof uses this model, so it shares no code with the product.
"""

from dataclasses import dataclass

HEAD, TAIL, BEFORE, AFTER, REPLACE = range(5)


class NoSuchPlace(Exception):
    """A message names a node that doesn't exist, or creates one that does. scsynth answers such a message
    with /fail."""


@dataclass(slots=True, eq=False)
class LiveNode:
    """One node. inside: a group's nodes in scsynth's order; None for a synth."""

    id: int
    name: str
    inside: "list[LiveNode] | None" = None
    parent: "LiveNode | None" = None


class Nodes:
    """One scsynth's tree, from its root group down."""

    def __init__(self) -> None:
        self.root = LiveNode(0, "group", [])
        self.by_id = {0: self.root}

    def make(self, node: int, action: int, target: int, *, synth: str | None = None) -> LiveNode:
        """Create a node and return it: a synth with the synthdef `synth`, or a group if `synth` is None.

        action: scsynth's add action (HEAD to REPLACE). target: id of the node that it refers to. Raises
        NoSuchPlace.
        """
        if node in self.by_id:
            raise NoSuchPlace("duplicate node ID")
        place = self.group(target) if action in (HEAD, TAIL) else self.find(target)
        made = LiveNode(node, "group", []) if synth is None else LiveNode(node, synth)
        self.move(made, AFTER if action == REPLACE else action, place)
        self.by_id[node] = made
        if action == REPLACE:
            self.free(place)
        return made

    def move(self, node: LiveNode, action: int, place: LiveNode) -> None:
        """Put a node into a group (HEAD, TAIL), or beside a node (BEFORE, AFTER). Raises NoSuchPlace."""
        if action not in (HEAD, TAIL, BEFORE, AFTER):
            raise NoSuchPlace(f"there is no add action {action}")
        group = place if action in (HEAD, TAIL) else place.parent
        if group is None or group.inside is None:
            raise NoSuchPlace("beside the root group")
        if node.parent is not None and node.parent.inside is not None:
            node.parent.inside.remove(node)
        at = {HEAD: 0, TAIL: len(group.inside)}.get(action)
        if at is None:
            at = group.inside.index(place) + (action == AFTER)
        group.inside.insert(at, node)
        node.parent = group

    def free(self, node: LiveNode) -> None:
        """Free a node and all nodes inside it. Raises NoSuchPlace for the root group."""
        if node.parent is None or node.parent.inside is None:
            raise NoSuchPlace("the root group can't be freed")
        for one in list(node.inside or ()):
            self.free(one)
        node.parent.inside.remove(node)
        del self.by_id[node.id]

    def free_synths(self, group: LiveNode) -> None:
        """Free all synths in a group and in the groups below it."""
        for one in list(group.inside or ()):
            if one.inside is None:
                self.free(one)
            else:
                self.free_synths(one)

    def find(self, node: int) -> LiveNode:
        """Return a node by its id. Raises NoSuchPlace."""
        if node not in self.by_id:
            raise NoSuchPlace(f"Node {node} not found")
        return self.by_id[node]

    def group(self, node: int) -> LiveNode:
        """Return a group by its id. Raises NoSuchPlace."""
        found = self.by_id.get(node)
        if found is None or found.inside is None:
            raise NoSuchPlace(f"Group {node} not found")
        return found
