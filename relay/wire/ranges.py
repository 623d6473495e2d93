"""The allowed ranges of the controls of Sonic Pi's synthdefs.

Pure; loaded once, from `ranges.json` beside this file. The file has the ranges of Sonic Pi's own argument
checks, and bounds of ours for controls that can crash scsynth or size its memory. relay/wire/guard.py applies
them. Synthdefs and controls are keyed by the padded bytes of a message, so every look-up is one dictionary
access.
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

    deadly: a value outside may crash scsynth, so the control may not follow a bus either.
    """

    low: float
    high: float
    deadly: bool = False


FREE = Limit(-_GREATEST, _GREATEST)

Limits = Mapping[bytes, Limit]
"""Ranges by control. A control that isn't in it may have any value."""


def _load() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("ranges.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _limit(bounds: list[float | None] | None, *, deadly: bool = False) -> Limit:
    """Return a range of the table rounded to 32-bit floats, like the values in messages."""
    low, high = bounds or (None, None)
    return Limit(
        -_GREATEST if low is None else _FLOAT.unpack(_FLOAT.pack(low))[0],
        _GREATEST if high is None else _FLOAT.unpack(_FLOAT.pack(high))[0],
        deadly,
    )


def _both(one: Limit, other: Limit) -> Limit:
    return Limit(max(one.low, other.low), min(one.high, other.high), one.deadly or other.deadly)


def _controls(text: str, bundles: Mapping[str, str]) -> Iterator[str]:
    """Yield the controls of a line of the table, with NAME~ and @NAME expanded."""
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
    """Return the ranges that need a check, by padded name."""
    return MappingProxyType({encode_string(name): limit for name, limit in limits.items() if limit != FREE})


def _anywhere(synthdefs: Iterable[Mapping[str, Limit]]) -> dict[str, Limit]:
    """Return, by control, the range that covers the ranges of all stock synthdefs."""
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
"""Every control of every stock synthdef, by the names that people know."""

LIMITS: Mapping[bytes, Limits] = {
    encode_string(name): _padded(limits) for name, limits in BY_SYNTHDEF.items()
}
"""Ranges by synthdef and control. Absent synthdefs are not Sonic Pi's, and nothing is known about them."""

_ANYWHERE = _anywhere(BY_SYNTHDEF.values())
_DEADLY = {name: _limit(entry["range"], deadly=True) for name, entry in _TABLE["deadly"].items()}

LOOSE: Limits = _padded(_ANYWHERE)
"""By control: values that are in range for some stock synthdef."""

DEADLY: Limits = _padded(_DEADLY)
"""By control that can crash scsynth: values that are safe in every stock synthdef."""

STRICT: Limits = _padded({name: _both(limit, _DEADLY.get(name, FREE)) for name, limit in _ANYWHERE.items()})
"""By control: `LOOSE`, but deadly controls are limited to values safe in every stock synthdef. For nodes of
unknown kind, and for groups, which may hold any synth."""

_CONTESTED = frozenset(
    name for name, limit in _DEADLY.items() if (limit.low, limit.high) != _ANYWHERE[name][:2]
)
"""Deadly controls whose range in some other synthdef includes values that are deadly here."""

TOLD_APART: frozenset[bytes] = frozenset(
    encode_string(name) for name, limits in BY_SYNTHDEF.items() if not _CONTESTED.isdisjoint(limits)
)
"""The synthdefs that have a contested control. The guard must know which nodes are theirs."""

IN_DANGER: frozenset[bytes] = frozenset(
    encode_string(name)
    for name, limits in BY_SYNTHDEF.items()
    if any(limits[control].deadly for control in _CONTESTED & limits.keys())
)
"""Those of them in which a contested value crashes scsynth."""
