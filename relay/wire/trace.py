"""Trace of a path: the delay or loss of each datagram of a measurement, in both directions, and its text
form.

Pure: it only converts a text to a Trace and back. Each line of the text is a JSON value. The first is a
header: {"jamrelay_trace": 1, "about": {...}}. Then comes a row for each datagram sent: ["up" | "down",
sent_s, delay_ms | null]. The rows of each direction are in the order of sending; rows of the two directions
may be mixed. Bound: ROWS_MAX rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import msgspec

from relay.wire.errors import LocalError

TRACE_VERSION = 1

ROWS_MAX = 4_000_000
"""Greatest number of rows of a trace: eleven hours with 50 datagrams a second in each direction. A file with
more rows is rejected as a mistake."""


READING_S = 0.001
"""A datagram counts as overtaken if it arrives by more than this after one that was sent later, s. The
error of the measured delays is somewhat smaller."""

TEXT_MAX = 200
"""Greatest length of a text in a trace, characters. Longer texts are cut."""


class MalformedTrace(LocalError):
    """A file is no trace. The text names the line, its content, and the content expected."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One datagram of a trace."""

    sent_s: float
    """Instant of sending, by the sender's clock: s since the trace's start."""
    delay_ms: float | None
    """One-way delay, ms; None if the datagram was lost. It may be slightly below 0, since clocks are never
    exact."""


@dataclass(frozen=True, slots=True)
class TraceWay:
    """One direction of a trace: its datagrams in the order of sending."""

    samples: tuple[Sample, ...]

    @property
    def reordered(self) -> bool:
        """Whether any datagram overtook another by more than READING_S."""
        arrivals = [one.sent_s + one.delay_ms / 1e3 for one in self.samples if one.delay_ms is not None]
        return any(later < earlier - READING_S for earlier, later in pairwise(arrivals))

    @property
    def lost(self) -> int:
        """How many datagrams were lost."""
        return sum(1 for sample in self.samples if sample.delay_ms is None)


@dataclass(frozen=True, slots=True)
class Trace:
    """Both directions of the path between a member and the relay. up: to the relay. down: to the member."""

    up: TraceWay
    down: TraceWay
    about: dict[str, str | float] = field(default_factory=dict)
    """Facts about the measurement, by name: host, date, rate, error bound of the clock, program version."""


class _Header(msgspec.Struct):
    jamrelay_trace: int
    about: dict[str, str | float] = {}


_Row = tuple[Literal["up", "down"], float, float | None]
_header_decoder = msgspec.json.Decoder(_Header)
_row_decoder = msgspec.json.Decoder(_Row)


def dumps(trace: Trace) -> str:
    """Return a trace as text. The rows of both directions are sorted by their instant of sending.

    Times are rounded to 1 µs.
    """
    rows = [("up", sample) for sample in trace.up.samples]
    rows += [("down", sample) for sample in trace.down.samples]
    rows.sort(key=lambda row: row[1].sent_s)
    encode = msgspec.json.Encoder().encode
    lines = [encode({"jamrelay_trace": TRACE_VERSION, "about": trace.about})]
    lines += [
        encode(
            (
                way,
                round(sample.sent_s, 6),
                None if sample.delay_ms is None else round(sample.delay_ms, 3),
            )
        )
        for way, sample in rows
    ]
    return b"\n".join(lines).decode() + "\n"


def loads(text: str) -> Trace:
    """Return the trace that a text contains.

    Raises MalformedTrace, whose text is for people and names the number of the line.
    """
    lines = text.splitlines()
    if not lines:
        raise MalformedTrace("the trace is empty: its first line must be a header with jamrelay_trace")
    if len(lines) - 1 > ROWS_MAX:
        raise MalformedTrace(f"the trace has {len(lines) - 1} rows: at most {ROWS_MAX} are read")
    try:
        header = _header_decoder.decode(lines[0])
    except msgspec.DecodeError as error:
        raise MalformedTrace(f'line 1: expected a header like {{"jamrelay_trace": 1}}: {error}') from None
    if header.jamrelay_trace != TRACE_VERSION:
        raise MalformedTrace(
            f"line 1: version {header.jamrelay_trace} of the trace format; this program reads {TRACE_VERSION}"
        )
    ways: dict[str, list[Sample]] = {"up": [], "down": []}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            way, sent_s, delay_ms = _row_decoder.decode(line)
        except msgspec.DecodeError as error:
            raise MalformedTrace(
                f'line {number}: expected ["up" or "down", sent_s, delay_ms or null]: {error}'
            ) from None
        samples = ways[way]
        if not math.isfinite(sent_s) or sent_s < (samples[-1].sent_s if samples else 0.0):
            raise MalformedTrace(f"line {number}: sent at {sent_s} s, before the row above of the same way")
        samples.append(Sample(sent_s, delay_ms))
    about = {_clean(key): _clean(value) for key, value in header.about.items()}
    return Trace(TraceWay(tuple(ways["up"])), TraceWay(tuple(ways["down"])), about)


def _clean(value: Any) -> Any:
    """Return a value from a trace, made safe to print. In a text "?" replaces each unprintable character, and
    the text is cut to TEXT_MAX. Other values are returned as they are."""
    if not isinstance(value, str):
        return value
    return "".join(character if character.isprintable() else "?" for character in value)[:TEXT_MAX]
