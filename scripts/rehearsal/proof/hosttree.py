"""The host's own part of a scsynth's node tree: a root group and a mixer strip for each slot, in slot order.

Pure. The host is one member's machine. Its bridge builds this part in an order that depends on who joined
first. Only the resulting tree counts, so `check` compares that tree with the expected one. `canonical` builds
the same tree in one fixed order for a render. It adds a tap for each slot, which copies the slot's own sound
(its stem) to output channels of its own.
"""

from collections.abc import Iterable, Sequence

from rehearsal.proof.same import BUSES_EACH, HARDWARE_BUSES, root_of
from rehearsal.proof.slots import SLOT_BITS, node_of
from rehearsal.rigs.nodes import TAIL, Nodes, NoSuchPlace
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import RecordedMessage

JAM, STRIPS, TAPS = 1, 2, 3
FIRST_STRIP = 64
FIRST_TAP = 128
STRIP_SYNTHDEF = "sonic-pi-basic_mixer"
HOST_NODES = frozenset({JAM, STRIPS, *range(FIRST_STRIP + 1, FIRST_STRIP + 32)})


class HostTreeError(ValueError):
    """The host's groups and strips aren't those of the room's slots. The text names the difference."""


def is_root_group(message: RecordedMessage) -> bool:
    """Tell whether a message creates a slot's root group. Only bridges send such messages. They have no
    timetag."""
    node = node_of(message)
    return (
        message.address == "/g_new"
        and message.timetag is None
        and node is not None
        and node >> SLOT_BITS > 0
        and node % (1 << SLOT_BITS) == 0
    )


def is_host_message(message: RecordedMessage) -> bool:
    """Tell whether a message creates or frees a node of the host's own part of the tree."""
    node = node_of(message)
    if message.timetag is not None or node is None:
        return False
    if message.address == "/n_free":  # the root group and the strip of a member who has left
        return node in HOST_NODES or node % (1 << SLOT_BITS) == 0
    own = message.address in ("/g_new", "/s_new") and node in HOST_NODES
    return own or is_root_group(message)


def check(
    messages: Iterable[RecordedMessage], slots: Iterable[int], needed: Iterable[int] | None = None
) -> None:
    """Build the node tree that `messages` create, and raise HostTreeError if it isn't the tree of `slots`.

    needed: the slots that must be there. The others may have been freed, because their members have left. By
    default all are needed.
    """
    tree = Nodes()
    for message in messages:
        if message.address == "/n_free":
            for node in message.args:
                if (there := tree.by_id.get(int(node) if isinstance(node, int) else -1)) is not None:
                    tree.free(there)
            continue
        is_strip = message.address == "/s_new"
        if is_strip:
            check_strip(message)
        elif len(message.args) != 3:
            raise HostTreeError(f"/g_new with {len(message.args)} arguments: expected one group")
        place = message.args[is_strip : is_strip + 3]
        node, action, target = (number if isinstance(number, int) else -1 for number in place)
        try:
            tree.make(node, action, target, synth=STRIP_SYNTHDEF if is_strip else None)
        except NoSuchPlace as error:
            raise HostTreeError(f"node {node} put to {target} with action {action}: {error}") from None
    must = set(slots if needed is None else needed)
    wanted = [slot for slot in sorted(slots) if slot in must or root_of(slot) in tree.by_id]
    expected = {
        0: [JAM, STRIPS],
        JAM: [root_of(slot) for slot in wanted],
        STRIPS: [FIRST_STRIP + slot for slot in wanted],
    }
    for group, ids in expected.items():
        found = tree.by_id.get(group)
        inside = None if found is None else [one.id for one in found.inside or ()]
        if inside != ids:
            raise HostTreeError(f"group {group} holds {inside}, expected {ids}")


def check_strip(message: RecordedMessage) -> None:
    slot = (node_of(message) or 0) - FIRST_STRIP
    wanted = (STRIP_SYNTHDEF, "in_bus", float(first_bus(slot)), "out_bus", 0.0, "amp", 1.0)
    if (message.args[0], *message.args[4:]) != wanted:
        raise HostTreeError(f"strip of slot {slot}: {message.args}, expected {wanted}")


def first_bus(slot: int) -> int:
    """Return the audio bus on which a slot's own sound arrives at its strip."""
    return HARDWARE_BUSES + slot * BUSES_EACH


def canonical(slots: Sequence[int]) -> list[bytes]:
    """Return the messages that build the tree of `slots` for a render, with a tap for each slot's stem.

    The render's channels 0 and 1 are the sum. The stem of the n-th slot (n from 0) is on channels 2 + 2n and
    3 + 2n.
    """
    ordered = sorted(slots)
    made = [osc("/g_new", JAM, TAIL, 0), osc("/g_new", STRIPS, TAIL, 0), osc("/g_new", TAPS, TAIL, 0)]
    made += [osc("/g_new", root_of(slot), TAIL, JAM) for slot in ordered]
    made += [strip(FIRST_STRIP + slot, STRIPS, slot, 0) for slot in ordered]
    made += [strip(FIRST_TAP + slot, TAPS, slot, 2 + 2 * at) for at, slot in enumerate(ordered)]
    return made


def strip(node: int, group: int, slot: int, out_bus: int) -> bytes:
    controls = ("in_bus", float(first_bus(slot)), "out_bus", float(out_bus), "amp", 1.0)
    return osc("/s_new", STRIP_SYNTHDEF, node, TAIL, group, *controls)
