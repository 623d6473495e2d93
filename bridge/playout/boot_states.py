"""Boot states: what the other members' Sonic Pis make at their start, and whether this host's scsynth has it.

Pure. A boot state, in the code also called foundation, holds the groups, mixer and buffers that a Sonic Pi
makes at its start and never frees. It also holds the latest values of these nodes. Each part goes into the
member's store first, whether the relay reports the part or it comes as an event. The nodes are built, in
order, once the synthdefs are loaded and the roster has named the member's channels.

After building, scsynth is asked about each node by number, because its `/fail` names no node. If a node is
missing, the whole boot state is built once more. Nodes that exist are not affected by that. Nodes that are
still missing then are counted.

A boot state reported as of event N includes all events up to N. Its events up to N are therefore not handed
over again. A slot reset frees all nodes of its member. Parts of the boot state that are newer than the reset
are then built again. Bounds: those of a store for each slot; QUESTIONS_MAX questions at one time.
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
"""Time (ticks) from the due of a node's creation until scsynth is asked about the node, and then from each
question to the next."""
ASKED_TIMES = 3
"""How often scsynth is asked about one node. If it never answers, the node counts as missing."""
QUESTIONS_MAX = 64
"""Most nodes asked about at one time. It is limited because scsynth answers questions one by one."""


@dataclass(slots=True)
class _Question:
    slot: int
    at: int
    """The session instant (ticks) of the next question."""
    again: bool
    """Whether the node was built for the second time."""
    times: int = 0


class Founded:
    """The boot states of the other members, by slot. `now` and dues are session ticks."""

    def __init__(self) -> None:
        self._stores: dict[int, FoundationStore] = {}
        self._told: dict[int, int] = {}
        """Slot -> room number of the last event that the boot state reported for the slot includes."""
        self._standing: set[int] = set()
        """Slots whose whole boot state has been handed to scsynth."""
        self._again: set[int] = set()
        """Slots whose boot state was, or will be, built a second time since their last reset."""
        self._questions: dict[int, _Question] = {}
        """Node, in scsynth's numbers -> the open question about it."""

    def __len__(self) -> int:
        return sum(map(len, self._stores.values()))

    def learn(self, slot: int, told: Told, number: int) -> tuple[Told, int]:
        """Merge a boot state that the relay reported as of room event `number`.

        Return (the parts that are new here, the number of messages that were refused).
        """
        self._told[slot] = max(self._told.get(slot, BEFORE_ALL_NUMBERS), number)
        return self._store(slot).learn(told.messages, told.values, number)

    def is_told(self, event: Held | Judged) -> bool:
        """Return whether the boot state that the relay reported already includes the event."""
        return event.number is not None and event.number <= self._told.get(event.slot, BEFORE_ALL_NUMBERS)

    def load(self, event: Judged) -> bool:
        """Add an event that loads a buffer. Return whether to load the buffer now: False if the relay's
        report included the event."""
        if self.is_told(event):
            return False
        self._apply(event.slot, event.meaning, event.number, event.due)
        return True

    def is_handed_over(self, held: Held) -> bool:
        """Add an event to its member's boot state, if it belongs there. Return whether to hand the event over
        now.

        False has one of two reasons: the relay's report included the event, or the event will be built later
        with the rest of the boot state.
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
        """Apply a slot reset that was handed over. Return the part of the boot state to build again after the
        reset."""
        slot = held.slot
        self._questions = {node: one for node, one in self._questions.items() if one.slot != slot}
        self._again.discard(slot)
        store = self._stores.get(slot)
        if store is None:
            return Told([], [])
        store.clear(_number(held))
        return nodes_of(store.told()) if slot in self._standing else Told([], [])

    def rise(self, slots: Iterable[int]) -> list[tuple[int, Told]]:
        """Return the boot states to build now, each as (slot, boot state), and mark them as built.

        slots: those whose members' channels are known. Boot states that were built before are left out.
        """
        risen = sorted(set(slots) - self._standing)
        self._standing.update(risen)
        return [(slot, nodes_of(self._stores[slot].told())) for slot in risen if slot in self._stores]

    def stands(self, slot: int) -> bool:
        """Return whether the boot state of a slot is built. New parts of it can then be handed over at
        once."""
        return slot in self._standing

    def forget(self, slot: int) -> None:
        """Forget everything about a slot, because its owner is gone."""
        self._questions = {node: one for node, one in self._questions.items() if one.slot != slot}
        self._stores.pop(slot, None)
        self._told.pop(slot, None)
        self._standing.discard(slot)
        self._again.discard(slot)

    def enter_epoch(self) -> None:
        """Forget the room numbers and instants of the relay's former epoch. Nodes that exist stay."""
        self._told.clear()
        for store in self._stores.values():
            store.enter_epoch()

    # -- evidence ------------------------------------------------------------------------------------

    def ask(self, slot: int, nodes: Iterable[int], due: int) -> None:
        """Plan to ask scsynth whether these nodes exist.

        nodes: in scsynth's numbers. due: the session instant at which scsynth creates them.
        """
        for node in nodes:
            self._questions[node] = _Question(slot, due + ASKED_AFTER, slot in self._again)

    def ask_for(self, held: Held, origin: Origin, now: int) -> None:
        """Plan to ask scsynth whether the nodes exist that an event of a boot state creates.

        origin: translates the sender's node numbers. now: scsynth creates the nodes now if the event is late.
        """
        nodes = [origin.node(node) for node, _, _ in held.meaning.creates]
        self.ask(held.slot, nodes, max(held.due, now))

    def questions(self, now: int) -> tuple[list[int], int]:
        """Return (the nodes to ask scsynth about now, the number of nodes that are given up as missing).

        A node is given up after ASKED_TIMES questions without an answer.
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
        """Return the session instant of the next question to scsynth; None if none is planned."""
        return min((one.at for one in self._questions.values()), default=None)

    def is_missing(self, node: int, *, there: bool) -> bool:
        """Process scsynth's answer about a node. Return whether the node is missing for good.

        there: whether the node exists. The first time that a node is missing, its whole boot state will be
        built once more, and the result is False.
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
    """Return a boot state without its buffer loads, which are carried out as soon as they come."""
    return Told([one for one in told.messages if Meaning(one).act not in LOADS], told.values)


def loads_of(told: Told) -> list[Meaning]:
    """Return the buffer loads of a boot state."""
    return [one for one in map(Meaning, told.messages) if one.act in LOADS]


@dataclass(slots=True)
class Erection:
    """The messages that build a part of a boot state.

    steps: pairs (due, messages). scsynth runs the messages of a pair together at the due (session ticks), or
    at once if the due is None. refused: the errors about messages that are left out.
    """

    steps: list[tuple[int | None, list[bytes]]] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    """The nodes that the messages create, in scsynth's numbers."""
    refused: list[RemoteError] = field(default_factory=list)


def erect(
    told: Told, origin: Origin, check: Callable[[Meaning, int], None], *, now: int, after: int | None
) -> Erection:
    """Return the steps that create a member's nodes in scsynth and set their values.

    check: raises RemoteError if the guard refuses a message at its due. now: session ticks. after: the
    session instant before which no node may be created, because a slot reset is still to come; None: create
    at once.

    A node is created together with its settings, so that it starts with its values and doesn't slide to them.
    Settings that are due later are applied at their due.
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
    """Return the (due, message) pairs that the guard accepts. Append the errors about the rest to `refused`.

    at: the session instant before which no message is run.
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
