"""The ranges of the controls of Sonic Pi's synthdefs: what may be set to what.

Pure; loaded once, from `ranges.json` beside this file, which holds what Sonic Pi's own argument checks accept
and, of the controls that can end scsynth or size its memory, bounds of ours. Who asks is relay/wire/guard.py.
Synthdefs and controls go by the padded bytes that stand in a message: every look-up is one dictionary access.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, NamedTuple

from relay.wire.commands import SYNTHDEFS
from relay.wire.osc import encode_string

_FLOAT = struct.Struct(">f")
_GREATEST: float = _FLOAT.unpack(b"\x7f\x7f\xff\xff")[0]
"""The greatest number of 32 bits; more is infinite."""
_PREFIX = "sonic-pi-"
_GATED = "_gated"
_SLIDES = ("", "_slide", "_slide_shape", "_slide_curve")


class Limit(NamedTuple):
    """The range of a control, both ends allowed. deadly: outside it scsynth is in danger, so that the control
    may not follow a bus either."""

    low: float
    high: float
    deadly: bool = False


FREE = Limit(-_GREATEST, _GREATEST)

Limits = Mapping[bytes, Limit]
"""By control. One that isn't in it is free."""


def _load() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("ranges.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _limit(bounds: list[float | None] | None, *, deadly: bool = False) -> Limit:
    """Return a range of the table as numbers of 32 bits, which is what a message can hold."""
    low, high = bounds or (None, None)
    return Limit(
        -_GREATEST if low is None else _FLOAT.unpack(_FLOAT.pack(low))[0],
        _GREATEST if high is None else _FLOAT.unpack(_FLOAT.pack(high))[0],
        deadly,
    )


def _both(one: Limit, other: Limit) -> Limit:
    return Limit(max(one.low, other.low), min(one.high, other.high), one.deadly or other.deadly)


def _controls(text: str, bundles: Mapping[str, str]) -> Iterator[str]:
    """Yield the controls of a line of the table, NAME~ and @NAME spelled out."""
    for word in text.split():
        if word.startswith("@"):
            yield from _controls(bundles[word[1:]], bundles)
        elif word.endswith("~"):
            yield from (word[:-1] + slide for slide in _SLIDES)
        else:
            yield word


def _synthdefs(table: dict[str, Any]) -> Iterator[tuple[str, dict[str, Limit]]]:
    ranges, elsewhere = table["ranges"], table["elsewhere"]
    slide = ranges["*_slide"]
    for synthdef, text in table["synthdefs"].items():
        limits: dict[str, Limit] = {}
        for control in _controls(text, table["bundles"]):
            usual = ranges.get(control, slide if control.endswith("_slide") else None)
            limit = _limit(elsewhere.get(synthdef, {}).get(control, usual))
            deadly = table["deadly"].get(control)
            if deadly is not None and synthdef in deadly["in"].split():
                limit = _both(limit, _limit(deadly["range"], deadly=True))
            limits[control] = limit
        for name in (_PREFIX + synthdef, _PREFIX + synthdef + _GATED):
            if name in SYNTHDEFS:
                yield name, limits


def _padded(limits: Mapping[str, Limit]) -> Limits:
    """Return what there is to check, by padded name."""
    return MappingProxyType({encode_string(name): limit for name, limit in limits.items() if limit != FREE})


def _anywhere(synthdefs: Iterable[Mapping[str, Limit]]) -> dict[str, Limit]:
    """Return, by control, what some stock synthdef may have it set to."""
    found: dict[str, Limit] = {}
    for limits in synthdefs:
        for control, limit in limits.items():
            known = found.get(control, limit)
            found[control] = Limit(
                min(known.low, limit.low), max(known.high, limit.high), known.deadly or limit.deadly
            )
    return found


_TABLE = _load()

BY_SYNTHDEF: Mapping[str, Mapping[str, Limit]] = MappingProxyType(dict(_synthdefs(_TABLE)))
"""By synthdef and control, by the names that people know: every control of every stock synthdef."""

LIMITS: Mapping[bytes, Limits] = {
    encode_string(name): _padded(limits) for name, limits in BY_SYNTHDEF.items()
}
"""By synthdef and control. A synthdef that isn't here is none of Sonic Pi's, and nothing is known of it."""

_ANYWHERE = _anywhere(BY_SYNTHDEF.values())
_DEADLY = {name: _limit(entry["range"], deadly=True) for name, entry in _TABLE["deadly"].items()}

LOOSE: Limits = _padded(_ANYWHERE)
"""By control: what is in range for some stock synthdef."""

DEADLY: Limits = _padded(_DEADLY)
"""By control, those that can end scsynth: what is safe in every stock synthdef."""

STRICT: Limits = _padded({name: _both(limit, _DEADLY.get(name, FREE)) for name, limit in _ANYWHERE.items()})
"""By control: `LOOSE`, but for deadly controls what is safe in every stock synthdef. For a node of unknown
kind, and for a group, in which anything may live."""

_CONTESTED = frozenset(
    name for name, limit in _DEADLY.items() if (limit.low, limit.high) != _ANYWHERE[name][:2]
)
"""Deadly controls whose namesakes in other synthdefs may be set to what is deadly here."""

TOLD_APART: frozenset[bytes] = frozenset(
    encode_string(name) for name, limits in BY_SYNTHDEF.items() if not _CONTESTED.isdisjoint(limits)
)
"""The synthdefs that matter for which: their nodes must be known from others."""

IN_DANGER: frozenset[bytes] = frozenset(
    encode_string(name)
    for name, limits in BY_SYNTHDEF.items()
    if any(limits[control].deadly for control in _CONTESTED & limits.keys())
)
"""Those of them that such a value would end."""
