"""Boot states: the foundations of the other members' Sonic Pis, and whether this host's scsynth has them.

Pure. Every part of a foundation goes into its member's store first, whether the relay reports it or it comes
as an event. It is built, in order, once the synthdefs are loaded and the member's channels known. Until then
it waits here, with later settings of it. After building scsynth is asked for each node by its number, since
`/fail` names none. If one is missing, because its group came after it, everything is built once more;
existing nodes are not affected. Nodes still missing are counted.

A foundation reported as of event N includes all events up to N, so none of these that found anything is
handed over again. A reset frees all nodes of its member. Parts that came after it, or were reported since,
are built again behind it. Bounds: those of a store for each slot; QUESTIONS_MAX questions at once.
"""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bridge.playout.holdback_queue import Held
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from relay.wire.commands import LOADS, Act
from relay.wire.errors import RemoteError
from relay.wire.foundation import BEFORE_ALL_NUMBERS, FoundationStore, Told, key_of
from relay.wire.meaning import Meaning
from relay.wire.sequence import Flag, Judged
from relay.wire.timetag import ticks

ASKED_AFTER = ticks(0.5)
"""Time from the due of a creation until scsynth is asked for the node; also the time until the question is
repeated."""
ASKED_TIMES = 3
"""Questions about a node. A node about which scsynth has said nothing by then counts as missing."""
QUESTIONS_MAX = 64
"""Questions at once, since scsynth answers them one by one."""


@dataclass(slots=True)
class _Question:
    slot: int
    at: int
    """The session instant of the next question."""
    again: bool
    """Whether the node was built a second time already."""
    times: int = 0


class Founded:
    """The foundations of the other members, by slot. `now` and dues are session ticks."""

    def __init__(self) -> None:
        self._stores: dict[int, FoundationStore] = {}
        self._told: dict[int, int] = {}
        """Slot -> the room's number as of which its foundation was last reported."""
        self._standing: set[int] = set()
        """Slots whose whole store has been handed to scsynth."""
        self._again: set[int] = set()
        """Slots whose store was, or will be, handed over a second time since their last reset."""
        self._questions: dict[int, _Question] = {}
        """By node, in scsynth's numbers."""

    def __len__(self) -> int:
        return sum(map(len, self._stores.values()))

    def learn(self, slot: int, told: Told, number: int) -> tuple[Told, int]:
        """Merge a foundation reported as of event `number`. Return its new part, and the number refused."""
        self._told[slot] = max(self._told.get(slot, BEFORE_ALL_NUMBERS), number)
        return self._store(slot).learn(told.messages, told.values, number)

    def is_told(self, event: Held | Judged) -> bool:
        """Return whether the reported foundation includes the event already."""
        return event.number is not None and event.number <= self._told.get(event.slot, BEFORE_ALL_NUMBERS)

    def load(self, event: Judged) -> bool:
        """Add a load event. Return whether to carry it out: no report has contained it."""
        if self.is_told(event):
            return False
        self._apply(event.slot, event.meaning, event.number, event.due)
        return True

    def is_handed_over(self, held: Held) -> bool:
        """Add an event that is about to be handed to scsynth. Return whether to hand it over now.

        False if it was reported already, or will be built with the rest.
        """
        store = self._stores.get(held.slot)
        founds = Flag.FOUNDATION in held.flags
        if store is None:
            if not founds:
                return True
            store = self._store(held.slot)
        try:
            if not store.concerns(held.kind, held.meaning, founds=founds):
                return True
        except RemoteError:  # remap raises the same error, which is then counted
            return True
        if self.is_told(held):
            return False
        self._apply(held.slot, held.meaning, _number(held), held.due)
        return held.slot in self._standing or held.meaning.act is Act.UNLOAD

    def reset(self, held: Held) -> Told:
        """Apply a reset that was handed over. Return the part to build behind it."""
        slot = held.slot
        self._questions = {node: one for node, one in self._questions.items() if one.slot != slot}
        self._again.discard(slot)
        store = self._stores.get(slot)
        if store is None:
            return Told([], [])
        store.clear(_number(held))
        return nodes_of(store.told()) if slot in self._standing else Told([], [])

    def rise(self, slots: Iterable[int]) -> list[tuple[int, Told]]:
        """Return (slot, foundation) of those of `slots` that can be built now and weren't yet."""
        risen = sorted(set(slots) - self._standing)
        self._standing.update(risen)
        return [(slot, nodes_of(self._stores[slot].told())) for slot in risen if slot in self._stores]

    def stands(self, slot: int) -> bool:
        """Return whether new parts of this slot's foundation can be handed over at once."""
        return slot in self._standing

    def enter_epoch(self) -> None:
        """Forget facts tied to the former epoch's numbers and instants. Nodes that exist stay."""
        self._told.clear()
        for store in self._stores.values():
            store.enter_epoch()

    # -- evidence ------------------------------------------------------------------------------------

    def ask(self, slot: int, nodes: Iterable[int], due: int) -> None:
        """Note that scsynth was handed the creation of these nodes (its own numbers) for the instant
        `due`."""
        for node in nodes:
            self._questions[node] = _Question(slot, due + ASKED_AFTER, slot in self._again)

    def ask_for(self, held: Held, origin: Origin, now: int) -> None:
        """Note that scsynth was handed an event that founds something. A late one is run at once."""
        nodes = [origin.node(node) for node, _, _ in held.meaning.creates]
        self.ask(held.slot, nodes, max(held.due, now))

    def questions(self, now: int) -> tuple[list[int], int]:
        """Return the nodes to ask scsynth for, and the number of nodes that it has stayed silent about."""
        asked = [node for node, one in self._questions.items() if one.at <= now][:QUESTIONS_MAX]
        silent = [node for node in asked if self._questions[node].times == ASKED_TIMES]
        for node in silent:
            del self._questions[node]
        nodes = [node for node in asked if node in self._questions]
        for node in nodes:
            self._questions[node].times += 1
            self._questions[node].at = now + ASKED_AFTER
        return nodes, len(silent)

    def next_question(self) -> int | None:
        """Return the session instant of the next question; None if there is none."""
        return min((one.at for one in self._questions.values()), default=None)

    def is_missing(self, node: int, *, there: bool) -> bool:
        """Process scsynth's answer on a node. Return whether a founded node is missing for good."""
        question = self._questions.pop(node, None)
        if question is None or there or question.again:
            return question is not None and not there
        self._again.add(question.slot)
        self._standing.discard(question.slot)
        return False

    # ------------------------------------------------------------------------------------------------

    def _store(self, slot: int) -> FoundationStore:
        return self._stores.setdefault(slot, FoundationStore())

    def _apply(self, slot: int, meaning: Meaning, number: int, due: int) -> None:
        with contextlib.suppress(RemoteError):  # the relay counts it, with its sender
            self._store(slot).apply(meaning, number=number, due=due)


