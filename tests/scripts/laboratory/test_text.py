"""The study's text agrees with its rows, and says so where nothing was measured."""

import re
from pathlib import Path

import msgspec
import pytest
from laboratory.runs import rows
from laboratory.runs.rows import WHOLE, Minute, Row
from laboratory.study import plan as studyplan
from laboratory.study import study
from laboratory.study.cells import cells_of, curve, sweep_curve, threshold
from laboratory.study.text import Study, write_study
from rich.console import Console

from relay.wire.errors import LocalError
from tests.worlds.lab_rows import EVENTS, row
from tests.worlds.lab_rows import curve as made
from tests.worlds.places import SCRIPTS

LOSS = made("virtual", "loss", "udp-repair", {0: 0, 1: 0, 5: 1, 10: 40, 20: 0})
PLAIN = made("virtual", "loss", "udp-plain", {0: 0, 1: 50, 5: 300})
TCP = made("netlab", "loss", "tls-cubic", {0: 0, 1: 3, 5: 900})
REAL = made("netlab", "loss", "udp-repair", {1: 0, 5: 2})


def whole(network: str, p50: float, *, bad: int = 0) -> Minute:
    return Minute(
        network=network, seed=1, seconds=3600, minute=WHOLE, events=21_600, bad=bad, spread_us_p50=p50,
        spread_us_p99=4 * p50, spread_us_max=9 * p50, clock_error_us=p50, action_to_sound_ms_p50=500,
        free_us=360_000,
    )  # fmt: skip


def text_of(data: list[Row], minutes: list[Minute] | None = None) -> str:
    return write_study(Study(cells_of(data), minutes or [], set(), "study"))


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


# -- thresholds ------------------------------------------------------------------------------------------


def test_a_threshold_is_the_last_before_the_first_that_fails_however_well_the_next_ones_do() -> None:
    found = threshold(curve(cells_of(LOSS), "virtual", "loss", "udp-repair"))
    assert found is not None
    assert found.holds is not None
    assert found.fails is not None
    assert (found.holds.x, found.fails.x) == (5, 10)
    assert not found.sure


def test_a_threshold_is_sure_only_if_the_whole_interval_is_below_it() -> None:
    assert threshold(cells_of(made("virtual", "loss", "udp-repair", {0: 0, 1: 0}))).sure  # type: ignore[union-attr]  # there are cells
    one_short_run = [msgspec.structs.replace(row, events=500) for row in LOSS[:1]]
    assert not threshold(cells_of(one_short_run)).sure  # type: ignore[union-attr]  # there are cells


def test_the_base_counts_for_every_experiment_even_where_another_one_tried_it() -> None:
    base = row(studyplan.point("netlab", "loss", 0, studyplan.loss(0), "tls-cubic"))
    tried = row(studyplan.point("netlab", "delay", 100, studyplan.delay(100), "tls-cubic"), bad=500)
    line = sweep_curve(cells_of([base, tried]), "netlab", studyplan.SWEEPS[0], "tls-cubic")
    assert [cell.x for cell in line] == [30, 100]


# -- the text --------------------------------------------------------------------------------------------


def test_the_committed_text_is_what_the_committed_data_say() -> None:
    plan = studyplan.virtual_points() + studyplan.netlab_points()
    cells = cells_of(study.asked_for(rows.read(study.COMMITTED.rows, Row), plan))
    minutes = rows.read(study.COMMITTED.minutes, Minute)
    pictures = {path.name for path in study.COMMITTED.folder.glob("*.png")}
    text = write_study(Study(cells, minutes, pictures, study.COMMITTED.folder.name))
    assert text == study.COMMITTED.text.read_text("utf-8")


def test_the_template_states_no_share_and_no_time_but_those_of_the_method() -> None:
    template = (SCRIPTS / "laboratory" / "tables" / "study.md.j2").read_text("utf-8")
    words = re.sub(r"{[{%#].*?[}%#]}", "", template, flags=re.DOTALL)
    known = {"0.5 s", "95 %", "99 %", "20 ms", "10 ms", "0.15 ms", "20 events", "1 in 1,000", "1 in 100,000"}
    assert set(re.findall(r"\d[\d.,]* (?:%|ms|s|events|in [\d,]+)", words)) <= known


