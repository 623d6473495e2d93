"""The report of the clock run: which errors lie within their bound, and which make the verdict fail."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from laboratory.tables import clockreport
from laboratory.tables.clockreport import ClockSetting, Error, Found, Stated

S = 1_000_000_000
SETTING = ClockSetting("x", "Queues", "delay=40", {"anna": 50.0}, 1.0, 660.0, 60.0, p99_us_max=2_000.0)


def found(
    errors_us: list[float], bounds: Sequence[tuple[float, float]] = ((0.0, 1_000.0),), lock_s: float = 0.4
) -> Found:
    """Return the findings of one member with one error (µs) a second, from second 1 on.

    bounds: (second, error bound in µs that the clock stated then). lock_s: when the clock was first set.
    """
    return Found(
        SETTING, "abc",
        [Error("anna", at_s * S, us) for at_s, us in enumerate(errors_us, 1)],
        [Stated("anna", round(at_s * S), us) for at_s, us in bounds],
        {"anna": lock_s},
    )  # fmt: skip


def test_an_error_is_judged_by_the_last_bound_stated_before_it() -> None:
    (verdict,) = clockreport.judge(found([400.0, -400.0, -400.0, 400.0], [(0, 500.0), (2.5, 300.0)]))
    assert (verdict.inside, verdict.judged, verdict.errors) == (2, 4, 4)
    (verdict,) = clockreport.judge(found([400.0, 400.0], [(1.5, 500.0)]))
    assert (verdict.inside, verdict.judged) == (1, 1)


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (found([100.0] * 999 + [1_001.0]), True),
        (found([100.0] * 998 + [1_001.0] * 2), False),
        (found([100.0] * 98 + [2_100.0] * 2, [(0, 5_000.0)]), False),
        (found([100.0] * 100, lock_s=2.1), False),
        (found([100.0] * 100, bounds=[]), False),
    ],
)
def test_p99_bound_and_lock_are_all_required(given: Found, holds: bool) -> None:
    assert clockreport.judge(given)[0].holds is holds


def test_the_text_has_the_verdict_and_a_picture(tmp_path: Path) -> None:
    given = found([100.0] * 100)
    clockreport.write([given], tmp_path / "CLOCK.md", tmp_path / "study")
    text = (tmp_path / "CLOCK.md").read_text()
    line = "| anna | +50 ppm | 100 | 0.10 ms | 0.10 ms | < 2 ms | 1.00 ms | 100 of 100 | 0.40 s | yes |"
    assert line in text
    assert "`delay=40`, 600 s after the first 60." in text
    assert "study/clock-x.png" in text
    assert (tmp_path / "study" / "clock-x.png").stat().st_size > 1000


def test_of_a_run_beside_the_relay_only_who_is_there_is_judged() -> None:
    setting = replace(SETTING, skews_ppm={"anna": 50.0, "ben": 0.0}, beside_relay="anna", p99_us_max=100.0)
    errors = [
        Error(name, at_s * S, us) for at_s in range(1, 101) for name, us in (("anna", 60.0), ("ben", 9e4))
    ]
    stated = [Stated("anna", 0, 500.0)]
    (verdict,) = clockreport.judge(Found(setting, "abc", errors, stated, {"anna": 0.1, "ben": 9.0}))
    assert (verdict.member, verdict.holds, verdict.p99_us) == ("anna", True, 60.0)
