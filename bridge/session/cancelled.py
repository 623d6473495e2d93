"""Bygone: what was made and freed again while the relay was away, so that nobody needs to hear of it.

Pure. A player who opens an FX twice a second leaves a hundred such messages in ten seconds; at the relay's
return every member would be given those of all the others at once, for nothing.
"""

from collections.abc import Callable, Iterable

from bridge.scsynth.arguments import created_nodes, referenced_nodes
from relay.wire.osc import Message, single_message
from relay.wire.sequence import Kind, Stamped

_INSIDE = (0, 1)
"""The add actions that put a node into a group: at its head, at its tail."""
_MOVES = frozenset({"/n_order", "/n_before", "/n_after", "/g_head", "/g_tail"})


def bygone(events: Iterable[Stamped], is_over: Callable[[Stamped], bool]) -> set[int]:
    """Return the numbers of those events that act on nothing but what one of them, over by now, has freed.

    events: in the sender's order, none of which anybody has been told. is_over: whether it has been due here.
    """
    messages = {
        event.seq: (event, single_message(event.payload))
        for event in events
        if event.kind in (Kind.TIMED, Kind.UNTIMED)
    }
    if any(_is_moved(message) for _, message in messages.values()):
        return set()  # Sonic Pi never does that, and where a node lives then is another question
    made = {
        node
        for event, message in messages.values()
        if is_over(event)
        for node, _, _ in created_nodes(message)
    }
    gone: set[int] = set()
    for event, message in messages.values():
        if message.address == "/n_free" and is_over(event) and made.issuperset(referenced_nodes(message)):
            gone.update(referenced_nodes(message))
    for _, message in messages.values():  # a group is made before what is in it
        gone.update(
            node for node, action, target in created_nodes(message) if action in _INSIDE and target in gone
        )
    return {seq for seq, (_, message) in messages.items() if _concerns_only(message, gone)}


def _is_moved(message: Message) -> bool:
    """Tell whether a node is put elsewhere than into the group that is named, or several are made at once."""
    created = created_nodes(message)
    moves = message.address in _MOVES or any(action not in _INSIDE for _, action, _ in created)
    return moves or len(created) > 1


def _concerns_only(message: Message, gone: set[int]) -> bool:
    nodes = [node for node, _, _ in created_nodes(message)] or referenced_nodes(message)
    return bool(nodes) and gone.issuperset(nodes)
