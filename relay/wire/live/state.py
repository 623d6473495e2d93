"""Live state: the part of one member's music that exists at an instant, computed from that member's
messages.

Pure. A live state has the groups and synths in scsynth's order, the latest setting of every control, the
buffers that are loaded, and the control buses that are set. The relay and every bridge run this same code.
All ids are the owner's own. Messages are applied in the order in which scsynth runs them. A message that
scsynth would refuse changes nothing.

Notes end by themselves, and no message says so. The owner's bridge learns of each end from its scsynth; see
`end`. Not included: the contents of buffers that an effect has written, and what an effect remembers, such
as a tail of reverb. Bounds: PARTS_MAX nodes, settings, buffers and buses together, and BYTES_MAX bytes. A
live state that is full forgets its oldest notes.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from relay.wire import write
from relay.wire.arguments import ADD_ACTION, FIRST_SET, TARGET, whole
from relay.wire.commands import LOADS, MAKES_GROUPS, MOVES, Act, Role
from relay.wire.errors import Refused, RemoteError
from relay.wire.frames import MAX_PAYLOAD_BYTES
from relay.wire.live.tree import AFTER, ROOT, TAIL, Node, Setting, Tree
from relay.wire.meaning import Meaning

PARTS_MAX = 4096
BYTES_MAX = 512 * 1024
BUS_MAX = 1 << 24
"""All control buses are below this number: scsynth takes bus numbers as floats of 32 bits."""
BUSES_AT_ONCE = 64
"""Greatest number of control buses that one message of a live state sets."""

SETTINGS_MAX = 256
"""Greatest number of controls that are remembered of one synth. No synthdef of Sonic Pi has 100."""

_BODY_MAX = MAX_PAYLOAD_BYTES // 2
"""Greatest size of the names and values in one message of settings, bytes: half of the longest payload. The
other half is for the command's head and type tags, which take at most half as many bytes as the rest."""
_INT = struct.Struct(">i")


class Piece(NamedTuple):
    """One node or buffer of a live state, or some control buses, in the form in which it is sent.

    payload: the message that makes it, in the owner's ids. Each node is put at the tail of its group, so
    pieces in their order give scsynth's order. settings: the messages that set its controls, or pause it.
    due: the session instant from which it exists; 0 if unknown. seq: the number that its owner gave the event
    that made it.
    """

    payload: bytes
    settings: tuple[bytes, ...] = ()
    due: int = 0
    seq: int = 0


class _Loaded(NamedTuple):
    payload: bytes
    due: int
    seq: int


