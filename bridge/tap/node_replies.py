"""Node replies: decides which replies about its nodes Sonic Pi gets, and when.

Pure. A thread of Sonic Pi blocks until its group's /n_go comes. So the bridge sends this /n_go at once, and
drops scsynth's own one later. When a group ends, Sonic Pi first gets /n_go and /n_end for the notes in it
that never started. Otherwise its event thread can block for ever (seen with 3.2.2, 4.5.1). It also gets both
for a synth whose synthdef scsynth lacks. Otherwise the synth's FX would never end and would keep its buses.

All ids are Sonic Pi's own. Bound: NODES_MAX nodes remembered; the oldest are forgotten first.
"""

from typing import Any

from relay.wire.commands import COMMANDS, REPLIES, Act, ReplyKind
from relay.wire.meaning import New
from relay.wire.osc import Message
from relay.wire.write import group_began, group_ended, synth_began, synth_ended

NODES_MAX = 20_000
NO_SYNTHDEF = "SynthDef not found"
"""scsynth's failure text for an unknown synthdef. It tells neither the synthdef nor the node nor its
owner."""
NAMES_MAX = 256
HEAD, TAIL, BEFORE, AFTER, REPLACE = range(5)


class HomeNodes:
    """The local player's nodes that exist on this host only."""

    def __init__(self) -> None:
        self._nodes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node: object) -> bool:
        return node in self._nodes

    def add(self, node: int) -> bool:
        """Add a node. Return whether it is new."""
        is_new = node not in self._nodes
        self._nodes[node] = node
        _trim(self._nodes)
        return is_new

    def discard(self, node: int) -> None:
        """Remove a node."""
        self._nodes.pop(node, None)

    def clear(self) -> None:
        """Remove all nodes."""
        self._nodes.clear()


class NodeTracker:
    """Tracks groups whose start was reported to Sonic Pi in advance, and notes that have not started yet."""

    def __init__(self) -> None:
        self._groups: dict[int, int] = {}
        """Group id -> its target. A group is here from the /n_go in advance until scsynth's own /n_go or
        /n_end."""
        self._unstarted: dict[int, dict[int, None]] = {}
        """Group id -> the synths created in it about which scsynth has not replied yet."""
        self._group_of: dict[int, int] = {}
        self._doubtful: dict[int, tuple[int, str]] = {}
        """Synth -> (its target, its synthdef), in the order of requests, until scsynth replies about the
        synth. Only synths with a synthdef of the player's own are here. They are removed as soon as a synth
        with the same synthdef has sounded."""
        self._sounded: set[str] = set()
        """The player's own synthdefs that scsynth is known to have."""

    def create_groups(self, created: tuple[New, ...]) -> list[bytes]:
        """Store the groups that a /g_new creates. Return the replies that tell Sonic Pi that they exist
        (/n_go)."""
        replies: list[bytes] = []
        for group, _, target in created:
            self._groups[group] = target
            replies.append(group_began(group, target))
        _trim(self._groups)
        return replies

    def create_synth(self, synth: int, action: int, target: int) -> None:
        """Store a synth that Sonic Pi requests. Only synths that are put directly into a group are stored.

        action: the add action. target: the node that the action refers to.
        """
        self._forget(synth)
        if action in (HEAD, TAIL):
            self._unstarted.setdefault(target, {})[synth] = None
            self._group_of[synth] = target
            while len(self._group_of) > NODES_MAX:
                self._forget(next(iter(self._group_of)))

    @property
    def doubts(self) -> bool:
        """Whether scsynth may lack the synthdef of a requested synth."""
        return bool(self._doubtful)

    def doubt(self, synth: int, target: int, synthdef: str) -> None:
        """Note that scsynth may lack the synthdef of a requested synth. target: the synth's target node."""
        if synthdef not in self._sounded:
            self._doubtful[synth] = (target, synthdef)
            _trim(self._doubtful)

    def reply(self, message: Message) -> list[bytes]:
        """Return the replies that Sonic Pi gets for one reply of scsynth.

        message: scsynth's reply, with Sonic Pi's ids.
        """
        kind = REPLIES.get(message.address)
        if kind is ReplyKind.NODE_BEGAN:
            node = int(message.args[0])
            if self._groups.pop(node, None) is not None:
                return []
            self._forget(node)
            doubted = self._doubtful.pop(node, None)
            if doubted is not None and len(self._sounded) < NAMES_MAX:
                self._sounded.add(doubted[1])
                self._doubtful = {one: it for one, it in self._doubtful.items() if it[1] != doubted[1]}
            return [message.raw]
        if kind is ReplyKind.NODE_ENDED:
            node = int(message.args[0])
            self._forget(node)
            self._doubtful.pop(node, None)
            self._groups.pop(node, None)
            return [*self._resolve_unstarted(node), message.raw]
        if failed_act(message) is Act.NEW_GROUP:
            return [message.raw, *self._failed_groups(str(message.args[1]) if len(message.args) > 1 else "")]
        if lacks_synthdef(message) and self._doubtful:
            synth = next(iter(self._doubtful))
            target, _ = self._doubtful.pop(synth)
            self._forget(synth)
            return [message.raw, synth_began(synth, target), synth_ended(synth)]
        return [message.raw]

    def refused(self, created: tuple[New, ...], *, groups: bool) -> list[bytes]:
        """Return the replies for nodes that will never exist: each node starts and ends at once.

        groups: whether the nodes are groups; else synths.
        """
        replies: list[bytes] = []
        for node, _, target in created:
            replies.append(group_began(node, target) if groups else synth_began(node, target))
            replies.append(group_ended(node) if groups else synth_ended(node))
        return replies

    def _resolve_unstarted(self, group: int) -> list[bytes]:
        replies: list[bytes] = []
        for synth in self._unstarted.pop(group, {}):
            self._group_of.pop(synth, None)
            replies += [synth_began(synth, group), synth_ended(synth)]
        return replies

    def _failed_groups(self, text: str) -> list[bytes]:
        words = text.split()
        if not (len(words) >= 2 and words[0] in ("Group", "Node") and words[1].lstrip("-").isdigit()):
            return []
        lost = [group for group, target in self._groups.items() if target == int(words[1])]
        for group in lost:
            del self._groups[group]
        return [group_ended(group) for group in lost]

    def _forget(self, synth: int) -> None:
        group = self._group_of.pop(synth, None)
        if group is not None:
            waiting = self._unstarted[group]
            del waiting[synth]
            if not waiting:
                del self._unstarted[group]


def failed_act(message: Message) -> Act | None:
    """Return the action that has failed, according to a reply of scsynth; None if the reply isn't about a
    failure."""
    if REPLIES.get(message.address) is not ReplyKind.FAILED or message.tags[:1] != "s":
        return None
    command = COMMANDS.get(str(message.arg(0)))
    return None if command is None else command.act


def lacks_synthdef(message: Message) -> bool:
    """Return whether a reply of scsynth says that it lacks the synthdef of a synth. The reply names
    neither."""
    return failed_act(message) is Act.NEW_SYNTH and message.args[1:] == (NO_SYNTHDEF,)


def _trim(table: dict[int, Any]) -> None:
    while len(table) > NODES_MAX:
        del table[next(iter(table))]
