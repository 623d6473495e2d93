"""Decision log of an emulated network: every decision about every datagram, and when it was executed.

The file is one line of JSON, the header, followed by rows of ROW_BYTES each. A row is written when its
datagram is finished. A log that was cut short ends with its last whole row. Times are seconds of the
emulation. The header has the CLOCK_MONOTONIC and the CLOCK_REALTIME of second 0, so the log can be compared
with other records.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from laboratory.runs.oracle import way_name
from relay.netmodel.impairment import Decision, Fate, Impairment, Leg, Way

LOG_VERSION = 1
FATES = tuple(Fate)
UP, DOWN = 0, 1
WAYS = ("up", "down")
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}
NEVER = float("nan")

ROW = struct.Struct("<HBBBxHIIddddd")
"""A row: leg, way, protocol, fate, size in bytes, index, (reserved), then five instants.

The instants are in seconds of the emulation; NaN means never. They are: the datagram was read (at), its
arrival, its copy's arrival, the datagram was written, its copy was written.
"""
ROW_BYTES = ROW.size
ROW_TYPE = np.dtype(
    [
        ("leg", "<u2"), ("way", "u1"), ("protocol", "u1"), ("fate", "u1"), ("pad", "V1"), ("size", "<u2"),
        ("index", "<u4"), ("reserved", "<u4"),
        *((name, "<f8") for name in ("at_s", "arrival_s", "copy_arrival_s", "written_s", "copy_written_s")),
    ]
)  # fmt: skip

Rows = np.ndarray[Any, np.dtype[Any]]


class DecisionLogError(ValueError):
    """The data are no log of netlab, or a log of another version. The text tells what was found."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a log. names: the legs' names. A row's leg number is an index into them."""

    jamrelay_netlab: int = LOG_VERSION
    version: str
    seed: int
    names: list[str]
    legs: list[Leg]
    zero_monotonic_ns: int
    zero_realtime_ns: int
    realtime: bool
    """True if the emulator ran under SCHED_FIFO."""
    about: dict[str, Any] = {}


@dataclass(frozen=True)
class Log:
    """A log that was read.

    rows: an array of ROW_TYPE, sorted by leg, way, index. A row's fate is an index into FATES.
    """

    header: Header
    rows: Rows

    def leg(self, name: str) -> Leg:
        """Return the settings of the leg `name` that the emulator was asked for. Raises KeyError."""
        if name not in self.header.names:
            raise KeyError(f"no leg {name!r} in this log, but {', '.join(self.header.names)}")
        return self.header.legs[self.header.names.index(name)]

    def way(self, name: str, way: str) -> Way:
        """Return the requested settings of one direction ("up" or "down") of the leg `name`.

        Raises KeyError.
        """
        leg = self.leg(name)
        return {"up": leg.up, "down": leg.down}[way]

    def rows_of(self, name: str, way: str) -> Rows:
        """Return the rows of one direction of one leg, in the order of their index. Raises KeyError."""
        self.way(name, way)
        rows = self.rows
        chosen = (rows["leg"] == self.header.names.index(name)) & (rows["way"] == WAYS.index(way))
        found: Rows = rows[chosen]
        return found

    def decisions(self, name: str, way: str) -> list[Decision]:
        """Return the model's decisions about one direction of one leg, in the order of their index. Raises
        KeyError."""
        return [
            Decision(
                index=int(row["index"]),
                at_s=float(row["at_s"]),
                size=int(row["size"]),
                fate=FATES[row["fate"]],
                arrivals_s=tuple(
                    float(row[field]) for field in ("arrival_s", "copy_arrival_s") if not np.isnan(row[field])
                ),
            )
            for row in self.rows_of(name, way)
        ]


def header_line(header: Header) -> bytes:
    """Return the first line of a log with this header."""
    return msgspec.json.encode(header) + b"\n"


def loads(data: bytes) -> Log:
    """Parse a log. An incomplete row at its end is ignored. Raises DecisionLogError."""
    line, newline, body = data.partition(b"\n")
    try:
        if not newline:
            raise msgspec.ValidationError("no header line")
        found = msgspec.json.decode(line)
        if not isinstance(found, dict) or found.get("jamrelay_netlab") != LOG_VERSION:
            raise msgspec.ValidationError(f"no header of version {LOG_VERSION}")
        header = msgspec.convert(found, Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecisionLogError(f"not a log of netlab: {error}; it began with {line[:60]!r}") from error
    rows = np.frombuffer(body, dtype=ROW_TYPE, count=len(body) // ROW_BYTES)
    return Log(header, rows[np.lexsort((rows["index"], rows["way"], rows["leg"]))])


def read_log(path: Path | str) -> Log:
    """Read a log from a file. Raises OSError, DecisionLogError."""
    try:
        return loads(Path(path).read_bytes())
    except DecisionLogError as error:
        raise DecisionLogError(f"{path}: {error}") from error


def first_difference(log: Log, name: str, way: str) -> str | None:
    """Repeat a logged way's decisions with the model and the same seed. Return None if all are equal.

    Otherwise return the first decision that differs, in words. Arrivals must be equal to the last bit.
    """
    model = Impairment(log.way(name, way), seed=log.header.seed, name=way_name(name, way))
    for logged in log.decisions(name, way):
        again = model.decide(logged.at_s, logged.size)
        if again != logged:
            return f"{way_name(name, way)}: logged {logged}, but the model says {again}"
    return None
