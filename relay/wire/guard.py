"""The guard: refuses messages that set a control of a stock synthdef outside its range.

Pure. Relay and bridges run the same code, with one guard for each slot. The guard reads the bytes of the few
commands that set controls, and decodes no string. `/s_new` names its synthdef, but `/n_set` names only a
node. Therefore the guard remembers the nodes whose synthdef matters. Example: `room` at 0 is a small room for
the FX reverb, but makes the FX gverb crash scsynth.

The guard is safe whatever a member sends, although scsynth runs messages by due instead of in sending order.
It assumes nothing about an id that has stood for two things or was forgotten. It refuses to make a node if a
value sent earlier to its id is deadly for this node. (Sonic Pi never reuses an id; it counts up.) Bounds for
each slot: GROUPS_MAX groups and NODES_MAX other nodes. Beyond that, the id that was named longest ago is
forgotten.
"""

import struct
from collections.abc import Callable

from relay.wire.commands import Act
from relay.wire.errors import Refused
from relay.wire.meaning import Meaning
from relay.wire.ranges import DEADLY, IN_DANGER, LIMITS, LOOSE, STRICT, TOLD_APART, Limit, Limits

NODES_MAX = 4096
"""Greatest number of nodes that a guard remembers. These are only nodes of the few synthdefs in `TOLD_APART`.
A busy Sonic Pi makes two of them a second."""
GROUPS_MAX = 512
"""Greatest number of groups that a guard remembers. Forgetting one does no harm, since a forgotten group gets
the same checks as a known one."""

_GROUP, _SEVERAL, _UNSEEN, _NAMED = b"group", b"several things", b"unseen", b"named before it was made"
_OWN = b"of the player's own synthdef"
"""The kind of a node is the name of its synthdef or one of these five values."""
_IN_DANGER = IN_DANGER | {_GROUP}
_FREE: Limits = {}
_APART: dict[bytes, Limits] = {kind: {**DEADLY, **LIMITS[kind]} for kind in TOLD_APART}
"""Allowed values for a node whose synthdef is in `TOLD_APART`, by that synthdef. Deadly controls that the
synthdef lacks are limited too, although they do nothing to this node. The reason: when scsynth runs the
message, the id may stand for another synth."""
_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")
_F, _I, _S = b"fis"


class OutOfRange(Refused):
    """A control is set to a value outside its range."""

    def __init__(self, synthdef: bytes, control: bytes, found: str, limit: Limit) -> None:
        """synthdef, control: names, as the padded bytes of a message. The synthdef is b"" for a group or a
        node of unknown synthdef. found: the refused value. limit: the allowed range."""
        self.synthdef = _text(synthdef)
        self.control = _text(control)
        self.found = found
        self.limit = limit
        super().__init__("range", f"{self.synthdef} {self.control} {found}: expected {limit}")


