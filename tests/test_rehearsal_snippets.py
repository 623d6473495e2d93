"""Snippets: how often Sonic Pi fell behind, going by what it warns of."""

import pytest
from rehearsal.snippets import times_behind


def warning(at_s: float, thread: str = "live_loop_tight", run: int = 7) -> str:
    return f'/log/multi_message {run} "{thread}" {at_s} 1 2 Timing warning: running slightly behind...'


@pytest.mark.parametrize(
    ("warnings", "times"),
    [
        ([], 0),
        ([warning(0.5)], 1),
        ([warning(0.5 + 0.0625 * number) for number in range(42)], 1),
        ([warning(0.5), warning(1.6)], 2),
        ([warning(1.8), warning(0.5), warning(0.7, "live_loop_tight2"), warning(3.0)], 3),
        ([warning(0.5), warning(0.7, run=8), warning(0.9)], 2),
        (["/error 7 Timing Exception: thread got too far behind time"] * 2, 2),
        ([warning(0.5), warning(0.6), "/error 7 Timing Exception: thread got too far behind time"], 2),
    ],
)
def test_warnings_less_than_a_second_apart_are_of_one_time_of_being_behind(
    warnings: list[str], times: int
) -> None:
    assert times_behind(warnings) == times