def test_the_first_ten_lines_say_the_thresholds_of_udp_and_tcp() -> None:
    lines = text_of([*LOSS, *PLAIN, *TCP]).splitlines()[:10]
    cells = {line.split("**")[1]: line.split(" | ") for line in lines if line.startswith("| **")}
    assert cells["UDP, with repair"][3] == "up to about 5 %, not at 10 % (2 % bad)"
    assert cells["UDP, without repair"][3] == "up to 0 %, not at 1 % (2.5 % bad)"
    assert cells["TLS over TCP, cubic"][0].endswith("real processes")
    assert cells["TLS over TCP, cubic"][3] == "up to 0 %, perhaps not at 1 % (0.15 % bad)"
    assert cells["TLS over TCP, bbr"][1:4] == ["not measured"] * 3
    assert "lead of 200 ms" in lines[2]
    assert "The lead by itself" in lines[2]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({0: 0, 5: 0}, "up to 5 %, the most that was tried"),
        ({5: 100}, "nowhere, not at 5 % (5 % bad)"),
        ({5: 2}, "nowhere, perhaps not at 5 % (0.1 % bad)"),
        ({0: 0, 1: 0, 5: 2}, "up to 1 %, perhaps not at 5 % (0.1 % bad)"),
        ({}, "not measured"),
    ],
)
def test_thresholds_at_the_ends_of_nothing_and_in_doubt_say_so(bad: dict[float, int], told: str) -> None:
    delay = made("virtual", "delay", "udp-repair", {100: 0})
    line = next(
        line
        for line in text_of([*delay, *made("virtual", "loss", "udp-repair", bad)]).splitlines()
        if line.startswith("| **UDP, with repair")
    )
    assert line.split(" | ")[3] == told


def test_the_least_time_that_a_network_needs_is_searched_from_the_longest_down() -> None:
    slow = made("virtual", "ahead mobile", "udp-repair", {100: 900, 200: 0, 300: 90, 400: 0, 500: 0})
    quick = made("virtual", "ahead fibre", "udp-repair", {100: 2, 200: 0, 300: 0})
    never = made("virtual", "ahead moon", "udp-repair", {100: 900, 400: 900})
    text = text_of([*slow, *quick, *never])
    assert "(UDP with repair): fibre 200 ms, mobile 400 ms, moon more than 400 ms." in text
    told = section(text, "How much time a network needs")
    assert "* fibre: from 200 ms, perhaps not at 100 ms (0.1 % bad)." in told
    assert "* mobile: from 400 ms, not at 300 ms (4.5 % bad)." in told
    assert "* moon: nowhere, not at 400 ms (45 % bad)." in told


def test_the_spread_is_told_of_whole_hours() -> None:
    text = text_of(LOSS, [whole("fibre", 210), whole("fibre | ben=mobile", 2300, bad=30)])
    assert "watched for an hour, 2 events/s each, one seed" in text
    assert "fibre 0.21 ms / 0.84 ms; fibre, ben on mobile 2.3 ms / 9.2 ms" in text
    assert "* Over fibre, ben on mobile an hour brought 30 bad events of 21,600." in text


def test_other_data_surprise_otherwise() -> None:
    better = made("virtual", "loss", "udp-repair", {0: 0, 1: 0, 5: 0, 10: 0, 20: 0})
    assert "nothing." in section(text_of(better), "What surprised")
    assert "fewer bad events at loss 20 % (0 %) than at 10 % (2 %)" in section(
        text_of(LOSS), "What surprised"
    )


