"""Sameness of one message: is a recorded message the event that the relay's log names?

Pure. Written from scsynth's command reference and the documented map of ids, not from the bridge's tables.
Ids must be the sender's own, moved into its slot. Everything else must be equal bit by bit, types included.
Only a note may have more arguments than the sender gave. The bridge adds the buses and buffers that the
sender left to their defaults.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from rehearsal.proof.relaylog import RESET, LoggedEvent
from rehearsal.proof.slots import BUFFERS_EACH, SLOT_BITS, slot_of
from rehearsal.rigs.osc import message as osc
from rehearsal.rigs.recording import Argument, RecordedMessage, take_argument, take_string

HARDWARE_BUSES = 128
BUSES_EACH = 1120
CONTROL_BUSES_EACH = 512
OWN_NODE = (1 << SLOT_BITS) - 1

BUFFER_CONTROLS = ("buf", "rand_buf", "buffer", "out-buf")
BUS_CONTROLS = ("in_bus", "out_bus", "bus")
ALL_NODES = ("/n_free", "/g_freeAll", "/g_deepFree", "/n_before", "/n_after", "/g_head", "/g_tail")


@dataclass(frozen=True, slots=True)
class Field:
    """One argument of a message: its type tag, its value and its bytes."""

    tag: str
    value: Argument
    raw: bytes


def fields_of(raw: bytes) -> tuple[str, list[Field]]:
    """Return (address, arguments) of a message. Raises ValueError if any part of it isn't well-formed."""
    address, tags_at = take_string(raw, 0)
    tags, at = take_string(raw, tags_at)
    head = len(address.encode()), tags_at + len(tags.encode())
    if any(raw[head[0] : tags_at]) or any(raw[head[1] : at]) or not tags.startswith(","):
        raise ValueError(f"{address}: its head isn't well-formed")
    found: list[Field] = []
    for tag in tags[1:]:
        try:
            value, end = take_argument(raw, at, tag)
        except struct.error as error:
            raise ValueError(f"{address}: cut short") from error
        found.append(Field(tag, value, raw[at:end]))
        at = end
    if at != len(raw):
        raise ValueError(f"{address}: {len(raw) - at} bytes too many")
    return address, found


def values(fields: list[Field]) -> list[Argument]:
    return [field.value for field in fields]


def first_id(raw: bytes) -> int | None:
    """Return the first node or buffer number among a message's arguments; None if it has none."""
    address, fields = fields_of(raw)
    roles = roles_of(address, values(fields))
    at = next((at for at in sorted(roles) if roles[at] in ("node", "buffer")), None)
    value = None if at is None else fields[at].value
    return int(value) if isinstance(value, int | float) else None


def root_of(slot: int) -> int:
    """Return the node id of a slot's root group."""
    return slot << SLOT_BITS


def identity_differs(event: LoggedEvent, message: RecordedMessage) -> bool:
    """Tell whether the message's slot, command or node or buffer id is another than the event's."""
    if slot_of(message) != event.slot:
        return True
    if event.kind == RESET:
        return message.raw != osc("/g_freeAll", root_of(event.slot))
    try:
        address, wanted = fields_of(event.payload)
        _, found = fields_of(message.raw)
    except ValueError:
        return True
    if message.address != address:
        return True
    roles = roles_of(address, values(wanted))
    at = min((at for at, role in roles.items() if role in ("node", "buffer")), default=None)
    if address == "/n_order":
        at = 2
    return at is not None and (
        at >= min(len(found), len(wanted))
        or id_difference(roles[at], wanted[at], found[at], event.slot) is not None
    )


def difference(event: LoggedEvent, message: RecordedMessage) -> str | None:
    """Return in words why the message isn't the event; None if it is."""
    if event.kind == RESET:
        expected = osc("/g_freeAll", root_of(event.slot))
        return None if message.raw == expected else f"expected /g_freeAll {root_of(event.slot)}"
    try:
        address, wanted = fields_of(event.payload)
        _, found = fields_of(message.raw)
    except ValueError as error:
        return str(error)
    if message.address != address:
        return f"expected {address}"
    if slot_of(message) != event.slot:
        return f"expected slot {event.slot}, found {slot_of(message)}"
    if len(found) < len(wanted):
        return f"expected {len(wanted)} arguments, found {len(found)}"
    roles = roles_of(address, values(wanted))
    for at, (one, other) in enumerate(zip(wanted, found, strict=False)):
        role = roles.get(at)
        if role is None and (one.tag, one.raw) != (other.tag, other.raw):
            return f"argument {at} ({label(wanted, at)}): expected {one.value!r}, found {other.value!r}"
        if role is not None and (why := id_difference(role, one, other, event.slot)) is not None:
            return f"argument {at} ({label(wanted, at)}): {why}"
    return extra_difference(address, wanted, found, event.slot)


