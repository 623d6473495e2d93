"""Slots: find a message's slot, and the node or buffer that the message is about.

Pure. Written from the ids on the wire alone (node id >> 26, buffer // 4096), not from the bridge's tables.
Slot 0 is the host's own: mixer strips, the scope, the rehearsal's own recorder synths.
"""

from rehearsal.rigs.recording import Argument, RecordedMessage

SLOT_BITS = 26
BUFFERS_EACH = 4096

# Which argument carries the node id that a command creates or changes (Server Command Reference).
NODE_AT = {
    "/s_new": 1,
    "/n_order": 2,
    "/g_head": 1,
    "/g_tail": 1,
}
QUERIES = frozenset(
    {"/b_query", "/b_get", "/b_getn", "/n_query", "/s_get", "/s_getn", "/g_queryTree", "/g_dumpTree"}
)
"""Commands that only ask and change nothing. Only the asking member's scsynth gets them."""
NODE_FIRST = ("/n_", "/g_", "/p_", "/s_")


def slot_of(message: RecordedMessage) -> int:
    """Return the slot of the node or buffer that the message is about.

    Queries, messages about the host's own nodes and messages about no node or buffer have slot 0.
    """
    if message.address in QUERIES:
        return 0
    if message.address.startswith("/b_"):
        buffer = number_at(message.args, 0)
        return 0 if buffer is None or buffer < 0 else buffer // BUFFERS_EACH
    node = node_of(message)
    return 0 if node is None or node < 0 else node >> SLOT_BITS


def node_of(message: RecordedMessage) -> int | None:
    """Return the (first) node id that the message creates or changes; None if it is about no node."""
    if not message.address.startswith(NODE_FIRST):
        return None
    return number_at(message.args, NODE_AT.get(message.address, 0))


def identity_of(message: RecordedMessage) -> tuple[str, int | None]:
    """Return (address, node or buffer number) of a message; None as the number if there is none."""
    if message.address.startswith("/b_"):
        return message.address, number_at(message.args, 0)
    return message.address, node_of(message)


def describe(message: RecordedMessage) -> str:
    """Return a short text that names the message: address, slot:id, synthdef."""
    number = identity_of(message)[1]
    slot = slot_of(message)
    what = f"{message.address} {slot}:{'?' if number is None else number - (slot << SLOT_BITS)}"
    if message.address.startswith("/b_"):
        what = f"{message.address} {slot}:{'?' if number is None else number % BUFFERS_EACH}"
    name = message.args[0] if message.args else None
    return f"{what} {name}" if message.address == "/s_new" and isinstance(name, str) else what


def number_at(args: tuple[Argument, ...], at: int) -> int | None:
    # Ids may travel as floats (scsynth takes them so).
    value = args[at] if at < len(args) else None
    return int(value) if isinstance(value, int | float) else None
