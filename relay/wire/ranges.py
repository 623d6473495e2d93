"""The allowed ranges of the controls of Sonic Pi's synthdefs.

Pure; loaded once, from `ranges.json` beside this file. The file has the ranges of Sonic Pi's own argument
checks, and bounds of ours for controls that can crash scsynth or size its memory. relay/wire/guard.py applies
the ranges. Keys are the padded bytes of a name in a message, so every look-up is one dictionary access.
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
"""The greatest finite float of 32 bits."""
_PREFIX = "sonic-pi-"
_GATED = "_gated"
_SLIDES = ("", "_slide", "_slide_shape", "_slide_curve")


class Limit(NamedTuple):
    """The range of a control, both ends included.

    deadly: whether a value outside the range may crash scsynth. Such a control may not follow a bus, since a
    bus can hold any value.
    """

    low: float
    high: float
    deadly: bool = False


FREE = Limit(-_GREATEST, _GREATEST)

Limits = Mapping[bytes, Limit]
"""The allowed range of each control, by its padded name. A control that is missing may have any value."""


def _load() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("ranges.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _limit(bounds: list[float | None] | None, *, deadly: bool = False) -> Limit:
    """Return the range with these bounds (least, greatest; None: no bound).

    The bounds are rounded to 32-bit floats, as the values in messages are.
    """
    low, high = bounds or (None, None)
    return Limit(
        -_GREATEST if low is None else _FLOAT.unpack(_FLOAT.pack(low))[0],
        _GREATEST if high is None else _FLOAT.unpack(_FLOAT.pack(high))[0],
        deadly,
    )


def _both(one: Limit, other: Limit) -> Limit:
    return Limit(max(one.low, other.low), min(one.high, other.high), one.deadly or other.deadly)


def _controls(text: str, bundles: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the controls that a line of `ranges.json` lists.

    NAME~ stands for a control and its slide controls, @NAME for the bundle of that name.
    """
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
    """Return the ranges by padded name, without those that allow every value."""
    return MappingProxyType({encode_string(name): limit for name, limit in limits.items() if limit != FREE})


def _anywhere(synthdefs: Iterable[Mapping[str, Limit]]) -> dict[str, Limit]:
    """Return for each control the range from the least to the greatest value that any stock synthdef
    allows."""
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
"""The range of every control of every stock synthdef, by the plain names of synthdef and control."""

LIMITS: Mapping[bytes, Limits] = {
    encode_string(name): _padded(limits) for name, limits in BY_SYNTHDEF.items()
}
"""The ranges of each stock synthdef's controls, by the padded names of synthdef and control. Synthdefs that
aren't Sonic Pi's are missing."""

_ANYWHERE = _anywhere(BY_SYNTHDEF.values())
_DEADLY = {name: _limit(entry["range"], deadly=True) for name, entry in _TABLE["deadly"].items()}

LOOSE: Limits = _padded(_ANYWHERE)
"""For each control, the values that some stock synthdef allows."""

DEADLY: Limits = _padded(_DEADLY)
"""For each control that can crash scsynth, the values that are safe in every stock synthdef."""

STRICT: Limits = _padded({name: _both(limit, _DEADLY.get(name, FREE)) for name, limit in _ANYWHERE.items()})
"""For each control, the values that are allowed to groups and to nodes of unknown kind. They are those of
`LOOSE`; of deadly controls only the values that are safe in every stock synthdef."""

_CONTESTED = frozenset(
    name for name, limit in _DEADLY.items() if (limit.low, limit.high) != _ANYWHERE[name][:2]
)
"""Deadly controls with a conflict: some stock synthdef allows values that are deadly in another."""

TOLD_APART: frozenset[bytes] = frozenset(
    encode_string(name) for name, limits in BY_SYNTHDEF.items() if not _CONTESTED.isdisjoint(limits)
)
"""The synthdefs that have a contested control (`_CONTESTED`), by padded name. The guard must remember which
nodes play them."""

IN_DANGER: frozenset[bytes] = frozenset(
    encode_string(name)
    for name, limits in BY_SYNTHDEF.items()
    if any(limits[control].deadly for control in _CONTESTED & limits.keys())
)
"""The synthdefs of `TOLD_APART` in which some value of a contested control crashes scsynth."""
