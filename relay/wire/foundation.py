"""Foundation: the nodes that a Sonic Pi makes at its start and never frees, its buffers, and the values set
later.

Pure. A foundation is the part of a member's live state that is sent to members who join later. The member's
own bridge, the relay, and the bridges of all others keep it with this code. Notes need the groups, mixer and
samples that their Sonic Pi made before: without them they don't sound. Without the latest volume they sound
wrong. FX and notes that ran before a join are not part of the foundation, because the next run of the
player's code makes new ones.

Every piece (a node or a buffer) and every value is stored with the room number of the event that set it, or 0
if it didn't come by an event. So a foundation that arrives late never undoes a later event. A value is also
stored with its due, or 0 if its due has passed; no value is applied before its due. Bounds for each slot:
MESSAGES_MAX nodes, buffers and values together, and BYTES_MAX bytes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.wire import write
from relay.wire.arguments import NODE_NEW
from relay.wire.commands import LOADS, Act
from relay.wire.errors import Refused, RemoteError
from relay.wire.frames import LAST_INSTANT, MAX_PAYLOAD_BYTES
from relay.wire.meaning import Meaning
from relay.wire.osc import Message
from relay.wire.sequence import Kind
from relay.wire.timetag import FIRST_SAFE

MESSAGES_MAX = 4096
BYTES_MAX = 512 * 1024
VALUE_BYTES = 32
"""Bytes counted for each value in addition to its name and data. They cover the head of a /n_set command and
the due."""
BEFORE_ALL_NUMBERS = -1
"""The event number given to pieces and values from before this epoch of the relay. Every event of this epoch
has a greater number."""

_BODY_MAX = MAX_PAYLOAD_BYTES // 2
"""Greatest size of the names and values in one /n_set, in bytes: half of the longest payload. The other half
is for the command's head and type tags. The tags take at most half as many bytes as the names and values."""

Key = tuple[str, int]
"""Identifies a piece: ("node", node id) or ("buffer", buffer number)."""


@dataclass(frozen=True, slots=True)
class Told:
    """A foundation, or the new part of one, in the form in which relay and bridges send it to each other.

    messages: OSC commands that make nodes and load buffers, in the order in which they must be executed.
    values: pairs (due, /n_set command). due: a session timetag, or 0 if it has passed. The commands have no
    timetag, and use the node ids and buffer numbers of the member whose foundation it is.
    """

    messages: list[bytes]
    values: list[tuple[int, bytes]]

    def __bool__(self) -> bool:
        return bool(self.messages or self.values)


class _Value(NamedTuple):
    """The value of one control of a node.

    due, number: of the event that set the value. Of two values the one with the greater (due, number) holds.
    tag: OSC type tag. data: the value, OSC-encoded.
    """

    due: int
    number: int
    tag: str
    data: bytes


@dataclass(slots=True)
class _Piece:
    """A node or buffer of the foundation.

    payload: the message that made it. number: room number of the event with that message. values: the latest
    value of each control, by the padded bytes of the control's name.
    """

    payload: bytes
    number: int
    values: dict[bytes, _Value] = field(default_factory=dict)

    def size(self) -> int:
        return len(self.payload) + sum(map(_size, self.values.items()))


