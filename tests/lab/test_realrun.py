"""Short runs of a real relay and bridges in network namespaces: they run, count correctly and clean up.

A run leaves out the moments at which this machine stood still, so a busy machine passes too.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from laboratory.runs import health
from laboratory.runs.players import Relay
from laboratory.runs.points import Point, names_of
from laboratory.runs.realrun import repairs, run
from laboratory.star.decisionlog import first_difference, read_log
from laboratory.star.star import Host

from relay.wire.sequence import Scheme

pytestmark = pytest.mark.netlab

SECONDS = 5.0
QUIET = Point(name="quiet", series="test", x=0, where="netlab", network="delay=20", seconds=SECONDS)
# ben loses 12 % of the time in stretches of 0.7 s, longer than any lead here.
BURSTY = Point(
    name="bursty", series="test", x=0, where="netlab", repair=False, seconds=SECONDS,
    network="delay=30,loss=5% | ben=delay=30,loss=5%,bursts=12%,burst=700",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs start on a busy machine. Their timing figures are wrong then, and these tests ignore them."""
    monkeypatch.setattr(health, "check", lambda state: None)


def noted(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def mentioning(folder: Path) -> list[list[str]]:
    """Return the command lines of all processes that contain the path of a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(folder) in word for word in words):
            found.append(words)
    return found


def test_a_run_over_a_quiet_network_is_flawless_and_leaves_nothing_running(tmp_path: Path) -> None:
    row = run(QUIET, 1, tmp_path)
    assert row.disturbed is not None
    assert row.disturbed_bad is not None
    assert row.events + row.disturbed == 3 * 20 * SECONDS
    assert 0 <= row.disturbed_bad <= row.disturbed
    assert row.events > 0
    assert (row.missing, row.late, row.out_of_order, row.different) == (0, 0, 0, 0)
    assert (row.retimed, row.moved, row.unconfirmed, row.unavoidable, row.bad) == (0, 0, 0, 0, 0)
    assert row.spread_us_p99 is not None
    assert row.spread_us_p99 < 5_000
    assert row.action_to_sound_ms_p50 == pytest.approx(500, abs=5)
    assert row.bytes_plain is not None
    assert row.bytes_up is not None
    assert row.bytes_plain < row.bytes_up < 4 * row.bytes_plain
    assert mentioning(tmp_path) == []


def test_losses_without_repair_are_found_and_the_oracle_excuses_only_what_was_lost(tmp_path: Path) -> None:
    row = run(BURSTY, 2, tmp_path)
    assert row.disturbed == noted(tmp_path)["disturbed"]
    assert row.events + row.disturbed == 3 * 20 * SECONDS
    # An event crosses one way up and two down: 14 % of them meet one of the 5 % at least.
    assert row.missing > 0.05 * row.events
    assert row.unavoidable is not None
    assert row.unavoidable <= row.bad
    assert row.doomed_but_good == noted(tmp_path)["doomed_but_good"] == 0
    # The emulator did what the model says: so the oracle asked the time lines that the run met.
    log = read_log(tmp_path / "decisions.log")
    assert [first_difference(log, name, way) for name in names_of(3) for way in ("up", "down")] == [None] * 6


@pytest.mark.parametrize(
    ("transport", "repair", "option"),
    [
        ("udp", True, "--repair"),
        ("udp", False, "--no-repair"),
        ("tls-cubic", False, "--repair"),
        ("tls-bbr", False, "--repair"),
    ],
)
def test_the_relay_repairs_over_tls_whatever_the_point_says(
    transport: str, repair: bool, option: str
) -> None:
    point = replace(QUIET, transport=transport, repair=repair)
    relay = Relay(
        cast(Host, None), Path("run"), lead_ms=point.lead_ms, repair=repairs(point), scheme=point.scheme
    )
    assert relay.command[-1] == option


@pytest.mark.parametrize("scheme", Scheme)
def test_the_relay_follows_the_points_scheme(scheme: Scheme) -> None:
    relay = Relay(cast(Host, None), Path("run"), lead_ms=200.0, repair=True, scheme=scheme)
    assert relay.command[relay.command.index("--scheme") + 1] == scheme