class LiveState:
    """The live state of one slot."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._buffers: dict[int, _Loaded] = {}
        self._buses: dict[int, float] = {}

    def __bool__(self) -> bool:
        return bool(len(self.tree) or self._buffers or self._buses)

    def apply(self, meaning: Meaning, *, due: int = 0, seq: int = 0) -> None:
        """Apply one message of the owner.

        due: the session instant at which scsynth runs it. seq: the owner's number of the event. Raises
        RemoteError if the message can't be read, or if the live state is full.
        """
        handler = _HANDLERS.get(meaning.act)
        if handler is None:
            return
        try:
            handler(self, meaning, due, seq)
        except (IndexError, ValueError):
            raise Refused("arguments", f"{meaning.payload[:8]!r} that ends too early") from None

    def clear(self) -> None:
        """Remove all nodes, as a slot reset does. Buffers and buses stay, as they do in scsynth."""
        self.tree.empty(ROOT)

    def end(self, seqs: Iterable[int]) -> None:
        """Remove notes that have ended. seqs: the owner's numbers of the events that made them."""
        gone = set(seqs)
        for note in [note for note in self.tree.notes() if note.seq in gone]:
            self.tree.free(note.id)

    def pieces(self, keeps: Callable[[Node], Node | None] = lambda node: node) -> list[Piece]:
        """Return the live state in the form in which it is sent, in the order in which it must be built.

        keeps: is given each note; returns the note to send in its place, or None to leave it out.
        """
        return list(self.each_piece(keeps))

    def each_piece(self, keeps: Callable[[Node], Node | None] = lambda node: node) -> Iterator[Piece]:
        """Yield what `pieces` returns, one by one. The live state must not change meanwhile."""
        for one in self._buffers.values():
            yield Piece(one.payload, (), one.due, one.seq)
        buses = list(self._buses.items())
        for at in range(0, len(buses), BUSES_AT_ONCE):
            yield Piece(write.set_buses(dict(buses[at : at + BUSES_AT_ONCE])))
        for node in self.tree.walk():
            sent = keeps(node) if node.is_note else node
            if sent is not None and node.parent is not None:
                payload = placed(sent.payload, node.id, TAIL, node.parent.id)
                yield Piece(payload, tuple(settings(sent)), node.due, node.seq)

    def restore(self, pieces: Iterable[Piece]) -> int:
        """Apply the pieces of a live state. Return how many of their messages were refused."""
        refused = 0
        for piece in pieces:
            for payload in (piece.payload, *piece.settings):
                try:
                    self.apply(Meaning(payload), due=piece.due, seq=piece.seq)
                except RemoteError:
                    refused += 1
        return refused

    def buses(self) -> dict[int, float]:
        """Return the values of the control buses that were set, by the number of the bus."""
        return dict(self._buses)

    def loads(self) -> list[Meaning]:
        """Return the messages that load the buffers."""
        return [Meaning(one.payload) for one in self._buffers.values()]

    # -- one method for each act ---------------------------------------------------------------------

    def _new_synth(self, meaning: Meaning, due: int, seq: int) -> None:
        ((number, action, target),) = meaning.creates
        _ = meaning.synthdef  # so that every synth of the tree has one
        node = Node(number, meaning.payload, due=due, seq=seq, is_group=False, is_note=meaning.is_note)
        self._make_room(1, node.size())
        self.tree.add(node, action, target)

    def _new_groups(self, meaning: Meaning, due: int, seq: int) -> None:
        for number, action, target in meaning.creates:
            node = Node(number, write.new_group(number, TAIL, ROOT), due=due, seq=seq)
            self._make_room(1, node.size())
            self.tree.add(node, action, target)

    def _free(self, meaning: Meaning, due: int, seq: int) -> None:
        for number in meaning.frees:
            self.tree.free(number)

    def _empty(self, meaning: Meaning, due: int, seq: int) -> None:
        for number in meaning.names:
            if number != ROOT:  # bridges refuse that: to empty the whole slot is a reset
                self.tree.empty(number)

    def _empty_of_synths(self, meaning: Meaning, due: int, seq: int) -> None:
        for number in meaning.names:
            if number != ROOT:
                self.tree.free_synths(number)

    def _set(self, meaning: Meaning, due: int, seq: int) -> None:
        node = whole(meaning.message, 0)
        given = dict(_settings_in(meaning))
        count, size, most = self.tree.growth(node, given)
        if most > SETTINGS_MAX or count > PARTS_MAX:
            raise Refused(
                "live-state-full",
                f"{most} controls of one synth, {count} in all: at most {SETTINGS_MAX}, {PARTS_MAX}",
            )
        self._make_room(count, size)
        self.tree.set(node, given)

    def _pause(self, meaning: Meaning, due: int, seq: int) -> None:
        message = meaning.message
        for at in range(0, len(message.tags) - 1, 2):
            self.tree.run(whole(message, at), runs=whole(message, at + 1) != 0)

    def _move(self, meaning: Meaning, due: int, seq: int) -> None:
        message, command = meaning.message, meaning.command
        if command is None:
            return
        numbers = [whole(message, at) for at in range(len(message.tags))]
        if meaning.act is Act.ORDER:
            action, place = numbers[0], numbers[1]
            for node in numbers[2:]:
                if self.tree.move(node, action, place):
                    action, place = AFTER, node
        elif command.add_action is not None:
            into = meaning.act is Act.MOVE_INTO
            for first, second in zip(numbers[::2], numbers[1::2], strict=False):
                node, place = (second, first) if into else (first, second)
                self.tree.move(node, command.add_action, place)

    def _load(self, meaning: Meaning, due: int, seq: int) -> None:
        number = meaning.loads
        if number is None:
            return
        self._unload_one(number)
        self._make_room(1, len(meaning.payload))
        self._buffers[number] = _Loaded(meaning.payload, due, seq)
        self.tree.cost.add(1, len(meaning.payload))

    def _unload(self, meaning: Meaning, due: int, seq: int) -> None:
        if meaning.unloads is not None:
            self._unload_one(meaning.unloads)

    def _unload_one(self, number: int) -> None:
        old = self._buffers.pop(number, None)
        if old is not None:
            self.tree.cost.add(-1, -len(old.payload))

    def _set_buses(self, meaning: Meaning, due: int, seq: int) -> None:
        message = meaning.message
        at = 0
        while at + 1 < len(message.tags):
            first = whole(message, at)
            if meaning.act is Act.SET_BUSES:
                count, values_at, step = 1, at + 1, 2
            else:
                count = whole(message, at + 1)
                same = meaning.act is Act.FILL_BUSES
                values_at, step = at + 2, 3 if same else 2 + count
            if not 0 < count <= PARTS_MAX or not 0 <= first <= BUS_MAX - count:
                raise Refused("arguments", f"{message.address} {first} {count}: no such control buses")
            if set(message.tags[values_at : at + step]) - set("if"):
                raise Refused("arguments", f"{message.address} ,{message.tags[:40]}: expected bus, value")
            values = [message.arg(index) for index in range(values_at, at + step)]
            new = {first + index for index in range(count)} - self._buses.keys()
            self._make_room(len(new), 8 * len(new))
            self.tree.cost.add(len(new), 8 * len(new))
            for index in range(count):
                self._buses[first + index] = float(values[index % len(values)])
            at += step

    def _make_room(self, count: int, size: int) -> None:
        """Forget the oldest notes until there is room. Raises Refused if there is none."""
        cost = self.tree.cost
        if cost.count + count <= PARTS_MAX and cost.size + size <= BYTES_MAX:
            return
        while (oldest := next(self.tree.notes(), None)) is not None:
            self.tree.free(oldest.id)
            if cost.count + count <= PARTS_MAX and cost.size + size <= BYTES_MAX:
                return
        raise Refused("live-state-full", f"more than {PARTS_MAX} parts or {BYTES_MAX} bytes")


