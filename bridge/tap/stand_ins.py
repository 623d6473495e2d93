"""Stand-ins: replacements for the local player's messages that the other members can't play as they are.

Pure. An FX must not be left out, because the sound inside it plays into a bus that nothing else reads. So a
stand-in takes the FX's place at the others, by the table of synthdefs that need their own host
(relay/wire/commands.py). The stand-in's node has the FX's number, so later messages find it. Later settings
reach it only for the controls that the table lists. Messages too long for one event travel in pieces. Bound:
NODES_KEPT nodes with a stand-in elsewhere.
"""

from dataclasses import dataclass
from math import inf

from bridge.scsynth.split_calls import pieces
from relay.wire import write
from relay.wire.arguments import FIRST_CONTROL, FIRST_SET, whole
from relay.wire.commands import HOME_ONLY, OWN_FX, OWN_SYNTH, SYNTHDEFS, Act, HomeKind, HomeOnly
from relay.wire.errors import Refused
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, Message

NODES_KEPT = 4096
_BUSES = frozenset({"in_bus", "out_bus"})


@dataclass(frozen=True, slots=True)
class Travelling:
    """The messages that the others get for one local message: `parts`, in order, maybe none.

    differs: whether this host plays the local message instead of the only part.
    """

    parts: tuple[Meaning, ...]
    differs: bool = False


NOTHING = Travelling(())


def home_only(meaning: Meaning) -> HomeOnly | None:
    """Return a new synth's entry in the table of synthdefs that need their own host; None if there is
    none."""
    name = meaning.synthdef
    if name in SYNTHDEFS:
        return HOME_ONLY.get(name)
    return OWN_FX if _is_link(meaning.message) else OWN_SYNTH


class StandIns:
    """The local player's nodes for which the others have a stand-in."""

    def __init__(self) -> None:
        self._known: dict[int, HomeOnly] = {}

    def clear(self) -> None:
        """Forget all nodes, because the slot was reset."""
        self._known.clear()

    def ended(self, node: int) -> None:
        """Forget a node that is gone."""
        self._known.pop(node, None)

    def travelling(self, meaning: Meaning) -> Travelling:
        """Return the messages to send to the others for a local message. Raises Refused if its arguments are
        invalid."""
        if meaning.makes_synth:
            return self._synth(meaning)
        if meaning.act is Act.SET and meaning.message.tags and self._known:
            known = self._known.get(whole(meaning.message, 0))
            if known is not None:
                return _setting(meaning.message, known)
        return Travelling(tuple(pieces(meaning, MAX_PAYLOAD_BYTES)))

    def _synth(self, meaning: Meaning) -> Travelling:
        known = home_only(meaning)
        if known is None or known.elsewhere == meaning.synthdef:
            return Travelling(tuple(pieces(meaning, MAX_PAYLOAD_BYTES)))
        if known.elsewhere is None:
            return NOTHING
        ((node, action, target),) = meaning.creates
        self._known[node] = known
        if len(self._known) > NODES_KEPT:
            del self._known[next(iter(self._known))]
        given = _given(meaning.message, FIRST_CONTROL, known)
        return _instead(write.new_synth(known.elsewhere, node, action, target, *given))


def _setting(message: Message, known: HomeOnly) -> Travelling:
    given = _given(message, FIRST_SET, known)
    return _instead(write.set_controls(whole(message, 0), *given)) if given else NOTHING


def _instead(payload: bytes) -> Travelling:
    return Travelling((Meaning(payload),), differs=True)


def _is_link(message: Message) -> bool:
    return _controls(message, FIRST_CONTROL, _BUSES).keys() == _BUSES


def _given(message: Message, first: int, known: HomeOnly) -> list[Arg]:
    """Return the controls that the table lists for a stand-in, and their values, alternating.

    first: the argument where the controls begin. Negative values are left out for a player's own synthdef,
    because their meaning there is unknown.
    """
    found = _controls(message, first, known.controls)
    if known.kind is HomeKind.OWN:
        found = {name: value for name, value in found.items() if 0 <= value < inf}
    return [part for pair in found.items() for part in pair]


def _controls(message: Message, first: int, wanted: frozenset[str]) -> dict[str, float]:
    """Return the wanted controls that have numeric values. If one is given twice, the last value counts.

    first: the argument where the controls begin.
    """
    tags, found = message.tags, dict[str, float]()
    if "[" in tags:
        raise Refused("array", f"{message.address} ,{tags[:40]}")
    for at in range(first, len(tags) - 1, 2):
        name, value = message.arg(at), message.arg(at + 1)
        if not isinstance(name, str) or name not in wanted:
            continue
        if tags[at + 1] in "if" and isinstance(value, int | float):  # no double, which a float may not hold
            found[name] = value
    return found