class Guard:
    """Checks the messages that a slot's owner sends, and remembers the nodes that they make."""

    def __init__(self) -> None:
        self._groups = _Ids(GROUPS_MAX)
        self._nodes = _Ids(NODES_MAX)
        self._others = _Ids(NODES_MAX)
        self._tables = (self._groups, self._nodes, self._others)
        self._reset_due = 0
        self._is_players = False

    def check(self, meaning: Meaning, due: int, *, players: bool = False) -> None:
        """Check one message of the slot's owner, and remember the nodes that it makes.

        Messages must be checked in the order in which they are handed to scsynth. due: when scsynth runs the
        message, as an integer of any clock, the same for all calls. players: whether the message is from this
        host's own Sonic Pi. If so, a synthdef that the player wrote may have any control, since only this
        host plays it.

        Raises OutOfRange (a Refused) for a value outside its range. Raises Refused with the reason
        "arguments", "array", "control-index" or "count" if the guard can't tell which values the message
        sets. Raises Refused with the reason "id-reused" if a value sent earlier to this id could be deadly
        for the new node.
        """
        handler = _HANDLERS.get(meaning.act)
        if handler is None:
            return
        payload = meaning.payload
        self._is_players = players
        try:
            handler(self, payload, due)
        except (IndexError, ValueError, OverflowError, struct.error):
            raise Refused("arguments", f"{payload[:8]!r} that can't be read") from None

    def passes(self, meaning: Meaning, due: int) -> bool:
        """Check a message and remember its nodes, as `check` does. Return whether it is accepted."""
        try:
            self.check(meaning, due)
        except Refused:
            return False
        return True

    def reset(self, due: int) -> None:
        """Record that a reset frees all nodes of the slot at `due`. Ids named by messages due later are still
        remembered."""
        self._reset_due = max(self._reset_due, due)
        for ids in self._tables:
            ids.reset(due)

    def forget(self) -> None:
        """Forget all ids. It is safe only when scsynth has run all messages that were checked."""
        for ids in self._tables:
            ids.clear()

    def clock_was_set(self) -> None:
        """Assume that scsynth has run all messages checked until now. Called after the caller's clock was
        set, because dues of the old clock mean nothing then."""
        self._reset_due = 0
        for ids in self._tables:
            ids.settle()

    def _new_synth(self, payload: bytes, due: int) -> None:
        tags_end = payload.index(0, 8)
        tags = payload[9:tags_end]
        if tags[:1] != b"s" or len(tags) < 4 or tags[1:4].strip(b"if"):
            raise Refused("arguments", f"{payload[:8]!r}: expected a synthdef and three numbers")
        at = tags_end + 4 & -4
        node_at = payload.index(0, at) + 4 & -4
        synthdef = payload[at:node_at]
        limits = LIMITS.get(synthdef)
        if limits is None:
            kind = _OWN if self._is_players else _SEVERAL
            self._make(self._others, _whole(payload, tags[1], node_at), kind, due)
            return
        _controls(payload, tags[4:], node_at + 12, limits, synthdef)
        if synthdef in TOLD_APART:
            self._make(self._nodes, _whole(payload, tags[1], node_at), synthdef, due)
        elif self._others and (node := _whole(payload, tags[1], node_at)) in self._others:
            self._make(self._others, node, _SEVERAL, due)

    def _new_groups(self, payload: bytes, due: int) -> None:
        tags_end = payload.index(0, 8)
        at = tags_end + 4 & -4
        for index in range(9, tags_end, 3):
            self._make(self._groups, _whole(payload, payload[index], at), _GROUP, due)
            at += 12

    def _set_controls(self, payload: bytes, due: int) -> None:
        self._set(payload, _controls, due)

    def _set_runs(self, payload: bytes, due: int) -> None:
        self._set(payload, _counted, due)

    def _map(self, payload: bytes, due: int) -> None:
        self._set(payload, _followed, due)

    def _set(self, payload: bytes, check: "_Check", due: int) -> None:
        comma = payload.index(0) + 4 & -4
        tags_end = payload.index(0, comma)
        tags = payload[comma + 1 : tags_end]
        at = tags_end + 4 & -4
        node = _whole(payload, tags[0], at)
        tags, at = tags[1:], at + 4
        home = self._home(node)
        kind = home.kind(node) if home is not None else _SEVERAL if self._forgot(node, due) else _UNSEEN
        if due < self._reset_due:  # so the id may still stand for a node from before the reset
            kind = _SEVERAL
        if kind in (_UNSEEN, _NAMED):
            # No endangered node has this id: it is some other synth, gone, or not made yet.
            check(payload, tags, at, LOOSE, b"")
            try:
                check(payload, tags, at, DEADLY, b"")
            except OutOfRange:
                home = self._nodes
                home.note(node, _NAMED, due)
        elif kind in (_SEVERAL, _GROUP):
            check(payload, tags, at, STRICT, b"")
        else:
            check(payload, tags, at, _FREE if kind == _OWN else _APART[kind], kind)
        if home is not None:
            home.note(node, home.kind(node), due)

    def _make(self, ids: "_Ids", node: int, kind: bytes, due: int) -> None:
        """Remember a new node in the table `ids`.

        If its id possibly stood for something else before, the node is remembered with the kind "several
        things". But if the node is a group or has a synthdef of `IN_DANGER`, raises Refused: values sent
        earlier to the id could be deadly.
        """
        home = self._home(node)
        if home.kind(node) != kind if home is not None else self._forgot(node, due):
            if kind in _IN_DANGER:
                raise Refused("id-reused", f"node {node} has stood for something else")
            kind = _SEVERAL
        (home or ids).note(node, kind, due)

    def _home(self, node: int) -> "_Ids | None":
        """Return the table that contains an id; None if no table does."""
        return next((ids for ids in self._tables if node in ids), None)

    def _forgot(self, node: int, due: int) -> bool:
        """Return whether an id that is in no table may stand for a node that the guard has forgotten."""
        return due < self._reset_due or any(ids.forgot(node) for ids in self._tables)