def settings(node: Node) -> list[bytes]:
    """Return the messages that give a node the latest setting of each control, and pause it if it is
    paused."""
    messages: list[bytes] = []
    tags, body = "", b""
    for name, setting in node.settings.items():
        if not write.is_set(setting.address):
            messages.append(
                write.set_as_sent(node.id, f"s{setting.tags}", name + setting.data, setting.address)
            )
            continue
        if tags and len(body) + len(name) + len(setting.data) > _BODY_MAX:
            messages.append(write.set_as_sent(node.id, tags, body))
            tags, body = "", b""
        tags, body = f"{tags}s{setting.tags}", body + name + setting.data
    if tags:
        messages.append(write.set_as_sent(node.id, tags, body))
    if not node.runs:
        messages.append(write.run_node(node.id, runs=False))
    return messages


def placed(payload: bytes, number: int, action: int, target: int) -> bytes:
    """Return the message that makes a node, with another add action and target. All else stays as it was."""
    meaning = Meaning(payload)
    if not meaning.makes_synth:
        return write.new_group(number, action, target)
    message, patched = meaning.message, bytearray(payload)
    tags_at = payload.index(b",") + 1
    for index, value in ((ADD_ACTION, action), (TARGET, target)):
        patched[tags_at + index] = ord("i")  # as a float a large id would be another one
        _INT.pack_into(patched, message.offsets[index], value)
    return bytes(patched)


def _settings_in(meaning: Meaning) -> Iterator[tuple[bytes, Setting]]:
    """Yield (the control's name as padded bytes, its setting) for each control that a message sets."""
    message, command = meaning.message, meaning.command
    assert command is not None, "only commands of the table have an act"
    tags, raw = message.tags, message.raw
    ends = (*message.offsets, len(raw))
    counted = [field.role for field in command.repeat].count(Role.COUNT) and command.repeat[-1].counted
    at = FIRST_SET
    while at < len(tags):
        end = at + (2 + whole(message, at + 1) if counted else len(command.repeat))
        if tags[at] != "s" or not at + 1 < end <= len(tags) or not set(tags[at + 1 : end]) <= set("ifs"):
            raise Refused("arguments", f"{message.address} ,{tags[:40]}: expected controls by name")
        data = raw[ends[at + 1] : ends[end]]
        yield raw[ends[at] : ends[at + 1]], Setting(message.address, tags[at + 1 : end], data)
        at = end


_HANDLERS: dict[Act, Callable[[LiveState, Meaning, int, int], None]] = {
    Act.NEW_SYNTH: LiveState._new_synth,
    **dict.fromkeys(MAKES_GROUPS, LiveState._new_groups),
    Act.FREE: LiveState._free,
    Act.EMPTY: LiveState._empty,
    Act.EMPTY_OF_SYNTHS: LiveState._empty_of_synths,
    **dict.fromkeys((Act.SET, Act.SET_RUN, Act.MAP), LiveState._set),
    Act.PAUSE: LiveState._pause,
    **dict.fromkeys(MOVES, LiveState._move),
    **dict.fromkeys(LOADS, LiveState._load),
    Act.UNLOAD: LiveState._unload,
    **dict.fromkeys((Act.SET_BUSES, Act.SET_BUS_RUN, Act.FILL_BUSES), LiveState._set_buses),
}
