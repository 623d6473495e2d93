"""The study's plan: no point twice, networks that can be parsed, and a duration within the budget."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from laboratory.runs import rows, trials
from laboratory.runs.points import TRANSPORTS, Point, legs_of, mode_of
from laboratory.runs.rows import GenuineRow
from laboratory.runs.runs import Stamp, job_of
from laboratory.study import costs, study
from laboratory.study import plan as studyplan
from laboratory.study.cells import COHERENT
from laboratory.study.intervals import wilson
from laboratory.study.repeat import SEED_STEP, judge, points_anew
from rich.console import Console

from bridge.core import DEFAULT_TIMING
from relay.netmodel.networks import PROFILES
from relay.wire.errors import LocalError
from relay.wire.sequence import Scheme
from relay.wire.timetag import ticks
from tests.worlds.lab_rows import EVENTS, row

POINTS = studyplan.virtual_points() + studyplan.netlab_points()


def test_points_are_unique_and_their_networks_can_be_read() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS)
    for point in chain(POINTS, studyplan.quick_points()):
        assert len(legs_of(point)) == point.members, point.name
        assert point.name == f"{point.where}/{point.series}/{mode_of(point)}/{point.x:g}"
    for hour in studyplan.spread_points():
        legs_of(Point("clocks", "clocks", 0, "virtual", hour.network))


def test_the_plan_fits_its_budget() -> None:
    netlab_s, virtual_s = costs.estimates_s()
    assert netlab_s <= costs.NETLAB_BUDGET_S
    assert virtual_s <= costs.VIRTUAL_BUDGET_S


def test_all_start_from_the_products_own_lead_and_only_its_experiments_have_another() -> None:
    assert ticks(studyplan.BASE_LEAD_MS / 1e3) == DEFAULT_TIMING.lead
    for point in POINTS:
        if not point.series.startswith(("ahead ", "lead ", studyplan.BY_ITSELF)):
            assert (point.lead_ms, point.ahead_ms) == (studyplan.BASE_LEAD_MS, 500), point.name
        if point.series.startswith("lead "):
            assert (point.lead_ms, point.ahead_ms) == (point.x, 500), point.name
        if point.series.startswith("ahead "):
            assert (point.lead_ms, point.ahead_ms) == (min(200, point.x / 2), point.x), point.name


def test_netlab_runs_its_points_in_the_order_of_the_plan_one_after_the_other(tmp_path: Path) -> None:
    place = study.Place(tmp_path / "STUDY.md", tmp_path / "study")
    points = studyplan.netlab_points()
    jobs = study.jobs_wanted(place, "netlab", points, [], Stamp("abc", "python"), False)
    assert len({job.cost_s for job in jobs}) == 1
    wanted = [job_of(point, seed, Stamp("abc", "python")).name for point in points for seed in point.seeds]
    assert [job.name for job in jobs] == wanted
    assert points[0].name == "netlab/loss/udp-repair/0"


def test_a_point_of_real_processes_without_a_bad_event_is_shown_to_be_coherent() -> None:
    for point in studyplan.netlab_points():
        events = round(point.members * point.events_per_s * point.seconds) * len(point.seeds)
        assert wilson(0, events)[1] < COHERENT, point.name


def test_the_plan_tries_what_the_issue_asks_for() -> None:
    assert {point.transport for point in POINTS if point.where == "netlab"} == set(TRANSPORTS)
    assert {point.transport for point in POINTS if point.where == "virtual"} == {"udp"}
    assert {3, 5, 8, 16} <= {point.members for point in POINTS}
    assert {hour.seconds for hour in studyplan.spread_points()} == {3600.0}
    for sweep in studyplan.SWEEPS:
        modes = {mode_of(point) for point in POINTS if point.series == sweep.series}
        assert {"udp-repair", "udp-plain", "tls-cubic"} <= modes, sweep.series
    assert set(studyplan.PROFILE_NAMES) <= set(PROFILES)
    names = {point.name for point in POINTS}
    assert set(studyplan.REPEATED) <= names
    for network in studyplan.LEAD_NETWORKS:
        leads = {p.lead_ms for p in POINTS if (p.where, p.series) == ("virtual", f"lead {network}")}
        assert leads == {100, 200, 300, 400, 480}
    sparse = [point for point in POINTS if point.events_per_s == studyplan.SPARSE_PER_S]
    assert {point.network for point in sparse} == set(studyplan.SPARSE_NETWORKS)
    assert {point.series for point in sparse} == {f"sparse {name}" for name in studyplan.SPARSE_NETWORKS}


def test_every_point_by_timestamps_stands_beside_a_judged_one_that_differs_in_nothing_else() -> None:
    judged = {(p.where, p.series, p.x, mode_of(p)): p for p in POINTS if p.scheme is Scheme.JUDGED}
    stamped = [point for point in POINTS if point.scheme is Scheme.TIMESTAMP]
    assert {point.series for point in stamped} == {
        studyplan.BY_TIMESTAMPS + sweep.series for sweep in studyplan.SWEEPS
    }
    for point in stamped:
        series = point.series.removeprefix(studyplan.BY_TIMESTAMPS)
        beside = judged[point.where, series, point.x, mode_of(point)]
        assert mode_of(point) == "udp-repair"
        assert point == replace(
            beside, name=point.name, series=point.series, scheme=Scheme.TIMESTAMP, seeds=point.seeds
        )


def test_points_of_both_labs_with_one_name_are_the_same_experiment() -> None:
    virtual = {(point.series, point.x, mode_of(point)): point for point in POINTS if point.where == "virtual"}
    pairs = [
        (point, virtual[key])
        for point in POINTS
        if point.where == "netlab" and (key := (point.series, point.x, mode_of(point))) in virtual
    ]
    assert len(pairs) >= 10
    for real, other in pairs:
        assert (real.network, real.lead_ms, real.ahead_ms) == (other.network, other.lead_ms, other.ahead_ms)


def test_members_exceptions_take_other_legs_and_unknown_ones_are_refused() -> None:
    point = Point("p", "s", 0, "virtual", "delay=10 | ben=delay=80,loss=1% | carla=up:delay=1;down:delay=2")
    legs = legs_of(point)
    assert [leg.up.delay_ms for leg in legs.values()] == [10, 80, 1]
    assert legs["carla"].down.delay_ms == 2
    for network in ("delay=10 | dora=delay=80", "delay=10 | 80", "delay=ten"):
        with pytest.raises(LocalError):
            legs_of(Point("p", "s", 0, "virtual", network))
    with pytest.raises(LocalError, match="17 members"):
        Point("p", "s", 0, "virtual", "delay=10", members=17)


def matrix(networks: tuple[str, ...], transports: tuple[str, ...], repair: str, where: str) -> list[Point]:
    return trials.matrix(networks, transports, repair, (200, 400), 500, (3, 5), 20, 25, 2, where)


def test_a_matrix_is_every_network_with_every_way_of_sending_lead_and_size() -> None:
    points = matrix(("fibre", "delay=50,loss=5%"), ("udp", "tls-cubic"), "both", "netlab")
    assert len({point.name for point in points}) == len(points) == 2 * 3 * 2 * 2
    assert {mode_of(point) for point in points} == {"udp-plain", "udp-repair", "tls-cubic"}
    assert [mode_of(point) for point in matrix(("fibre",), ("tls-bbr",), "on", "netlab")] == ["tls-bbr"] * 4


def test_a_matrix_tries_every_scheme_that_it_is_given_under_names_of_their_own() -> None:
    points = trials.matrix(
        ("fibre",), ("udp",), "both", (200,), 500, (3,), 20, 25, 2, "virtual", list(Scheme)
    )
    assert [point.scheme for point in points] == 2 * list(Scheme)
    assert len({point.name for point in points}) == 4
    usual = matrix(("fibre",), ("udp",), "on", "virtual")
    assert {point.scheme for point in usual} == {Scheme.JUDGED}
    assert usual[0].name in {point.name for point in points}, "as it was called before there were schemes"


def test_a_matrix_that_cannot_be_run_is_refused_in_words() -> None:
    for arguments, words in (
        (((), ("udp",), "on", "virtual"), "no --network"),
        ((("fibre",), ("tls-cubic",), "on", "virtual"), "--where netlab"),
        ((("fibber",), ("udp",), "on", "virtual"), "fibber"),
    ):
        with pytest.raises(LocalError, match=words):
            matrix(*arguments)


# -- repeating -------------------------------------------------------------------------------------------

LOSS = studyplan.point("virtual", "loss", 5, "delay=15,loss=5%", "udp-plain")


def test_a_point_is_repeated_as_it_was_with_other_seeds() -> None:
    committed = [row(LOSS, seed) for seed in LOSS.seeds]
    (again,) = points_anew(committed, [LOSS.name])
    assert again.seeds == tuple(seed + SEED_STEP for seed in LOSS.seeds)
    assert (again.name, again.network, mode_of(again)) == (LOSS.name, LOSS.network, "udp-plain")
    stamped = [row(replace(LOSS, scheme=Scheme.TIMESTAMP))]
    assert [point.scheme for point in points_anew(stamped, [LOSS.name])] == [Scheme.TIMESTAMP]
    with pytest.raises(LocalError, match="no point 'nonsense'"):
        points_anew(committed, ["nonsense"])


def test_repeated_points_agree_within_what_runs_differ_by_and_no_further() -> None:
    committed = [row(LOSS, seed, bad=200 + 10 * seed) for seed in (1, 2, 3)]
    close = [row(LOSS, seed, bad=195 + 10 * seed) for seed in (1, 2, 3)]
    apart = [row(LOSS, seed, bad=500 + 10 * seed) for seed in (1, 2, 3)]
    assert [verdict.agrees for verdict in judge(committed, close)] == [True, True, True]
    assert [verdict.agrees for verdict in judge(committed, apart)] == [False, True, True]
    assert "DIFFERS" in judge(committed, apart)[0].text
    assert f"of {3 * EVENTS}" in judge(committed, apart)[0].text


# -- where netlab can't work -----------------------------------------------------------------------------


def test_without_netlab_real_runs_are_refused_by_name_and_the_study_says_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("laboratory.study.study.netlab_missing", lambda: "no /dev/net/tun")
    real = studyplan.point("netlab", "loss", 5, "delay=15", "tls-cubic", seeds=(1,))
    quiet = Console(quiet=True)
    with pytest.raises(LocalError, match="NOT RUN, no /dev/net/tun: netlab/loss/tls-cubic/5"):
        trials.run_matrix(quiet, [real], tmp_path, 1, False)
    place = study.Place(tmp_path / "STUDY.md", tmp_path / "study")
    there = studyplan.point("virtual", "loss", 5, "delay=15", "udp-repair", seeds=(1,))
    rows.append(place.rows, row(there))
    status = study.run(
        quiet, place, parts=("netlab", "virtual"), jobs=1, again=False, points=[real, there], spread=[]
    )
    assert status == study.NOT_RUN
    assert place.text.exists()


def test_runs_with_genuine_sonic_pis_are_refused_in_words_where_they_cant_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_REFUSE", "no way")
    monkeypatch.setenv("PATH", "/nowhere")
    genuine = matrix(("fibre",), ("udp",), "on", "genuine")[:1]
    with pytest.raises(LocalError, match=r"NOT RUN, not found: .*jackd.*: genuine/fibre"):
        trials.run_matrix(Console(quiet=True), genuine, tmp_path, 1, False)


def test_rows_of_genuine_runs_are_read_back_and_shown_one_by_one(tmp_path: Path) -> None:
    made = studyplan.point("genuine", "fibre", 3, "fibre", "udp-repair", seeds=(1,), events_per_s=0)
    there = GenuineRow(
        **msgspec.structs.asdict(row(made, 1, bad=2)), late_lines=4, messages=90, messages_diverging=5
    )
    rows.append(tmp_path / "genuine.csv", there)
    console = Console(width=200)
    with console.capture() as said:
        assert trials.run_matrix(console, [made], tmp_path, 1, False) == 0
    assert "90 (5)" in said.get()
    assert "1 of 1 runs are in" in said.get()
    assert (tmp_path / "genuine.png").exists()