class FoundationStore:
    """Stores the foundation of one slot, and updates it by events and by received foundations."""

    def __init__(self) -> None:
        self._pieces: dict[Key, _Piece] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._pieces)

    def concerns(self, kind: Kind, meaning: Meaning, *, founds: bool) -> bool:
        """Return whether an event of the slot's owner may change the foundation.

        Not for slot resets: callers handle these before. founds: whether the event has the flag FOUNDATION,
        which marks a node that is never freed. Raises MalformedOsc if the event's message can't be decoded.
        """
        if kind is Kind.RESOURCE or founds or meaning.act is Act.UNLOAD:
            return True
        return meaning.act is Act.SET and self.is_founded(meaning.message)

    def is_founded(self, message: Message) -> bool:
        """Return whether a message's first argument is the id of a node of the foundation."""
        return message.tags[:1] == "i" and ("node", message.arg(0)) in self._pieces

    def apply(self, meaning: Meaning, *, number: int = 0, due: int = 0) -> bool:
        """Apply one message of the slot's owner, and return whether the foundation changed.

        A message that makes a node or loads a buffer is kept. A /b_free removes its buffer. A /n_set changes
        the values of a kept node and is ignored for any other node. number: room number of the event, 0 if it
        has none. due: its session timetag, 0 if that has passed. Raises MalformedOsc for a malformed message.
        Raises Refused for any other command, and if the store is full.
        """
        if meaning.act is Act.UNLOAD:
            return self._drop(("buffer", _first_id(meaning.message)))
        if meaning.act is Act.SET:
            return self._set(meaning, number, due)
        key, payload = key_of(meaning), meaning.payload
        old = self._pieces.get(key)
        if old is not None and old.payload == payload:
            old.number = max(old.number, number)
            return False
        self._keep(key, _Piece(payload, number))
        return True

    def learn(
        self, messages: Iterable[bytes], values: Iterable[tuple[int, bytes]], number: int
    ) -> tuple[Told, int]:
        """Merge a foundation that the relay or a bridge sent. Return (the part that was new to this store,
        count of refused messages).

        messages, values: as in `Told`. number: room number of the last event that the received foundation
        includes. Pieces and values of later events stay as they are. Merging the same foundation again
        changes nothing.
        """
        fresh, refused = Told([], []), 0
        named: dict[Key, set[bytes]] = {}
        for payload in messages:
            try:
                key = key_of(Meaning(payload))
                old = self._pieces.get(key)
                if old is not None and old.number > number:
                    continue
                if old is None or old.payload != payload:
                    self._keep(key, _Piece(payload, number))
                    fresh.messages.append(payload)
                else:
                    old.number = number
                    self._pieces[key] = self._pieces.pop(key)  # into the order of the report
                named[key] = set()
            except RemoteError:
                refused += 1
        for due, payload in values:
            try:
                if due and not FIRST_SAFE <= due <= LAST_INSTANT:
                    raise Refused("due", f"{due}: expected 0 or an instant")
                meaning = Meaning(payload)
                if self._set(meaning, number, due, told=True):
                    fresh.values.append((due, payload))
                message = meaning.message
                named.get(("node", _first_id(message)), set()).update(_values(message, 0, 0))
            except RemoteError:
                refused += 1
        self._forget_untold(named, number)
        return fresh, refused

    def told(self, without: Callable[[int], bool] = lambda number: False) -> Told:
        """Return the whole foundation, as it is sent to others.

        without: a test of event numbers. Values set by an event for which it returns True are left out.
        """
        values: list[tuple[int, bytes]] = []
        # A piece may need one of an earlier event, and that one may have come later.
        pieces = sorted(self._pieces.items(), key=lambda one: one[1].number)
        for (sort, node), piece in pieces:
            if sort == "node":
                kept = {name: value for name, value in piece.values.items() if not without(value.number)}
                values += _settings(node, kept)
        return Told([piece.payload for _, piece in pieces], values)

    def clear(self, up_to: int | None = None) -> None:
        """Drop all pieces, as a slot reset does. up_to: a room number; if given, only pieces made by events
        up to this number are dropped."""
        for key in [key for key, one in self._pieces.items() if up_to is None or one.number <= up_to]:
            self._drop(key)

    def enter_epoch(self) -> None:
        """Mark all pieces and values as older than every event of a new epoch. Their event numbers and dues
        came from the earlier relay, so they mean nothing to the new one."""
        for piece in self._pieces.values():
            piece.number = BEFORE_ALL_NUMBERS
            for name, value in piece.values.items():
                piece.values[name] = value._replace(due=0, number=BEFORE_ALL_NUMBERS)

    # ------------------------------------------------------------------------------------------------

    def _keep(self, key: Key, piece: _Piece) -> None:
        """Store a piece after all others, and drop the older piece with the same key. The new piece must not
        take the older one's place in the order, because the group that contains it may be newer than that
        piece."""
        old = self._pieces.get(key)
        had = (0, 0) if old is None else (1 + len(old.values), old.size())
        self._make_room(1 - had[0], piece.size() - had[1])
        self._pieces.pop(key, None)
        self._pieces[key] = piece

    def _set(self, meaning: Meaning, number: int, due: int, *, told: bool = False) -> bool:
        """Apply a /n_set command, and return whether any value changed.

        told: True if the command is part of a received foundation, which includes all events up to `number`.
        False if the command is the event `number` itself.
        """
        message = meaning.message
        if meaning.act is not Act.SET or len(message.tags) % 2 == 0:
            raise Refused(
                "arguments", f"{message.address} ,{message.tags[:40]}: expected node, control, value"
            )
        piece = self._pieces.get(("node", _first_id(message)))
        values = _values(message, number, due)
        if piece is None or piece.number > number:
            return False
        changed = {
            name: value
            for name, value in values.items()
            if _is_news(piece.values.get(name), value, told=told)
        }
        had = {name: piece.values[name] for name in changed if name in piece.values}
        more = sum(map(_size, changed.items())) - sum(map(_size, had.items()))
        self._make_room(len(changed) - len(had), more)
        piece.values |= changed
        return bool(changed)

    def _forget_untold(self, named: dict[Key, set[bytes]], number: int) -> None:
        """Drop values that are missing in a received foundation. They are missing because their node was made
        anew after they were set.

        named: each node or buffer of the received foundation, with the names of the controls that it sets.
        number: room number of the last event that it includes; values of later events stay.
        """
        for key, names in named.items():
            piece = self._pieces[key]
            for name, value in list(piece.values.items()):
                if name not in names and value.number <= number:
                    del piece.values[name]
                    self._make_room(-1, -_size((name, value)))

    def _make_room(self, count: int, size: int) -> None:
        if self._count + count > MESSAGES_MAX or self._bytes + size > BYTES_MAX:
            raise Refused("foundation-full", f"more than {MESSAGES_MAX} pieces or {BYTES_MAX} bytes")
        self._count += count
        self._bytes += size

    def _drop(self, key: Key) -> bool:
        old = self._pieces.pop(key, None)
        if old is None:
            return False
        self._count -= 1 + len(old.values)
        self._bytes -= old.size()
        return True


