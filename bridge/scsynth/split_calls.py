"""Split calls: cuts a call that is too long for one event into several calls.

Pure. scsynth computes a synth only after executing everything that is due at one instant. So an /s_new with
its first controls and an /n_set with the others, at the same timetag, sound as one long /s_new. A message
that repeats a group of arguments is cut between groups, and a long run of counted values within the run.
A call is sent however long it is, because a group or free that is missing elsewhere would stay missing. Only
/b_gen can't be cut. Bound: the content of one datagram of Sonic Pi (65,507 bytes), fewer than 130 pieces.

A call about many nodes is also cut into one message for each node (`apart`).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from relay.wire import write
from relay.wire.arguments import NODE_NEW, whole
from relay.wire.commands import COMMANDS, CONTROL_ROLES, Act, Command, Role
from relay.wire.meaning import Meaning
from relay.wire.osc import MAX_MESSAGES, Arg, Message, encode, encode_string, single_message

CONTROL_NAME_MAX = 255
"""The greatest length of a control's name, bytes. The format of synthdefs has room for no more."""
RUN_MAX = 64
"""The most counted values that stay together. A run of about 300 bytes wastes little room at the end of a
piece."""
COUNT_MAX = 1024
"""The greatest count that `remap` accepts (its MAX_COUNT), so cutting makes no greater one allowed."""
INDEX_MAX = (1 << 31) - 1 - COUNT_MAX
"""The greatest start index of counted values. From a higher one, the index of the last value could exceed the
range of an OSC int."""
_BACKWARDS = (0, 3)
"""The add actions by which /n_order puts its nodes before those of an earlier call."""

_NODES = {Role.NODE, Role.GROUP, Role.NODE_NEW}
_ABOUT_NODES = {
    address.encode(): len(command.repeat)
    for address, command in COMMANDS.items()
    if not command.args and command.repeat and command.repeat[0].role in _NODES
}
"""Address -> number of arguments for each node, for the messages that can name several nodes."""

Group = tuple[Arg, ...]


def pieces(meaning: Meaning, longest: int) -> list[Meaning]:
    """Return the message as a list of pieces, none longer than `longest` bytes. A short message is its only
    piece.

    The list is empty if the message can't be cut: /b_gen, values for places that no buffer has, and messages
    that `remap` refuses. A control whose name no synthdef can have is left out. Raises Refused if a count is
    no whole number.
    """
    if len(meaning.payload) <= longest:
        return [meaning]
    message, command = meaning.message, meaning.command
    if command is None or not command.repeat or command.trailing is not None:
        return []
    if any(field.role is Role.ANY for field in command.repeat) or set(message.tags) - set("ifs"):
        return []
    build: Callable[..., bytes] = partial(encode, message.address)
    head = message.args[: len(command.args)]
    groups = _groups(message, command)
    if groups is None or len(head) < len(command.args):
        return []
    if meaning.makes_synth:  # ids come first, so a late rest can't leave it on a wrong bus for a moment
        groups.sort(key=lambda group: group[0] not in CONTROL_ROLES)
    found = list[Meaning]()
    while groups or not found:
        room = longest - len(build(*head))
        taken = _fitting(groups, room)
        if room < 0 or (groups and not taken):
            return []
        found.append(Meaning(build(*head, *_joined(groups[:taken]))))
        del groups[:taken]
        if meaning.makes_synth and len(found) == 1:
            build, head = write.set_controls, (head[NODE_NEW],)
    if meaning.act is Act.ORDER and head[0] in _BACKWARDS:
        found.reverse()
    return found


def apart(message: bytes) -> list[list[bytes]]:
    """Return a message as bundles, each a list of messages: one message for each node, in order.

    A message that can't name several nodes is returned alone. scsynth ends a message at the first node that
    doesn't exist, and skips the rest (measured with 3.13). If an /n_free names a note that only its player
    has heard, all groups named after the note would stay elsewhere. An error in one message of a bundle
    doesn't end the next message. /n_order isn't split, because it goes on after such an error.
    """
    name = message[: message.index(0)]
    width = _ABOUT_NODES.get(name, 0)
    if not width or message[len(name) + 4 & -4 :].index(0) - 1 <= width:
        return [[message]]
    args, address = single_message(message).args, name.decode()
    parts = [encode(address, *args[at : at + width]) for at in range(0, len(args), width)]
    return [parts[at : at + MAX_MESSAGES] for at in range(0, len(parts), MAX_MESSAGES)]


def _groups(message: Message, command: Command) -> list[Group] | None:
    """Return the groups of arguments that a message repeats.

    None if the arguments end within a group, or a count is too great.
    """
    args, found = message.args, list[Group]()
    fixed = sum(not field.counted for field in command.repeat)
    at = len(command.args)
    while at < len(args):
        start, values_at = args[at : at + fixed], at + fixed
        if values_at > len(args):
            return None
        if not command.repeat[-1].counted:
            count = 0
            found += [start] if not _names_nothing(start[0]) else []
        else:
            count = whole(message, values_at - 1)
            if not 0 <= count <= min(COUNT_MAX, len(args) - values_at):
                return None
            if isinstance(start[0], int) and start[0] > INDEX_MAX:
                return None
            found += _runs(start[0], args[values_at : values_at + count])
        at = values_at + count
    return found


def _runs(first: Arg, values: Sequence[Arg]) -> Iterator[Group]:
    """Yield `values`, which are set from `first` on, in groups (start, count, values) of at most RUN_MAX
    values.

    If `first` is a control's name, there is only one group, because the synthdef decides which controls come
    next.
    """
    size = RUN_MAX if isinstance(first, int | float) else max(len(values), 1)
    for at in range(0, max(len(values), 1), size):
        run = values[at : at + size]
        yield (first + at if isinstance(first, int | float) else first, len(run), *run)


def _names_nothing(name: Arg) -> bool:
    return isinstance(name, str) and len(name.encode()) > CONTROL_NAME_MAX


def _fitting(groups: list[Group], room: int) -> int:
    """Return how many of the groups fit into `room` bytes, their type tags included."""
    taken, tags = 0, 0
    for group in groups:
        tags += len(group)
        room -= sum(len(encode_string(arg)) if isinstance(arg, str) else 4 for arg in group)
        if room - tags - 3 < 0:  # padding of the tags may grow by up to three bytes
            break
        taken += 1
    return taken


def _joined(groups: list[Group]) -> Iterator[Arg]:
    for group in groups:
        yield from group