class Guards(dict[int, Guard]):
    """The guard of each slot. It is made when the slot is first looked up."""

    def __missing__(self, slot: int) -> Guard:
        return self.setdefault(slot, Guard())

    def clock_was_set(self) -> None:
        """Call `Guard.clock_was_set` for every slot."""
        for guard in self.values():
            guard.clock_was_set()


class _Ids:
    """A table of node ids with the kind of each node. If it is full, the id named longest ago is
    forgotten."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: dict[int, tuple[bytes, int]] = {}
        """(kind, greatest due of a message that named the id), by id. The id that was named longest ago comes
        first."""
        self._forgotten: tuple[int, int] = (1, 0)
        """(least, greatest) of the ids forgotten because the table was full; (1, 0): none was forgotten."""
        self._forgotten_due = 0

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, number: int) -> bool:
        return number in self._known

    def forgot(self, number: int) -> bool:
        """Return whether the table possibly forgot an id because it was full."""
        return self._forgotten[0] <= number <= self._forgotten[1]

    def kind(self, number: int) -> bytes:
        """Return the kind of an id that is in the table."""
        return self._known[number][0]

    def note(self, number: int, kind: bytes, due: int) -> None:
        """Put an id and its kind into the table, with the due of a message that names it."""
        _, last = self._known.pop(number, (kind, due))
        self._known[number] = (kind, max(due, last))
        if len(self._known) > self._capacity:
            oldest = next(iter(self._known))
            _, last = self._known.pop(oldest)
            least, greatest = self._forgotten if self._forgotten[1] else (oldest, oldest)
            self._forgotten = (min(least, oldest), max(greatest, oldest))
            self._forgotten_due = max(self._forgotten_due, last)

    def clear(self) -> None:
        """Forget all ids."""
        self._known.clear()
        self._forgotten = (1, 0)

    def settle(self) -> None:
        """Assume that scsynth has run all messages until now: set their dues to 0."""
        self._known = {number: (kind, 0) for number, (kind, _) in self._known.items()}
        self._forgotten_due = 0

    def reset(self, due: int) -> None:
        """Forget every id that was named only by messages due at `due` or before."""
        self._known = {number: entry for number, entry in self._known.items() if entry[1] > due}
        if self._forgotten_due <= due:
            self._forgotten = (1, 0)


_Check = Callable[[bytes, bytes, int, Limits, bytes], None]
"""A function that checks the controls of a message. Its arguments: the message, the controls' type tags, the
offset at which the controls begin, the allowed ranges, and the synthdef (b"" if unknown)."""


def _controls(payload: bytes, tags: bytes, at: int, limits: Limits, synthdef: bytes) -> None:
    """Check controls that are given as pairs of a name and a value. Raises OutOfRange or Refused."""
    values = tags[1::2]
    if tags[::2].strip(b"s") or len(tags) % 2 or values.strip(b"fis"):
        raise _unreadable(payload, tags)
    limit_of, end_of, float_at = limits.get, payload.index, _FLOAT.unpack_from
    for tag in values:
        value_at = end_of(0, at) + 4 & -4
        limit = limit_of(payload[at:value_at])
        if limit is None:
            at = value_at + 4 if tag != _S else end_of(0, value_at) + 4 & -4
            continue
        low, high, deadly = limit
        if tag == _F:
            (value,) = float_at(payload, value_at)
        elif tag == _I:
            (value,) = _INT.unpack_from(payload, value_at)
        elif deadly:
            raise OutOfRange(synthdef, payload[at:value_at], "a bus", limit)
        else:
            at = end_of(0, value_at) + 4 & -4
            continue
        if not low <= value <= high:
            raise OutOfRange(synthdef, payload[at:value_at], f"{value:.8g}", limit)
        at = value_at + 4


def _counted(payload: bytes, tags: bytes, at: int, limits: Limits, synthdef: bytes) -> None:
    """Check controls that are given as triples: a name, a count, and as many values. Raises OutOfRange or
    Refused.

    Only a count of 1 is accepted. Further values would set the controls that follow the named one, and these
    depend on the synthdef.
    """
    if len(tags) % 3 or tags[::3].strip(b"s") or tags[1::3].strip(b"if"):
        raise _unreadable(payload, tags)
    for index in range(1, len(tags), 3):
        count_at = payload.index(0, at) + 4 & -4
        count = _whole(payload, tags[index], count_at)
        if count != 1:
            raise Refused("count", f"{payload[:8]!r} {count}: one control at a time here")
        name, at = payload[at:count_at], count_at + 4
        value_at, tag = at, tags[index + 1]
        at = payload.index(0, at) + 4 & -4 if tag == _S else at + 4
        _controls(name + payload[value_at:at], bytes((_S, tag)), 0, limits, synthdef)


def _followed(payload: bytes, tags: bytes, at: int, limits: Limits, synthdef: bytes) -> None:
    """Check a message that makes controls follow buses. Raises OutOfRange if a value of such a control may be
    deadly, and Refused if the message can't be read.

    Its only strings are the names of controls. All other arguments are numbers.
    """
    if b"[" in tags or not tags.startswith(b"s"):
        raise _unreadable(payload, tags)
    for tag in tags:
        if tag == _S:
            end = payload.index(0, at) + 4 & -4
            limit = limits.get(payload[at:end])
            if limit is not None and limit.deadly:
                raise OutOfRange(synthdef, payload[at:end], "a bus", limit)
            at = end
        else:
            at += 4


def _unreadable(payload: bytes, tags: bytes) -> Refused:
    """Return the error for controls that the guard can't check.

    An array sets several controls at once. A number in place of a name is an index, whose control depends on
    the synthdef.
    """
    reason = "array" if b"[" in tags else "arguments" if tags[:1] == b"s" else "control-index"
    return Refused(reason, f"{payload[:8]!r}: expected controls by name, each with a value")


def _whole(payload: bytes, tag: int, at: int) -> int:
    """Return the whole number (an id or a count) at the offset `at`. tag: its type tag.

    Raises ValueError or OverflowError if it is a fraction, NaN, infinity or no number.
    """
    if tag == _I:
        number: int = _INT.unpack_from(payload, at)[0]
        return number
    value: float = _FLOAT.unpack_from(payload, at)[0]
    if tag != _F or not value.is_integer():
        raise ValueError(value)
    return int(value)


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")


_HANDLERS: dict[Act, Callable[[Guard, bytes, int], None]] = {
    Act.NEW_SYNTH: Guard._new_synth,
    Act.NEW_GROUP: Guard._new_groups,
    Act.NEW_PARALLEL_GROUP: Guard._new_groups,
    Act.SET: Guard._set_controls,
    Act.SET_RUN: Guard._set_runs,
    Act.MAP: Guard._map,
}
"""The check for each act that makes nodes or sets controls. Messages with other acts pass unchecked."""
