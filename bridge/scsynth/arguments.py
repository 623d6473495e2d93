"""Arguments: the nodes, buffers and synthdefs in a message, in the sender's numbers, by the command table.

Pure. It only reads; `remap` translates the numbers. Numbers may be i or f, since scsynth takes either. A
fraction is refused where a whole number is needed.
"""

import struct
from collections.abc import Iterator

from relay.wire.commands import COMMANDS, CONTROL_ROLES, Field, Role
from relay.wire.errors import Refused
from relay.wire.osc import Message, encode_string

NAME, NODE_NEW, ADD_ACTION, TARGET, FIRST_CONTROL = range(5)
"""Positions of the arguments of /s_new."""

ROLE_OF_CONTROL = {encode_string(name): role for name, role in CONTROL_ROLES.items()}
"""By the padded bytes of the name, as in a message. This spares decoding a dozen strings per note."""

_CREATORS = frozenset({"/s_new", "/s_newargs", "/g_new", "/p_new"})
_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")


def created_nodes(message: Message) -> tuple[tuple[int, int, int], ...]:
    """Return (id, add action, target) of each node that /s_new, /g_new or /p_new creates; () for others.

    The ids are the sender's. Raises Refused if they are missing or no whole numbers.
    """
    match message.address:
        case "/s_new":
            first, count = NODE_NEW, FIRST_CONTROL
        case "/g_new" | "/p_new":
            first, count = 0, len(message.tags)
        case _:
            return ()
    if len(message.tags) < count or (count - first) % 3:
        raise Refused("arguments", f"{message.address} ,{message.tags[:40]}")
    numbers = [whole(message, index) for index in range(first, count)]
    return tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))


def referenced_nodes(message: Message) -> tuple[int, ...]:
    """Return the sender's ids of all nodes and groups that a message names without creating any.

    () for messages that create nodes (see `created_nodes`) and for unknown ones. Raises Refused if the
    arguments don't fit the command.
    """
    if message.address not in COMMANDS or message.address in _CREATORS:
        return ()
    return tuple(
        whole(message, index)
        for index, field in fields(message)
        if field.role in (Role.NODE, Role.GROUP, Role.TARGET)
    )


def synthdef_name(message: Message) -> str:
    """Return the synthdef that an /s_new plays. Raises Refused for any other message."""
    if message.address != "/s_new" or message.tags[:1] != "s":
        raise Refused("arguments", f"{message.address} ,{message.tags[:40]}: expected an /s_new")
    name = message.arg(NAME)
    assert isinstance(name, str)
    return name


def buffer_numbers(message: Message) -> tuple[int, ...]:
    """Return the buffers, in the sender's numbers, that an /s_new or /n_set gives to its node.

    A buffer control that the message omits is not included, although it means buffer 0. If a control is given
    twice, the last value counts. Raises Refused if a number isn't whole.
    """
    first = {"/s_new": FIRST_CONTROL, "/n_set": 1}.get(message.address)
    if first is None:
        return ()
    raw, offsets, tags = message.raw, message.offsets, message.tags
    if "[" in tags:
        raise Refused("array", f"{message.address} ,{tags[:40]}")
    buffers = {}
    for index in range(first, len(tags) - 1, 2):
        name = raw[offsets[index] : offsets[index + 1]]
        if ROLE_OF_CONTROL.get(name) is Role.BUFFER:
            buffers[name] = whole(message, index + 1)
    return tuple(dict.fromkeys(buffers.values()))


def fields(message: Message) -> Iterator[tuple[int, Field]]:
    """Yield each argument's index with its field in the command table.

    Raises Refused (arguments, count, array) at the first place where message and table differ.
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
    """Return a number that must be whole: i, or f without a fraction.

    Raises Refused otherwise, also for NaN and infinity.
    """
    tag = message.tags[index]
    if tag == "i":
        number: int = _INT.unpack_from(message.raw, message.offsets[index])[0]
        return number
    if tag != "f":
        raise Refused("arguments", f"{message.address} argument {index}: expected a number, found tag {tag}")
    value: float = _FLOAT.unpack_from(message.raw, message.offsets[index])[0]
    if not value.is_integer():
        raise Refused("not-integral", f"{message.address} argument {index}: {value}")
    return int(value)
