"""The command table of scsynth: what each command does, who may send it, and which arguments are ids.

Pure; loaded once, from `scsynth-commands.json` beside this file. Its facts are from scsynth's source and from
Sonic Pi's compiled synthdefs. Every look-up is one dictionary access.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from types import MappingProxyType
from typing import Any, NamedTuple


class CommandClass(StrEnum):
    """Whether a command that one member's Sonic Pi sends may reach the other members' scsynths."""

    REWRITE = "rewrite"
    """It goes to every member, with its ids translated to each member's own."""
    LOCAL = "local"
    """It goes only to the sender's own scsynth. Such a command is a query or a registration."""
    FORBIDDEN = "forbidden"
    """It is never executed at another member."""
    FORBIDDEN_UNLESS_VETTED = "forbidden_unless_vetted"
    """It is executed at another member only if its content is known to be safe (`/d_recv`)."""


class Act(StrEnum):
    """The effect of a command, in the categories that our code distinguishes."""

    NEW_SYNTH = "new_synth"
    NEW_GROUP = "new_group"
    NEW_PARALLEL_GROUP = "new_parallel_group"
    FREE = "free"
    EMPTY = "empty"
    """Frees all nodes in a group."""
    EMPTY_OF_SYNTHS = "empty_of_synths"
    """Frees all synths in a group and in the groups below it. The groups stay."""
    SET = "set"
    """Sets controls of a node, with one value for each control named."""
    SET_RUN = "set_run"
    """Sets consecutive controls of a node. The command names the first control, and gives a count and as many
    values."""
    MAP = "map"
    """Makes controls of a node follow buses."""
    PAUSE = "pause"
    """Pauses a node, or lets a paused node go on."""
    MOVE_BESIDE = "move_beside"
    """Puts nodes beside others. The arguments are pairs: a node, and the node beside which to put it.
    `Command.add_action` tells the side."""
    MOVE_INTO = "move_into"
    """Puts nodes into groups. The arguments are pairs: a group, and the node to put into it.
    `Command.add_action` tells the end."""
    ORDER = "order"
    """Puts several nodes, in the given order, beside a node or into a group."""
    ALLOCATE = "allocate"
    LOAD_FILE = "load_file"
    """Makes a buffer from a file, such as a sample."""
    READ_FILE = "read_file"
    """Reads a file into a buffer in a way other than LOAD_FILE."""
    WRITE_FILE = "write_file"
    UNLOAD = "unload"
    """Frees a buffer."""
    LOAD_SYNTHDEFS = "load_synthdefs"
    """Loads a folder of synthdefs."""
    LOAD_SYNTHDEF = "load_synthdef"
    """Loads one synthdef, whose content is in the message."""
    REGISTER = "register"
    """Makes scsynth notify the sender of this command about every node that begins or ends."""
    ASK_STATUS = "ask_status"
    ASK_SERVER = "ask_server"
    """Asks scsynth about itself. The answer contains no id, so no number in it has to be translated."""
    SET_BUSES = "set_buses"
    """Sets control buses, one value for each bus named."""
    SET_BUS_RUN = "set_bus_run"
    """Sets several consecutive control buses. The command names the first, and gives their count and
    values."""
    FILL_BUSES = "fill_buses"
    """Sets several consecutive control buses to one value. The command names the first, and gives their
    count."""
    OTHER = "other"


MAKES_GROUPS = frozenset({Act.NEW_GROUP, Act.NEW_PARALLEL_GROUP})
MOVES = frozenset({Act.MOVE_BESIDE, Act.MOVE_INTO, Act.ORDER})
EMPTIES = frozenset({Act.EMPTY, Act.EMPTY_OF_SYNTHS})
LOADS = frozenset({Act.ALLOCATE, Act.LOAD_FILE})
"""The acts that make a buffer. Every member of the room makes that buffer too."""


class Family(StrEnum):
    """The subject of a command, by the first letter of its name."""

    NODE = "node"
    BUFFER = "buffer"
    BUS = "bus"
    """Control buses, which such a command sets, fills or reads."""
    SYNTHDEF = "synthdef"
    SERVER = "server"


class Route(StrEnum):
    """Where the bridge sends a message of the local Sonic Pi."""

    ROOM = "room"
    """To the whole room, as an event."""
    RESOURCE = "resource"
    """To the whole room, as an event that loads a buffer: on this host at once, at the other members on
    arrival."""
    RESET = "reset"
    """To the whole room, as an event that resets this member's slot."""
    HOME = "home"
    """To this host's scsynth only, but in order with the room's events."""
    SYNTH = "synth"
    """To this host's scsynth only, at once."""
    NOTIFY = "notify"
    """Nowhere: the bridge answers by itself, because scsynth notifies only the bridge."""
    QUIT = "quit"
    """Nowhere: Sonic Pi wants scsynth to end, so the bridge leaves the room."""
    SWALLOW = "swallow"
    """Nowhere: the message is dropped silently."""
    REFUSE = "refuse"
    """Nowhere: the message isn't allowed, and is counted as refused."""


