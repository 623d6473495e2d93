"""Files of result rows: they can be written, cut off, continued and read again without a loss."""

import csv
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest
from laboratory.runs import rows
from laboratory.runs.campaign import Failure, Job, run_all
from laboratory.runs.points import Point
from laboratory.runs.rows import BadRows, Minute, Row, asked
from laboratory.runs.runs import missing
from laboratory.study.plan import BY_TIMESTAMPS, netlab_points, point, virtual_points
from laboratory.study.study import COMMITTED
from laboratory.virtual import run as virtual_run

from relay.wire.sequence import Scheme
from tests.worlds.lab_rows import row

POINT = point("virtual", "loss", 5, "delay=15,loss=5%", "udp-repair", seeds=(1, 2, 3))


def test_rows_come_back_as_they_were_written() -> None:
    full = row(POINT, bad=7)
    bare = msgspec.structs.replace(full, unavoidable=None, margin_ms_p01=None, network="a, b\nc", commit="")
    assert rows.loads(rows.dumps([full, bare], Row), Row) == [full, bare]
    minute = Minute(network="fibre", seed=1, seconds=60, minute=rows.WHOLE, events=3, bad=0, free_us=1.5)
    assert rows.loads(rows.dumps([minute], Minute), Minute) == [minute]


def test_a_file_cut_off_anywhere_is_continued_and_only_the_last_row_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for seed in (1, 2):
        rows.append(path, row(POINT, seed))
    whole = path.read_bytes()
    second = whole.rindex(b"virtual/")
    for cut in range(second, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert missing([POINT], rows.read(path, Row)) == [(POINT, 2), (POINT, 3)]
        rows.append(path, row(POINT, 2))
        assert path.read_bytes() == whole
    assert missing([POINT], rows.read(path, Row)) == [(POINT, 3)]


def test_a_point_that_was_changed_is_run_again() -> None:
    there = [row(POINT, seed) for seed in POINT.seeds]
    longer = point("virtual", "loss", 5, "delay=15,loss=5%", "udp-repair", seeds=(1, 2, 3), seconds=26)
    assert missing([POINT], there) == []
    assert missing([longer], there) == [(longer, 1), (longer, 2), (longer, 3)]


def test_what_was_run_again_replaces_what_was_before() -> None:
    first, second = row(POINT, bad=1), row(POINT, bad=2)
    assert list(rows.latest([first, second]).values()) == [second]


def test_files_of_other_versions_and_broken_ones_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for text, words in (
        ("point,colour\nx,red\n", "unknown columns colour"),
        ("point,series\nx\n", "line 2: 1 fields, expected 2"),
        (rows.dumps([row(POINT)], Row).replace(",2000,", ",many,"), "line 2: Expected `int`"),
    ):
        path.write_text(text)
        with pytest.raises(BadRows, match=words):
            rows.read(path, Row)
    path.write_text("point,colour\nx,red\n")
    with pytest.raises(BadRows, match="unknown columns colour"):
        rows.append(path, row(POINT))


def test_the_committed_study_is_read_and_its_rows_answer_the_points_of_the_plan() -> None:
    committed = rows.read(COMMITTED.rows, Row)
    plan = virtual_points() + netlab_points()
    assert {one.scheme for one in committed if not one.series.startswith(BY_TIMESTAMPS)} == {Scheme.JUDGED}
    assert len(missing(plan, committed)) < sum(len(point.seeds) for point in plan)


def test_whatever_a_point_asks_for_stands_in_its_rows() -> None:
    of_a_point = {field.name for field in fields(Point)} - {"name", "seeds"}
    assert asked(POINT, 1).keys() == of_a_point | {"point", "seed"}
    assert asked(POINT, 1).keys() <= set(Row.__struct_fields__)
    short = replace(POINT, seconds=1.0, seeds=(1,))
    assert missing([short], [virtual_run.run(short, 1)]) == []


def test_a_row_answers_no_point_of_another_scheme() -> None:
    there = [row(POINT, seed) for seed in POINT.seeds]
    assert missing([POINT], there) == []
    stamped = replace(POINT, scheme=Scheme.TIMESTAMP)
    assert missing([stamped], there) == [(stamped, seed) for seed in POINT.seeds]


def test_rows_from_before_a_column_was_added_are_read_and_added_to(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    first, second = row(POINT, 1), row(POINT, 2)
    path.write_text(without("scheme", rows.dumps([first], Row)) + "cut off in the mid")
    assert "scheme" not in path.read_text()
    assert rows.read(path, Row) == [first]
    rows.append(path, second)
    assert path.read_text() == rows.dumps([first, second], Row)


def without(column: str, text: str) -> str:
    lines = list(csv.reader(text.splitlines()))
    at = lines[0].index(column)
    return "".join(rows.line_of(line[:at] + line[at + 1 :]) for line in lines)


# -- campaigns: processes of their own -------------------------------------------------------------------


def fine(number: int, folder: Path) -> int:
    (folder / "made").write_text("by the run")
    return number * number


def broken(folder: Path) -> None:
    print("told before")
    raise ValueError("no such network")


def killed(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def endless(marker: Path, folder: Path) -> None:
    marker.touch()
    try:
        threading.Event().wait()
    finally:
        marker.with_suffix(".ended").touch()


def collect(jobs: list[Job], within: Path) -> tuple[dict[str, object], list[Failure]]:
    done: dict[str, object] = {}
    failures = run_all(
        jobs, at_once=2, done=lambda job, result: done.update({job.name: result}), within=within
    )
    return done, failures


@pytest.mark.slow
def test_runs_that_fail_are_reported_with_their_log_and_the_others_go_on(tmp_path: Path) -> None:
    jobs = [Job(f"square of {number}", 1, partial(fine, number)) for number in range(3)]
    done, failures = collect(
        [jobs[0], Job("broken", 1, broken), Job("killed", 1, killed), *jobs[1:]], tmp_path
    )
    assert done == {"square of 0": 0, "square of 1": 1, "square of 2": 4}
    told = {failure.job.name: failure for failure in failures}
    assert set(told) == {"broken", "killed"}
    assert sorted(tmp_path.glob("lab-*")) == sorted(failure.folder for failure in failures)
    assert told["broken"].reason == "ValueError: no such network"
    assert "told before" in told["broken"].log
    assert "Traceback" in told["broken"].log
    assert "status -9" in told["killed"].reason


@pytest.mark.slow
def test_a_run_that_hangs_is_ended_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("laboratory.runs.campaign.PATIENCE_S", 3.0)
    done, failures = collect([Job("endless", 0, partial(endless, tmp_path / "begun"))], tmp_path)
    assert done == {}
    assert failures[0].reason.startswith("gave up")


@pytest.mark.slow
def test_ctrl_c_ends_the_runs_under_way_and_lets_them_clean_up(tmp_path: Path) -> None:
    marker = tmp_path / "begun"

    def interrupt() -> None:
        wait_for(marker.exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        collect([Job("endless", 60, partial(endless, marker))], tmp_path)
    thread.join()
    assert marker.with_suffix(".ended").exists()
    assert list(tmp_path.glob("lab-*")) == []


@pytest.mark.slow
def test_runs_end_when_the_campaign_is_killed(tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    jobs = [Job("endless", 60, partial(endless, marker))]
    campaign = get_context("forkserver").Process(target=collect, args=(jobs, tmp_path))
    campaign.start()
    wait_for(marker.exists)
    campaign.kill()
    campaign.join()
    wait_for(marker.with_suffix(".ended").exists)
    assert marker.with_suffix(".ended").exists()


def wait_for(there: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 60
    while not there() and time.monotonic() < until_s:
        time.sleep(0.01)
