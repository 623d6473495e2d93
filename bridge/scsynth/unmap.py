"""Unmapping: translates replies of the jam's scsynth into the local player's numbers.

Pure; the inverse of `remap` for one member. Other members' nodes and buffers are hidden from the local Sonic
Pi. If a neighbour of one of its nodes is another member's, the neighbour's number becomes -1. Source:
`replies` of the command table, scsynth 3.13.
"""

import re
import struct
from collections.abc import Callable, Iterable

from bridge.scsynth.id_space import LOCAL_BASE, Origin
from relay.wire.commands import COMMANDS, CONTROL_ROLES, REPLIES, Family, ReplyKind, Role
from relay.wire.osc import Message, encode_string
from relay.wire.write import NO_NODE

_ROOT = 0
_PARENT_TO_NEXT = (1, 2, 3)
_HEAD_OF_GROUP, _TAIL_OF_GROUP = 5, 6
_NUMBER = re.compile(r"(?<![\w.-])[0-9]{1,10}(?![\w.])")
_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")


def unmap_reply(message: Message, origin: Origin) -> bytes | None:
    """Return a reply of scsynth in the local player's numbers; None if it isn't about the player's things.

    origin: the local player's slot and channels. A failure without any number in it (`duplicate node ID`) is
    passed on unchanged, because it doesn't tell whose message failed. The caller knows which message it just
    sent. A reply in a form that scsynth never sends gives None.
    """
    kind = REPLIES.get(message.address)
    unmapped = (_of_node if kind is None else _BY_KIND[kind])(message, origin)
    return None if unmapped is None else bytes(unmapped)


def _unchanged(message: Message, _origin: Origin) -> bytes:
    return message.raw


def _hidden(_message: Message, _origin: Origin) -> None:
    """Return None for a reply with a whole tree of nodes. It holds all members' nodes and would have to be
    rebuilt from a model."""


def _node_notice(message: Message, origin: Origin) -> bytearray | None:
    """Translate scsynth's notice about a node (/n_go and the like). None if it isn't about the player's
    nodes.

    Arguments: node, parent, previous, next, 1 for a group; then the group's first and last node. A notice
    about the player's root group also gives None.
    """
    if message.tags not in ("iiiii", "iiiiiii"):
        return None
    out = _of_node(message, origin)
    if out is None or origin.own_node(_int(message, 0)) == _ROOT:
        # The root groups are the bridge's own. For Sonic Pi its root exists from the start.
        return None
    neighbours: Iterable[int] = _PARENT_TO_NEXT
    if len(message.tags) > _HEAD_OF_GROUP:
        neighbours = (*neighbours, _HEAD_OF_GROUP, _TAIL_OF_GROUP)
    for index in neighbours:
        own = origin.own_node(_int(message, index))
        _INT.pack_into(out, message.offsets[index], NO_NODE if own is None else own)
    return out


def _of_node(message: Message, origin: Origin) -> bytearray | None:
    """Translate a reply whose first argument is a node: /tr, and replies whose address a synthdef chooses."""
    return _patched(message, (0,), origin.own_node)


def _done(message: Message, origin: Origin) -> bytes | bytearray | None:
    """Translate /done and /fail. Their first argument is the command's address.

    For /fail a text follows. For buffer commands the buffer comes last.
    """
    if message.tags[:1] != "s":
        return None
    command = COMMANDS.get(str(message.arg(0)))
    family = Family.SERVER if command is None else command.family
    if family is Family.BUFFER and message.tags[-1] == "i":
        return _patched(message, (len(message.tags) - 1,), origin.own_buffer)
    if message.tags[:2] == "ss" and family is Family.NODE:
        return _failed_text(message, origin)
    return message.raw


