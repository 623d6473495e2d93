"""A short jam of genuine Sonic Pis, each in a network namespace: it runs, counts correctly and cleans up."""

import json
from pathlib import Path

import psutil
import pytest
from laboratory.runs import health
from laboratory.runs.genuine import run
from laboratory.runs.points import Point

pytestmark = [pytest.mark.netlab, pytest.mark.real]

SECONDS = 6.0
FIBRE = Point(
    name="fibre",
    series="test",
    x=0,
    where="genuine",
    network="fibre",
    members=2,
    events_per_s=0,
    seconds=SECONDS,
)


def test_genuine_sonic_pis_over_fibre_play_all_notes_everywhere_in_time_and_leave_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "check", lambda state: None)  # a busy machine isn't too busy for a test
    row = run(FIBRE, 1, tmp_path)
    state = json.loads((tmp_path / "run.json").read_text())
    print(json.dumps(state, indent=1))
    assert state["pieces"] == {"anna": "tilburg_2", "ben": "shufflit"}
    assert row.disturbed is not None
    assert row.events + row.disturbed > 10 * SECONDS
    assert row.messages >= row.events + row.disturbed
    assert (row.missing, row.late, row.out_of_order, row.different, row.unavoidable) == (0, 0, 0, 0, 0)
    assert (row.retimed, row.unconfirmed) == (0, 0)
    assert row.margin_ms_p01 is not None
    assert row.margin_ms_p01 > 20
    assert row.disturbed or row.messages_diverging == 0
    # On a busy machine scsynth is late by itself, so how often isn't for this test to say.
    assert row.late_lines == sum(state["late_lines"].values())
    words = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    assert [line for line in words if str(tmp_path) in line] == []
