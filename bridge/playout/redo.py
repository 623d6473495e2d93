"""Redo: repeats messages that scsynth ran too early, before a late group, FX or reset that they follow.

Pure. A group that comes after its free would stay for ever. An FX that comes before its group is refused by
scsynth and would be missing. Both happen when one of the two messages was lost and had to be sent again.
Therefore some messages are repeated behind the late one, in the order in which they ran. These were sent
after it, have run already, and concern its nodes or nodes made inside them.

Behind a late slot reset everything begun since is repeated. A node that was sent before its slot's reset, but
comes after it, is freed at once. scsynth refuses to make existing nodes and to free missing ones, so a
repeated message has an effect only if it ran in the wrong order. Bounds: KEPT events a slot, for KEPT_FOR
after their due; WORK_MAX late events and repeats of a slot in that time.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.playout.holdback_queue import Held
from bridge.scsynth.id_space import Origin
from bridge.scsynth.split_calls import apart
from relay.wire import write
from relay.wire.sequence import Flag, Kind, OrderKey
from relay.wire.timetag import ticks

KEPT = 4096
KEPT_FOR = ticks(10.0)
WORK_MAX = 1_000
"""Late events and repeats of one slot that are handled within KEPT_FOR. A run has some ten groups and FX. The
limit keeps a member from making others work by sending in a wrong order."""


@dataclass(frozen=True, slots=True, order=True)
class _Done:
    key: OrderKey
    seq: int
    message: bytes
    made: tuple[tuple[int, int], ...] = field(compare=False)
    """The nodes that the message makes, each as (node, its target). `about` holds the nodes that it names.
    Both are in the sender's numbers."""
    about: frozenset[int] = field(compare=False)


@dataclass(slots=True)
class _Slot:
    done: list[_Done] = field(default_factory=list)
    """Messages handed over lately, in the order in which scsynth runs them."""
    reset: tuple[int, int] = (0, 0)
    """The newest reset that was handed over: (due, seq)."""
    work: int = 0
    """Number of late events and repeats since `work_from`."""
    work_from: int = 0

    def may_work(self, now: int) -> bool:
        """Return whether one more late event may be examined, or one more message repeated."""
        if now > self.work_from + KEPT_FOR:
            self.work_from, self.work = now, 0
        self.work += 1
        return self.work <= WORK_MAX


class Redo:
    """The groups, FX and settings that scsynth was handed lately, by slot."""

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}

    def forget(self) -> None:
        """Forget everything: the clock was set, or the relay is another one."""
        self._slots.clear()

    def hand_over(self, held: Held, message: bytes, now: int, *, late: bool) -> list[list[bytes]]:
        """Return the bundles to hand over for an event, each a list of messages.

        Its own message comes first, then those to repeat behind it. message: in scsynth's numbers. now:
        session ticks. late: scsynth can't run the event at its due any more.
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
            for again in _behind(slot, held, one, runs=max(held.due, now), overtaken=overtaken):
                if not slot.may_work(now):
                    break
                bundles += apart(again)
        if held.kind is Kind.RESET:
            slot.reset = max(slot.reset, (held.due, held.seq))
            slot.done = [earlier for earlier in slot.done if earlier.seq > held.seq]
            return bundles
        if slot.done and (len(slot.done) >= KEPT or slot.done[0].key[0] < now - KEPT_FOR):
            slot.done = [earlier for earlier in slot.done if earlier.key[0] >= now - KEPT_FOR][1 - KEPT :]
        insort(slot.done, one)
        return bundles


def _behind(slot: _Slot, held: Held, late: _Done, *, runs: int, overtaken: bool) -> Iterator[bytes]:
    """Yield the messages to repeat behind a late event.

    runs: the session instant at which scsynth runs it. overtaken: a later event of its sender was judged
    first. Then the sender's order tells which messages belong behind it, otherwise the room's order does.
    """
    reset_due, reset_seq = slot.reset
    if held.kind is not Kind.RESET and held.seq < reset_seq and reset_due <= runs:
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
