"""Classification: what becomes of each message that Sonic Pi sends to scsynth.

Pure. What the command table says of a command (relay/wire/commands.py), and where its arguments make a
difference: which node it is about, and which synthdef.
"""

from collections.abc import Container

from bridge.tap.stand_ins import home_only
from relay.wire.commands import Act, Route
from relay.wire.meaning import MASTER_MIXER, Meaning

SERVER_INFO = "sonic-pi-server-info"


def route(meaning: Meaning, home_nodes: Container[int]) -> Route:
    """Return where a message of the local player goes.

    home_nodes: Sonic Pi's ids of nodes that only this host has (scopes, recorders, live audio).
    """
    if meaning.command is None:
        return Route.REFUSE
    where = meaning.command.route
    if where is not Route.ROOM:
        return where
    if meaning.act is Act.EMPTY and _only_root(meaning):
        return Route.RESET
    if meaning.act is Act.PAUSE and meaning.message.tags[:1] == "i" and meaning.message.arg(0) == 0:
        return Route.SWALLOW
    if meaning.makes_synth and is_home_synth(meaning):
        return Route.SYNTH if meaning.synthdef == SERVER_INFO else Route.HOME
    if home_nodes and _concerns_only(meaning, home_nodes):
        return Route.HOME
    return Route.ROOM


def is_home_synth(meaning: Meaning) -> bool:
    """Tell whether a synth is made that only its own host has, nothing standing for it elsewhere: it hears a
    microphone, writes a file, shows a scope, or is of a synthdef of the player's own."""
    known = home_only(meaning)
    return known is not None and known.elsewhere is None


def is_foundation(meaning: Meaning, *, complete: bool) -> bool:
    """Tell whether a creation belongs to what Sonic Pi builds at its start and never frees.

    complete: the master mixer has been made since the last slot reset.
    """
    return not complete and meaning.act in (Act.NEW_GROUP, Act.NEW_SYNTH)


def completes_foundation(meaning: Meaning) -> bool:
    """Tell whether this is the last creation of Sonic Pi's start."""
    return meaning.makes_synth and meaning.synthdef == MASTER_MIXER


def _only_root(meaning: Meaning) -> bool:
    args = meaning.message.args
    return bool(args) and all(argument == 0 for argument in args)


def _concerns_only(meaning: Meaning, home_nodes: Container[int]) -> bool:
    """Tell whether what a message acts upon exists at home only; targets don't count."""
    if meaning.creates:
        return False
    nodes = meaning.names[1:] if meaning.act is Act.ORDER else meaning.names
    return bool(nodes) and all(node in home_nodes for node in nodes)
