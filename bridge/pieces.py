"""Pieces: a call too long for one event as several that come to the same.

Pure. scsynth computes a synth only after everything that is due at one instant has been executed, so an
/s_new with its first controls and an /n_set with the others, at the same timetag, sound as one long /s_new.
What repeats a group of arguments is cut between two groups. Bound: PIECES_MAX pieces.
"""

from bridge.arguments import NODE_NEW
from relay.wire.commands import COMMANDS, CONTROL_ROLES, Role
from relay.wire.osc import Arg, Message, encode, single_message

PIECES_MAX = 8
"""The longest call of Sonic Pi's own, a stereo sample player with all 106 options (2.6 kB), takes 3."""
_CONTINUED_BY = {"/s_new": "/n_set"}


def pieces(message: Message, longest: int) -> list[Message]:
    """Return the message, or what it is cut into, none longer than `longest` bytes; [] if that can't be."""
    if len(message.raw) <= longest:
        return [message]
    command = COMMANDS.get(message.address)
    if command is None or not command.repeat or command.trailing is not None:
        return []
    if any(field.role is Role.COUNT or field.optional for field in command.repeat + command.args):
        return []
    width, args = len(command.repeat), message.args
    head, rest = args[: len(command.args)], args[len(command.args) :]
    if len(rest) % width or set(message.tags) - set("ifs"):
        return []
    address, found = message.address, list[Message]()
    if address in _CONTINUED_BY:
        rest = _ids_first(rest)
    while rest and len(found) < PIECES_MAX:
        taken = _fitting(address, head, rest, width, longest)
        if not taken:
            return []
        found.append(single_message(encode(address, *head, *rest[:taken])))
        rest = rest[taken:]
        if address in _CONTINUED_BY:
            address, head = _CONTINUED_BY[address], (head[NODE_NEW],)
    return [] if rest else found


def _ids_first(controls: tuple[Arg, ...]) -> tuple[Arg, ...]:
    """Return pairs of control and value with buses and buffers first: were the rest late, it would not sound
    on another bus for a moment, nor play another buffer."""
    pairs = zip(controls[::2], controls[1::2], strict=True)
    return tuple(
        part for pair in sorted(pairs, key=lambda pair: pair[0] not in CONTROL_ROLES) for part in pair
    )


def _fitting(address: str, head: tuple[Arg, ...], rest: tuple[Arg, ...], width: int, longest: int) -> int:
    """Return how many of the arguments that repeat fit, a whole number of groups."""
    taken = 0
    while taken < len(rest) and len(encode(address, *head, *rest[: taken + width])) <= longest:
        taken += width
    return taken
