"""The guard's ranges tested with the genuine programs.

They agree with Sonic Pi's own argument checks, and scsynth survives everything within them.
"""

import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.wire.commands import CONTROL_ROLES
from relay.wire.ranges import BY_SYNTHDEF, FREE, Limit
from tests.real.extremes import (
    FILES,
    NAMES,
    STOCK,
    VALUES,
    WAYS,
    Case,
    RealTime,
    culprits,
    extremes,
    jackd,
    mixtures,
    outlives_score,
    passing,
)
from tests.worlds.hostile import KILLERS

pytestmark = [pytest.mark.real, pytest.mark.unhurried]

SYNTHINFO = Path("/usr/lib/sonic-pi/app/server/ruby/lib/sonicpi/synths/synthinfo.rb")
ASK = """
require 'json'
require ARGV[0]
info = SonicPi::Synths::SynthInfo.get_all.values.group_by(&:scsynth_name).transform_values(&:last)
asked = JSON.parse(STDIN.read)
puts JSON.generate(info.to_h { |name, one|
  [name, one.info.map { |arg, its|
    checks = (its[:validations] || []).reject { |_, text| text =~ /buffer|not be zero/ }
    values = (asked[name] || {})[arg.to_s] || []
    accepted = values.map { |value| checks.all? { |check, _| check.call({ arg => value }) } }
    [arg, { checked: !checks.empty?, accepted: accepted }]
  }.to_h]
})
"""
RECKONED_LATER = {
    (f"sonic-pi-{player}", end) for player in ("mono_player", "stereo_player") for end in ("start", "finish")
}
"""Controls, as (synthdef, control), whose values Sonic Pi computes after its argument checks.

It checks only a program's options: `slice: 4, num_slices: 4` becomes a finish of 1.25.
"""
FINITE = [value for value in VALUES if abs(value) < 3e38]


def asked(limit: Limit) -> list[float]:
    """Return values to try on one control: within, at and outside its range, and some others."""
    near = [end + step for end in limit[:2] if abs(end) < 1e30 for step in (0.0, 0.25, -0.25, 1e-3, -1e-3)]
    return [*near, *FINITE, *(float(whole) for whole in range(-2, 12)), 60.0, 100.0, 129.9, 130.9, 200.0]


@pytest.fixture(scope="module")
def sonic_pi() -> dict[str, dict[str, dict[str, object]]]:
    question = {
        synthdef: {control: asked(limit) for control, limit in limits.items()}
        for synthdef, limits in BY_SYNTHDEF.items()
    }
    done = subprocess.run(
        ["ruby", "-e", ASK, str(SYNTHINFO)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer: dict[str, dict[str, dict[str, object]]] = json.loads(done.stdout)
    return answer


def test_the_table_has_every_control_of_every_installed_synthdef() -> None:
    assert len(FILES) > 90
    assert {"note", "amp", "out_bus"} < set(NAMES["sonic-pi-beep"])
    for synthdef, names in NAMES.items():
        assert set(names) - CONTROL_ROLES.keys() <= BY_SYNTHDEF[synthdef].keys(), synthdef


def test_what_sonic_pis_argument_checks_accept_passes_and_the_rest_only_where_it_is_free_of_them(
    sonic_pi: dict[str, dict[str, dict[str, object]]],
) -> None:
    compared = 0
    for synthdef, limits in BY_SYNTHDEF.items():
        for control, limit in limits.items():
            theirs = sonic_pi.get(synthdef, {}).get(control)
            if theirs is None or (synthdef, control) in RECKONED_LATER:
                continue
            for value, accepted in zip(asked(limit), theirs["accepted"], strict=True):  # type: ignore[call-overload]  # from JSON
                (held,) = struct.unpack(">f", struct.pack(">f", value))
                within = limit.low <= held <= limit.high
                where = f"{synthdef} {control} {value}: Sonic Pi {accepted}, table {limit}"
                # Of a choice the table has the least and the greatest; of an end that is excluded, the end.
                choice = limit.low <= value <= limit.high and not accepted
                assert accepted == within or choice or limit.deadly, where
                compared += 1
            if NAMES.get(synthdef) is None or control in NAMES[synthdef]:
                assert bool(theirs["checked"]) == (limit != FREE) or limit.deadly, f"{synthdef} {control}"
    assert compared > 50_000


def test_bounds_of_ours_leave_ten_times_what_sonic_pi_has_by_default_and_accepts(
    sonic_pi: dict[str, dict[str, dict[str, object]]],
) -> None:
    for synthdef, control in [("fx_echo", "max_phase"), ("fx_pitch_shift", "window_size")]:
        limit = BY_SYNTHDEF[f"sonic-pi-{synthdef}"][control]
        assert limit.deadly
        assert limit.high >= 10 * {"max_phase": 2.0, "window_size": 0.2}[control]
        accepted = sonic_pi[f"sonic-pi-{synthdef}"][control]["accepted"]
        values = asked(limit)
        assert isinstance(accepted, list)
        assert any(limit.high < value < 3e38 and yes for value, yes in zip(values, accepted, strict=True))


# -- scsynth -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jack() -> Iterator[str]:
    with jackd() as name:
        yield name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("killer", ["gverb-without-a-room", "ping-pong-backwards"])
def test_what_the_guard_refuses_does_end_a_scsynth_and_set_in_a_running_node_perhaps(
    killer: str, way: str
) -> None:
    synthdef, control, value = KILLERS[killer]
    case = Case(synthdef, ((control, value),), way)
    assert not case.passes
    if way != WAYS[2]:
        assert not outlives_score([case])


def test_a_scsynth_renders_every_control_of_every_synthdef_at_every_extreme_that_passes() -> None:
    cases = list(extremes())
    assert len(cases) > 40_000
    assert culprits(cases) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["above-zero", "below-zero"])
def test_a_scsynth_renders_every_control_at_every_power_of_ten_that_passes(sign: float) -> None:
    for synthdef in STOCK:
        values = [sign * 10.0**power for power in range(-6, 39)]
        cases = [
            case
            for control in BY_SYNTHDEF[synthdef]
            for value in values
            for case in passing(synthdef, ((control, value),))
        ]
        assert culprits(cases) == []


def test_a_scsynth_renders_mixtures_of_extremes() -> None:
    assert culprits(list(mixtures(20, seed=13))) == []


def at_the_ends() -> list[Case]:
    """Return cases for all deadly controls, at both ends of their ranges and at extremes within."""
    return [
        case
        for synthdef in STOCK
        for control, limit in BY_SYNTHDEF[synthdef].items()
        if limit.deadly
        for value in (limit.low, limit.high, *VALUES)
        for case in passing(synthdef, ((control, value),))
    ]


def test_a_scsynth_in_real_time_outlives_what_passes_of_deadly_controls_and_a_spread_of_the_rest(
    jack: str,
) -> None:
    cases = [*at_the_ends(), *list(extremes())[::41], *list(mixtures(1, seed=13))]
    check_in_real_time(jack, cases)


@pytest.mark.exhaustive
def test_a_scsynth_in_real_time_outlives_every_control_of_every_synthdef_at_every_extreme(jack: str) -> None:
    check_in_real_time(jack, [*extremes(), *mixtures(20, seed=13)])


def check_in_real_time(jack: str, cases: list[Case]) -> None:
    """Play cases in real time. Fails with the group of cases during which scsynth ended."""
    scsynth = RealTime(jack)
    try:
        for start in range(0, len(cases), 600):
            group = cases[start : start + 600]
            assert scsynth.play(group), f"ended among {group[0]} ... {group[-1]}"
    finally:
        scsynth.close()
