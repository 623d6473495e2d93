"""Number of seconds in which Sonic Pi's threads were late, counted from Sonic Pi's warnings."""

import pytest
from rehearsal.tryout.run_messages import seconds_behind


def warning(at_s: float, thread: str = "live_loop_tight", run: int = 7) -> str:
    return f'/log/multi_message {run} "{thread}" {at_s} 1 2 Timing warning: running slightly behind...'


@pytest.mark.parametrize(
    ("warnings", "seconds"),
    [
        ([], 0),
        ([warning(0.5)], 1),
        ([warning(1.0 + 0.0625 * number) for number in range(16)], 1),
        ([warning(1.0 + 0.0625 * number) for number in range(42)], 3),
        ([warning(0.5), warning(1.6), warning(0.7, "live_loop_tight2")], 2),
        ([warning(0.5), warning(0.7, run=8), warning(0.9)], 2),
        (["/error 7 Timing Exception: thread got too far behind time"] * 2, 2),
        ([warning(0.5), warning(0.6), "/error 7 Timing Exception: thread got too far behind time"], 2),
    ],
)
def test_a_second_in_which_threads_warn_counts_once(warnings: list[str], seconds: int) -> None:
    assert seconds_behind(warnings) == seconds