def nodes_of(told: Told) -> Told:
    """Return the foundation without its loads, which depend on nothing and are done at once."""
    return Told([one for one in told.messages if Meaning(one).act not in LOADS], told.values)


def loads_of(told: Told) -> list[Meaning]:
    """Return the loads of a foundation."""
    return [one for one in map(Meaning, told.messages) if one.act in LOADS]


@dataclass(slots=True)
class Erection:
    """The part of a foundation to hand to scsynth: (due, messages for that instant), None for at once."""

    steps: list[tuple[int | None, list[bytes]]] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    """The nodes that it creates, in scsynth's numbers."""
    refused: list[RemoteError] = field(default_factory=list)


def erect(
    told: Told, origin: Origin, check: Callable[[Meaning, int], None], *, now: int, after: int | None
) -> Erection:
    """Return the steps that bring a member's nodes and values into scsynth.

    check: that of the slot's guard. now: session ticks. after: not before this instant, since a reset is to
    come; None: at once. A node and its settings go together, so that it starts with its values and doesn't
    slide to them. Settings due later are applied at their due.
    """
    found = Erection()
    at = now if after is None else after
    creations = _guarded([(0, Meaning(one)) for one in told.messages], check, at, found.refused)
    set_since = _guarded([(due, Meaning(one)) for due, one in told.values], check, at, found.refused)
    values: dict[int, list[tuple[int, bytes]]] = {}
    for due, meaning in set_since:
        try:
            node = int(meaning.message.arg(0))
            values.setdefault(node, []).append((due, remap(meaning.message, origin)))
        except RemoteError as error:
            found.refused.append(error)
    for _, meaning in creations:
        _, node = key_of(meaning)
        settings = values.pop(node, [])
        try:
            creation = remap(meaning.message, origin)
        except RemoteError as error:
            found.refused.append(error)
            continue
        found.steps.append((after, [creation, *(body for due, body in settings if due <= at)]))
        found.nodes.append(origin.node(node))
        values[node] = [(due, body) for due, body in settings if due > at]
    for settings in values.values():
        found.steps += [(after if due <= at else due, [body]) for due, body in settings]
    return found


def _guarded(
    dated: list[tuple[int, Meaning]],
    check: Callable[[Meaning, int], None],
    at: int,
    refused: list[RemoteError],
) -> list[tuple[int, Meaning]]:
    """Return the (due, message) pairs that the guard accepts. Errors about the rest go into `refused`."""
    passed = []
    for due, meaning in dated:
        try:
            check(meaning, max(at, due))
            passed.append((due, meaning))
        except RemoteError as error:
            refused.append(error)
    return passed


def _number(held: Held) -> int:
    return BEFORE_ALL_NUMBERS if held.number is None else held.number