def test_missing_parts_are_said_to_be_not_measured() -> None:
    text = text_of(LOSS)
    for title in (
        "UDP against TCP, with real processes", "Spread, and drift of clocks", "Delay",
        "A judge, or timestamps alone", "A lead that tunes itself",
    ):  # fmt: skip
        assert section(text, title).strip() == "Not measured.", title
    missing = section(text, "What wasn't measured")
    planned = len(studyplan.netlab_points())
    assert f"{planned} of {planned} planned points of netlab." in missing
    assert "Anything over TCP" in missing
    assert "Spread over an hour" in missing
    assert "outages" in missing
    assert "**Not run here.**" in section(text, "Method")


def test_the_two_labs_are_laid_side_by_side_and_told_apart_where_they_differ() -> None:
    agree = section(text_of([*LOSS, *REAL]), "UDP against TCP, with real processes")
    assert "Of 2 points" in agree
    assert "agrees in 2" in agree
    assert "Of 2 comparisons about 0.02 differ by luck. A difference of less than about 0." in agree
    apart = made("netlab", "loss", "udp-repair", {5: 400})
    differ = text_of([*LOSS, *apart])
    assert "agrees in 0" in section(differ, "UDP against TCP, with real processes")
    assert "Virtual time and real processes differ on loss 5 %" in section(differ, "What surprised")


def test_tcp_and_udp_are_compared_only_where_both_were_tried() -> None:
    tcp = made("netlab", "loss", "tls-cubic", {0: 0, 1: 1, 5: 900})
    text = section(text_of([*tcp, *REAL]), "UDP against TCP, with real processes")
    assert "2 points, share of bad events: more in loss 5 % (45 % against 0.1 %); no diff" in text
    assert "no difference shown in 1." in text
    assert "TLS over TCP, bbr against TLS over TCP, cubic: not measured." in text


def test_a_result_better_than_the_oracle_is_called_wrong() -> None:
    impossible = [msgspec.structs.replace(one, doomed_but_good=2) for one in LOSS]
    assert "**30 events were good although the oracle calls them unavoidable" in text_of(impossible)
    looked = [msgspec.structs.replace(one, doomed_but_good=0) for one in LOSS]
    assert "No event that it calls unavoidable was good, in 15 runs" in text_of(looked)
    assert "was good after all: not measured" in text_of(LOSS)
    unasked = [msgspec.structs.replace(one, unavoidable=None) for one in LOSS]
    assert section(text_of(unasked), "Against the oracle").strip() == "Not measured."


def test_kinds_are_told_of_the_base_lead_and_of_jams_that_did_not_break_down() -> None:
    broken = made("virtual", "loss", "udp-repair", {20: 1900})
    other = [msgspec.structs.replace(one, lead_ms=400, point="virtual/lead x") for one in LOSS]
    other = [msgspec.structs.replace(one, series="lead x") for one in other]
    text = text_of([*LOSS[:-3], *broken, *other])
    assert "| UDP, with repair | 4 of 5 | 123 | 0 % | 100 % | 0 % |" in text
    assert "| UDP, with repair | 0 of 1 | 0 | - |" in text_of(broken)
    assert "| UDP, with repair | not measured |" in text_of(other)


def test_events_left_out_since_the_machine_stood_still_are_counted() -> None:
    some = [msgspec.structs.replace(one, disturbed=one.seed, disturbed_bad=1) for one in TCP]
    method = section(text_of([*some[:3]]), "Method")
    assert "6 in 1 points, 3 of them bad; the most in netlab/loss/tls-cubic/0, 0.1 % of its events" in method
    assert "how many, not measured" in section(text_of(TCP), "Method")


