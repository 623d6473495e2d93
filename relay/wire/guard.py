"""The guard: refuses what sets a control of a stock synthdef outside its range, before it reaches scsynth.

Pure, the same at relay and bridge, one for each slot. It reads the bytes of a message as they travel, for
the few commands that set controls, and decodes no string. `/s_new` names its synthdef; `/n_set` names only a
node, so nodes are remembered as far as it matters: a `room` of 0 is a small reverb, and the end of a gverb.

Sound whatever a member sends, although scsynth runs messages by their dues, not as they were sent: of an id
that has stood for two things, or was forgotten, nothing is taken for granted; and what a value that was let
pass would end can't be made under that id later. (Sonic Pi gives every node an id of its own, counting up.)
Bounds: GROUPS_MAX and NODES_MAX ids a slot, those named least recently forgotten first.
"""

import struct
from collections.abc import Callable

from relay.wire.errors import Refused
from relay.wire.ranges import DEADLY, IN_DANGER, LIMITS, LOOSE, STRICT, TOLD_APART, Limit, Limits

NODES_MAX = 4096
"""Only nodes of the few synthdefs that must be told apart: a busy Sonic Pi makes two a second."""
GROUPS_MAX = 512
"""A forgotten group is treated as one that is known."""

_GROUP, _SEVERAL, _UNSEEN, _NAMED = b"group", b"several things", b"unseen", b"named before it was made"
_OWN = b"of the player's own synthdef"
"""Kinds of nodes beside the names of synthdefs."""
_IN_DANGER = IN_DANGER | {_GROUP}
_FREE: Limits = {}
_APART: dict[bytes, Limits] = {kind: {**DEADLY, **LIMITS[kind]} for kind in TOLD_APART}
"""What a node of a known kind may be set to. A control that its synthdef hasn't got does nothing there; but
its id may stand for another synth by then, so deadly ones are safe for any."""
_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")
_F, _I, _S = b"fis"


class OutOfRange(Refused):
    """A control is set to what it may not be."""

    def __init__(self, synthdef: bytes, control: bytes, found: str, limit: Limit) -> None:
        """synthdef, control: padded, as in a message; of a group or an unknown node b"". found: in words."""
        self.synthdef = _text(synthdef)
        self.control = _text(control)
        self.found = found
        self.limit = limit
        super().__init__("range", f"{self.synthdef} {self.control} {found}: expected {limit}")


class Guard:
    """What is known of the nodes of one slot, and the verdict on its messages."""

    def __init__(self) -> None:
        self._groups = _Ids(GROUPS_MAX)
        self._nodes = _Ids(NODES_MAX)
        self._others = _Ids(NODES_MAX)
        self._tables = (self._groups, self._nodes, self._others)
        self._reset_due = 0
        self._is_players = False

    def check(self, payload: bytes, due: int, *, players: bool = False) -> None:
        """Take in one message of the slot's owner, in the order in which scsynth is handed them.

        payload: one OSC message. due: when scsynth runs it, by a clock of the caller's. players: it is of
        this host's own Sonic Pi, which alone plays synthdefs of its own, and sets their controls as it likes.
        Raises Refused: OutOfRange; arguments, array, control-index, count for a message that can't be judged;
        id-reused for a node or group that what its id was sent before could end.
        """
        handler = _HANDLERS.get(payload[:8])
        if handler is None:
            return
        self._is_players = players
        try:
            handler(self, payload, due)
        except (IndexError, ValueError, OverflowError, struct.error):
            raise Refused("arguments", f"{payload[:8]!r} that can't be read") from None

    def passes(self, payload: bytes, due: int) -> bool:
        """Tell whether `check` lets a message pass."""
        try:
            self.check(payload, due)
        except Refused:
            return False
        return True

    def reset(self, due: int) -> None:
        """Note that the slot's nodes are freed at `due`: what is due later may still be made."""
        self._reset_due = max(self._reset_due, due)
        for ids in self._tables:
            ids.reset(due)

    def forget(self) -> None:
        """Begin anew: nothing that was sent so far is still to come."""
        for ids in self._tables:
            ids.clear()

    def clock_was_set(self) -> None:
        """Note that the caller's clock is another: what was due by the old one is taken for over."""
        self._reset_due = 0
        for ids in self._tables:
            ids.settle()

    def _s_new(self, payload: bytes, due: int) -> None:
        tags_end = payload.index(0, 8)
        tags = payload[9:tags_end]
        if tags[:1] != b"s" or len(tags) < 4 or tags[1:4].strip(b"if"):
            raise Refused("arguments", "/s_new: expected a synthdef and three numbers")
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

    def _g_new(self, payload: bytes, due: int) -> None:
        tags_end = payload.index(0, 8)
        at = tags_end + 4 & -4
        for index in range(9, tags_end, 3):
            self._make(self._groups, _whole(payload, payload[index], at), _GROUP, due)
            at += 12

    def _n_set(self, payload: bytes, due: int) -> None:
        self._set(payload, 8, _controls, due)

    def _n_setn(self, payload: bytes, due: int) -> None:
        self._set(payload, 8, _counted, due)

    def _n_map(self, payload: bytes, due: int) -> None:
        self._set(payload, 8, _followed, due)

    def _n_mapan(self, payload: bytes, due: int) -> None:
        self._set(payload, 12, _followed, due)

    def _set(self, payload: bytes, comma: int, check: "_Check", due: int) -> None:
        tags_end = payload.index(0, comma)
        tags = payload[comma + 1 : tags_end]
        at = tags_end + 4 & -4
        node = _whole(payload, tags[0], at)
        tags, at = tags[1:], at + 4
        home = self._home(node)
        kind = home.kind(node) if home is not None else _SEVERAL if self._forgot(node, due) else _UNSEEN
        if due < self._reset_due:  # and so perhaps for what went by that id before
            kind = _SEVERAL
        if kind in (_UNSEEN, _NAMED):
            # Nothing that is in danger goes by this id: it is any other synth, gone, or none yet.
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
        """Note that a node is made that must be told from others."""
        home = self._home(node)
        if home.kind(node) != kind if home is not None else self._forgot(node, due):
            if kind in _IN_DANGER:
                raise Refused("id-reused", f"node {node} has stood for something else")
            kind = _SEVERAL
        (home or ids).note(node, kind, due)

    def _home(self, node: int) -> "_Ids | None":
        """Return where an id is known."""
        return next((ids for ids in self._tables if node in ids), None)

    def _forgot(self, node: int, due: int) -> bool:
        """Tell whether an id that isn't known may be something else by then, or have been."""
        return due < self._reset_due or any(ids.forgot(node) for ids in self._tables)


