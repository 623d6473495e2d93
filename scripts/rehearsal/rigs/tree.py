"""Tree: the nodes of a running scsynth, which is asked directly, past recorder and bridge.

Source: Server Command Reference, /g_queryTree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rehearsal.rigs.osc import ask, message
from rehearsal.rigs.recording import Argument
from rehearsal.rigs.sound import SoundError

GROUP = "group"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of scsynth, with all nodes below it."""

    id: int
    name: str
    """The synthdef of a synth; GROUP for a group."""
    children: tuple["Node", ...] = ()

    def below(self) -> Iterator["Node"]:
        """Yield every node below this one, in the order in which scsynth runs them."""
        for child in self.children:
            yield child
            yield from child.below()

    def find(self, node: int) -> "Node | None":
        """Return the node with the id `node`, at or below this one; None if there is none."""
        return self if self.id == node else next((each for each in self.below() if each.id == node), None)

    def __str__(self) -> str:
        inside = f"({' '.join(map(str, self.children))})" if self.children else ""
        return f"{self.id}:{self.name.removeprefix('sonic-pi-')}{inside}"


def query(port: int, group: int = 0) -> Node:
    """Ask the scsynth at UDP `port` for a group and all nodes below it. Raises SoundError without an
    answer."""
    try:
        address, args = ask(port, message("/g_queryTree", group, 0))
    except OSError as error:
        raise SoundError(f"no tree from scsynth at UDP {port} ({error})") from error
    if address != "/g_queryTree.reply":
        raise SoundError(f"/g_queryTree {group}: scsynth at UDP {port} says {address} {args}")
    return parse(args)


def parse(answer: Sequence[Argument]) -> Node:
    """Return the tree in the arguments of a /g_queryTree.reply without controls."""

    def take(at: int) -> tuple[Node, int]:
        node, count = answer[at], answer[at + 1]
        assert isinstance(node, int)
        assert isinstance(count, int)
        at += 2
        if count < 0:
            return Node(node, str(answer[at])), at + 1
        children = []
        for _ in range(count):
            child, at = take(at)
            children.append(child)
        return Node(node, GROUP, tuple(children)), at

    return take(1)[0]
