"""Redo: repeats messages after a late group, FX or slot reset, if scsynth ran them too early.

Pure. A group that comes after its free would stay for ever. An FX that comes before its group is refused by
scsynth and would be missing. Both happen when one of the two messages was lost and had to be sent again.
Therefore, if a message comes late, the messages that belong behind it but have run already are repeated in
their order. Only messages about the nodes of the late message, or about nodes inside them, are repeated.

After a late slot reset, all messages that belong behind it are repeated. A node that was sent before its
slot's reset, but comes after it, is freed at once. A repeated message has an effect only if it ran in the
wrong order, because scsynth refuses to create existing nodes and to free missing ones. Bounds: KEPT events a
slot, for KEPT_FOR after their due; WORK_MAX late events and repeats of a slot in that time.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.playout.holdback_queue import Held
from bridge.scsynth.id_space import Origin
from bridge.scsynth.split_calls import apart
from relay.wire import write
from relay.wire.sequence import Flag, Kind, OrderKey, frees_at
from relay.wire.timetag import ticks

KEPT = 4096
KEPT_FOR = ticks(10.0)
WORK_MAX = 1_000
"""The most late events and repeats of one slot that are handled within KEPT_FOR. A run has some ten groups
and FX. The limit keeps a member from making others work by sending in a wrong order."""


@dataclass(frozen=True, slots=True, order=True)
class _Done:
    key: OrderKey
    seq: int
    message: bytes
    made: tuple[tuple[int, int], ...] = field(compare=False)
    """The nodes that the message creates, each as (node, its target). `about` holds the nodes that the
    message names. Both are in the sender's numbers."""
    about: frozenset[int] = field(compare=False)


@dataclass(slots=True)
class _Slot:
    done: list[_Done] = field(default_factory=list)
    """Messages that were handed over lately, in the order in which scsynth runs them."""
    reset: tuple[int, int] = (0, 0)
    """The newest slot reset that was handed over: (session instant at which it frees the nodes, seq)."""
    work: int = 0
    """How many late events were examined and messages repeated since `work_from` (session ticks)."""
    work_from: int = 0

    def may_work(self, now: int) -> bool:
        """Count one late event or one repeated message of the slot. Return False if that is more than
        WORK_MAX.

        now: session ticks.
        """
        if now > self.work_from + KEPT_FOR:
            self.work_from, self.work = now, 0
        self.work += 1
        return self.work <= WORK_MAX


class Redo:
    """The events other than notes that scsynth was handed lately, by slot: groups, FX, settings, frees."""

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}

    def forget(self) -> None:
        """Forget all events, because session time was set in one step or the relay's epoch changed."""
        self._slots.clear()

    def leave(self, slot: int) -> None:
        """Forget the events of a slot, because its owner is gone."""
        self._slots.pop(slot, None)

    def hand_over(self, held: Held, message: bytes, now: int, *, late: bool) -> list[list[bytes]]:
        """Return the bundles to hand over for an event, each a list of messages.

        The event's own message comes first, then the messages to repeat behind it. message: the event's
        message in scsynth's numbers. now: session ticks. late: whether it is too late for scsynth to run the
        event at its due.
        """
        bundles = apart(message)
        if held.sub or held.meaning.is_note:
            return bundles
        slot, one = self._slots.setdefault(held.slot, _Slot()), _done(held, message)
        # A timed event that was overtaken may still run at its own time, and then it is in its place.
        overtaken = Flag.OVERTAKEN in held.flags and (
            held.kind is not Kind.TIMED or Flag.RETIMED in held.flags
        )
        if (late or overtaken) and (one.made or held.kind is Kind.RESET) and slot.may_work(now):
            runs = max(frees_at(held.due, held.flags), now)
            for again in _behind(slot, held, one, runs=runs, overtaken=overtaken):
                if not slot.may_work(now):
                    break
                bundles += apart(again)
        if held.kind is Kind.RESET:
            slot.reset = max(slot.reset, (frees_at(held.due, held.flags), held.seq))
            slot.done = [earlier for earlier in slot.done if earlier.seq > held.seq]
            return bundles
        if slot.done and (len(slot.done) >= KEPT or slot.done[0].key[0] < now - KEPT_FOR):
            slot.done = [earlier for earlier in slot.done if earlier.key[0] >= now - KEPT_FOR][1 - KEPT :]
        insort(slot.done, one)
        return bundles


def _behind(slot: _Slot, held: Held, late: _Done, *, runs: int, overtaken: bool) -> Iterator[bytes]:
    """Yield the messages to repeat behind a late event.

    runs: the session instant at which scsynth runs the event, or at which a slot reset frees its nodes.
    overtaken: whether the relay judged a later event of the same sender first. If so, the sender's order
    decides which messages belong behind the event; otherwise the room's order decides.
    """
    freed_at, reset_seq = slot.reset
    if held.kind is not Kind.RESET and held.seq < reset_seq and freed_at <= runs:
        yield from (write.free_node(Origin(held.slot).node(node)) for node, _ in late.made)
        return
    nodes = {node for node, _ in late.made}
    for one in slot.done:
        if one.key[0] > runs or not (one.seq > late.seq if overtaken else one.key > late.key):
            continue
        inside = {node for node, target in one.made if target in nodes or node in nodes}
        if held.kind is Kind.RESET or inside or not nodes.isdisjoint(one.about):
            nodes |= inside
            yield one.message


def _done(held: Held, message: bytes) -> _Done:
    made = tuple((node, target) for node, _, target in held.meaning.creates)
    return _Done(held.key, held.seq, message, made, frozenset(held.meaning.names))
