"""Writing: makes the commands to scsynth and the replies to Sonic Pi that our programs send.

Pure. All functions return an encoded OSC message. No other module of relay or bridge writes the name of a
command. Ids are those of the receiver: scsynth's own in commands, Sonic Pi's own in replies. Source: Server
Command Reference of scsynth 3.13.
"""

import struct
from collections.abc import Mapping

from relay.wire.osc import Arg, encode, encode_string

_SET = "/n_set"
_INT = struct.Struct(">i")
NO_NODE = -1
"""Stands in a reply for a neighbouring node if there is none, or if Sonic Pi mustn't see it."""


def new_group(node: int, action: int, target: int) -> bytes:
    """Return the command that makes a group. action: scsynth's add action, relative to the node `target`."""
    return encode("/g_new", node, action, target)


def new_synth(synthdef: str, node: int, action: int, target: int, *controls: Arg) -> bytes:
    """Return the command that makes a synth. action: scsynth's add action, relative to the node `target`.

    controls: name and value, alternating.
    """
    return encode("/s_new", synthdef, node, action, target, *controls)


def set_controls(node: Arg, *controls: Arg) -> bytes:
    """Return the command that sets controls of a node. controls: name and value, alternating."""
    return encode(_SET, node, *controls)


def set_as_sent(node: int, tags: str, body: bytes, address: str = _SET) -> bytes:
    """Return the command that sets controls of a node, from names and values that are encoded already.

    tags: the type tags of the names and values. body: the encoded names and values. address: the command; it
    may be one that lets controls follow buses.
    """
    return encode_string(address) + encode_string(f",i{tags}") + _INT.pack(node) + body


def is_set(address: str) -> bool:
    """Return whether a command sets controls to values, one value for each control."""
    return address == _SET


def run_node(node: int, *, runs: bool) -> bytes:
    """Return the command that pauses a node or lets it go on."""
    return encode("/n_run", node, int(runs))


def set_buses(values: Mapping[int, float]) -> bytes:
    """Return the command that sets control buses. values: by the number of the bus."""
    return encode("/c_set", *(part for bus, value in values.items() for part in (bus, value)))


def free_node(node: int) -> bytes:
    """Return the command that frees a node. If the node is a group, all nodes in it are freed too."""
    return encode("/n_free", node)


def empty_group(group: int) -> bytes:
    """Return the command that frees all nodes in a group."""
    return encode("/g_freeAll", group)


def free_buffer(buffer: int) -> bytes:
    """Return the command that frees a buffer, loaded or not."""
    return encode("/b_free", buffer)


def clear_control_buses(first: int, count: int) -> bytes:
    """Return the command that sets `count` control buses to 0, from the bus `first` on."""
    return encode("/c_fill", first, count, 0.0)


def no_complaints() -> bytes:
    """Return the command that stops scsynth's failure messages for the rest of the command's bundle."""
    return encode("/error", -1)


def ask_tree(group: int) -> bytes:
    """Return the command that asks scsynth for all nodes in a group, without their controls."""
    return encode("/g_queryTree", group, 0)


def load_synthdef(content: bytes) -> bytes:
    """Return the command that gives scsynth a synthdef. content: the compiled synthdef."""
    return encode("/d_recv", content)


def register() -> bytes:
    """Return the command that makes scsynth notify its sender about every node that begins or ends."""
    return encode("/notify", 1)


def end_synth() -> bytes:
    """Return the command that ends scsynth."""
    return encode("/quit")


def registered() -> bytes:
    """Return the reply to `register`. It says that the sender is client 0, and the only client."""
    return encode("/done", "/notify", 0, 1)


def ended() -> bytes:
    """Return the reply to `end_synth`."""
    return encode("/done", "/quit")


def group_began(group: int, target: int) -> bytes:
    """Return the reply that a group exists."""
    return encode("/n_go", group, target, NO_NODE, NO_NODE, 1, NO_NODE, NO_NODE)


def group_ended(group: int) -> bytes:
    """Return the reply that a group is gone."""
    return encode("/n_end", group, NO_NODE, NO_NODE, NO_NODE, 1, NO_NODE, NO_NODE)


def synth_began(synth: int, target: int) -> bytes:
    """Return the reply that a synth has started."""
    return encode("/n_go", synth, target, NO_NODE, NO_NODE, 0)


def synth_ended(synth: int) -> bytes:
    """Return the reply that a synth is gone."""
    return encode("/n_end", synth, NO_NODE, NO_NODE, NO_NODE, 0)
