"""Classification: what becomes of each message that Sonic Pi sends to scsynth.

Pure. Timed, untimed, resource and reset events go to the room; own ones are answered here or handed to
this host's scsynth only. Which command is of which class: relay/wire/scsynth-commands.json.
"""

from collections.abc import Container
from enum import Enum

from bridge.scsynth.arguments import created_nodes, referenced_nodes, synthdef_name
from bridge.tap.stand_ins import home_only
from relay.wire.commands import COMMANDS, CommandClass
from relay.wire.meaning import MASTER_MIXER
from relay.wire.osc import Message

SERVER_INFO = "sonic-pi-server-info"


class Route(Enum):
    """Where a message goes."""

    TIMED = "timed event of the room"
    UNTIMED = "untimed event of the room"
    RESOURCE = "resource of the room: loaded at home at once, elsewhere on arrival"
    RESET = "slot reset"
    HOME = "played at home only, in order with the music"
    SYNTH = "handed to the own scsynth at once"
    NOTIFY = "answered by the bridge: it is the one client that scsynth notifies"
    QUIT = "the player leaves"
    SWALLOW = "not executed anywhere"
    REFUSE = "not allowed"


_RESETS = frozenset({"/clearSched"})
_LOADS = frozenset({"/b_alloc", "/b_allocRead"})
_SYNTH_TOO = frozenset(
    {
        "/d_load",
        "/d_loadDir",
        "/d_recv",
        "/b_write",
        "/b_close",
        "/b_read",
        "/b_readChannel",
        "/b_allocReadChannel",
    }
)
"""Sonic Pi's own recording and synthdef files: its own machine only."""
_SWALLOWED = frozenset({"/dumpOSC", "/error", "/none"})


def route(message: Message, timetag: int | None, home_nodes: Container[int]) -> Route:
    """Return where a message of the local player goes.

    timetag: its bundle's, None for a bare message. home_nodes: Sonic Pi's ids of nodes that only
    this host has (scopes, recorders, live audio).
    """
    address = message.address
    if address in _RESETS or (address in ("/g_freeAll", "/g_deepFree") and _only_root(message)):
        return Route.RESET
    if address == "/notify":
        return Route.NOTIFY
    if address == "/quit":
        return Route.QUIT
    if address in _SWALLOWED or (address == "/n_run" and message.tags[:1] == "i" and message.arg(0) == 0):
        return Route.SWALLOW
    if address in _LOADS:
        return Route.RESOURCE
    if address in _SYNTH_TOO:
        return Route.SYNTH
    command = COMMANDS.get(address)
    if command is None:
        return Route.REFUSE
    if command.kind is CommandClass.LOCAL:
        return Route.SYNTH
    if command.kind is not CommandClass.REWRITE:
        return Route.REFUSE
    if address == "/s_new" and is_home_synth(message):
        return Route.SYNTH if synthdef_name(message) == SERVER_INFO else Route.HOME
    if home_nodes and _concerns_only(message, home_nodes):
        return Route.HOME
    return Route.UNTIMED if timetag is None else Route.TIMED


def is_home_synth(message: Message) -> bool:
    """Tell whether an /s_new makes a synth that only its own host has, nothing standing for it elsewhere: it
    hears a microphone, writes a file, shows a scope, or is of a synthdef of the player's own."""
    known = home_only(message)
    return known is not None and known.elsewhere is None


def is_foundation(message: Message, *, complete: bool) -> bool:
    """Tell whether a creation belongs to what Sonic Pi builds at its start and never frees.

    complete: the master mixer has been made since the last slot reset.
    """
    return not complete and message.address in ("/g_new", "/s_new")


def completes_foundation(message: Message) -> bool:
    """Tell whether this is the last creation of Sonic Pi's start."""
    return message.address == "/s_new" and synthdef_name(message) == MASTER_MIXER


def _only_root(message: Message) -> bool:
    return bool(message.tags) and all(argument == 0 for argument in message.args)


def _concerns_only(message: Message, home_nodes: Container[int]) -> bool:
    """Tell whether what a message acts upon exists at home only; targets don't count."""
    if created_nodes(message):
        return False
    nodes = referenced_nodes(message)
    if message.address == "/n_order":
        nodes = nodes[1:]
    return bool(nodes) and all(node in home_nodes for node in nodes)
