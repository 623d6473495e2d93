"""Remapping: translates a member's message into the numbers of the scsynth that plays the jam.

Pure, and the same on every machine. So members' messages are equal byte for byte apart from the timetag. Only
ids are patched, in place; every other byte is kept. A message that can't be mapped is refused, never guessed.
`id_space` defines the map; `unmap` translates replies back. Source of the roles: the command table
(relay/wire/commands.py).
"""

import re
import struct
from collections.abc import Container

from bridge.scsynth.id_space import CONTROL_BUSES_PER_SLOT, Origin, home_only_node
from relay.wire.arguments import (
    ADD_ACTION,
    FIRST_CONTROL,
    FIRST_SET,
    NAME,
    NODE_NEW,
    ROLE_OF_CONTROL,
    TARGET,
    fields,
    whole,
)
from relay.wire.commands import (
    COMMANDS,
    CONTROL_ROLES,
    EMPTIES,
    HOME_ONLY,
    LOCAL_ONLY_SYNTHDEFS,
    SYNTHDEFS,
    Act,
    Command,
    CommandClass,
    Family,
    Role,
)
from relay.wire.errors import Refused
from relay.wire.osc import Message, encode_string

MAX_COUNT = 1024
"""The greatest count argument. It is limited because scsynth does the work of a count in its audio thread."""

_HEAD, _TAIL = 0, 1
_MAX_ADD_ACTION = 4
_MAX_ADD_ACTION_OF_ORDER = 3
_ONE_CONTROL = (Act.SET_RUN, Act.MAP)
"""Commands that are refused here if one entry names several controls, although scsynth takes them."""
_SAFE_BUFGENS = frozenset(
    {"sine1", "sine2", "sine3", "cheby", "normalize", "wnormalize", "env", "cantorFill"}
)
_MAPPED_VALUE = re.compile(r"([ca])(0|[1-9][0-9]{0,5})")
_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")

_BUS_OR_BUFFER = (Role.AUDIO_BUS, Role.BUFFER)
_EXPLICIT = (*_BUS_OR_BUFFER, Role.HARDWARE_OUTPUT)
_DEFAULTED = {
    encode_string(name): tuple(
        (encode_string(control), role) for control, role in definition.id_controls if role in _EXPLICIT
    )
    for name, definition in SYNTHDEFS.items()
}
_LOCAL_ONLY = frozenset(map(encode_string, LOCAL_ONLY_SYNTHDEFS))
_OWN_DEFAULTED = ((encode_string("out_bus"), Role.AUDIO_BUS),)
"""The control that is added to a new synth of a player's own synthdef if the message omits it. Otherwise the
synth would play past the member's mixer. A synthdef without this control ignores it."""
_CHANNELS = {encode_string(name): definition.channels for name, definition in HOME_ONLY.items()}
_OWN_ROLES = {name: role for name, role in ROLE_OF_CONTROL.items() if role in _BUS_OR_BUFFER}
"""The roles of controls in a player's own synthdef. `output` and `input` may mean anything there, so they
have no role."""
OUTPUT_CONTROL = encode_string("output")
"""The control `output`, encoded as in a message. A message that sets it is remapped differently for the
sender's own host and for the others."""


def remap(
    message: Message, origin: Origin, local_nodes: Container[int] = (), *, at_home: bool = False
) -> bytes:
    """Return a member's message in scsynth's numbers.

    origin: the sender's slot and channels. local_nodes: the sender's ids of nodes that exist on its own host
    only; given only for the local player's messages to its own scsynth. at_home: the message is for the
    player's own scsynth. Then queries, /b_write, home-only synthdefs and the player's own synthdefs are
    allowed. Sound card outputs are then those of this host.

    Raises Refused: not-allowed, arguments, not-integral, not-finite, negative-id, node-range, root-node,
    bus-range, hardware-input, output-range, buffer-range, count, add-action, cycle, control-index,
    id-control, string-value, array, unknown-synthdef, local-synthdef, completion-message.
    """
    patch = _Patch(message, origin, local_nodes, at_home=at_home)
    if patch.act is Act.NEW_SYNTH:
        patch.new_synth()
    else:
        patch.by_table()
    return patch.finish()


