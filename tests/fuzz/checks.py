"""Checks of what a bridge hands to scsynth, written independently of bridge.scsynth.remap.

They share with the product only the file of the command table and the numbers of docs/way-of-an-event.md.
"""

import json
import math
import re
import struct
from functools import cache
from pathlib import Path
from typing import Any

from pythonosc.osc_message import OscMessage

from tests.worlds.places import ROOT

NODE_BITS, BUFFERS, CONTROL_BUSES = 26, 4096, 512
FIRST_BUS, BUSES, USED_BUSES = 128, 1120, 64 + 1024
OUTPUTS = 1024
"""Greatest number of output channels that a sound card can have."""
COUNT_MAX = 1024
ALLOC_MAX = 1 << 26
BUFGENS = {"sine1", "sine2", "sine3", "cheby", "normalize", "wnormalize", "env", "cantorFill"}
FILES = {"/b_read", "/b_readChannel", "/b_allocReadChannel"}
MOVES = {"/n_before", "/n_after", "/g_head", "/g_tail", "/n_order"}
HOME_SAFE = {
    *("/status", "/version", "/sync", "/notify", "/d_loadDir", "/d_load", "/d_recv", "/b_query", "/b_get"),
    *("/b_getn", "/c_get", "/c_getn", "/s_get", "/s_getn", "/n_query", "/g_queryTree", "/b_write"),
    *("/rtMemoryStatus", *FILES),
}


@cache
def table() -> dict[str, Any]:
    path = ROOT / "relay" / "wire" / "scsynth-commands.json"
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def check_to_synth(datagram: bytes, *, member: int, root: Path | None) -> None:
    """Assert that a datagram for scsynth does only what the bridge itself or `member` (a slot) is allowed to.

    root: the folder from which members' files may be loaded. None: the member is the local player, who may
    also send queries, record, and read any file.
    """
    if datagram.startswith(b"#bundle\0"):
        (tag,) = struct.unpack_from(">Q", datagram, 8)
        assert tag >> 63, "a timetag that scsynth would never run"
        messages, at = [], 16
        while at < len(datagram):
            (size,) = struct.unpack_from(">i", datagram, at)
            messages.append(datagram[at + 4 : at + 4 + size])
            at += 4 + size
        assert at == len(datagram), "a bundle whose last message is cut"
        assert len({one[: one.index(b",")] for one in messages}) == 1, "none, or several things in a bundle"
    else:
        messages = [datagram]
    for one in messages:
        _check_message(one, member=member, root=root)


def _check_message(datagram: bytes, *, member: int, root: Path | None) -> None:
    message = OscMessage(datagram)
    args = message.params
    start = datagram.index(b",")
    tags = datagram[start + 1 : datagram.index(b"\0", start)].decode()
    address = message.address
    own = root is None
    if own and address in HOME_SAFE:
        assert tags.count("b") == (address == "/d_recv"), "a completion message"
        assert "[" not in tags
        return
    if _is_of_the_bridge(address, args):
        return
    if address == "/g_freeAll":
        assert args == [member << NODE_BITS] or args[0] & ((1 << NODE_BITS) - 1)
    if not own:
        assert address not in FILES, "a file is read"
        if address == "/b_allocRead":
            assert root is not None
            assert Path(args[1]).resolve().is_relative_to(root), f"{args[1]} is read"
        if address == "/b_alloc":
            assert 0 < args[1] * max(1, args[2] if len(args) > 2 else 1) <= ALLOC_MAX
    check_command(address, tags, tuple(args), member, root_too=own or address == "/g_freeAll", own=own)


def _is_of_the_bridge(address: str, args: list[Any]) -> bool:
    """Return whether a message is one by which a bridge makes a root group or a strip."""
    if address == "/g_new":
        return len(args) == 3 and (args[0] in (1, 2) or args[0] & ((1 << NODE_BITS) - 1) == 0)
    return address == "/s_new" and 64 < args[1] < 96 and args[0] == "sonic-pi-basic_mixer"