class ReplyKind(StrEnum):
    """The content of a message that scsynth sends."""

    DONE = "done"
    FAILED = "failed"
    NODE_BEGAN = "node_began"
    NODE_ENDED = "node_ended"
    NODE_THERE = "node_there"
    """The answer to the query whether a node exists."""
    NODE_NOTICE = "node_notice"
    """Any other notice about a node, with the arguments node, parent, previous node, next node."""
    STATUS = "status"
    OF_SERVER = "of_server"
    """About scsynth itself. It contains no id, so no number in it has to be translated."""
    TREE = "tree"
    CONTROLS = "controls"
    RUNS_OF_CONTROLS = "runs_of_controls"
    BUFFER_INFO = "buffer_info"
    BUFFER_VALUES = "buffer_values"
    BUSES = "buses"
    RUNS_OF_BUSES = "runs_of_buses"


class Role(StrEnum):
    """The meaning of an argument of a command, or of a control's value."""

    NODE = "node"
    GROUP = "group"
    NODE_NEW = "node_new"
    TARGET = "target"
    ADD_ACTION = "add_action"
    BUFFER = "buf"
    AUDIO_BUS = "abus"
    CONTROL_BUS = "cbus"
    AUDIO_BUS_OR_NONE = "abus_or_minus1"
    CONTROL_BUS_OR_NONE = "cbus_or_minus1"
    CONTROL = "ctl"
    CONTROL_VALUE = "ctl_value"
    COUNT = "count"
    INT = "int"
    FLAG = "int_flag"
    FLOAT = "float"
    STRING = "str"
    PATH = "path"
    SYNTHDEF_NAME = "synthdef_name"
    SYNTHDEF_BLOB = "synthdef_blob"
    BUFGEN_NAME = "bufgen_name"
    COMPLETION = "completion_blob"
    CLIENT_ID = "client_id"
    SYNC_ID = "sync_id"
    ANY = "any"
    SCOPE = "scope_buffer"
    """Index of a scope in scsynth's shared memory. It is valid only on the host of that scsynth."""
    HARDWARE_INPUT = "hw_input"
    """Number (from 1) of an input channel of the sound card."""
    HARDWARE_OUTPUT = "hw_output"


class Field(NamedTuple):
    """One argument of a command. optional: whether it may be absent. counted: whether it occurs n times, with
    n the value of the COUNT argument before it."""

    role: Role
    optional: bool = False
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """All facts about one command of scsynth.

    Its arguments come in this order: `args` once; the group `repeat` any number of times; `trailing` last.
    `repeat` may be empty, and `trailing` None.
    """

    address: str
    kind: CommandClass
    act: Act
    family: Family
    route: Route
    """Where the bridge sends the command. bridge/tap/classify.py makes exceptions that depend on the
    arguments."""
    args: tuple[Field, ...]
    repeat: tuple[Field, ...]
    trailing: Field | None
    why: str
    """Why the command is forbidden or local; may be empty."""
    unsupported: str
    """Why the command is refused although its class allows it; empty if it isn't refused."""
    creates: bool
    """Whether the command makes nodes."""
    add_action: int | None
    """scsynth's add action that a moving command stands for; None for every other command."""


class HomeKind(StrEnum):
    """Why a synthdef can be played only on the host of the player who uses it."""

    LISTENER = "listener"
    """It makes no sound, so the other members don't need it."""
    SOURCE = "source"
    """It takes sound from its host's sound card, which no other member has."""
    LINK = "link"
    """It is one link of a chain of effects. At the other members a stand-in keeps the chain whole."""
    OWN = "own"
    """The player's own synthdef, which no other member has."""


@dataclass(frozen=True, slots=True)
class HomeOnly:
    """A synthdef that needs the host of the player who uses it, and its stand-in at the other members.

    elsewhere: name of the synthdef that the other members play instead; None if there is no stand-in. The
    stand-in has the same name if it differs only in the hardware channels. controls: the controls that the
    stand-in is given. channels: how many outputs of the sound card the synthdef writes to. why: the reason,
    for people.
    """

    kind: HomeKind
    elsewhere: str | None
    controls: frozenset[str]
    channels: int
    why: str

    @property
    def is_missed(self) -> bool:
        """Whether the other members lack a sound or an effect that the player's own host has."""
        return self.kind in (HomeKind.SOURCE, HomeKind.OWN)