class _Patch:
    """A message during its translation: its bytes, and the changes that alter its length. `finish` applies
    the latter."""

    __slots__ = (
        *("act", "added", "added_tags", "at_home", "channels", "command", "local_nodes", "longer", "message"),
        *("origin", "out", "roles"),
    )

    def __init__(
        self, message: Message, origin: Origin, local_nodes: Container[int], *, at_home: bool
    ) -> None:
        self.message = message
        self.command: Command | None = COMMANDS.get(message.address)
        self.act = Act.OTHER if self.command is None else self.command.act
        self.origin = origin
        self.local_nodes = local_nodes
        self.at_home = at_home
        self.roles = ROLE_OF_CONTROL
        self.channels = 1
        self.out = bytearray(message.raw)
        self.longer: list[tuple[int, int, bytes]] = []
        self.added = b""
        self.added_tags = b""

    def new_synth(self) -> None:
        """Translate a new synth, and add the ids that the message omits.

        Nearly all messages are new synths, so they have this path, which is faster than `by_table`.
        """
        message = self.message
        raw, tags, offsets = message.raw, message.tags, message.offsets
        if tags[:1] != "s" or len(tags) < FIRST_CONTROL:
            raise Refused("arguments", f"{message.address} ,{tags[:40]}")
        name = raw[offsets[NAME] : offsets[NODE_NEW]]
        defaulted = _DEFAULTED.get(name)
        if defaulted is None:
            if not self.at_home:
                raise Refused("unknown-synthdef", str(message.arg(NAME))[:80])
            defaulted, self.roles = _OWN_DEFAULTED, _OWN_ROLES
        self.channels = _CHANNELS.get(name, 1)
        self.node_but_root(NODE_NEW)
        if name in _LOCAL_ONLY and not self.at_home:
            raise Refused("local-synthdef", str(message.arg(NAME)))
        self.target(TARGET, self.add_action(ADD_ACTION))
        given = self.controls(FIRST_CONTROL)
        for control, role in defaulted:
            if control not in given:
                self.added += control + _FLOAT.pack(self.default(role))
                self.added_tags += b"sf"

    def default(self, role: Role) -> int:
        """Return the value of an omitted id: that of Sonic Pi's first output or first buffer."""
        if role is Role.HARDWARE_OUTPUT:
            return self.origin.hardware_output(1, self.channels, at_home=self.at_home)
        return self.origin.audio_bus(0) if role is Role.AUDIO_BUS else self.origin.buffer(0)

    def controls(self, index: int) -> list[bytes]:
        """Translate the pairs of control and value from argument `index` to the end. Return the controls that
        carry ids."""
        message = self.message
        raw, tags, offsets = message.raw, message.tags, message.offsets
        if "[" in tags:
            # An array also sets the following controls, which may carry ids.
            raise Refused("array", f"{message.address} ,{tags[:40]}")
        if (len(tags) - index) % 2:
            raise Refused("arguments", f"{message.address} ,{tags[:40]}: a control without a value")
        given = []
        for at in range(index, len(tags), 2):
            if tags[at] != "s":
                raise Refused("control-index", f"{message.address} argument {at}: controls go by name here")
            value_tag = tags[at + 1]
            name = raw[offsets[at] : offsets[at + 1]]
            role = self.roles.get(name)
            if role is not None:
                given.append(name)
                if value_tag == "s":
                    raise Refused(
                        "id-control", f"{message.address}: {message.arg(at)!r} may not follow a bus"
                    )
                self.control_value(at + 1, role)
            elif value_tag == "s":
                self.mapped_value(at + 1)
            else:
                self.plain(at + 1)
        return given

    def control_value(self, index: int, role: Role) -> None:
        if role is Role.AUDIO_BUS:
            self.number(index, self.origin.audio_bus(whole(self.message, index)))
        elif role is Role.BUFFER:
            self.number(index, self.origin.buffer(whole(self.message, index)))
        elif role is Role.HARDWARE_OUTPUT:
            channel = whole(self.message, index)
            self.number(index, self.origin.hardware_output(channel, self.channels, at_home=self.at_home))
        else:
            self.plain(index)

    def plain(self, index: int) -> None:
        """Check that argument `index`, which is no id, is a finite number.

        One NaN would silence everything at a host, because it spreads from a member's strip into the sum.
        """
        message = self.message
        tag = message.tags[index]
        if tag == "f":
            at = message.offsets[index]
            if message.raw[at] & 0x7F == 0x7F and message.raw[at + 1] & 0x80:
                raise Refused("not-finite", f"{message.address} argument {index}: no number")
        elif tag != "i":
            raise Refused("arguments", f"{message.address} argument {index}: expected a number, not {tag}")

    def mapped_value(self, index: int) -> None:
        """Translate a string argument such as "c7" or "a7", which makes a control follow control bus or audio
        bus 7.

        Other strings are refused, because scsynth misreads them.
        """
        text = self.message.arg(index)
        assert isinstance(text, str)
        found = _MAPPED_VALUE.fullmatch(text)
        if found is None:
            raise Refused("string-value", f"{self.message.address} argument {index}: {text[:40]!r}")
        kind, own = found[1], int(found[2])
        bus = self.origin.control_bus(own) if kind == "c" else self.origin.audio_bus(own)
        start = self.message.offsets[index]
        self.longer.append((start, start + len(encode_string(text)), encode_string(f"{kind}{bus}")))

    def by_table(self) -> None:
        message, command = self.message, self.command
        address = message.address
        if command is None:
            raise Refused("not-allowed", f"{address[:40]} no command of scsynth")
        only_at_home = command.kind is CommandClass.LOCAL or command.act is Act.WRITE_FILE
        allowed = command.kind is CommandClass.REWRITE or (self.at_home and only_at_home)
        if not allowed or command.unsupported:
            raise Refused("not-allowed", f"{address} {command.unsupported or command.why}".rstrip())
        if command.kind is CommandClass.REWRITE and not message.tags:
            raise Refused("arguments", f"{address} of nothing")
        if command.act is Act.SET:
            self.node_but_root(0)
            self.controls(FIRST_SET)
            return
        add_action = _HEAD
        named: list[int] = []
        for index, field in fields(message):
            match field.role:
                case Role.NODE_NEW | Role.NODE:
                    named.append(self.node_but_root(index))
                case Role.GROUP:
                    named.append(self.node(index))
                    if command.act in EMPTIES and named[-1] == 0:
                        raise Refused("root-node", f"{address} 0 is an event of the room, no message")
                case Role.ADD_ACTION:
                    add_action = self.add_action(index)
                case Role.TARGET:
                    named.append(self.target(index, add_action))
                case Role.BUFFER:
                    self.number(index, self.origin.buffer(whole(message, index)))
                case Role.CONTROL_BUS | Role.CONTROL_BUS_OR_NONE | Role.AUDIO_BUS_OR_NONE:
                    self.bus(index, field.role)
                case Role.COUNT:
                    self.count(index)
                case Role.CONTROL:
                    self.run_of_controls(index)
                case Role.CONTROL_VALUE if message.tags[index] == "s":
                    self.mapped_value(index)
                case Role.COMPLETION:
                    raise Refused("completion-message", address)
                case Role.BUFGEN_NAME:
                    if message.tags[index] != "s" or message.arg(index) not in _SAFE_BUFGENS:
                        raise Refused("not-allowed", f"{address} {message.arg(index)!r:.40}")
                case Role.STRING | Role.PATH:
                    if message.tags[index] != "s":
                        raise Refused("arguments", f"{address} argument {index}: expected a string")
                case _:
                    self.plain(index)
        _check_order(command, named, self.local_nodes)

    def node(self, index: int) -> int:
        """Translate argument `index`, which is a node or group. Return the sender's id of it."""
        message = self.message
        own = whole(message, index)
        mapped = home_only_node(own) if own in self.local_nodes else self.origin.node(own)
        _INT.pack_into(self.out, message.offsets[index], mapped)
        if message.tags[index] == "f":
            # A 32-bit float can't hold slot << 26 | id exactly.
            self.out[_tags_start(message) + index] = ord("i")
        return own

    def node_but_root(self, index: int) -> int:
        own = self.node(index)
        if own == 0:
            raise Refused("root-node", f"{self.message.address}: the root group is the room's to handle")
        return own

    def add_action(self, index: int) -> int:
        action = whole(self.message, index)
        if not 0 <= action <= (_MAX_ADD_ACTION_OF_ORDER if self.act is Act.ORDER else _MAX_ADD_ACTION):
            raise Refused("add-action", f"{self.message.address} {action}")
        return action

    def target(self, index: int, add_action: int) -> int:
        own = self.node(index)
        if own == 0 and add_action not in (_HEAD, _TAIL):
            raise Refused("root-node", f"{self.message.address}: nothing goes beside the root group")
        return own

    def bus(self, index: int, role: Role) -> None:
        own = whole(self.message, index)
        if own == -1 and role is not Role.CONTROL_BUS:
            return
        mapped = (
            self.origin.audio_bus(own) if role is Role.AUDIO_BUS_OR_NONE else self.origin.control_bus(own)
        )
        self.number(index, mapped)

    def count(self, index: int) -> None:
        """Check argument `index`, which is a count. A run of buses must end within the slot."""
        message = self.message
        count = whole(message, index)
        if not 0 <= count <= MAX_COUNT:
            raise Refused("count", f"{message.address} {count}: expected 0 to {MAX_COUNT}")
        if self.command is not None and self.command.family is Family.BUS:
            first = whole(message, index - 1)
            if first + count > CONTROL_BUSES_PER_SLOT:
                raise Refused("bus-range", f"{message.address}: {count} control buses from {first}")
        elif count != 1 and self.act in _ONE_CONTROL:
            # The controls after the named one depend on the synthdef, and may carry ids.
            raise Refused("count", f"{message.address} {count}: one control at a time here")

    def run_of_controls(self, index: int) -> None:
        """Check argument `index`, which names a control.

        /n_setn, /n_map and similar commands may not name a control that carries an id.
        """
        message = self.message
        if message.tags[index] != "s":
            raise Refused("control-index", f"{message.address} argument {index}: controls go by name here")
        if self.act in _ONE_CONTROL and message.arg(index) in CONTROL_ROLES:
            raise Refused("id-control", f"{message.address}: {message.arg(index)!r} is set in other ways")

    def number(self, index: int, value: int) -> None:
        """Write `value` into argument `index`, which is a bus or buffer, and keep the argument's type.

        Below 2**24 every whole number is an exact float.
        """
        pack = _FLOAT if self.message.tags[index] == "f" else _INT
        pack.pack_into(self.out, self.message.offsets[index], value)

    def finish(self) -> bytes:
        out = self.out
        for start, end, text in reversed(self.longer):
            out[start:end] = text
        if not self.added:
            return bytes(out)
        tags_end = _tags_start(self.message) + len(self.message.tags)
        tags = out[:tags_end] + self.added_tags
        return bytes(tags) + bytes(4 - (len(tags) & 3)) + bytes(out[self.message.offsets[0] :]) + self.added


def _tags_start(message: Message) -> int:
    """Return the position of the first tag, behind the comma."""
    return (len(message.address) + 4 & -4) + 1


def _check_order(command: Command, named: list[int], local_nodes: Container[int]) -> None:
    """Refuse to move a node anywhere but into its member's root group.

    scsynth doesn't check whether a group is moved into itself or into a group within it. Two such moves hang
    or kill it (measured on 3.13). This code doesn't know which nodes are groups. Sonic Pi itself moves only
    live audio, which exists on its own host only and contains nothing.
    """
    match command.act:
        case Act.MOVE_BESIDE:
            moves = zip(named[::2], named[1::2], strict=True)
        case Act.MOVE_INTO:
            moves = zip(named[1::2], named[::2], strict=True)
        case Act.ORDER:
            moves = zip(named[1:], named[:1] * (len(named) - 1), strict=True)
        case _:
            return
    for moved, place in moves:
        if place != 0 and (moved == place or moved not in local_nodes):
            raise Refused(
                "cycle", f"{command.address}: node {moved} may only go into the root group, not to {place}"
            )