def test_the_lead_has_a_section_that_lays_other_leads_beside_the_base() -> None:
    other = [studyplan.lead_point("netlab", studyplan.loss(5), 400, "tls-cubic")]
    base = [studyplan.point("netlab", "loss", 5, studyplan.loss(5), "tls-cubic", seeds=(1, 2, 3))]
    data = [row(p, seed, bad=n) for p, n in ((other[0], 400), (base[0], 40)) for seed in (1, 2, 3)]
    virtual = [
        row(studyplan.lead_point("virtual", "mobile", lead, "udp-repair"), bad=bad)
        for lead, bad in ((100, 90), (200, 1), (400, 50))
    ]
    worse = [msgspec.structs.replace(one, bad=one.bad + 2, divergent=one.bad + 2) for one in virtual]
    told = section(text_of([*data, *virtual]), "The lead by itself")
    assert "| mobile | 200 | 100 and 400 | 200 ms, 0.05 % (" in told
    assert "| mobile | none | 100, 200 and 400 | 200 ms, 0.15 % (" in section(
        text_of(worse), "The lead by itself"
    )
    beside = next(line for line in told.splitlines() if "| 2 % (1.7–2.4 %) of 6,000 |" in line)
    assert beside.startswith("| delay=15,loss=5%, lead 400 ms | TLS over TCP, cubic | 20 % (")


def test_points_with_fewer_seeds_than_planned_are_named() -> None:
    point = next(p for p in studyplan.virtual_points() if p.name == "virtual/loss/udp-repair/5")
    text = text_of([row(point, 1), row(point, 2)])
    assert "virtual/loss/udp-repair/5 (2 of 4)" in section(text, "What wasn't measured")


def test_every_share_stands_with_its_interval_and_its_events() -> None:
    assert f"| 10 | UDP, with repair | virtual | {3 * EVENTS:,} | 2 % (1.7–2.4 %) |" in text_of(LOSS)


# -- files -----------------------------------------------------------------------------------------------


POINTS = [
    studyplan.point(where, "loss", x, f"delay=15,loss={x:g}%", mode, seeds=(1, 2, 3))
    for where, mode in (("virtual", "udp-repair"), ("netlab", "tls-cubic"))
    for x in (0, 1, 5, 10, 20)
]
HOURS = [studyplan.SpreadPoint("fibre")]


@pytest.mark.slow
def test_text_and_figures_are_made_from_the_files_alone_and_the_same_again(tmp_path: Path) -> None:
    place = study.Place(tmp_path / "STUDY.md", tmp_path / "study")
    quiet = Console(quiet=True)
    with pytest.raises(LocalError, match="nothing to write about"):
        study.write(quiet, place, POINTS, HOURS)
    rows.write(place.rows, [*LOSS, *TCP], Row)
    rows.write(place.minutes, [whole("fibre", 210), whole("mobile", 990)], Minute)
    study.write(quiet, place, POINTS, HOURS)
    (place.folder / "clock-queues.png").touch()
    study.write(quiet, place, POINTS, HOURS)
    names = {path.name for path in place.folder.glob("*.png")}
    assert names == {"loss.png", "transports.png", "clock-queues.png"}, "other pages' figures are kept"
    first = {path.name: path.read_bytes() for path in (place.text, *place.folder.glob("*.png"))}
    assert b"](study/loss.png)" in first["STUDY.md"]
    assert b"0.21 ms" in first["STUDY.md"]
    assert b"0.99 ms" not in first["STUDY.md"]
    study.write(quiet, place, POINTS, HOURS)
    assert {path.name: path.read_bytes() for path in (place.text, *place.folder.glob("*.png"))} == first


def test_rows_that_the_plan_no_longer_asks_for_are_kept_but_not_used(tmp_path: Path) -> None:
    place = study.Place(tmp_path / "STUDY.md", tmp_path / "study")
    point = studyplan.point("virtual", "loss", 5, studyplan.loss(5), "udp-repair", seeds=(1, 2))
    gone = studyplan.point("virtual", "loss", 7, studyplan.loss(7), "udp-repair")
    changed = studyplan.point("virtual", "loss", 5, studyplan.loss(5), "udp-repair", seconds=99)
    there = [row(point, 2), row(gone), row(point, 1), row(changed, 1, bad=9), row(point, 3)]
    rows.append(place.rows, *there)
    study.settle(place)
    sorted_rows = rows.read(place.rows, Row)
    assert set(sorted_rows) == set(there)
    assert study.asked_for(sorted_rows, [point]) == [row(point, 1), row(point, 2)]
