"""The study compares the two schemes only at pairs of points that differ in nothing else."""

from pathlib import Path

import msgspec
from laboratory.runs.rows import Row
from laboratory.study.cells import agreements, cells_of
from laboratory.study.figures import draw_all
from laboratory.study.groups import described, variants
from laboratory.study.plan import BY_TIMESTAMPS
from laboratory.study.text import Study, write_study

from tests.worlds.lab_rows import EVENTS
from tests.worlds.lab_rows import curve as made

JUDGED = made("virtual", "loss", "udp-repair", {0: 0, 5: 100, 10: 900})
STAMPED = made("virtual", BY_TIMESTAMPS + "loss", "udp-repair", {0: 0, 5: 300, 10: 400, 20: 1000})
TITLE = "A judge, or timestamps alone"


def section(data: list[Row]) -> str:
    text = write_study(Study(cells_of(data), [], set(), "study"))
    return text.split(f"## {TITLE}\n")[1].split("\n## ")[0]


def test_points_make_a_pair_where_both_schemes_were_tried() -> None:
    pairs = variants(cells_of([*JUDGED, *STAMPED]), BY_TIMESTAMPS)
    assert [(judged.x, judged.bad.bad, stamped.bad.bad) for judged, stamped in pairs] == [
        (0, 0, 0), (5, 300, 900), (10, 2700, 1200),
    ]  # fmt: skip
    assert variants(cells_of(STAMPED), BY_TIMESTAMPS) == variants(cells_of(JUDGED), BY_TIMESTAMPS) == []


def test_fewer_and_more_bad_events_are_told_with_both_shares() -> None:
    told = section([*JUDGED, *STAMPED])
    assert (
        "By timestamps against judged, 3 points, share of bad events: less in loss 10 % (20 % against 45 %); "
        "more in loss 5 % (15 % against 5 %); no difference shown in 1."
    ) in told
    assert f"| loss 5 % | 5 % (4.5–5.6 %) of {3 * EVENTS:,} | 15 % (" in told


def test_what_was_retimed_for_all_alike_is_told_apart_from_what_differs_between_members() -> None:
    retimed = [msgspec.structs.replace(one, divergent=0, late=0, retimed=one.bad) for one in JUDGED]
    told = section([*retimed, *STAMPED])
    assert "judged: 3,000 of 18,000 events were bad, 0 divergent and 3,000 at another time than meant" in told
    assert "by timestamps: 2,100 of 18,000 events were bad, 2,100 divergent and 0 at another" in told
    assert "share of divergent events: more in loss 5 % (15 % against 0 %), loss 10 % (20 % ag" in told


def test_pairs_measured_at_different_commits_are_told() -> None:
    assert "different commits" not in section([*JUDGED, *STAMPED])
    newer = [msgspec.structs.replace(one, commit="def") for one in STAMPED]
    assert "In 3 of 3 pairs the two were **measured at different commits**" in section([*JUDGED, *newer])


def test_without_a_pair_the_schemes_were_not_measured_and_have_no_figure(tmp_path: Path) -> None:
    assert "Not measured." in section(JUDGED)
    assert "Not measured." in section(STAMPED)
    assert draw_all(cells_of(JUDGED), [], tmp_path) == {"loss.png"}
    assert draw_all(cells_of([*JUDGED, *STAMPED]), [], tmp_path) == {"loss.png", "schemes.png"}


def test_points_by_timestamps_are_named_so_and_never_stand_for_judged_ones() -> None:
    stamped = cells_of(STAMPED)
    assert described(stamped[1]) == "loss 5 %, by timestamps"
    real = made("netlab", "loss", "udp-repair", {5: 100})
    assert agreements([*cells_of(real), *stamped]) == []
    assert len(agreements([*cells_of(real), *cells_of(JUDGED), *stamped])) == 1
    text = write_study(Study(cells_of(STAMPED), [], set(), "study"))
    assert "| UDP, with repair | not measured |" in text.split("## Against the oracle")[1]