def check_command(
    address: str, tags: str, args: tuple[Any, ...], slot: int, *, root_too: bool = False, own: bool = False
) -> None:
    """Assert that a mapped message names only the slot's own ids, and nothing that harms scsynth.

    root_too: the slot's root group may be named too. own: the slot is the local player's.
    """
    entry = table()["commands"][address]
    assert entry["class"] == "rewrite", f"{address} is {entry['class']}"
    assert set(tags) <= set("ifs"), f"{address} ,{tags}"
    assert all(math.isfinite(value) for value in args if isinstance(value, float)), f"{args}"
    assert args, f"{address} of nothing"
    if address == "/s_new":
        at_home = table()["home_only_synthdefs"]
        local = args[0] in at_home and at_home[args[0]]["elsewhere"] != args[0]
        known = local or args[0] in table()["synthdef_id_controls"]
        assert own or known, f"{args[0]} is unknown"
        assert own or not local, f"{args[0]} is for its own host"
        given = {args[at] for at in range(4, len(args), 2)}
        for control in table()["synthdef_id_controls"].get(args[0], ()):
            role = table()["controls_by_name"][control]
            needed = role in ("abus", "buf", "hw_output")
            assert control in given or not needed, f"{control} is left to its default"
    numbers = _Numbers(slot, own=own, known=address != "/s_new" or known)
    at, count, action, last_control, moved = 0, 0, 0, "", []
    for role in _roles(entry, tags, args):
        value = args[at]
        match role:
            case "node" | "node_new":
                numbers.node(value, root=False)
                moved.append(value)
            case "group":
                numbers.node(value, root=address in ("/g_head", "/g_tail") or root_too)
                moved.append(value)
            case "add_action":
                action = value
                assert value in range(4 if address == "/n_order" else 5)
            case "target":
                numbers.node(value, root=action in (0, 1))
                moved.append(value)
            case "buf":
                numbers.buffer(value)
            case "cbus":
                numbers.control_bus(value)
            case "cbus_or_minus1":
                assert value == -1 or numbers.control_bus(value)
            case "abus_or_minus1":
                assert value == -1 or numbers.audio_bus(value)
            case "count":
                count = value
                assert count in range(COUNT_MAX + 1)
                if address.startswith("/c_"):
                    assert count == 0 or numbers.control_bus(args[at - 1] + count - 1)
            case "ctl":
                assert isinstance(value, str), "a control by its index"
                last_control = value
                if address not in ("/s_new", "/n_set"):
                    assert value not in table()["controls_by_name"]
            case "ctl_value":
                numbers.control_value(last_control, value)
            case "bufgen_name":
                assert value in BUFGENS
            case "synthdef_name" | "str" | "path":
                assert isinstance(value, str)
            case _:
                assert isinstance(value, int | float), f"{address} {role} {value!r}"
        at += 1
    assert at == len(args), f"{address}: {len(args) - at} arguments that the table doesn't know"
    if address in MOVES:
        _check_moves(address, moved, slot)


def _check_moves(address: str, named: list[Any], slot: int) -> None:
    """Assert that nodes are moved only into the member's own root group.

    A group that is moved into itself ends or hangs scsynth (measured).
    """
    root = slot << NODE_BITS
    if address == "/n_order":
        pairs = [(named[0], node) for node in named[1:]]
    elif address in ("/g_head", "/g_tail"):
        pairs = list(zip(named[::2], named[1::2], strict=True))
    else:
        pairs = list(zip(named[1::2], named[::2], strict=True))
    for target, node in pairs:
        assert target == root or node >> NODE_BITS == 0, f"{address}: {node} to {target}"


def _roles(entry: dict[str, Any], tags: str, args: tuple[Any, ...]) -> list[str]:
    """Return the roles of a message's arguments, in order.

    If there are more or fewer roles than arguments, the message doesn't fit its entry in the table.
    """
    found: list[str] = []
    for role in entry["args"]:
        if role.endswith("?") and len(found) == len(tags):
            return found
        found.append(role.rstrip("?"))
    while entry.get("repeat") and len(found) < len(tags):
        count = 0
        for role in entry["repeat"]:
            times = count if role.endswith("*count") else 1
            found += [role.removesuffix("*count")] * times
            if role == "count":
                count = int(args[len(found) - 1])
    return found


class _Numbers:
    """Checks whether ids (nodes, buffers, buses) belong to one slot."""

    def __init__(self, slot: int, *, own: bool, known: bool) -> None:
        self._slot = slot
        self._own = own
        self._known = known
        """Whether all of the synthdef's controls are known. Of a player's own synthdef only the controls that
        name buses and buffers are known."""

    def node(self, value: Any, *, root: bool) -> None:
        assert isinstance(value, int), f"node {value!r}"
        if self._own and value >> NODE_BITS == 0:
            assert value >= 1 << 25, f"node {value} is the bridge's"
            return
        assert value >> NODE_BITS == self._slot, f"node {value} is not of slot {self._slot}"
        assert root or value != self._slot << NODE_BITS, "the root group"

    def buffer(self, value: Any) -> bool:
        assert self._slot * BUFFERS <= value < (self._slot + 1) * BUFFERS, f"buffer {value}"
        return bool(value == int(value))

    def control_bus(self, value: Any) -> bool:
        assert self._slot * CONTROL_BUSES <= value < (self._slot + 1) * CONTROL_BUSES, f"control bus {value}"
        return bool(value == int(value))

    def audio_bus(self, value: Any) -> bool:
        first = FIRST_BUS + self._slot * BUSES
        assert first <= value < first + USED_BUSES, f"audio bus {value}"
        return bool(value == int(value))

    def control_value(self, control: str, value: Any) -> None:
        role = table()["controls_by_name"].get(control)
        if isinstance(value, str):
            found = re.fullmatch(r"([ac])(\d+)", value)
            assert role is None, f"{control} {value!r}"
            assert found is not None, f"{control} {value!r}"
            number = int(found[2])
            assert self.audio_bus(number) if found[1] == "a" else self.control_bus(number)
        elif role == "abus":
            assert self.audio_bus(value)
        elif role == "buf":
            assert self.buffer(value)
        elif role == "hw_output" and self._known:
            first = FIRST_BUS + self._slot * BUSES + 1  # two that are heard, one that is not
            assert value in range(first, first + 3) or (self._own and value in range(1, OUTPUTS + 1))
