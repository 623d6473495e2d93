"""Recordings: reads a recorder's file back, message by message, with the timetags.

Pure but for `read`. It has a small, tolerant OSC reader of its own: the proof must not share code with the
product, and python-osc loses timetags. Messages that can't be parsed are kept as bytes. Instants are Unix ns:
ns of CLOCK_REALTIME since 1970. Timetags are converted to Unix ns, rounded to the nearest.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NTP_UNIX_OFFSET_S = 2_208_988_800
IMMEDIATELY = (0, 1)
"""Timetags that mean "at once"."""
BUNDLE = b"#bundle\0"
MAX_DEPTH = 8

Argument = int | float | str | bytes | bool | None


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One message as scsynth got it. raw: the message alone, without bundle and timetag."""

    t_ns: int
    """Kernel receive timestamp (Unix ns) at the recorder: the instant of the message's arrival."""
    timetag: int | None
    """Timetag (NTP integer) of the bundle around the message. None outside a bundle, or if it means "at
    once"."""
    address: str
    raw: bytes
    args: tuple[Argument, ...]
    index: int = 0
    """Position in the recording. It tells messages with the same t_ns apart."""
    passed_ns: tuple[int, int] | None = None
    """Instants (Unix ns) just before and just after the recorder passed the message on; None if not
    recorded."""
    datagram: int = 0
    """Position of its datagram in the recording. The messages of one bundle have the same."""

    @property
    def due_ns(self) -> int:
        """Instant (Unix ns) at which the message is to sound; without a timetag, that of its arrival."""
        return self.t_ns if self.timetag is None else unix_ns(self.timetag)


@dataclass(frozen=True, slots=True)
class Recording:
    """The content of one recorder's file. metas: an entry for every start of the recorder."""

    metas: tuple[dict[str, Any], ...]
    to_scsynth: tuple[RecordedMessage, ...]
    from_scsynth: tuple[RecordedMessage, ...]
    dropped: int = 0
    """Number of datagrams that the kernel dropped in front of the recorder. If there are any, the recording
    proves nothing."""
    unreadable: tuple[str, ...] = field(default=())
    """Lines that can't be parsed. The last line of a killed recorder may be incomplete."""

    @property
    def scsynth_port(self) -> int:
        """The UDP port of the scsynth that the recorder started last. Raises ValueError if the file names
        none."""
        if not self.metas:
            raise ValueError("the recording has no meta line: has the recorder been started?")
        return int(self.metas[-1]["scsynth_port"])


def read(path: Path) -> Recording:
    """Read a recording, also while it is being written. Raises OSError if there is none."""
    with path.open(encoding="ascii", errors="replace") as lines:
        return parse(lines)


def parse(lines: Iterable[str]) -> Recording:
    """Return the recording in `lines` (see recorder.py for the format)."""
    metas: list[dict[str, Any]] = []
    passed: dict[str, list[RecordedMessage]] = {"to": [], "from": []}
    unreadable: list[str] = []
    dropped = 0
    for datagram_at, line in enumerate(lines):
        try:
            entry = json.loads(line)
            if "meta" in entry:
                metas.append(entry["meta"])
            elif "dropped" in entry:
                dropped += entry["dropped"]
            else:
                messages = passed[entry["dir"]]
                datagram, t_ns = bytes.fromhex(entry["hex"]), int(entry["t_ns"])
                passed_ns = None
                if "passed_ns" in entry:
                    began, ended = map(int, entry["passed_ns"])
                    passed_ns = (began, ended)
                for timetag, raw in walk(datagram):
                    address, args = parse_message(raw)
                    at = len(messages)
                    messages.append(
                        RecordedMessage(t_ns, timetag, address, raw, args, at, passed_ns, datagram_at)
                    )
        except (ValueError, KeyError, TypeError):
            unreadable.append(line)
    return Recording(tuple(metas), tuple(passed["to"]), tuple(passed["from"]), dropped, tuple(unreadable))


def walk(datagram: bytes, timetag: int | None = None, depth: int = 0) -> Iterable[tuple[int | None, bytes]]:
    """Yield (timetag, message) for each message of a datagram, in order.

    The timetag is that of the innermost bundle around the message. It is None outside a bundle, or if it
    means "at once".
    """
    if not datagram.startswith(BUNDLE) or len(datagram) < 16 or depth > MAX_DEPTH:
        yield timetag, datagram
        return
    own = struct.unpack_from(">Q", datagram, 8)[0]
    at = 16
    while at + 4 <= len(datagram):
        size = struct.unpack_from(">i", datagram, at)[0]
        at += 4
        if not 0 < size <= len(datagram) - at:
            yield own, datagram[at:]  # an incomplete message is kept, so that it counts as different
            return
        yield from walk(datagram[at : at + size], None if own in IMMEDIATELY else own, depth + 1)
        at += size


def parse_message(raw: bytes) -> tuple[str, tuple[Argument, ...]]:
    """Return (address, arguments) of one message. The arguments end before the first that can't be read."""
    address, at = take_string(raw, 0)
    tags, at = take_string(raw, at)
    args: list[Argument] = []
    for tag in tags[1:] if tags.startswith(",") else "":
        try:
            value, at = take_argument(raw, at, tag)
        except (struct.error, ValueError):
            break
        args.append(value)
    return address, tuple(args)


def take_string(raw: bytes, at: int) -> tuple[str, int]:
    end = raw.find(b"\0", at)
    end = len(raw) if end < 0 else end
    return raw[at:end].decode("utf-8", "replace"), (end // 4 + 1) * 4


def take_argument(raw: bytes, at: int, tag: str) -> tuple[Argument, int]:
    match tag:
        case "i" | "c" | "r" | "m":
            return int(struct.unpack_from(">i", raw, at)[0]), at + 4
        case "f":
            return float(struct.unpack_from(">f", raw, at)[0]), at + 4
        case "d":
            return float(struct.unpack_from(">d", raw, at)[0]), at + 8
        case "h" | "t":
            return int(struct.unpack_from(">q", raw, at)[0]), at + 8
        case "s" | "S":
            return take_string(raw, at)
        case "b":
            size = struct.unpack_from(">i", raw, at)[0]
            if not 0 <= size <= len(raw) - at - 4:
                raise ValueError(f"blob of {size} bytes")
            return raw[at + 4 : at + 4 + size], at + 4 + (size + 3) // 4 * 4
        case "T" | "F":
            return tag == "T", at
        case "N" | "I" | "[" | "]":
            return None, at
        case _:
            raise ValueError(f"type tag {tag!r}")


def unix_ns(timetag: int) -> int:
    """Return a timetag as ns since 1970, rounded to the nearest."""
    return ((timetag - (NTP_UNIX_OFFSET_S << 32)) * 1_000_000_000 + (1 << 31)) >> 32


def timetag_at(unix_at_ns: int) -> int:
    """Return the timetag of an instant in ns since 1970, rounded up, so that unix_ns returns that instant
    again."""
    return (NTP_UNIX_OFFSET_S << 32) - (-(unix_at_ns << 32) // 1_000_000_000)