def _failed_text(message: Message, origin: Origin) -> bytes | None:
    """Translate the numbers in a /fail's text, such as "Node 134217733 not found".

    Only numbers large enough to be scsynth's node ids are translated. Return None if one of them is another
    member's.
    """
    text = str(message.arg(1))
    foreign = False

    def own_number(found: re.Match[str]) -> str:
        nonlocal foreign
        number = int(found[0])
        if number < LOCAL_BASE:
            return found[0]
        own = origin.own_node(number)
        foreign = foreign or own is None
        return str(own)

    unmapped = _NUMBER.sub(own_number, text)
    if foreign:
        return None
    start = message.offsets[1]
    end = start + len(encode_string(text))
    return message.raw[:start] + encode_string(unmapped) + message.raw[end:]


def _buffer_info(message: Message, origin: Origin) -> bytearray | None:
    """Translate /b_info: buffer, frames, channels, sample rate, repeated for each buffer."""
    return _patched(message, range(0, len(message.tags), 4), origin.own_buffer)


def _of_buffer(message: Message, origin: Origin) -> bytearray | None:
    return _patched(message, (0,), origin.own_buffer)


def _control_buses(message: Message, origin: Origin) -> bytearray | None:
    """Translate /c_set: bus and value, repeated."""
    return _patched(message, range(0, len(message.tags), 2), origin.own_control_bus)


def _runs_of_control_buses(message: Message, origin: Origin) -> bytearray | None:
    """Translate /c_setn: bus, count, and as many values, repeated."""
    indices, index = [], 0
    while index < len(message.tags) - 1 and message.tags[index + 1] == "i":
        indices.append(index)
        index += 2 + max(_int(message, index + 1), 0)
    return _patched(message, indices, origin.own_control_bus)


def _controls(message: Message, origin: Origin) -> bytearray | None:
    """Translate /n_set and /n_setn, the answers to /s_get and /s_getn. Arguments: a node, then controls and
    values."""
    out = _of_node(message, origin)
    if out is None:
        return None
    step = 2 if REPLIES[message.address] is ReplyKind.RUNS_OF_CONTROLS else 1
    for index in range(1, len(message.tags) - step):
        if message.tags[index] != "s" or message.tags[index + step] != "f":
            continue
        role = CONTROL_ROLES.get(str(message.arg(index)))
        if role not in (Role.AUDIO_BUS, Role.BUFFER):
            continue
        value = message.arg(index + step)
        own_number = origin.own_audio_bus if role is Role.AUDIO_BUS else origin.own_buffer
        own = own_number(int(value)) if isinstance(value, float) and value.is_integer() else None
        if own is not None:
            _FLOAT.pack_into(out, message.offsets[index + step], own)
    return out


def _patched(
    message: Message, indices: Iterable[int], own_number: Callable[[int], int | None]
) -> bytearray | None:
    """Return the message with the arguments at `indices` translated; None if one of them is another
    member's."""
    out = bytearray(message.raw)
    for index in indices:
        if message.tags[index : index + 1] != "i":
            return None
        own = own_number(_int(message, index))
        if own is None:
            return None
        _INT.pack_into(out, message.offsets[index], own)
    return out


def _int(message: Message, index: int) -> int:
    value: int = _INT.unpack_from(message.raw, message.offsets[index])[0]
    return value


_BY_KIND: dict[ReplyKind, Callable[[Message, Origin], bytes | bytearray | None]] = {
    ReplyKind.DONE: _done,
    ReplyKind.FAILED: _done,
    ReplyKind.NODE_BEGAN: _node_notice,
    ReplyKind.NODE_ENDED: _node_notice,
    ReplyKind.NODE_THERE: _node_notice,
    ReplyKind.NODE_NOTICE: _node_notice,
    ReplyKind.STATUS: _unchanged,
    ReplyKind.OF_SERVER: _unchanged,
    ReplyKind.TREE: _hidden,
    ReplyKind.CONTROLS: _controls,
    ReplyKind.RUNS_OF_CONTROLS: _controls,
    ReplyKind.BUFFER_INFO: _buffer_info,
    ReplyKind.BUFFER_VALUES: _of_buffer,
    ReplyKind.BUSES: _control_buses,
    ReplyKind.RUNS_OF_BUSES: _runs_of_control_buses,
}
