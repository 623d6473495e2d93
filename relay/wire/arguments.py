"""Arguments: finds the meaning of each argument of a message to scsynth in the command table.

Pure. This module only reads messages: all node, bus and buffer numbers in them are the sender's own. A number
may have the type tag i (integer) or f (float), because scsynth accepts both. Where a whole number is needed,
a fraction is refused.
"""

import struct
from collections.abc import Iterator

from relay.wire.commands import COMMANDS, CONTROL_ROLES, Field, Role
from relay.wire.errors import Refused
from relay.wire.osc import Message, encode_string

NAME, NODE_NEW, ADD_ACTION, TARGET, FIRST_CONTROL = range(5)
"""Indices of the arguments of a command that makes a synth: its synthdef's name, the new node, the add
action, the target, and the first control."""
FIRST_SET = 1
"""Index of the first control's name in a command that sets controls."""

ROLE_OF_CONTROL = {encode_string(name): role for name, role in CONTROL_ROLES.items()}
"""The role of each control whose value is an id, by the padded bytes of the control's name. Look-ups by bytes
save decoding a dozen strings for each note."""

_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")


def fields(message: Message) -> Iterator[tuple[int, Field]]:
    """Yield (index of the argument, its field in the command table) for each argument of a message.

    Raises Refused at the first place where message and table differ. The error's reason is "arguments",
    "count" or "array".
    """
    command = COMMANDS[message.address]
    tags = message.tags
    left = len(tags)
    shown = f"{message.address} ,{tags[:40]}"
    if "[" in tags:
        raise Refused("array", shown)
    index = 0
    for field in command.args:
        if index == left:
            if field.optional:
                return
            raise Refused("arguments", f"{shown}: expected {field.role} at argument {index}")
        yield index, field
        index += 1
    while command.repeat and index < left and not (command.trailing and tags[index] == "b"):
        count = 0
        for field in command.repeat:
            times = count if field.counted else 1
            if index + times > left:
                raise Refused("count" if field.counted else "arguments", f"{shown}: ends within {field.role}")
            for _ in range(times):
                yield index, field
                index += 1
            if field.role is Role.COUNT:
                count = whole(message, index - 1)
    if command.trailing and index < left:
        yield index, command.trailing
        index += 1
    if index < left:
        raise Refused("arguments", f"{shown}: {left - index} too many")


def whole(message: Message, index: int) -> int:
    """Return the argument at `index`, which must be a whole number of 32 bits: an integer, or a float without
    a fraction.

    Raises Refused for anything else, such as NaN, infinity or a missing argument.
    """
    tag = message.tags[index : index + 1]
    if tag == "i":
        number: int = _INT.unpack_from(message.raw, message.offsets[index])[0]
        return number
    if tag != "f":
        found = f"tag {tag}" if tag else "none"
        raise Refused("arguments", f"{message.address} argument {index}: expected a number, found {found}")
    value: float = _FLOAT.unpack_from(message.raw, message.offsets[index])[0]
    if not value.is_integer() or not -(2**31) <= value < 2**31:
        raise Refused("not-integral", f"{message.address} argument {index}: {value}")
    return int(value)
