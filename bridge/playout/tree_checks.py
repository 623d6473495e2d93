"""Tree checks: compares the live states of the slots with the tree of nodes that scsynth really has.

Pure; instants are session ticks. scsynth is asked for one slot's tree soon after the slot was built, and now
and then. A group, FX or mixer may be missing there, or be there without being wanted. If it differs in two
answers in a row, it is mended. If it differs even after that, it is counted. A note ends by itself, so a
missing note is only removed from the live state. In the own slot nothing is mended, because all that the own
Sonic Pi made there is right.
"""

from dataclasses import dataclass, field

from bridge.playout.live_slots import LiveSlots
from bridge.scsynth.id_space import Origin
from relay.wire import write
from relay.wire.commands import REPLIES, ReplyKind
from relay.wire.live.changes import Changes, changes
from relay.wire.live.tree import TAIL, Node, Tree
from relay.wire.meaning import Meaning
from relay.wire.osc import Message
from relay.wire.timetag import ticks

ASKED_AFTER = ticks(0.5)
"""Time from the building of a slot to its first check, and from a found difference to the next check."""
ASKED_EVERY = ticks(10.0)
"""Time between two checks of a slot without differences."""
SETTLED = ticks(0.3)
"""A node that began less than this time ago isn't missed yet, because scsynth may still have to create it."""
_GROUP_MARK = -1


@dataclass(slots=True)
class _Check:
    """The checks of one slot.

    at: the session instant at which scsynth is asked next. differing: the nodes that differed in the last
    answer. mended: the nodes that were mended once. given_up: the nodes that differed even after they were
    mended. answer: an answer of scsynth that isn't compared yet.
    """

    at: int
    differing: set[int] = field(default_factory=set)
    mended: set[int] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)
    answer: Tree | None = None


class TreeChecks:
    """The checks of all slots."""

    def __init__(self, own_slot: int, live: LiveSlots) -> None:
        self._own_slot = own_slot
        self._live = live
        self._checks: dict[int, _Check] = {}
        self._lacking = 0

    def check(self, slot: int, now: int) -> None:
        """Check a slot soon after `now`, and then every ASKED_EVERY."""
        self._checks[slot] = _Check(now + ASKED_AFTER)

    def check_all(self, slots: list[int], now: int) -> None:
        """Check slots now and then that nobody has asked for yet."""
        for slot in slots:
            if slot not in self._checks:
                self._checks[slot] = _Check(now + ASKED_EVERY)

    def questions(self, now: int) -> list[int]:
        """Return the slots about whose trees scsynth must be asked now."""
        asked = [slot for slot, one in self._checks.items() if one.at <= now]
        for slot in asked:
            self._checks[slot].at = now + ASKED_EVERY
        return asked

    def answered(self, message: Message) -> None:
        """Process scsynth's answer about a slot's tree. An answer that can't be read is ignored."""
        found = tree_of(message)
        if found is not None and found[0] in self._checks:
            self._checks[found[0]].answer = found[1]

    def mend(self, now: int) -> list[tuple[int, Changes]]:
        """Return (slot, changes) for each slot whose tree must be mended."""
        mended: list[tuple[int, Changes]] = []
        for slot, check in self._checks.items():
            if check.answer is not None:
                made = self._compare(slot, check, check.answer, now)
                check.answer = None
                if made is not None:
                    mended.append((slot, made))
        return mended

    def lacking(self) -> int:
        """Return how many nodes differed even after they were mended. Only those found since the last call
        count."""
        lacking, self._lacking = self._lacking, 0
        return lacking

    def forget(self, slot: int) -> None:
        """Forget a slot whose member is gone for good."""
        self._checks.pop(slot, None)

    def clear(self) -> None:
        """Begin all checks anew, because another epoch began or the clock was set."""
        self._checks.clear()

    def _compare(self, slot: int, check: _Check, there: Tree, now: int) -> Changes | None:
        self._live.settle(slot, now)  # else what has been freed since the last round would be missed
        timeline = self._live.timeline(slot)
        if timeline is None:
            return None
        wanted = timeline.tree
        for note in [note for note in wanted.notes() if note.id not in there and _is_settled(note, now)]:
            self._live.ended(slot, note.id)
        self._live.settle(slot, now)  # so that nothing is put behind a note that is gone
        made = changes(there, wanted)
        missing = {
            node.id for number in made.missing
            if (node := wanted.get(number)) and not node.is_note and _is_settled(node, now)
        }  # fmt: skip
        coming = {new for one in timeline.waiting() for new, _, _ in one.meaning.creates}
        extra = {
            node.id for number in made.extra
            if (node := there.get(number)) and not node.is_note and number not in coming
        }  # fmt: skip
        differing = missing | extra
        again, check.differing = differing & check.differing, differing
        if slot == self._own_slot or not differing:
            return None
        check.at = min(check.at, now + ASKED_AFTER)
        self._lacking += len((again & check.mended) - check.given_up)
        check.given_up |= again & check.mended
        fresh = again - check.mended
        check.mended |= fresh
        if not fresh:
            return None
        return Changes(
            [node for node in made.missing if node in fresh],
            [node for node in made.extra if node in fresh],
            [step for step in made.steps if step.node in fresh],
        )


def tree_of(message: Message) -> tuple[int, Tree] | None:
    """Return (slot, tree) from scsynth's answer about a slot's root group; None if `message` is no such
    answer.

    The answer begins with a flag. Then follow, for each node, its id and the number of nodes inside it. A
    synth has -1 as this number, and the name of its synthdef after it.
    """
    if REPLIES.get(message.address) is not ReplyKind.TREE:
        return None
    args = list(message.args)[1:]
    if len(args) < 2 or not isinstance(args[0], int):
        return None
    slot, number = Origin.split(args[0])
    if number or not slot:
        return None
    tree, at = Tree(), 2
    open_groups = [(0, _whole(args[1]))]
    while open_groups and at + 1 < len(args):
        group, left = open_groups.pop()
        if not left:
            continue
        open_groups.append((group, left - 1))
        node, inside = Origin.split(_whole(args[at]))[1], _whole(args[at + 1])
        at += 2
        if inside == _GROUP_MARK:
            name = str(args[at]) if at < len(args) else ""
            payload, at = write.new_synth(name, node, TAIL, group), at + 1
            note = Meaning(payload).is_note
            tree.add(Node(node, payload, is_group=False, is_note=note), TAIL, group)
        else:
            tree.add(Node(node, write.new_group(node, TAIL, group)), TAIL, group)
            open_groups.append((node, inside))
    return slot, tree


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _is_settled(node: Node, now: int) -> bool:
    return node.due <= now - SETTLED
