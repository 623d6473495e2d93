"""The table of control ranges: part of the installed package, complete, and no narrower than needed."""

import json
from importlib import resources

import pytest

from relay.wire.commands import CONTROL_ROLES, SYNTHDEFS
from relay.wire.ranges import BY_SYNTHDEF, DEADLY, FREE, LIMITS, LOOSE, STRICT, Limit

TABLE = json.loads(resources.files("relay.wire").joinpath("ranges.json").read_text("utf-8"))


def test_it_has_every_stock_synthdef_and_none_of_their_ids() -> None:
    assert BY_SYNTHDEF.keys() == SYNTHDEFS.keys()
    for controls in BY_SYNTHDEF.values():
        assert controls.keys().isdisjoint(CONTROL_ROLES)


def test_a_gated_synthdef_has_the_ranges_of_the_other() -> None:
    assert BY_SYNTHDEF["sonic-pi-pluck_gated"] == BY_SYNTHDEF["sonic-pi-pluck"]


@pytest.mark.parametrize(
    ("synthdef", "control", "low", "high"),
    [
        ("sonic-pi-beep", "amp", 0.0, FREE.high),
        ("sonic-pi-dsaw", "cutoff", 0.0, 131.0),
        ("sonic-pi-tb303", "cutoff", FREE.low, 130.0),
        ("sonic-pi-beep", "note_slide", 0.0, FREE.high),
        ("sonic-pi-beep", "amp_slide_curve", FREE.low, FREE.high),
        ("sonic-pi-fx_octaver", "sub_amp_slide", FREE.low, FREE.high),
        ("sonic-pi-fx_reverb", "room", 0.0, 1.0),
        ("sonic-pi-fx_gverb", "room", 1.0, 3000.0),
        ("sonic-pi-pluck", "max_delay_time", 0.125, 1.0),
        ("sonic-pi-mono_player", "window_size_slide_shape", 0.0, 8.0),
        ("sonic-pi-beep", "amp_slide_shape", FREE.low, FREE.high),
        ("sonic-pi-stereo_player", "finish", -1000.0, 1000.0),  # slice: 4, num_slices: 4 ends at 1.25
    ],
)
def test_ranges_go_by_synthdef_and_control(synthdef: str, control: str, low: float, high: float) -> None:
    assert BY_SYNTHDEF[synthdef][control][:2] == (low, high)


def test_a_bound_is_the_number_of_32_bits_that_a_message_can_hold() -> None:
    assert BY_SYNTHDEF["sonic-pi-fx_pitch_shift"]["window_size"].low == 4.999999873689376e-05


def test_every_deadly_control_is_somebodys_and_has_its_reason() -> None:
    for control, entry in TABLE["deadly"].items():
        assert len(entry["why"]) > 20, control
        for synthdef in entry["in"].split():
            assert BY_SYNTHDEF["sonic-pi-" + synthdef][control].deadly


def test_every_word_of_the_table_is_used() -> None:
    controls = {control for limits in BY_SYNTHDEF.values() for control in limits}
    assert {*TABLE["ranges"], *TABLE["deadly"]} - controls == {"*_slide"}
    for synthdef, others in TABLE["elsewhere"].items():
        assert others.keys() <= BY_SYNTHDEF["sonic-pi-" + synthdef].keys()


def test_what_any_synthdef_may_be_told_is_loose_and_what_all_of_them_stand_is_strict() -> None:
    room = b"room\0\0\0\0"
    assert LOOSE[room] == Limit(0.0, 3000.0, True)
    assert STRICT[room] == Limit(1.0, 3000.0, True)
    for control, (low, high, _) in DEADLY.items():
        assert low <= STRICT[control].low <= STRICT[control].high <= high
    for limits in LIMITS.values():
        for control, limit in limits.items():
            if control in LOOSE:
                assert LOOSE[control].low <= limit.low <= limit.high <= LOOSE[control].high
