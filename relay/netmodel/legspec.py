"""Leg texts: reads and writes the syntax in which a command line describes a network.

Pure, except that `trace:FILE` reads a file through the function passed as `read_file`. The networks that have
names are in relay.netmodel.networks, as is `parse_leg`. Forms of a text:

    hotel-wifi                          a profile by name
    delay=50,jitter=10,loss=5%          figures, for both directions
    hotel-wifi,loss=5%                  a profile with one figure changed
    up:delay=20;down:cable              each direction on its own; a missing one is a perfect network
    trace:FILE                          a recorded path, replayed over and over
    trace:FILE,duplicate=1%             the same with a figure added

Times are in ms, but the gaps between spikes and the periods of outages and bloats are in s. Rates are in
kbit/s. A share is written as 5% or 0.05. FILE may contain no comma.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from relay.netmodel.impairment import Bursts, Jitter, JitterKind, Leg, Spikes, Way
from relay.wire import trace
from relay.wire.errors import LocalError

WORDS: dict[str, str] = {
    "delay": "ms, the least",
    "jitter": "ms, mean of what is added (normal: standard deviation)",
    "kind": ", ".join(kind.value for kind in JitterKind) + " (normal)",
    "hold": "ms for which a draw of the jitter lasts; 0: drawn for every datagram",
    "loss": "share of datagrams, each for itself",
    "bursts": "share of the time in which everything is lost",
    "burst": "ms, mean length of such a period (80)",
    "duplicate": "share",
    "reorder": "share of datagrams that may be overtaken",
    "reorder_ms": "ms by which those are late (12)",
    "rate": "kbit/s, or none",
    "queue": "ms that a datagram may wait at that rate (200)",
    "spikes": "s, mean gap between spikes of delay",
    "spike": "ms, their height (60)",
    "outage": "FROM-TO in s; several as 10-12+30-31",
    "bloat": "FROM-TO:MS, delay added in that time (s); several with +",
    "fifo": "yes: no datagram overtakes another; no: they may (yes)",
}
"""The meaning of every word of a leg text, as the help of the commands shows it."""

SPIKE_MS = 60.0
"""Height of spikes (ms) if a text gives only the gap between them. It is the middle of the 40 to 80 ms of a
shared Wi-Fi."""

_BURST_MS = 80.0


def parse(text: str, named: Mapping[str, Leg], read_file: Callable[[str], str]) -> Leg:
    """Return the leg that a text describes. Raises LocalError, which names the mistake and the valid forms.

    named: the leg of each named network. read_file: given the path of a trace's file, returns the file's
    text.
    """
    text = text.strip()
    if not text.startswith(("up:", "down:")):
        return Leg(_way(text, "up", named, read_file), _way(text, "down", named, read_file))
    ways: dict[str, Way] = {}
    for part in text.split(";"):
        side, colon, words = part.strip().partition(":")
        if not colon or side not in ("up", "down"):
            raise LocalError(f"network {text!r}: {part.strip()!r} should begin with up: or down:")
        if side in ways:
            raise LocalError(f"network {text!r}: {side}: is given twice")
        ways[side] = _way(words, side, named, read_file)
    return Leg(ways.get("up", Way()), ways.get("down", Way()))


def format_leg(leg: Leg) -> str:
    """Return a text from which `parse` makes this leg again. Times of outages and bloats are rounded to 1 µs.

    Raises LocalError for a leg with a trace: only the trace's file can describe it.
    """
    if leg.up == leg.down:
        return _format_way(leg.up)
    return f"up:{_format_way(leg.up)};down:{_format_way(leg.down)}"


def read_file(path: str) -> str:
    """Return the text of a trace's file. Raises LocalError if it can't be read."""
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise LocalError(f"cannot read the trace {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LocalError(f"{path} is no trace: expected text, one row of JSON a line") from None


def _way(text: str, side: str, named: Mapping[str, Leg], read: Callable[[str], str]) -> Way:
    first, *others = [part.strip() for part in text.split(",")]
    if first.startswith("trace:"):
        recorded = _recorded(first.removeprefix("trace:"), side, read)
        way = Way(trace=recorded, fifo=not recorded.reordered)
    elif "=" in first:
        way, others = Way(), [first, *others]
    else:
        leg = named.get(first)
        if leg is None:
            raise LocalError(
                f"no network is called {first!r}; there are {', '.join(named)}; "
                "or figures like delay=50,jitter=10,loss=5%, or trace:FILE"
            )
        way = leg.up if side == "up" else leg.down
    words: dict[str, str] = {}
    for part in others:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in WORDS or not equals:
            raise LocalError(f"{part!r} in a network: expected WORD=VALUE, with a WORD of {', '.join(WORDS)}")
        if name in words:
            raise LocalError(f"{name} is given twice in {text!r}")
        words[name] = value
    try:
        return _changed(way, words)
    except LocalError as error:
        raise LocalError(f"network {text!r}: {error}") from None


def _changed(way: Way, words: dict[str, str]) -> Way:
    def number(name: str, default: float) -> float:
        return _number(name, words[name]) if name in words else default

    def share(name: str, default: float) -> float:
        return _share(name, words[name]) if name in words else default

    for name, needed, there in (
        ("kind", "jitter", way.jitter is not None),
        ("hold", "jitter", way.jitter is not None),
        ("burst", "bursts", way.bursts is not None),
        ("spike", "spikes", way.spikes is not None),
        ("queue", "rate", way.rate_kbps is not None),
        ("reorder_ms", "reorder", way.reorder > 0.0),
    ):
        if name in words and needed not in words and not there:
            raise LocalError(f"{name} means nothing without {needed}")
    jitter, bursts, spikes = way.jitter, way.bursts, way.spikes
    if words.keys() & {"jitter", "kind", "hold"}:
        old = jitter or Jitter(JitterKind.NORMAL, 0.0)
        kind = _kind(words["kind"]) if "kind" in words else old.kind
        jitter = Jitter(kind, number("jitter", old.scale_ms), number("hold", old.hold_ms))
    if words.keys() & {"bursts", "burst"}:
        was = bursts or Bursts(0.0, _BURST_MS / 1e3)
        bursts = Bursts(share("bursts", was.share), number("burst", was.mean_s * 1e3) / 1e3)
    if words.keys() & {"spikes", "spike"}:
        every_s, height_ms = (spikes.every_s, spikes.height_ms) if spikes else (1.0, SPIKE_MS)
        spikes = Spikes(number("spikes", every_s), number("spike", height_ms))
    return replace(
        way,
        delay_ms=number("delay", way.delay_ms),
        jitter=jitter if jitter is not None and jitter.scale_ms > 0.0 else None,
        loss=share("loss", way.loss),
        bursts=bursts if bursts is not None and bursts.share > 0.0 else None,
        duplicate=share("duplicate", way.duplicate),
        reorder=share("reorder", way.reorder),
        reorder_ms=number("reorder_ms", way.reorder_ms),
        rate_kbps=None if words.get("rate") == "none" else _rate(words, way),
        queue_ms=number("queue", way.queue_ms),
        spikes=spikes if spikes is not None and spikes.height_ms > 0.0 else None,
        outages=_outages(words["outage"]) if "outage" in words else way.outages,
        bloats=_bloats(words["bloat"]) if "bloat" in words else way.bloats,
        fifo=_yes("fifo", words["fifo"]) if "fifo" in words else way.fifo,
    )


def _rate(words: dict[str, str], way: Way) -> float | None:
    return _number("rate", words["rate"]) if "rate" in words else way.rate_kbps


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LocalError(f"{name}={text}: expected a number, {WORDS[name]}")
    return value


def _share(name: str, text: str) -> float:
    if text.endswith("%"):
        return _number(name, text[:-1]) / 100.0
    value = _number(name, text)
    if value > 1.0:
        raise LocalError(f"{name}={text}: a share is given as {text}% or as a number up to 1")
    return value


def _kind(text: str) -> JitterKind:
    try:
        return JitterKind(text)
    except ValueError:
        raise LocalError(f"kind={text}: expected {WORDS['kind']}") from None


def _yes(name: str, text: str) -> bool:
    if text not in ("yes", "no"):
        raise LocalError(f"{name}={text}: expected {WORDS[name]}")
    return text == "yes"


def _outages(text: str) -> tuple[tuple[float, float], ...]:
    found = []
    for part in text.split("+") if text else []:
        from_s, dash, to_s = part.partition("-")
        if not dash:
            raise LocalError(f"outage={text}: expected {WORDS['outage']}")
        found.append((_number("outage", from_s), _number("outage", to_s)))
    return tuple(found)


def _bloats(text: str) -> tuple[tuple[float, float, float], ...]:
    found = []
    for part in text.split("+") if text else []:
        period, colon, height_ms = part.partition(":")
        from_s, dash, to_s = period.partition("-")
        if not dash or not colon:
            raise LocalError(f"bloat={text}: expected {WORDS['bloat']}")
        found.append((_number("bloat", from_s), _number("bloat", to_s), _number("bloat", height_ms)))
    return tuple(found)


def _recorded(path: str, side: str, read: Callable[[str], str]) -> trace.TraceWay:
    try:
        whole = trace.loads(read(path))
    except trace.MalformedTrace as error:
        raise LocalError(f"{path} is no trace: {error}") from None
    way = whole.up if side == "up" else whole.down
    if not way.samples:
        raise LocalError(f"{path} holds nothing of the way {side}")
    return way


def _format_way(way: Way) -> str:
    return ",".join(f"{name}={value}" for name, value in _words_of(way))


def _words_of(way: Way) -> Iterator[tuple[str, str]]:
    if way.trace is not None:
        raise LocalError("a trace has no words: name its file, trace:FILE")
    yield "delay", repr(way.delay_ms)
    if way.jitter is not None:
        yield "jitter", repr(way.jitter.scale_ms)
        yield "kind", way.jitter.kind.value
        yield "hold", repr(way.jitter.hold_ms)
    if way.loss:
        yield "loss", repr(way.loss)
    if way.bursts is not None:
        yield "bursts", repr(way.bursts.share)
        yield "burst", repr(way.bursts.mean_s * 1e3)
    if way.duplicate:
        yield "duplicate", repr(way.duplicate)
    if way.reorder:
        yield "reorder", repr(way.reorder)
        yield "reorder_ms", repr(way.reorder_ms)
    if way.rate_kbps is not None:
        yield "rate", repr(way.rate_kbps)
        yield "queue", repr(way.queue_ms)
    if way.spikes is not None:
        yield "spikes", repr(way.spikes.every_s)
        yield "spike", repr(way.spikes.height_ms)
    if way.outages:
        yield "outage", "+".join(f"{from_s:.6f}-{to_s:.6f}" for from_s, to_s in way.outages)
    if way.bloats:
        yield "bloat", "+".join(f"{from_s:.6f}-{to_s:.6f}:{ms!r}" for from_s, to_s, ms in way.bloats)
    if not way.fifo:
        yield "fifo", "no"
