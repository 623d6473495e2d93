"""Cancelled: finds events about nodes that were created and freed while the relay was away.

Pure. Nobody else needs these events. A player who opens an FX twice a second makes a hundred of them in ten
seconds. Without this module, every member would get such events of all other members at once when the relay
returns.
"""

from collections.abc import Callable, Iterable

from relay.wire.commands import MOVES
from relay.wire.meaning import Meaning
from relay.wire.sequence import Kind, Stamped

_INSIDE = (0, 1)
"""The add actions that put a node inside a group: at its head, at its tail."""


def bygone(events: Iterable[Stamped], is_over: Callable[[Stamped], bool]) -> set[int]:
    """Return the seqs (sender's numbers) of the events that concern only nodes which have been freed.

    events: unsent ones, in the sender's order. is_over: tells whether an event's due has passed on this host.
    A node counts as freed only by an event that is over. If any event moves a node, the result is empty.
    """
    known = [event for event in events if event.kind in (Kind.TIMED, Kind.UNTIMED)]
    if any(_is_moved(event.meaning) for event in known):
        return set()  # Sonic Pi never moves nodes, and a moved node's group isn't known
    over = [event.meaning for event in known if is_over(event)]
    made = {node for meaning in over for node, _, _ in meaning.creates}
    gone: set[int] = set()
    for meaning in over:
        if made.issuperset(meaning.frees):
            gone.update(meaning.frees)
    for event in known:  # a group is made before what is in it
        gone.update(
            node for node, action, target in event.meaning.creates if action in _INSIDE and target in gone
        )
    return {event.seq for event in known if _concerns_only(event.meaning, gone)}


def _is_moved(meaning: Meaning) -> bool:
    """Return whether a message puts a node anywhere but inside a group, or creates several nodes."""
    created = meaning.creates
    moves = meaning.act in MOVES or any(action not in _INSIDE for _, action, _ in created)
    return moves or len(created) > 1


def _concerns_only(meaning: Meaning, gone: set[int]) -> bool:
    nodes = [node for node, _, _ in meaning.creates] or meaning.names
    return bool(nodes) and gone.issuperset(nodes)