def roles_of(address: str, args: Sequence[Argument]) -> dict[int, str]:
    """Return position -> kind of id, for each argument that is one: node, buffer, bus, control bus or
    path."""
    count = len(args)
    if address == "/s_new":
        return {1: "node", 3: "node"} | control_roles(args, 4)
    if address == "/n_set":
        return {0: "node"} | control_roles(args, 1)
    if address in ("/g_new", "/p_new"):
        return {at: "node" for at in range(count) if at % 3 != 1}
    if address in ALL_NODES:
        return dict.fromkeys(range(count), "node")
    if address == "/n_run":
        return dict.fromkeys(range(0, count, 2), "node")
    if address == "/n_order":
        return dict.fromkeys(range(1, count), "node")
    if address in ("/n_map", "/n_mapa"):
        bus = "control bus" if address == "/n_map" else "bus"
        return {0: "node"} | dict.fromkeys(range(2, count, 2), bus)
    if address.startswith("/n_"):
        return {0: "node"}
    if address.startswith("/b_"):
        return {0: "buffer"} | ({1: "path"} if address == "/b_allocRead" else {})
    if address == "/c_set":
        return dict.fromkeys(range(0, count, 2), "control bus")
    return {}


def control_roles(args: Sequence[Argument], first: int) -> dict[int, str]:
    kinds = dict.fromkeys(BUFFER_CONTROLS, "buffer") | dict.fromkeys(BUS_CONTROLS, "bus")
    names = ((at, str(args[at])) for at in range(first, len(args) - 1, 2))
    return {at + 1: kinds[name] for at, name in names if name in kinds}


def id_difference(role: str, wanted: Field, found: Field, slot: int) -> str | None:
    if role == "path":
        name = str(found.value).rpartition("/")[2]
        return None if name == str(wanted.value).rpartition("/")[2] else f"found file {name}"
    if not isinstance(wanted.value, int | float) or not isinstance(found.value, int | float):
        return f"found {found.value!r}, expected a number"
    own, number = int(wanted.value), int(found.value)
    # A float of 32 bits can't hold a remapped node id, so it becomes an integer. Other ids keep their type.
    if found.tag != ("i" if role == "node" else wanted.tag):
        return f"found a {role} of type {found.tag}"
    if number != found.value:
        return f"found {found.value!r}, expected a whole number"
    match role:
        case "node":
            good = number == root_of(slot) | (own & OWN_NODE)
        case "buffer":
            good = number == slot * BUFFERS_EACH + own
        case "bus":
            # The place within the slot depends on the sender's channel counts. All members get equal bytes.
            good = 0 <= number - HARDWARE_BUSES - slot * BUSES_EACH < BUSES_EACH
        case _:
            good = number == slot * CONTROL_BUSES_EACH + own or number == own == -1
    return None if good else f"{role} {number} isn't {own} of slot {slot}"


def extra_difference(address: str, wanted: list[Field], found: list[Field], slot: int) -> str | None:
    extra = found[len(wanted) :]
    if not extra:
        return None
    if address != "/s_new" or len(extra) % 2:
        return f"{len(extra)} arguments too many"
    given = {field.value for field in wanted[4::2]}
    for name, value in zip(extra[::2], extra[1::2], strict=True):
        if name.tag != "s" or name.value not in (*BUS_CONTROLS, *BUFFER_CONTROLS) or name.value in given:
            return f"unexpected control {name.value!r}"
        # The default of all these controls is the sender's number 0.
        role = "bus" if name.value in BUS_CONTROLS else "buffer"
        if (why := id_difference(role, Field("f", 0.0, b""), value, slot)) is not None:
            return f"{name.value}: {why}"
    return None


def label(fields: list[Field], at: int) -> str:
    before = fields[at - 1].value if at else None
    return before if isinstance(before, str) else "no control"