@dataclass(frozen=True, slots=True)
class SynthDef:
    """The facts about a synthdef that are needed to play it with translated ids.

    id_controls: (name, role) of each control whose value is an id. A message must set all of them. The
    reason: each defaults to 0 in every synthdef of Sonic Pi, and 0 is a hardware bus or somebody's buffer.
    local_only: whether no other member can play it; `HOME_ONLY` has its stand-in. out_channels: how many
    consecutive buses it writes to, beginning with its `out_bus`.
    """

    name: str
    id_controls: tuple[tuple[str, Role], ...]
    local_only: bool
    out_channels: int


def _field(text: str) -> Field:
    optional = text.endswith("?")
    text = text.removesuffix("?")
    return Field(Role(text.removesuffix("*count")), optional, text.endswith("*count"))


_FAMILIES = {
    **dict.fromkeys("nsgp", Family.NODE),
    "b": Family.BUFFER,
    "c": Family.BUS,
    "d": Family.SYNTHDEF,
}
_ROUTES = {CommandClass.REWRITE: Route.ROOM, CommandClass.LOCAL: Route.SYNTH}


def _command(address: str, entry: dict[str, Any]) -> Command:
    kind = CommandClass(entry["class"])
    args, repeat = (tuple(map(_field, entry.get(part, ()))) for part in ("args", "repeat"))
    return Command(
        address,
        kind,
        act=Act(entry.get("does", Act.OTHER)),
        family=_FAMILIES.get(address[1], Family.SERVER) if address[2:3] == "_" else Family.SERVER,
        route=Route(entry.get("tap", _ROUTES.get(kind, Route.REFUSE))),
        args=args,
        repeat=repeat,
        trailing=_field(entry["trailing"]) if "trailing" in entry else None,
        why=entry.get("why", ""),
        unsupported=entry.get("unsupported", ""),
        creates=any(field.role is Role.NODE_NEW for field in args + repeat),
        add_action=entry.get("add_action"),
    )


def _load() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("scsynth-commands.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _home_only(entry: dict[str, Any]) -> HomeOnly:
    return HomeOnly(
        HomeKind(entry["is"]),
        entry["elsewhere"],
        frozenset(entry.get("controls", ())),
        entry.get("channels", 0),
        entry["why"],
    )


def _synthdefs(
    table: dict[str, Any], roles: Mapping[str, Role], local_only: frozenset[str]
) -> dict[str, SynthDef]:
    controls = dict.fromkeys(local_only, ()) | table["synthdef_id_controls"]
    widths = table["out_widths"]
    return {
        name: SynthDef(
            name,
            tuple((control, roles[control]) for control in id_controls),
            name in local_only,
            widths.get(name, widths["*"]),
        )
        for name, id_controls in controls.items()
    }


_TABLE = _load()

COMMANDS: Mapping[str, Command] = MappingProxyType(
    {address: _command(address, entry) for address, entry in _TABLE["commands"].items()}
)
"""Every command that scsynth knows, by address."""

REPLIES: Mapping[str, ReplyKind] = MappingProxyType(
    {address: ReplyKind(kind) for address, kind in _TABLE["replies"].items()}
)
"""The kind of each message that scsynth itself sends, by address. Messages that synthdefs make scsynth send,
under other addresses, are not included."""

CONTROL_ROLES: Mapping[str, Role] = MappingProxyType(
    {name: Role(role) for name, role in _TABLE["controls_by_name"].items()}
)
"""The role of each control whose value is an id, by the control's name. A name has the same role in all
synthdefs."""

_HOME_ONLY = {name: _home_only(entry) for name, entry in _TABLE["home_only_synthdefs"].items()}

OWN_FX = _HOME_ONLY.pop("* fx")
"""How to treat a synthdef of the player's own that has an in_bus and an out_bus, like an FX."""

OWN_SYNTH = _HOME_ONLY.pop("*")
"""How to treat any other synthdef of the player's own."""

HOME_ONLY: Mapping[str, HomeOnly] = MappingProxyType(_HOME_ONLY)
"""The synthdefs of Sonic Pi that only the host of their player can play, by name."""

LOCAL_ONLY_SYNTHDEFS: frozenset[str] = frozenset(
    name for name, definition in HOME_ONLY.items() if definition.elsewhere != name
)
"""The names of synthdefs that no member may play on the host of another: scopes, recorders, and all that use
a microphone."""

SYNTHDEFS: Mapping[str, SynthDef] = MappingProxyType(_synthdefs(_TABLE, CONTROL_ROLES, LOCAL_ONLY_SYNTHDEFS))
"""The synthdefs of Sonic Pi, by name. The other members can't play any other synthdef."""
