"""Founded: what the other members' Sonic Pis built before the music, and whether this host's scsynth has it.

Pure. Whatever is founded goes into a member's store first, told by the relay or as an event of the room. It
is built, in its order, once it can stand: the synthdefs are loaded, the member's channels known. Until then
it waits here, and so does what is set on it meanwhile. Then scsynth is asked for each node by its number,
since `/fail` names none. Where one is missing (its group came after it) all is built once more, of which what
is there takes no notice; what is missing still is counted.

What was told as of event N holds all that came up to N: of those events nothing founded is handed over again.
A reset frees whatever its member has; what came after it, or was told since, is built again behind it.
Bounds: those of a store for each slot; QUESTIONS_MAX questions at once.
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
"""After it was due; and so much later again, should the answer be lost."""
ASKED_TIMES = 3
"""What scsynth then hasn't said a word of counts as missing."""
QUESTIONS_MAX = 64
"""At once: they are answered one by one."""


@dataclass(slots=True)
class _Question:
    slot: int
    at: int
    """When it is asked next."""
    again: bool
    """It was built once more already."""
    times: int = 0


class Founded:
    """The foundations of the other members, by slot; `now` and dues are session instants."""

    def __init__(self) -> None:
        self._stores: dict[int, FoundationStore] = {}
        self._told: dict[int, int] = {}
        """Slot -> number of the room as of which it was told last."""
        self._standing: set[int] = set()
        """Slots whose whole store has been handed to scsynth."""
        self._again: set[int] = set()
        """Slots whose store has been, or is to be, handed over once more since their last reset."""
        self._questions: dict[int, _Question] = {}
        """By node, in scsynth's numbers."""

    def __len__(self) -> int:
        return sum(map(len, self._stores.values()))

    def learn(self, slot: int, told: Told, number: int) -> tuple[Told, int]:
        """Take in what the relay tells as of event `number`; return what is new, and how much was refused."""
        self._told[slot] = max(self._told.get(slot, BEFORE_ALL_NUMBERS), number)
        return self._store(slot).learn(told.messages, told.values, number)

    def is_told(self, event: Held | Judged) -> bool:
        """Tell whether what was told holds the event already."""
        return event.number is not None and event.number <= self._told.get(event.slot, BEFORE_ALL_NUMBERS)

    def load(self, event: Judged) -> bool:
        """Take in a load; return whether it is to be done, since nobody has told of it."""
        if self.is_told(event):
            return False
        self._apply(event.slot, event.meaning, event.number, event.due)
        return True

    def is_handed_over(self, held: Held) -> bool:
        """Take in an event that scsynth is about to be handed; return whether it is to be handed over now.

        If not, it is told already, or will be built with the rest.
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
        except RemoteError:  # remap will say the same, and count it
            return True
        if self.is_told(held):
            return False
        self._apply(held.slot, held.meaning, _number(held), held.due)
        return held.slot in self._standing or held.meaning.act is Act.UNLOAD

    def reset(self, held: Held) -> Told:
        """Take in a reset that was handed over; return what is to be built behind it."""
        slot = held.slot
        self._questions = {node: one for node, one in self._questions.items() if one.slot != slot}
        self._again.discard(slot)
        store = self._stores.get(slot)
        if store is None:
            return Told([], [])
        store.clear(_number(held))
        return nodes_of(store.told()) if slot in self._standing else Told([], [])

    def rise(self, slots: Iterable[int]) -> list[tuple[int, Told]]:
        """Return (slot, its foundation) of those of `slots`, which can stand now, that didn't yet."""
        risen = sorted(set(slots) - self._standing)
        self._standing.update(risen)
        return [(slot, nodes_of(self._stores[slot].told())) for slot in risen if slot in self._stores]

    def stands(self, slot: int) -> bool:
        """Tell whether what is new of this slot can be handed over as it comes."""
        return slot in self._standing

    def enter_epoch(self) -> None:
        """Forget what only the former epoch's numbers and instants gave a meaning; what stands, stands."""
        self._told.clear()
        for store in self._stores.values():
            store.enter_epoch()

    # -- evidence ------------------------------------------------------------------------------------

    def ask(self, slot: int, nodes: Iterable[int], due: int) -> None:
        """Note that scsynth was handed the creation of these nodes (its own numbers) for that instant."""
        for node in nodes:
            self._questions[node] = _Question(slot, due + ASKED_AFTER, slot in self._again)

    def ask_for(self, held: Held, origin: Origin, now: int) -> None:
        """Note that scsynth was handed an event that founds something; a late one is run at once."""
        nodes = [origin.node(node) for node, _, _ in held.meaning.creates]
        self.ask(held.slot, nodes, max(held.due, now))

    def questions(self, now: int) -> tuple[list[int], int]:
        """Return the nodes that scsynth is to be asked for, and how many it keeps silent about."""
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
        """Return when there are questions."""
        return min((one.at for one in self._questions.values()), default=None)

    def is_missing(self, node: int, *, there: bool) -> bool:
        """Take in scsynth's answer; return whether a founded node is missing for good."""
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
    """Return it without the loads: they depend on nothing, and are done as they come."""
    return Told([one for one in told.messages if Meaning(one).act not in LOADS], told.values)


def loads_of(told: Told) -> list[Meaning]:
    """Return the loads of what was told."""
    return [one for one in map(Meaning, told.messages) if one.act in LOADS]


@dataclass(slots=True)
class Erection:
    """What of a foundation is handed to scsynth: (due, messages for that instant), None for at once."""

    steps: list[tuple[int | None, list[bytes]]] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    """Those that it creates, in scsynth's numbers."""
    refused: list[RemoteError] = field(default_factory=list)


def erect(
    told: Told, origin: Origin, check: Callable[[Meaning, int], None], *, now: int, after: int | None
) -> Erection:
    """Return how nodes and values of a member come into scsynth.

    check: of its slot's guard. after: not before this instant, since a reset is to come; None: at once. A
    node and what was set on it go together, so that it has its values from its first block on and slides to
    none of them; what is due later is set when it is due.
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
    """Return what of (due, message) the guard lets pass; the rest goes into `refused`."""
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
