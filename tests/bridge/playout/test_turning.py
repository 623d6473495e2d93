"""Turning: an FX that opens and closes is built at the part of its period at which it stands elsewhere."""

import pytest

from bridge.playout.turning import turned
from relay.wire.live.tree import Node, Setting
from relay.wire.meaning import Meaning
from relay.wire.osc import Arg, encode, encode_string
from relay.wire.timetag import ticks

DUE = 1 << 60


def fx(synthdef: str, *controls: Arg, due: int = DUE) -> Node:
    payload = encode("/s_new", synthdef, 20, 1, 4, "in_bus", 40.0, *controls)
    return Node(20, payload, due=due, is_group=False)


def part(node: Node, gone_s: float) -> float | None:
    """Return the part of a period at which an FX begins after `gone_s` seconds; None if it isn't told."""
    args = Meaning(turned(node, DUE + ticks(gone_s))).message.args[4:]
    given = dict(zip(args[::2], args[1::2], strict=True))  # of two values scsynth takes the last
    value = given.get("phase_offset")
    return None if value is None else float(value)


@pytest.mark.parametrize(
    ("node", "gone_s", "expected"),
    [
        (fx("sonic-pi-fx_slicer"), 10.0, 0.0),
        (fx("sonic-pi-fx_slicer"), 10.1, 0.4),
        (fx("sonic-pi-fx_slicer", "phase", 1.0), 10.25, 0.25),
        (fx("sonic-pi-fx_wobble", "phase", 2.0, "phase_offset", 0.75), 11.0, 0.25),
        (fx("sonic-pi-fx_tremolo"), 3.0, 0.75),
    ],
)
def test_it_begins_at_the_part_at_which_it_stands(node: Node, gone_s: float, expected: float) -> None:
    assert part(node, gone_s) == pytest.approx(expected, abs=1e-6)


def test_one_whose_period_was_set_or_is_unknown_begins_at_its_start() -> None:
    changed = fx("sonic-pi-fx_slicer")
    changed.settings[encode_string("phase")] = Setting("/n_set", "f", b"\x3f\x80\0\0")
    others = [
        changed,
        fx("sonic-pi-fx_slicer", due=0),
        fx("sonic-pi-fx_slicer", "phase", "c3"),
        fx("sonic-pi-fx_slicer", "phase", 0.0),
        fx("sonic-pi-fx_reverb"),
        Node(20, encode("/s_new"), due=DUE, is_group=False),
    ]
    for node in others:
        assert turned(node, DUE + ticks(10.1)) == node.payload
    assert turned(fx("sonic-pi-fx_slicer"), DUE - 1) == fx("sonic-pi-fx_slicer").payload