def key_of(meaning: Meaning) -> Key:
    """Return the key of the node or buffer that a message makes. Raises Refused for a message of any other
    kind."""
    message = meaning.message
    if meaning.act in LOADS:
        return ("buffer", _first_id(message))
    if meaning.act in (Act.NEW_GROUP, Act.NEW_SYNTH):
        return ("node", _first_id(message, NODE_NEW if meaning.makes_synth else 0))
    raise Refused("not-a-foundation", message.address)


def _values(message: Message, number: int, due: int) -> dict[bytes, _Value]:
    """Return the values that a /n_set sets, by the padded bytes of the control's name.

    If it sets a control twice, the last value holds. Raises Refused if its arguments aren't pairs of a
    control and a value.
    """
    raw, tags, offsets = message.raw, message.tags, (*message.offsets, len(message.raw))
    found: dict[bytes, _Value] = {}
    for at in range(1, len(tags), 2):
        if tags[at] != "s" or tags[at + 1] not in "ifs":
            raise Refused(
                "arguments",
                f"{message.address} ,{tags[:40]}: expected pairs of a control and a value",
            )
        data = raw[offsets[at + 1] : offsets[at + 2]]
        found[raw[offsets[at] : offsets[at + 1]]] = _Value(due, number, tags[at + 1], data)
    return found


def _is_news(old: _Value | None, new: _Value, *, told: bool) -> bool:
    if old is None:
        return True
    if told:
        return old.number <= new.number and (old.tag, old.data) != (new.tag, new.data)
    return (old.due, old.number) <= (new.due, new.number)


def _settings(node: int, values: dict[bytes, _Value]) -> list[tuple[int, bytes]]:
    """Return pairs (due, /n_set command) that together give a node these values, the earliest due first."""
    settings: list[tuple[int, bytes]] = []
    tags, body, last = "", b"", -1
    for name, value in sorted(values.items(), key=lambda one: one[1].due):
        if tags and (value.due != last or len(body) + len(name) + len(value.data) > _BODY_MAX):
            settings.append((last, write.set_as_sent(node, tags, body)))
            tags, body = "", b""
        tags, body, last = f"{tags}s{value.tag}", body + name + value.data, value.due
    if tags:
        settings.append((last, write.set_as_sent(node, tags, body)))
    return settings


def _size(named: tuple[bytes, _Value]) -> int:
    name, value = named
    return len(name) + len(value.data) + VALUE_BYTES


def _first_id(message: Message, position: int = 0) -> int:
    if len(message.tags) <= position or message.tags[position] != "i":
        raise Refused("not-a-foundation", f"{message.address} without an integer at argument {position}")
    return int(message.args[position])
