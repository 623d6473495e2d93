"""Builds: the bundles with which a bridge builds a member's running music in its host's scsynth.

Pure. A newcomer is not handed the events that were due before. Its bridge builds the music that they have led
to, at an instant T. The bundles begin with a message that no event has, and then name the slot (see `split`).

A build is proved from the relay's log. The slot's events due by T are run through a model of scsynth's tree,
the messages of the build through another one. Both must end with the same groups, FX and mixers in the same
order, and with the same values of their controls. Notes end by themselves. So a build may lack notes, but any
note in it must be one of the log's. Written from scsynth's command reference.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby, zip_longest

from rehearsal.proof.relaylog import RESET, LoggedEvent
from rehearsal.proof.same import (
    BUFFER_CONTROLS,
    BUS_CONTROLS,
    OWN_NODE,
    Field,
    fields_of,
    id_difference,
    root_of,
)
from rehearsal.rigs.nodes import AFTER, BEFORE, HEAD, TAIL, LiveNode, Nodes, NoSuchPlace
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import RecordedMessage

NO_COMPLAINTS = osc("/error", -1)
"""The first message of every bundle that builds. No event has it."""
JAM = 1
KEPT = ("-fx_", "mixer")
"""Parts of synthdef names. A synth whose synthdef's name contains one of them stays until it is freed."""
ENVELOPE = (
    *("attack", "decay", "sustain", "release"),
    *("attack_level", "decay_level", "sustain_level"),
)
"""The controls of a note that have other values if it is built in its middle."""
MOVES = {"/n_before": BEFORE, "/n_after": AFTER, "/g_head": HEAD, "/g_tail": TAIL}
MAPS = {"/n_set": "", "/n_map": "control bus", "/n_mapa": "bus"}
"""Command that sets controls by name -> what its values name: a kind of bus, or "" for none."""

Value = tuple[str, Field]
"""A control's value: what it names (as in MAPS), and the argument."""


class BuildError(ValueError):
    """The build isn't the music that the log says. The text names the first difference."""


@dataclass(frozen=True, slots=True)
class Build:
    """The messages with which a bridge built one slot's music at one instant.

    timetag: T; None if it was built at once.
    """

    slot: int
    timetag: int | None
    messages: tuple[RecordedMessage, ...]
    """The messages, without the two that every bundle begins with."""


def split(messages: Iterable[RecordedMessage]) -> tuple[list[RecordedMessage], list[Build]]:
    """Return the messages that build nothing, and the builds in their order.

    A bundle that builds begins with NO_COMPLAINTS. Its next message creates the slot's root group, which is
    there already. Bundles of one slot and one timetag are one build. Raises BuildError if a bundle names no
    slot.
    """
    others: list[RecordedMessage] = []
    builds: list[Build] = []
    for _, datagram in groupby(messages, lambda message: message.datagram):
        first, *rest = datagram
        if first.raw != NO_COMPLAINTS:
            others += [first, *rest]
            continue
        root = rest[0].args[0] if rest and rest[0].args else None
        if not isinstance(root, int) or root & OWN_NODE or rest[0].raw != osc("/g_new", root, TAIL, JAM):
            raise BuildError("a bundle that builds doesn't name its slot")
        slot, made = root // root_of(1), tuple(rest[1:])
        if builds and (builds[-1].slot, builds[-1].timetag) == (slot, first.timetag):
            made = (*builds.pop().messages, *made)
        builds.append(Build(slot, first.timetag, made))
    return others, builds