class Guards(dict[int, Guard]):
    """By slot: a guard for each, from the first question on."""

    def __missing__(self, slot: int) -> Guard:
        return self.setdefault(slot, Guard())

    def clock_was_set(self) -> None:
        """Note that the clock of all dues is another."""
        for guard in self.values():
            guard.clock_was_set()


class _Ids:
    """Ids and what they stand for."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: dict[int, tuple[bytes, int]] = {}
        """id -> its kind, and the last due of what made or set it; named least recently first."""
        self._forgotten: tuple[int, int] = (1, 0)
        """Least and greatest of the ids that were forgotten for want of room."""
        self._forgotten_due = 0

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, number: int) -> bool:
        return number in self._known

    def forgot(self, number: int) -> bool:
        """Tell whether an id that isn't known may be among the forgotten."""
        return self._forgotten[0] <= number <= self._forgotten[1]

    def kind(self, number: int) -> bytes:
        """Return what a known id stands for."""
        return self._known[number][0]

    def note(self, number: int, kind: bytes, due: int) -> None:
        """Note what an id stands for."""
        _, last = self._known.pop(number, (kind, due))
        self._known[number] = (kind, max(due, last))
        if len(self._known) > self._capacity:
            oldest = next(iter(self._known))
            _, last = self._known.pop(oldest)
            least, greatest = self._forgotten if self._forgotten[1] else (oldest, oldest)
            self._forgotten = (min(least, oldest), max(greatest, oldest))
            self._forgotten_due = max(self._forgotten_due, last)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._forgotten = (1, 0)

    def settle(self) -> None:
        """Take all that was made and set for over."""
        self._known = {number: (kind, 0) for number, (kind, _) in self._known.items()}
        self._forgotten_due = 0

    def reset(self, due: int) -> None:
        """Forget for good what was all due by `due`."""
        self._known = {number: entry for number, entry in self._known.items() if entry[1] > due}
        if self._forgotten_due <= due:
            self._forgotten = (1, 0)


_Check = Callable[[bytes, bytes, int, Limits, bytes], None]
"""Checks the controls from an offset on: message, tags of the controls, offset, ranges, synthdef or b""."""


def _controls(payload: bytes, tags: bytes, at: int, limits: Limits, synthdef: bytes) -> None:
    """Check pairs of name and value."""
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
    """Check triples of name, count and value: one at a time, as the next control depends on the synthdef."""
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
    """Check controls that are to follow a bus: names are the only strings, all else are numbers."""
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
    """Return why controls can't be told: an array sets those that follow, and a number may mean any."""
    reason = "array" if b"[" in tags else "arguments" if tags[:1] == b"s" else "control-index"
    return Refused(reason, f"{payload[:8]!r}: expected controls by name, each with a value")


def _whole(payload: bytes, tag: int, at: int) -> int:
    """Return an id or a count. Raises ValueError or OverflowError for a fraction, NaN or infinity."""
    if tag == _I:
        number: int = _INT.unpack_from(payload, at)[0]
        return number
    value: float = _FLOAT.unpack_from(payload, at)[0]
    if tag != _F or not value.is_integer():
        raise ValueError(value)
    return int(value)


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")


_HANDLERS: dict[bytes, Callable[[Guard, bytes, int], None]] = {
    b"/s_new\0\0": Guard._s_new,
    b"/g_new\0\0": Guard._g_new,
    b"/p_new\0\0": Guard._g_new,
    b"/n_set\0\0": Guard._n_set,
    b"/n_setn\0": Guard._n_setn,
    b"/n_fill\0": Guard._n_setn,
    b"/n_map\0\0": Guard._n_map,
    b"/n_mapa\0": Guard._n_map,
    b"/n_mapn\0": Guard._n_map,
    b"/n_mapan": Guard._n_mapan,
}
"""By the first eight bytes: the commands that make nodes or set controls."""
