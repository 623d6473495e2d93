"""Classification: finds the route of each message that Sonic Pi sends to scsynth.

Pure. A route tells whether a message goes to the room, to this host's scsynth only, to nobody, and so on. The
command table (relay/wire/commands.py) has a route for each command. Some routes also depend on the nodes that
a message is about, or on the synthdef that it plays.
"""

from collections.abc import Container

from bridge.tap.stand_ins import home_only
from relay.wire.commands import EMPTIES, Act, Route
from relay.wire.meaning import Meaning

SERVER_INFO = "sonic-pi-server-info"


def route(meaning: Meaning, home_nodes: Container[int]) -> Route:
    """Return the route of a message of the local player: to the room, to this host's scsynth only, to nobody,
    and so on.

    home_nodes: Sonic Pi's ids of nodes that exist on this host only (scopes, recorders, live audio).
    """
    if meaning.command is None:
        return Route.REFUSE
    where = meaning.command.route
    if where is not Route.ROOM:
        return where
    if meaning.act in EMPTIES and _only_root(meaning):
        return Route.RESET
    if meaning.act is Act.PAUSE and meaning.message.tags[:1] == "i" and meaning.message.arg(0) == 0:
        return Route.SWALLOW
    if meaning.makes_synth and is_home_synth(meaning):
        return Route.SYNTH if meaning.synthdef == SERVER_INFO else Route.HOME
    if home_nodes and _concerns_only(meaning, home_nodes):
        return Route.HOME
    return Route.ROOM


def is_home_synth(meaning: Meaning) -> bool:
    """Return whether a new synth is played on this host only, and nothing is played for it elsewhere.

    Such a synth uses a microphone, writes a file, shows a scope, or is the player's own.
    """
    known = home_only(meaning)
    return known is not None and known.elsewhere is None


def _only_root(meaning: Meaning) -> bool:
    args = meaning.message.args
    return bool(args) and all(argument == 0 for argument in args)


def _concerns_only(meaning: Meaning, home_nodes: Container[int]) -> bool:
    """Return whether all nodes that a message acts upon exist on this host only. Targets don't count."""
    if meaning.creates:
        return False
    nodes = meaning.names[1:] if meaning.act is Act.ORDER else meaning.names
    return bool(nodes) and all(node in home_nodes for node in nodes)
