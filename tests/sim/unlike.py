"""Finds the events of a virtual jam that differ between members, by what each scsynth was handed.

Pure; uses no figure of a bridge or the relay. An event is one bundle about nodes of a slot. It is identified
by its first message; among equal messages the first at one member corresponds to the first at another. An
event is alike if every member got it once, in time, at the same instant and in the same order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from laboratory.runs.tallying import Handed
from laboratory.virtual.host import NEED_S, Member
from laboratory.virtual.synthtree import executed_ns
from rehearsal.proof.matching import not_in_order

from bridge.scsynth.id_space import NODE_BITS
from relay.wire.osc import Message, single_message

NEED_NS = round(NEED_S * 1e9)
BOOTED_NS = 300_000_000
"""Time (ns) before the music in which nobody boots. Members that boot one after the other have been handed
different numbers of resets."""
EDGE_NS = 1_000_000
"""Margin (ns) of doubt: of an event this near to scsynth's last moment nobody can tell if it was late.

A bridge judges by its own idea of session time, which can't be seen from outside.
"""
APART_NS = 5_000_000
"""A difference (ns) between two members' instants of an event that their clocks don't explain."""
MAYBE_APART_NS = 500_000

Key = tuple[bytes, int]
"""A message and how many equal ones came before it."""


@dataclass(frozen=True, slots=True)
class Unlike:
    """Events that differ between the members.

    certain: they surely differ. doubtful: they may differ, by less than can be seen from outside.
    """

    certain: frozenset[Key]
    doubtful: frozenset[Key]

    def allows(self, count: int) -> bool:
        """Return whether `count` can be the number of events that differed."""
        return len(self.certain) <= count <= len(self.certain) + len(self.doubtful)

    def __str__(self) -> str:
        names = Counter(single_message(message).address for message, _ in self.certain)
        return f"{len(self.certain)} to {len(self.certain) + len(self.doubtful)} unlike: {dict(names)}"


def unlike(members: Sequence[Member], *, from_ns: int = 0) -> Unlike:
    """Return the events that differ between members, without those executed anywhere before `from_ns`.

    from_ns: true time.
    """
    held = [_by_key(member, from_ns - BOOTED_NS) for member in members]
    # What its own player got once and another twice was only said again, to put something in order.
    sent = [{key for key in one if slot_of(single_message(key[0])) == at} for at, one in enumerate(held, 1)]
    keys = set[Key]().union(*sent)
    early = {key for one in held for key, got in one.items() if executed_ns(got) < from_ns}
    certain, doubtful = set[Key](), set[Key]()
    for key in keys - early:
        copies = [one[key] for one in held if key in one]
        margins = [(got.timetag_ns or got.at_ns) - got.at_ns - NEED_NS for got in copies]
        instants = [executed_ns(got) for got in copies]
        apart = max(instants) - min(instants)
        if len(copies) < len(members) or min(margins) < -EDGE_NS or apart > APART_NS:
            certain.add(key)
        elif min(margins) < EDGE_NS or apart > MAYBE_APART_NS:
            doubtful.add(key)
    certain |= _swapped(held, keys - early - certain - doubtful)
    return Unlike(frozenset(certain), frozenset(doubtful))


def _by_key(member: Member, from_ns: int) -> dict[Key, Handed]:
    seen, found = Counter[bytes](), dict[Key, Handed]()
    for one in member.handed:
        if executed_ns(one) < from_ns:
            continue
        if one.timetag_ns is not None and not one.follows and slot_of(single_message(one.message)):
            found[one.message, seen[one.message]] = one
            seen[one.message] += 1
    return found


def _swapped(held: list[dict[Key, Handed]], keys: set[Key]) -> set[Key]:
    """Return the fewest keys to leave out so that all members have the same order. Each member has all
    `keys`."""
    orders = [_order(one, keys) for one in held]
    rank = {key: at for at, key in enumerate(orders[0])}
    return {orders[0][at] for order in orders[1:] for at in not_in_order([rank[key] for key in order])}


def _order(one: dict[Key, Handed], keys: set[Key]) -> list[Key]:
    """Return the keys in the order in which scsynth executes them, provided that none is late."""
    mine = [(got.timetag, at, key) for at, (key, got) in enumerate(one.items()) if key in keys]
    return [key for _, _, key in sorted(mine)]


def slot_of(message: Message) -> int:
    """Return the slot of the node that a message is about.

    0 if the node is this host's alone, or if the message is about no node.
    """
    if not message.address.startswith(("/s_", "/n_", "/g_", "/p_")) or not message.tags:
        return 0
    at = {"/s_new": 1, "/n_order": 2}.get(message.address, 0)
    node = message.arg(at)
    return node >> NODE_BITS if isinstance(node, int) else 0