@dataclass
class Music:
    """The nodes of one slot and the latest value of each control, by the owner's own numbers.

    Messages may have the owner's numbers or scsynth's. The root is the slot's root group.
    """

    nodes: Nodes = field(default_factory=Nodes)
    values: dict[int, dict[str, Value]] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)

    def run(self, raw: bytes) -> None:
        """Execute one message. A message that scsynth refuses changes nothing. Raises BuildError for an
        unknown message about nodes."""
        address, fields = fields_of(raw)
        numbers = [int(one.value) & OWN_NODE if isinstance(one.value, int | float) else 0 for one in fields]
        match address:
            case "/s_new":
                self.make(*numbers[1:4], synth=str(fields[0].value), given=fields[4:])
            case "/g_new" | "/p_new":
                for at in range(0, len(numbers) - 2, 3):
                    self.make(*numbers[at : at + 3])
            case "/n_set" | "/n_map" | "/n_mapa":
                self.set(numbers[0], MAPS[address], fields[1:])
            case "/n_run":
                for node, runs in zip(numbers[::2], numbers[1::2], strict=False):
                    (self.paused.discard if runs else self.paused.add)(node)
            case "/n_free" | "/g_freeAll" | "/g_deepFree":
                for node in numbers:
                    self.free(node, address)
            case "/n_order":
                action, place = numbers[:2]
                for node in numbers[2:]:
                    if self.move(node, action, place):
                        action, place = AFTER, node
            case _ if address in MOVES:
                for first, second in zip(numbers[::2], numbers[1::2], strict=False):
                    node, place = (second, first) if address.startswith("/g_") else (first, second)
                    self.move(node, MOVES[address], place)
            case _ if address.startswith(("/n_", "/g_", "/s_", "/p_")):
                raise BuildError(f"{address}: a message that the proof doesn't know")

    def make(
        self, node: int, action: int, target: int, *, synth: str | None = None, given: Sequence[Field] = ()
    ) -> None:
        """Create a node. given: a synth's controls, names and values in turn."""
        with suppress(NoSuchPlace):
            self.nodes.make(node, action, target, synth=synth)
            self.values[node] = {}
            self.paused.discard(node)
            self.set(node, "", given)

    def set(self, node: int, names: str, given: Sequence[Field]) -> None:
        """Set controls of a synth, or of all synths in a group. names: what the values name, as in MAPS."""
        found = self.nodes.by_id.get(node)
        for one in [] if found is None else [found, *below(found)]:
            for name, value in zip(given[::2], given[1::2], strict=False):
                if one.inside is None:
                    self.values[one.id][str(name.value)] = (names, value)

    def free(self, node: int, command: str = "/g_freeAll") -> None:
        """Free a node, or all nodes in a group, or all synths in it and below it, as `command` does."""
        with suppress(NoSuchPlace):
            if command == "/n_free":
                self.nodes.free(self.nodes.find(node))
            elif command == "/g_deepFree":
                self.nodes.free_synths(self.nodes.group(node))
            else:
                for one in list(self.nodes.group(node).inside or ()):
                    self.nodes.free(one)

    def move(self, node: int, action: int, place: int) -> bool:
        """Move a node. Return False if scsynth refuses it."""
        try:
            self.nodes.move(self.nodes.find(node), action, self.nodes.find(place))
        except NoSuchPlace:
            return False
        return True


def below(node: LiveNode) -> Iterator[LiveNode]:
    """Yield all nodes inside a node, each group before the nodes in it, in scsynth's order."""
    for one in node.inside or ():
        yield one
        yield from below(one)


def is_note(node: LiveNode) -> bool:
    """Tell whether a node is a synth that ends by itself."""
    return node.inside is None and not any(part in node.name for part in KEPT)


def of_log(events: Iterable[LoggedEvent]) -> Music:
    """Return what executed events of one slot lead to. events: in the order of execution."""
    music = Music()
    for event in events:
        if event.kind == RESET:
            music.free(music.nodes.root.id)
        else:
            music.run(event.payload)
    return music


def check(build: Build, events: Iterable[LoggedEvent]) -> None:
    """Raise BuildError if a build isn't the music that results from the slot's events executed by T."""
    wanted, made = of_log(events), Music()
    for message in build.messages:
        made.run(message.raw)
    kept = [[place_of(one) for one in below(each.nodes.root) if not is_note(one)] for each in (wanted, made)]
    for one, other in zip_longest(*kept, fillvalue="nothing"):
        if one != other:
            raise BuildError(f"built {other}, expected {one}")
    for node in below(made.nodes.root):
        same = wanted.nodes.by_id.get(node.id)
        if same is None or place_of(same) != place_of(node):
            raise BuildError(f"built {place_of(node)}, which isn't there by the log")
        if (node.id in made.paused) != (node.id in wanted.paused):
            raise BuildError(f"built {place_of(node)}, paused on one side only")
        ignored = ENVELOPE if is_note(node) else ()
        why = values_differ(wanted.values[node.id], made.values[node.id], build.slot, ignored)
        if why is not None:
            raise BuildError(f"built {place_of(node)} with {why}")


def place_of(node: LiveNode) -> str:
    """Return a node and the group in which it is, in words."""
    return f"{node.name} {node.id} in {node.parent.id if node.parent is not None else 'no group'}"


def values_differ(
    wanted: Mapping[str, Value], made: Mapping[str, Value], slot: int, ignored: Sequence[str]
) -> str | None:
    """Return in words how the values of two synths' controls differ; None if they are the same.

    wanted: with the owner's own numbers. made: with scsynth's. Buses and buffers that the owner left to their
    defaults may have been added.
    """
    for name in sorted((wanted.keys() | made.keys()) - set(ignored)):
        role = {**dict.fromkeys(BUS_CONTROLS, "bus"), **dict.fromkeys(BUFFER_CONTROLS, "buffer")}.get(
            name, ""
        )
        if name not in made or (name not in wanted and not role):
            return f"{name} {'left out' if name not in made else 'that nobody has set'}"
        names, expected = wanted.get(name, ("", Field("f", 0.0, b"")))
        found_names, found = made[name]
        role = names or role
        if found_names != names:
            return f"{name} that names {found_names or 'no bus'}, expected {names or 'no bus'}"
        if role and (why := id_difference(role, expected, found, slot)) is not None:
            return f"{name}: {why}"
        if not role and (expected.tag, expected.raw) != (found.tag, found.raw):
            return f"{name} {found.value!r}, expected {expected.value!r}"
    return None
