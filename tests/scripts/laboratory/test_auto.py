"""The study compares self-tuned leads only with fixed leads at points that differ in nothing else."""

import msgspec
from laboratory.runs.rows import Row
from laboratory.study.cells import cells_of
from laboratory.study.groups import described, variants
from laboratory.study.plan import BY_ITSELF, auto_points, virtual_points
from laboratory.study.text import Study, write_study

from tests.worlds.lab_rows import EVENTS, row
from tests.worlds.lab_rows import curve as made

FIXED = made("virtual", "loss", "udp-repair", {0: 0, 5: 100, 10: 900})
AUTO = [
    row(point, seed, bad=100, retimed=60)
    for point in auto_points()
    if point.series == BY_ITSELF + "loss" and point.x == 10
    for seed in point.seeds
]
TITLE = "A lead that tunes itself"


def section(data: list[Row]) -> str:
    text = write_study(Study(cells_of(data), [], set(), "study"))
    return text.split(f"## {TITLE}\n")[1].split("\n## ")[0]


def test_every_point_with_a_lead_that_tunes_itself_has_one_with_a_fixed_lead_beside_it() -> None:
    there = {(point.series, point.x, point.network): point for point in virtual_points()}
    for point in auto_points():
        fixed = there[point.series.removeprefix(BY_ITSELF), point.x, point.network]
        assert (point.lead_ms, point.shift_auto) == (None, True)
        assert fixed.lead_ms is not None


def test_they_are_laid_side_by_side_with_what_the_lead_came_to() -> None:
    tuned = [msgspec.structs.replace(one, lead_ms_last=180.0 + one.seed, shift_ms_last=0.0) for one in AUTO]
    pairs = variants(cells_of([*FIXED, *tuned]), BY_ITSELF)
    assert [(fixed.x, fixed.bad.bad, auto.bad.bad) for fixed, auto in pairs] == [(10, 2700, 300)]
    assert described(pairs[0][1]) == "loss 10 %, lead by itself"
    told = section([*FIXED, *tuned])
    assert "less in loss 10 % (5 % against 45 %)" in told
    line = next(line for line in told.splitlines() if line.startswith("| loss 10 %"))
    assert f"of {3 * EVENTS:,}" in line
    assert line.endswith("| 3 % | 181 to 183 ms | 0 ms | 500 ms |")


def test_without_a_pair_it_was_not_measured() -> None:
    assert "Not measured." in section(FIXED)
    assert "Not measured." in section(AUTO)
