"""Boot states: the foundations of the other members' Sonic Pis, and whether this host's scsynth has them.

Pure. A member's foundation is what its Sonic Pi makes at its start and never frees. Each part of it goes into
the member's store first, whether the relay reports the part or it comes as an event. The foundation is built,
in order, once the synthdefs are loaded and the roster has named the member's channels. Until then it waits in
the store, together with later settings of its nodes.

After building, scsynth is asked about each node by number, because scsynth's `/fail` names no node. If a node
is missing, because its group came after it, the whole foundation is built once more. Nodes that exist are not
affected by that. Nodes that are still missing then are counted.

A foundation reported as of event N includes all events up to N. So no event up to N that is part of it is
handed over again. A slot reset frees all nodes of its member. Parts of the foundation that came after the
reset, or were reported since, are built again behind it. Bounds: those of a store for each slot;
QUESTIONS_MAX questions at one time.
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
"""Time (ticks) from the due of a node's creation until scsynth is asked about the node. The question is
repeated after the same time."""
ASKED_TIMES = 3
"""How often scsynth is asked about one node. If it has not answered by then, the node counts as missing."""
QUESTIONS_MAX = 64
"""Most nodes asked about at one time, because scsynth answers questions one by one."""


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
        """Slot -> room number N: the foundation last reported for the slot includes all events up to N."""
        self._standing: set[int] = set()
        """Slots whose whole store has been handed to scsynth."""
        self._again: set[int] = set()
        """Slots whose store was, or will be, handed over a second time since their last reset."""
        self._questions: dict[int, _Question] = {}
        """Node, in scsynth's numbers -> the open question about it."""

    def __len__(self) -> int:
        return sum(map(len, self._stores.values()))

    def learn(self, slot: int, told: Told, number: int) -> tuple[Told, int]:
        """Merge a foundation that was reported as of event `number`.

        Return two things: the part of it that is new here, and how many of its messages were refused.
        """
        self._told[slot] = max(self._told.get(slot, BEFORE_ALL_NUMBERS), number)
        return self._store(slot).learn(told.messages, told.values, number)

    def is_told(self, event: Held | Judged) -> bool:
        """Return whether the reported foundation includes the event already."""
        return event.number is not None and event.number <= self._told.get(event.slot, BEFORE_ALL_NUMBERS)

    def load(self, event: Judged) -> bool:
        """Add an event that loads a buffer. Return whether to carry it out: not if a report contained it
        already."""
        if self.is_told(event):
            return False
        self._apply(event.slot, event.meaning, event.number, event.due)
        return True

    def is_handed_over(self, held: Held) -> bool:
        """Add an event that is about to be handed to scsynth, if it concerns the foundation of its member.

        Return whether to hand it over now. False if the event was reported already, or will be built with the
        rest of the foundation.
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
        """Apply a slot reset that was handed over. Return the part of the foundation to build again behind
        it."""
        slot = held.slot
        self._questions = {node: one for node, one in self._questions.items() if one.slot != slot}
        self._again.discard(slot)
        store = self._stores.get(slot)
        if store is None:
            return Told([], [])
        store.clear(_number(held))
        return nodes_of(store.told()) if slot in self._standing else Told([], [])

    def rise(self, slots: Iterable[int]) -> list[tuple[int, Told]]:
        """Return the foundations to build now, each as (slot, foundation). They count as built from now on.

        slots: those whose members' channels are known. Foundations built before are left out.
        """
        risen = sorted(set(slots) - self._standing)
        self._standing.update(risen)
        return [(slot, nodes_of(self._stores[slot].told())) for slot in risen if slot in self._stores]

    def stands(self, slot: int) -> bool:
        """Return whether this slot's foundation was built, so that new parts of it can be handed over at
        once."""
        return slot in self._standing

    def enter_epoch(self) -> None:
        """Forget facts tied to the former epoch's numbers and instants. Nodes that exist stay."""
        self._told.clear()
        for store in self._stores.values():
            store.enter_epoch()

    # -- evidence ------------------------------------------------------------------------------------

    def ask(self, slot: int, nodes: Iterable[int], due: int) -> None:
        """Note that scsynth was told to create these nodes (in its own numbers) at the session instant
        `due`."""
        for node in nodes:
            self._questions[node] = _Question(slot, due + ASKED_AFTER, slot in self._again)

    def ask_for(self, held: Held, origin: Origin, now: int) -> None:
        """Note that scsynth was handed an event that creates nodes of a foundation. It runs a late one at
        `now`."""
        nodes = [origin.node(node) for node, _, _ in held.meaning.creates]
        self.ask(held.slot, nodes, max(held.due, now))

    def questions(self, now: int) -> tuple[list[int], int]:
        """Return two things: the nodes to ask scsynth about now, and how many nodes are given up as missing.

        A node is given up if scsynth has not answered about it ASKED_TIMES times.
        """
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
        """Process scsynth's answer about a node. Return whether a node of a foundation is missing for good.

        there: whether the node exists. If it is missing for the first time, the foundation will be built once
        more.
        """
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
    """Return the foundation without its loads, which depend on nothing and are carried out as soon as they
    come."""
    return Told([one for one in told.messages if Meaning(one).act not in LOADS], told.values)


def loads_of(told: Told) -> list[Meaning]:
    """Return the loads of a foundation."""
    return [one for one in map(Meaning, told.messages) if one.act in LOADS]


@dataclass(slots=True)
class Erection:
    """The messages that build a part of a foundation.

    steps: pairs of a due (session ticks; None: at once) and the messages that scsynth runs together then.
    refused: the errors about messages that are left out.
    """

    steps: list[tuple[int | None, list[bytes]]] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    """The nodes that it creates, in scsynth's numbers."""
    refused: list[RemoteError] = field(default_factory=list)


def erect(
    told: Told, origin: Origin, check: Callable[[Meaning, int], None], *, now: int, after: int | None
) -> Erection:
    """Return the steps that bring a member's nodes and values into scsynth.

    check: the check of the slot's guard; it takes a message and its due, and raises RemoteError. now, after:
    session ticks. after: no node is made before this instant, because a slot reset is still to come; None: at
    once.

    A node and its settings go together, so that it starts with its values and doesn't slide to them. Settings
    that are due later are applied at their due.
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
    """Return the (due, message) pairs that the guard accepts. Errors about the rest go into `refused`.

    at: no message is run before this session instant.
    """
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
