"""Random inputs for fuzzing: mutations of genuine traffic, each a pure function of a seeded Random.

They start from recorded messages of Sonic Pi and scsynth, and from one ordinary message for every command in
the table of scsynth's commands.
"""

import json
import math
import struct
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from msgspec import msgpack

from relay.wire import control, frames
from relay.wire.osc import walk
from relay.wire.sequence import Flag, Judged, Kind, Ramp, Stamped
from relay.wire.stats import MemberStats, RoomStats, Stats
from relay.wire.timetag import from_unix_ns
from relay.wire.version import PROTOCOL_VERSION
from tests.worlds.places import ROOT, VECTORS

KEY = bytes(range(32))
NOW_NS = 1_795_000_000_000_000_000
NOW = from_unix_ns(NOW_NS)
INTERESTING = (
    *(0, 1, 2, -1, -2, 3, 4, 5, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511, 512, 1023, 1024, 1025),
    *(1055, 1056, 4095, 4096, 65535, 65536, 2**24, 2**25, 2**26 - 1, 2**26, 2**31 - 1, -(2**31), -(2**26)),
)
FLOATS = (0.0, -0.0, 0.5, -1.0, 36.0, 1e38, -1e38, math.nan, math.inf, -math.inf, 2.0**24, 1e-45)
DOUBLES = (*FLOATS, 1e300, -1e308)
STRINGS = (
    *("c0", "a5", "c511", "c512", "a1055", "a1056", "a-1", "c99999", "c 1", "", "é", "amp", "out_bus"),
    *("in_bus", "buf", "out-buf", "samples/bd_haus.flac", "buffers/../../x", "/etc/passwd", "../x", "sine1"),
    *("copy", "sonic-pi-beep", "sonic-pi-recorder", "sonic-pi-fx_reverb", "sonic-pi-mixer", "a" * 200),
)
TIMETAGS = (0, 1, 2, 1 << 62, (1 << 63) - 1, 1 << 63, NOW, NOW + (1 << 31), (1 << 64) - 1, (1 << 64) - 2)
SAMPLE_OF_ROLE: dict[str, Any] = {
    "add_action": 1, "target": 4, "node": 9, "node_new": 7, "group": 4, "buf": 5, "path": "/tmp/x",
    "ctl": "amp", "ctl_value": 0.5, "count": 1, "float": 0.5, "str": "x", "synthdef_name": "sonic-pi-beep",
    "bufgen_name": "sine1", "abus_or_minus1": 36, "cbus_or_minus1": 3, "cbus": 3, "synthdef_blob": b"SCgf",
    "completion_blob": b"/n_free\0,i\0\0\0\0\0\1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parsed:
    """The parts of an OSC message. They need not fit together, so that malformed messages can be built."""

    address: bytes
    tags: str
    args: tuple[Any, ...]


@cache
def table() -> dict[str, Any]:
    """Return the table of scsynth's commands, read directly from its file."""
    path = ROOT / "relay" / "wire" / "scsynth-commands.json"
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


@cache
def recorded() -> tuple[bytes, ...]:
    """Return every different datagram of the recordings, in a fixed order."""
    paths = sorted([*VECTORS.glob("osc/*.jsonl"), *VECTORS.glob("traffic/*.jsonl")])
    rows = (json.loads(line) for path in paths for line in path.read_text().splitlines())
    return tuple(dict.fromkeys(bytes.fromhex(row["hex"]) for row in rows))


@cache
def ordinary() -> tuple[Parsed, ...]:
    """Return the messages that are mutated: recorded ones and made-up ones.

    Recorded: one for each combination of address, types and first string. Made up: one for every command of
    the table, each listed three times so that it is drawn more often.
    """
    shapes: dict[tuple[str, str, Any], Parsed] = {}
    for datagram in recorded():
        for _, message in walk(datagram):
            first = message.args[0] if message.tags[:1] == "s" else None
            parsed = Parsed(message.address.encode(), message.tags, message.args)
            shapes.setdefault((message.address, message.tags, first), parsed)
    made = []
    for address, entry in table()["commands"].items():
        roles = [*entry["args"], *entry.get("repeat", ())]
        args = [SAMPLE_OF_ROLE.get(role.rstrip("?").removesuffix("*count"), 1) for role in roles]
        made.append(Parsed(address.encode(), "".join(map(_tag_of, args)), tuple(args)))
    return (*shapes.values(), *made * 3)


def _tag_of(value: Any) -> str:
    return {int: "i", float: "f", str: "s", bytes: "b"}[type(value)]


def _string(data: bytes) -> bytes:
    return data + bytes(4 - len(data) % 4)


def put_together(parsed: Parsed) -> bytes:
    """Return the bytes of a message, even if its parts don't fit together."""
    parts = [_string(parsed.address), _string(b"," + parsed.tags.encode("latin-1"))]
    for tag, value in zip(parsed.tags, parsed.args, strict=False):
        if tag in "i":
            parts.append(struct.pack(">i", value if isinstance(value, int) else 0))
        elif tag == "f":
            number = float(value) if isinstance(value, int | float) else 0.0
            parts.append(struct.pack(">f", number if abs(number) < 3e38 else math.inf))
        elif tag == "d":
            parts.append(struct.pack(">d", value if isinstance(value, float) else 1.0))
        elif tag == "s":
            parts.append(_string(value.encode() if isinstance(value, str) else b"x"))
        elif tag == "b":
            blob = value if isinstance(value, bytes) else b"/quit\0\0\0,\0\0\0"
            parts.append(struct.pack(">i", len(blob)) + blob + bytes(-len(blob) % 4))
        elif tag in "htc":
            parts.append(bytes(4 if tag == "c" else 8))
    return b"".join(parts)


def mutate_message(dice: Random) -> bytes:
    """Return an ordinary message with up to four random changes of its address, types or arguments."""
    parsed = dice.choice(ordinary())
    address, tags, args = parsed.address, list(parsed.tags), list(parsed.args)
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        at = dice.randrange(len(tags) + 1)
        match dice.randrange(9):
            case 0:
                address = dice.choice(ordinary()).address
            case 1 if at < len(tags):
                tags[at] = dice.choice("ifsbd[]htTFNIc")
            case 2 if at < len(tags):
                del tags[at], args[at]
            case 3:
                tags.insert(at, dice.choice("ifsbd"))
                args.insert(at, _value(dice, tags[at]))
            case 4:
                bracket = dice.choice(("[", "]", "[]"))
                tags[at:at] = bracket
                args[at:at] = [None] * len(bracket)
            case 5 if len(tags) > 1:  # the end once more: pairs of controls, groups of three
                count = dice.randint(1, min(4, len(tags)))
                times = dice.choice((1, 2, 20))
                tags += tags[-count:] * times
                args += args[-count:] * times
            case _ if at < len(tags):
                args[at] = _value(dice, tags[at])
            case _:
                continue
    return put_together(Parsed(address, "".join(tags), tuple(args)))


def _value(dice: Random, tag: str) -> Any:
    match tag:
        case "i":
            return dice.choice(INTERESTING)
        case "f":
            return dice.choice(FLOATS) if dice.random() < 0.5 else float(dice.choice(INTERESTING))
        case "d":
            return dice.choice(DOUBLES)
        case "s":
            return dice.choice(STRINGS)
        case "b":
            return put_together(dice.choice(ordinary())) if dice.random() < 0.5 else dice.randbytes(5)
    return None


def wrap(dice: Random, message: bytes) -> bytes:
    """Return a message wrapped in one bundle or in nested ones. Some sizes in them are wrong."""
    elements = [message]
    if dice.random() < 0.2:
        elements += [mutate_message(dice) for _ in range(dice.choice((1, 2, 70)))]
    for _ in range(dice.choice((1, 1, 1, 2, 4, 5))):
        timetag = dice.choice(TIMETAGS) if dice.random() < 0.3 else NOW + (1 << 31)
        body = b""
        for element in elements:
            size = dice.choice((-4, 0, 3, 2**31 - 4)) if dice.random() < 0.02 else len(element)
            body += struct.pack(">i", size) + element
        elements = [b"#bundle\0" + struct.pack(">Q", timetag) + body]
        if dice.random() < 0.05:
            elements.append(mutate_message(dice))
    return elements[0]


def mutate_bytes(dice: Random, data: bytes, other: bytes) -> bytes:
    """Return `data` with random bytes flipped, set, cut, inserted, repeated or replaced by part of
    `other`."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(out) + 1)
        word = at & ~3
        match dice.randrange(8):
            case 0 if at < len(out):
                out[at] ^= 1 << dice.randrange(8)
            case 1 if at < len(out):
                out[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, 0x2C, 0x5B, 0x2F))
            case 2:
                del out[word if dice.random() < 0.7 else at :]
            case 3:
                out[word:] = other[dice.randrange(len(other) + 1) & ~3 :]
            case 4:
                out[word:word] = dice.randbytes(dice.choice((1, 4, 4, 8)))
            case 5 if word + 4 <= len(out):
                out[word : word + 4] = struct.pack(">i", dice.choice(INTERESTING))
            case 6:
                out[word:word] = out[word : word + dice.choice((4, 8, 64))]
            case _:
                out += bytes(dice.choice((1, 4)))
    return bytes(out)


def osc_input(dice: Random) -> bytes:
    """Return one random datagram such as the tap might receive."""
    if dice.random() < 0.3:
        return mutate_bytes(dice, dice.choice(recorded()), dice.choice(recorded()))
    message = mutate_message(dice)
    datagram = wrap(dice, message) if dice.random() < 0.3 else message
    return mutate_bytes(dice, datagram, dice.choice(recorded())) if dice.random() < 0.1 else datagram


def frame_input(dice: Random) -> bytes:
    """Return one or more frames, as plaintext of a datagram. Most have mutated bytes."""
    parts = []
    for _ in range(dice.choice((1, 1, 2, 5))):
        number = dice.choice((0, 1, 2**31, 2**32 - 1))
        instant = dice.choice((1 << 63, NOW, (1 << 64) - 2))
        payload = mutate_message(dice)[: frames.MAX_PAYLOAD_BYTES]
        made: frames.Frame
        size = dice.randint(frames.PROBE_BYTES_MIN, frames.PROBE_BYTES_MAX)
        match dice.randrange(8):
            case 0:
                timed = dice.random() < 0.5
                kind = Kind.TIMED if timed else Kind.UNTIMED
                made = Stamped(number, instant, NOW if timed else None, kind, payload, dice.random() < 0.2)
            case 1:
                made = Judged(
                    number, dice.randint(1, 31), number, instant, instant, Kind.UNTIMED, Flag.NONE, payload
                )
            case 2:
                made = frames.BeatDown(instant, number, instant)
            case 3:
                made = frames.BeatUp(number, number, instant)
            case 4:
                made = frames.Nack(tuple((number, number + at) for at in range(dice.randint(1, 64))))
            case 5:
                made = frames.ProbeUp(number & 0xFFFF_FFFF, size)
            case 6:
                made = frames.ProbeDown(number & 0xFFFF_FFFF, instant, instant, size)
            case _:
                made = frames.Clock(dice.randbytes(48))
        parts.append(frames.encode(made))
    plain = b"".join(parts)
    return plain if dice.random() < 0.05 else mutate_bytes(dice, plain, parts[0])


@cache
def control_corpus() -> tuple[Any, ...]:
    """Return an example of every control message, as plain dicts and lists."""
    member = control.Member(slot=1, name="ann", outs=2, ins=2, present=True)
    stats = MemberStats(slot=1, name="ann", present=True)
    room = RoomStats(
        name="main", epoch="00", lead_ms=200.0, shift_ms=0.0, horizon_ms=60.0, seconds_compared=1, events=1,
        divergent=0, divergence=0.0, retimed=0, retimed_share=0.0, overtaken=0, moved=0, members=[stats],
        incidents=["x"],
    )  # fmt: skip
    token = bytes(16)
    messages: list[control.Up | control.Down] = [
        control.Hello(protocol=PROTOCOL_VERSION, software="x", room="main", name="ann", ticket=token),
        control.Hello(protocol=PROTOCOL_VERSION, software="x", room="main", name="ann", ask_only=True),
        control.Admission(room="main", members=[member]),
        control.LivePart(
            slot=1, number=3, at=NOW, events=[b"x"],
            pieces=[(b"/g_new\0\0,\0\0\0", (b"/n_set\0\0,\0\0\0",), NOW, 3)],
        ),
        control.Ended(seqs=[3, 4]),
        control.LiveRequest(slot=2),
        control.Report(second=3, whole=True, events=3, digest=token, margins_ms=[1.0], late_numbers=[4]),
        control.DigestDetail(second=3, events=[(1, token)]),
        control.Leave(),
        control.StatsRequest(room="main"),
        control.ProbeHello(protocol=PROTOCOL_VERSION, software="x", rate=50.0, seconds=60.0),
        control.ProbeWelcome(channel=7, key_up=KEY, key_down=KEY),
        control.ProbeReport(arrivals=[(0, NOW), (2, NOW)]),
        control.Welcome(
            slot=1, name="ann", ticket=token, epoch=token, channel=7, key_up=KEY, key_down=KEY, number=3,
            next_seq=1, resumed=False, lead=1, shift=0, horizon=0, members=[member],
        ),
        control.Refused(reason="x", text="y"),
        control.Roster(members=[member]),
        control.Settings(lead=1, shift=0, horizon=0),
        control.Settings(
            lead=9, shift=3, horizon=0, lead_was=Ramp(12, NOW, NOW + 5), shift_was=Ramp(0, NOW, NOW)
        ),
        control.Notice(text="your path takes 1570 ms one way"),
        control.DigestRequest(second=3),
        Stats(
            software="x", uptime_s=1.0, members=1, rooms=[room], datagrams_in=1, datagrams_refused=0
        ),
    ]  # fmt: skip
    return tuple(msgpack.decode(control.encode(message)) for message in messages)


ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 0.5, math.nan, math.inf, 1e300),
    *("", "x" * 33, "\x1b[31m", "‮evil", "hello", b"", b"x" * 16, b"x" * 33, [], [[]], {}, {"type": "leave"}),
)


def control_input(dice: Random) -> bytes:
    """Return an encoded control message in which some values, keys or bytes are odd."""
    message = json_like(dice.choice(control_corpus()))
    for _ in range(dice.choice((0, 1, 1, 3))):
        if not message:
            break
        place, key = _place(dice, message)
        match dice.randrange(4):
            case 0 if isinstance(place, dict):
                place.pop(key, None)
            case 1 if isinstance(place, dict):
                place[dice.choice(("type", "second", "slot", "x", "members"))] = json_like(dice.choice(ODD))
            case 2 if isinstance(place, list):
                place *= dice.choice((0, 2, 300))
            case _:
                place[key] = json_like(dice.choice(ODD))
    data = msgpack.encode(message)
    other = msgpack.encode(dice.choice(control_corpus()))
    return mutate_bytes(dice, data, other) if dice.random() < 0.4 else data


def json_like(value: Any) -> Any:
    """Return a copy of plain data in which all dicts and lists are new, so that it can be changed."""
    if isinstance(value, dict):
        return {key: json_like(inner) for key, inner in value.items()}
    return [json_like(inner) for inner in value] if isinstance(value, list) else value


def _place(dice: Random, message: Any) -> tuple[Any, Any]:
    place = message
    while True:
        key = dice.choice(sorted(place, key=str)) if isinstance(place, dict) else dice.randrange(len(place))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.3:
            return place, key
        place = inner
